"""Run the fits of a comparison side by side, so that no core is idle while there is work.

All fits wait in one queue, and those that take long are first, so that the last fits are short.
Usually a fit uses one thread, because two fits side by side end earlier than the same two fits one after the
other with two threads each. If fewer fits are left than there are cores, a fit starts with more threads.
What a fit learns does not depend on its threads; a fit for which this is not true has a fixed number of them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

# A fit gets another thread if its share of the work is worth three quarters of it.
ROUNDED_UP = 0.25
LEAST = 1e-9  # seconds; no fit takes less, so that shares of work can be divided by it


def no_bytes(threads: int) -> int:
    """Return 0, for a fit that needs no memory to speak of."""
    return 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A fit that can run beside others.

    Attributes:
        run: called with the number of threads that the fit may use.
        seconds: rough duration on one thread, in comparison with other fits.
        threads: number of threads, if the results depend on it; None to let the queue choose.
        bytes_needed: number of threads → bytes that the matrices of the fit take.
    """

    run: Callable[[int], None]
    seconds: float = LEAST
    threads: int | None = None
    bytes_needed: Callable[[int], int] = no_bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Fits on the same vectors, which are loaded when the first of the fits can start.

    Attributes:
        open: loads the vectors and returns the fits.
        seconds: rough duration of all fits on one thread.
        bytes: size of the vectors, which are kept until the last fit has ended.
    """

    open: Callable[[], Sequence[Fit]]
    seconds: float = LEAST
    bytes: int = 0


@dataclass(frozen=True, eq=False)
class _Waiting:
    fit: Fit
    batch: Batch


@dataclass(frozen=True, eq=False)
class _Running:
    number: int
    threads: int
    bytes: int
    batch: Batch


@dataclass(eq=False)
class _Queue:
    """The fits that wait and those that run."""

    batches: deque[Batch]
    threads: int
    jobs: int
    memory: int
    waiting: deque[_Waiting] = field(default_factory=deque)
    running: dict[Future[None], _Running] = field(default_factory=dict)
    n_started: int = 0
    n_ended: int = 0

    def start_fits(self, pool: ThreadPoolExecutor) -> bool:
        """Start every fit for which there is a thread and memory; return whether any fit is running."""
        while len(self.running) < self.jobs and self._next_is_here():
            fit, batch = self.waiting[0].fit, self.waiting[0].batch
            if self.running and self._idle() < (fit.threads or 1):
                break
            threads = self._threads_for(fit)
            while fit.threads is None and threads > 1 and not self._has_room(fit.bytes_needed(threads)):
                threads //= 2
            needed = fit.bytes_needed(threads)
            if self.running and not self._has_room(needed):
                break
            self.waiting.popleft()
            future = pool.submit(fit.run, threads)
            self.running[future] = _Running(self.n_started, threads, needed, batch)
            self.n_started += 1
        return bool(self.running)

    def wait_for_one(self) -> None:
        """Wait until a fit has ended; raise its exception, if it has failed."""
        ended, _ = wait(self.running, return_when=FIRST_COMPLETED)
        self.n_ended += len(ended)
        for future in sorted(ended, key=lambda one: self.running.pop(one).number):
            future.result()

    def _next_is_here(self) -> bool:
        """Open the next batch if no fit of the earlier ones is waiting; return whether a fit is waiting."""
        while not self.waiting and self.batches:
            if self.running and self._bytes_in_use() + self.batches[0].bytes > self.memory:
                break
            batch = self.batches.popleft()
            fits = sorted(batch.open(), key=lambda fit: -fit.seconds)
            self.waiting.extend(_Waiting(fit, batch) for fit in fits)
        return bool(self.waiting)

    def _threads_for(self, fit: Fit) -> int:
        """Return the number of threads for the fit that starts now.

        While the first fits start, they share the threads by how long they take. A fit that had to wait
        counts on the threads of the fits that are still running, because these will end soon.
        """
        if fit.threads is not None:
            return fit.threads
        idle = self._idle()
        later = sum(one.fit.seconds for one in self.waiting) + sum(one.seconds for one in self.batches)
        share = fit.seconds / max(later, fit.seconds)  # the fit itself is the first that is waiting
        by_work = int((self.threads if self.n_ended else idle) * share + ROUNDED_UP)
        return max(min(self.threads // self.jobs, idle), by_work, 1)

    def _has_room(self, needed: int) -> bool:
        """Return whether a fit that needs some bytes can start beside those that are running."""
        return not needed or self._bytes_in_use() + needed <= self.memory

    def _idle(self) -> int:
        return self.threads - sum(one.threads for one in self.running.values())

    def _bytes_in_use(self) -> int:
        batches = {one.batch for one in self.running.values()} | {one.batch for one in self.waiting}
        return sum(one.bytes for one in batches) + sum(one.bytes for one in self.running.values())


def run_batches(batches: Sequence[Batch], *, threads: int, jobs: int, memory: int) -> None:
    """Run the fits of all batches, in the order of the batches, and in each batch those that take long first.

    Args:
        batches: the fits.
        threads: number of threads for all fits together.
        jobs: largest number of fits at the same time.
        memory: bytes that the matrices of all fits may take together. A fit that needs more runs alone.

    Raises:
        Exception: that of the first fit that has failed; fits that were running have ended by then, and no
            other has started.
    """
    queue = _Queue(deque(batches), threads, max(jobs, 1), memory)
    pool = ThreadPoolExecutor(queue.jobs)
    try:
        while queue.start_fits(pool):
            queue.wait_for_one()
    except BaseException as error:
        # If a fit failed, the others finish first. If the user stops the program, it does not wait for them.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
