"""Workers of a Ray cluster, and the pieces of work that they do.

Ray schedules: it starts a process for each worker on some machine, and starts another one where a worker or
its machine is lost. It never owns data. A worker gets a piece of work as plain values, does it, stores the
result where it belongs, and answers with a receipt. So whatever happens to a worker costs one piece of work,
which another worker does again.

Ray's usage statistics are switched off. A cluster that is started here, with the address "local", listens on
127.0.0.1 only, and to programs that have this user's token. Ray sends values between its processes as
pickles, so that everyone who can reach a cluster and has its token can run programs on it: see Ray's own page
on security.
"""

import logging
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from featurekit.errors import EngineError, FeaturekitError

# With this off, the address of a machine is 127.0.0.1 for Ray. Ray's processes read it from their environment
# when they import Ray, and keep it in a constant.
_OVER_THE_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "ENABLE_RAY_CLUSTER"
_HERE = ("127.0.0.1", "::1")
# Seconds after which a cluster is given up in which not a single worker gets ready.
PATIENCE = 600.0
# A piece of work whose workers died so often is made smaller; the smallest one is given up, or tried later.
_MOST_LOST = 3
# So many workers that die one after the other, without a piece of work done, are no bad luck: workers that
# were getting ready, and workers with a piece, which may meet several images that end them.
_MOST_UNREADY, _MOST_IN_A_ROW = 12, 40

Piece = TypeVar("Piece")
T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[Piece]):
    """A piece of work and the worker's answer.

    Attributes:
        piece: the piece of work.
        answer: what the worker has returned; None if each worker that tried has died.
    """

    piece: Piece
    answer: Any | None


@contextmanager
def connected(address: str) -> "Iterator[Cluster]":
    """Connect to a Ray cluster, or start one on this machine for the time of the block.

    With "auto", a connection that the program has made with ray.init() is used as it is, and stays.

    Args:
        address: "auto" for the cluster that this machine belongs to, "local" for a new one on this machine,
            or the address of a cluster, such as "10.0.0.5:6379" or "ray://10.0.0.5:10001".

    Raises:
        EngineError: Ray is not installed, there is no cluster at the address, or the program is connected to
            a cluster already.
    """
    is_new = address == "local"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise EngineError("Ray is not installed: pip install 'featurekit[ray]'") from error
    if ray.is_initialized():
        if address != "auto":
            raise EngineError(
                f"--address {address} has no effect, because this program is connected to a Ray cluster"
                " already. Leave it out to use that cluster, or call ray.shutdown() first."
            )
        yield Cluster(ray)
        return
    with (
        tempfile.TemporaryDirectory(prefix="featurekit-", ignore_cleanup_errors=True) as folder,
        _only_here() if is_new else nullcontext(),
    ):
        more: dict[str, Any] = {"include_dashboard": False, "_temp_dir": folder} if is_new else {}
        try:
            with _own_signals():
                context: Any = ray.init(
                    address=address, log_to_driver=False, logging_level=logging.CRITICAL, **more
                )
        except (ConnectionError, ValueError, RuntimeError, AssertionError) as error:
            raise EngineError(
                f"There is no Ray cluster at --address {address} that takes this machine"
                f" ({_first_line(error)}). Start one, as docs/cluster.md says, or use --address local for one"
                " on this machine alone. A cluster with a token needs RAY_AUTH_MODE=token and the token on"
                " every machine."
            ) from error
        try:
            if is_new and context.address_info["node_ip_address"] not in _HERE:
                raise EngineError(
                    "This version of Ray would listen on the network. Call ray.init() yourself, and its"
                    " cluster is used with --address auto."
                )
            yield Cluster(ray)
        finally:
            with _own_signals():
                ray.shutdown()


@contextmanager
def _only_here() -> Iterator[None]:
    """Let Ray use the address 127.0.0.1 only, in this process and those that it starts."""
    from ray._private import ray_constants

    variable, constant = _OVER_THE_NETWORK
    before, was = os.environ.get(variable), getattr(ray_constants, constant, None)
    os.environ[variable] = "0"
    setattr(ray_constants, constant, False)
    try:
        yield
    finally:
        setattr(ray_constants, constant, was)
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


class Cluster:
    """A connection to a Ray cluster.

    Args:
        ray: the module, with an open connection.

    Attributes:
        ready: values of time.perf_counter() when each of the first workers was ready for work.
        n_lost: number of workers that have died.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.ready: list[float] = []
        self.n_lost = 0

    def total(self, resource: str) -> float:
        """Return how much of a resource, such as "CPU" or "GPU", all machines have together."""
        return float(self._ray.cluster_resources().get(resource, 0.0))

    def put(self, value: Any) -> Any:
        """Send a value to the machines of the cluster once, and return a reference for call().

        The arrays in it are shared by the processes of a machine, and cannot be written.
        """
        return self._ray.put(value)

    def call(self, function: Callable[..., T], *given: Any, cpus: int = 1, gpus: float = 0.0) -> T:
        """Call a function of featurekit on a machine of the cluster, and wait for what it returns.

        It is called again if its process or its machine ends. Several threads may call at once.

        Args:
            function: the function, of a module.
            given: its arguments; a reference from put() stands for its value.
            cpus: number of cores.
            gpus: number of GPUs.

        Raises:
            FeaturekitError: the function has raised this error.
            EngineError: each process that has called the function has ended.
        """
        run = self._ray.remote(function).options(num_cpus=cpus, num_gpus=gpus, max_retries=_MOST_LOST)
        try:
            return cast(T, self._got(run.remote(*given)))
        except _WorkerLostError as error:
            raise EngineError(_MANY_DEATHS.format(_MOST_LOST + 1)) from error

    def map(
        self,
        open_worker: Callable[[Any], Callable[[Any], Any]],
        job: Any,
        pieces: Sequence[Piece],
        *,
        n_workers: int,
        cpus: float = 1.0,
        gpus: float = 0.0,
        message: Callable[[Piece, bool], Any],
        smaller: Callable[[Piece], Sequence[Piece]],
        tries: int = _MOST_LOST,
    ) -> Generator[Done[Piece], None, None]:
        """Let workers do pieces of work, and yield each piece with the answer, in the order of the answers.

        A piece of a worker that dies is done again by another one. If it happens again and again with the
        same piece, the piece is made smaller, to find what ends the workers, or is done last.

        Args:
            open_worker: function of a module. Each worker calls it once with the job, and gets the function
                that turns a message into an answer.
            job: argument of open_worker, as plain JSON values.
            pieces: the pieces of work.
            n_workers: number of workers, at least 1; fewer work if there are fewer places.
            cpus: number of cores of a worker.
            gpus: number of GPUs of a worker; a fraction if several workers share one.
            message: returns what a worker gets for a piece, as plain JSON values. Its second argument says
                whether a worker with this piece has died, and may have done a part of it.
            smaller: returns the parts of a piece; the piece itself if it has none.
            tries: number of workers that may die of a piece without parts before it is given up.

        Raises:
            FeaturekitError: the function has raised this error in a worker.
            EngineError: the cluster has no place for a worker, or workers die one after the other.
        """
        host = self._ray.remote(_Worker).options(num_cpus=cpus, num_gpus=gpus)
        crew = _Crew(lambda: host.remote(open_worker, job), deque((piece, 0) for piece in pieces), tries)
        try:
            for _ in range(min(n_workers, len(pieces))):
                crew.start()
            while crew.has_work:
                done, _ = self._ray.wait(list(crew.busy), timeout=PATIENCE)
                if not done and not crew.is_working:
                    raise EngineError(self._no_place(cpus, gpus))
                for answered in done:
                    try:
                        answer = self._got(answered)
                    except _WorkerLostError:
                        self.n_lost += 1
                        given_up = crew.lost(answered, smaller)
                        crew.check(n_workers)
                        yield from (Done(piece, None) for piece in given_up)
                        continue
                    if crew.is_first(answered, n_workers):
                        self.ready.append(time.perf_counter())
                    yield from (Done(piece, answer) for piece in crew.answered(answered))
                crew.hand_out(message)
        finally:
            for worker in crew.workers:
                self._ray.kill(worker)

    def _got(self, reference: Any) -> Any:
        """Return the value of a reference.

        Raises:
            FeaturekitError: the function that computes it has raised this error; other errors are raised with
                the traceback of the worker.
            _WorkerLostError: the process that computes it, or its machine, has ended.
        """
        lost = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except lost.RayTaskError as error:
            if isinstance(error.cause, FeaturekitError):
                raise error.cause from error.cause.__cause__
            raise
        except (
            lost.RayActorError,
            lost.WorkerCrashedError,
            lost.OutOfMemoryError,
            lost.NodeDiedError,
        ) as error:
            raise _WorkerLostError(_first_line(error)) from error

    def _no_place(self, cpus: float, gpus: float) -> str:
        wanted = " and ".join(f"{n:g} {what}" for n, what in ((cpus, "CPU"), (gpus, "GPU")) if n)
        has = ", ".join(f"{self.total(what):g} {what}" for what in ("CPU", "GPU"))
        return (
            f"No worker with {wanted} became ready within {PATIENCE:g} seconds. All machines of the Ray"
            f" cluster together have {has}; other programs may use them."
        )


_MANY_DEATHS = (
    "{} workers ended one after the other before they had done anything. The logs of the cluster say why; too"
    " little memory is the usual cause: use fewer --workers."
)


@dataclass(eq=False)
class _Crew(Generic[Piece]):
    """Workers, and the pieces of work that wait or that they have.

    Attributes:
        new: starts a worker and returns it.
        todo: pieces that wait, each with the number of workers that have died of it.
        tries: number of workers that may die of a piece without parts before it is given up.
        busy: reference of an answer → the worker, and the piece it has; None while it gets ready.
        idle: workers without a piece.
        workers: all workers that were started.
        n_lost_in_a_row: number of workers that have died since a piece was last done.
        n_unready_in_a_row: how many of them had no piece yet.
    """

    new: Callable[[], Any]
    todo: deque[tuple[Piece, int]]
    tries: int = _MOST_LOST
    busy: dict[Any, tuple[Any, tuple[Piece, int] | None]] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    workers: list[Any] = field(default_factory=list)
    n_lost_in_a_row: int = 0
    n_unready_in_a_row: int = 0

    @property
    def is_working(self) -> bool:
        """Whether any worker has a piece."""
        return any(given for _, given in self.busy.values())

    @property
    def has_work(self) -> bool:
        """Whether a piece waits, or a worker has one."""
        return bool(self.todo) or self.is_working

    def is_first(self, reference: Any, n_workers: int) -> bool:
        """Whether a worker that has answered is one of the first ones and was getting ready."""
        worker, given = self.busy[reference]
        return given is None and any(worker is one for one in self.workers[:n_workers])

    def start(self) -> None:
        """Start a worker."""
        worker = self.new()
        self.workers.append(worker)
        self.busy[worker.open.remote()] = worker, None

    def hand_out(self, message: Callable[[Piece, bool], Any]) -> None:
        """Give pieces to the workers that have none."""
        while self.todo and self.idle:
            piece, n_lost = self.todo.popleft()
            worker = self.idle.pop()
            self.busy[worker.work.remote(message(piece, n_lost > 0))] = worker, (piece, n_lost)

    def answered(self, reference: Any) -> list[Piece]:
        """Note that a worker has answered; return the piece that is done, if it had one."""
        worker, given = self.busy.pop(reference)
        self.idle.append(worker)
        if given is None:
            return []
        self.n_lost_in_a_row = self.n_unready_in_a_row = 0
        return [given[0]]

    def check(self, n_workers: int) -> None:
        """Raise EngineError if more workers have died in a row than bad luck explains."""
        most = max(_MOST_IN_A_ROW, 3 * n_workers)
        if self.n_lost_in_a_row > most or self.n_unready_in_a_row > max(_MOST_UNREADY, n_workers):
            raise EngineError(_MANY_DEATHS.format(self.n_lost_in_a_row))

    def lost(self, reference: Any, smaller: Callable[[Piece], Sequence[Piece]]) -> list[Piece]:
        """Note that a worker has died, and start another one if it is needed; return the piece to give up."""
        _, given = self.busy.pop(reference)
        self.n_lost_in_a_row += 1
        self.n_unready_in_a_row += given is None
        given_up = []
        if given:
            piece, n_lost = given[0], given[1] + 1
            if n_lost < _MOST_LOST:
                self.todo.appendleft((piece, n_lost))
            elif len(parts := smaller(piece)) > 1:
                self.todo.extendleft((part, 1) for part in parts)
            elif n_lost < self.tries:
                self.todo.append((piece, n_lost))
            else:
                given_up = [piece]
        if len(self.todo) > len(self.idle):
            self.start()
        return given_up


class _WorkerLostError(Exception):
    """The process of a worker, or its machine, has ended before the worker's answer."""


class _Worker:
    """The process of one worker.

    Args:
        open_worker: function that returns the function to do the work with.
        job: its argument.
    """

    def __init__(self, open_worker: Callable[[Any], Callable[[Any], Any]], job: Any) -> None:
        self._open_worker, self._job = open_worker, job

    def open(self) -> None:
        """Get ready for work; here, and not when the process starts, so that an error is told as it is."""
        self._work = self._open_worker(self._job)

    def work(self, message: Any) -> Any:
        """Do a piece of work."""
        return self._work(message)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the program's handlers of signals, which ray.init() replaces."""
    kept: Mapping[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            with suppress(TypeError, ValueError):  # a handler that was not set by Python
                signal.signal(number, handler)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
