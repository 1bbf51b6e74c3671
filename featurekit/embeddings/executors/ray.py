"""Extract with the workers of a Ray cluster.

A piece of work is a range of the images that are to be read. A worker keeps the networks open, does the pass
of featurekit.embeddings.extractor over the images, and writes faces and vectors into the cache itself. What
comes back is a receipt: which rows are done, which files were written, and what they took. The folder of the
images and the cache must be the same folders on every machine, for example on NFS, or be in a bucket for
which every machine has credentials of its own.

A file of the cache is named by its bytes, and a row has the same bytes whoever computes it. So a piece that
is done twice, or two extractions at once, do no harm.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store, is_stored
from featurekit.checked import checked
from featurekit.cluster import Cluster, connected
from featurekit.embeddings.extractor import Pass, Work
from featurekit.embeddings.job import Images, Job
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.pool import CHUNK
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import EngineError, ModelError, WorkspaceError
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings
from featurekit.networks import engines
from featurekit.networks.backbones import BACKBONES
from featurekit.progress import Clock, Progress
from featurekit.registry import SESSION, Registry
from featurekit.urls import UrlPath, is_in_memory, place_of

# Images in a piece of work: large ones make few files; small ones at the end keep all workers busy.
_FEWEST, _MOST = 32, 512
# Seconds within which the files of other machines are seen on a shared folder.
_LATE = 60.0
_ENDS_WORKERS = "each worker that read it ended; featurekit extract without --executor ray may read it"


@checked()
@dataclass(frozen=True)
class RayExecutor:
    """Extracts with workers of a Ray cluster.

    Args:
        address: "auto" for the cluster that this machine belongs to, "local" for a new one on this machine
            alone, or the address of a cluster.
        workers: number of workers; None for one for each core, or for each GPU.
        gpus_per_worker: number of GPUs of a worker, if networks run on GPUs; 0.5 if two workers share one.

    Raises:
        ModelError: a number is not possible.
    """

    address: str = "auto"
    workers: int | None = None
    gpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ModelError(f"--workers must be at least 1. Got {self.workers} instead.")
        if not 0 < self.gpus_per_worker <= 64:
            raise ModelError(
                f"--gpus-per-worker must be above 0 and at most 64. Got {self.gpus_per_worker:g} instead."
            )

    def places(self, cluster: Cluster, *, on_gpu: bool) -> tuple[int, float, float]:
        """Return the number of workers, and how many cores and GPUs each of them has.

        Args:
            cluster: the cluster.
            on_gpu: whether networks run on GPUs.
        """
        cores = max(cluster.total("CPU"), 1.0)
        if not on_gpu:
            return self.workers or int(cores), 1.0, 0.0
        n_workers = self.workers or max(int(cluster.total("GPU") / self.gpus_per_worker), 1)
        return n_workers, float(max(int(cores / n_workers), 1)), self.gpus_per_worker

    @contextmanager
    def opened(self) -> "Iterator[_RayWorkers]":
        """Return a block with a connection to the cluster; workers are started when there is work."""
        with connected(self.address) as cluster:
            yield _RayWorkers(cluster, self)


@dataclass(frozen=True)
class _RayWorkers:
    cluster: Cluster
    executor: RayExecutor

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """Return the device and the precision of the workers, as one of them chooses for all."""
        gpus = self.executor.gpus_per_worker if self._has_gpus else 0.0
        if device == "cuda" and not gpus:
            raise EngineError("cuda was requested, but no machine of the Ray cluster has a GPU.")
        gpus = 0.0 if device == "cpu" else gpus
        return self.cluster.call(engines.resolve, device, precision, gpus=gpus)

    def run(self, job: Job, todo: NDArray[np.intp], progress: Progress | None = None) -> Work:
        """Let the workers process the images in some rows of a job."""
        started = time.perf_counter()
        if progress:  # before the workers have started
            progress(0, len(todo))
        _refuse_members_of_this_program(job)
        on_gpu = any(recipe.engine != "cpu" for recipe in job.recipes.values())
        n_workers, cpus, gpus = self.executor.places(self.cluster, on_gpu=on_gpu)
        clock, achieved, unread = Clock(), _Achieved(), []
        n_done = n_detected = 0
        answers = self.cluster.map(
            _RayWorker,
            _said(job, threads=max(int(cpus), 1)),
            _pieces(todo, n_workers),
            n_workers=n_workers,
            cpus=cpus,
            gpus=gpus,
            message=partial(_message, job),
            smaller=_halves,
        )
        with closing(answers):
            for done in answers:
                if done.answer is None:  # a single image: larger pieces are made smaller
                    unread += [(job.images.names[row], _ENDS_WORKERS) for row in done.piece]
                else:
                    receipt = Receipt(**done.answer)
                    receipt.check(job, done.piece)
                    unread += [(job.images.names[row], why) for row, why in receipt.unread]
                    n_detected += receipt.n_detected
                    clock.add(receipt.parts)
                    achieved.add(receipt.achieved)
                n_done += len(done.piece)
                if progress:
                    progress(n_done, len(todo))
        job.refresh()
        return Work(
            n_detected=n_detected,
            achieved=achieved.by_network,
            unread=tuple(unread),
            parts=clock.seconds,
            threads=n_workers * max(int(cpus), 1),
            is_on_cluster=True,
            n_lost=self.cluster.n_lost,
            seconds_to_open=float(np.mean(self.cluster.ready or [started])) - started,
        )

    @property
    def _has_gpus(self) -> bool:
        return self.cluster.total("GPU") >= self.executor.gpus_per_worker


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a worker says of a piece of work.

    Attributes:
        rows: rows whose faces, and vectors if a face was found, are in the cache now.
        unread: row and reason of each image that could not be read.
        files: paths of the files that were added to the cache, relative to its folder; each is named by the
            sha256 of its bytes.
        n_detected: number of images on which the face detector was run.
        parts: seconds of each step.
        achieved: network → engine, device and precision that it really ran with.
        machine: name of the machine.
    """

    rows: list[int]
    unread: list[tuple[int, str]]
    files: list[str]
    n_detected: int
    parts: dict[str, float]
    achieved: dict[str, dict[str, str]]
    machine: str

    def check(self, job: Job, rows: NDArray[np.intp]) -> None:
        """Raise an error unless the receipt is of these rows, and its files are in the cache.

        Raises:
            WorkspaceError: the worker has another folder for the cache.
        """
        told = sorted([*self.rows, *(row for row, _ in self.unread)])
        if told != sorted(rows.tolist()):
            raise AssertionError(f"The receipt of rows {rows.tolist()} is of the rows {told}.")
        missing = next((name for name in self.files if not appears(job.cache / name)), None)
        if missing:
            raise WorkspaceError(
                f"A worker on {self.machine} has written {missing}, which is not in {job.cache} here."
                " The cache must be in a folder that all machines of the cluster share, or in a bucket."
            )


class _Achieved:
    """What the networks of all workers ran with; several devices are named one after the other."""

    def __init__(self) -> None:
        self.by_network: dict[str, dict[str, str]] = {}

    def add(self, achieved: Mapping[str, Mapping[str, str]]) -> None:
        """Add what the networks of one worker ran with."""
        for name, found in achieved.items():
            known = self.by_network.setdefault(name, dict(found))
            if found["device"] not in known["device"].split(" and "):
                known["device"] += f" and {found['device']}"


def _pieces(todo: NDArray[np.intp], n_workers: int) -> list[NDArray[np.intp]]:
    """Return rows in pieces of work, which become smaller when little is left to do.

    >>> [len(piece) for piece in _pieces(np.arange(700), 1)]
    [350, 175, 87, 44, 32, 12]
    """
    pieces = []
    while len(todo):
        size = min(max(len(todo) // (2 * n_workers), _FEWEST), _MOST)
        pieces.append(todo[:size])
        todo = todo[size:]
    return pieces


def appears(path: Path) -> bool:
    """Whether a file is there, or comes within a minute: NFS may show a new file of another machine late."""
    until = time.monotonic() + _LATE
    while not is_stored(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def _halves(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [part for part in np.array_split(rows, 2) if len(part)]


def _said(job: Job, *, threads: int) -> dict[str, Any]:
    """Return a job as plain JSON values, without its images."""
    root = job.images.root
    if is_in_memory(root) or is_in_memory(job.cache):
        raise EngineError(
            "memory:// is the memory of one process, and the workers of a cluster are other processes. Use"
            " another place, or --executor local."
        )
    return {
        "root": str(root.resolve()) if root else None,
        "cache": str(job.cache.resolve()),
        "settings": asdict(job.settings),
        "recipes": {feature: asdict(recipe) for feature, recipe in job.recipes.items()},
        "threads": threads,
    }


def _message(job: Job, rows: NDArray[np.intp], again: bool) -> dict[str, Any]:
    """Return what a worker needs to know of the images in some rows, as plain JSON values."""
    images = job.images
    return {
        "rows": rows.tolist(),
        "keys": images.keys[rows].tobytes().hex(),
        "paths": [images.paths[row] for row in rows],
        "contents": [images.contents[row] for row in rows],
        "boxes": [images.boxes[row] for row in rows],
        "again": again,
    }


def _refuse_members_of_this_program(job: Job) -> None:
    """Raise EngineError if a network or the detector was registered by this program, and nowhere else."""
    used: list[tuple[Registry[Any], str]] = [(BACKBONES, one.backbone) for one in job.recipes.values()]
    for registry, name in [*used, (DETECTORS, job.settings.detector)]:
        if registry.package_of(name) == SESSION:
            raise EngineError(
                f"The {registry.kind} {name} was registered by this program, so the workers of a cluster"
                " do not have it. Install it as a package (with an entry point) on every machine, or use"
                " --executor local."
            )


class _RayWorker:
    """The networks and the cache in the process of one worker, and the work on one piece after the other."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        attempts = tuple(map(tuple, job["settings"]["attempts"]))
        self._settings = FaceSettings(**{**job["settings"], "attempts": attempts})
        self._recipes = {feature: Recipe(**recipe) for feature, recipe in job["recipes"].items()}
        self._root, self._threads = place_of(job["root"]) if job["root"] else None, job["threads"]
        if self._root and not isinstance(self._root, UrlPath) and not self._root.is_dir():
            raise WorkspaceError(
                f"{self._root} is not a folder on {_machine()}. The folder of the images must be one that all"
                " machines of the cluster share."
            )
        networks = open_networks(list(self._recipes.values()), self._threads)
        self._opened = networks, open_finder(self._settings, threads=self._threads)
        self._achieved = {network.name: asdict(network.session.achieved) for network in networks}
        for recipe in self._recipes.values():
            got = self._achieved[recipe.backbone]["precision"]
            if got != recipe.precision:
                raise EngineError(
                    f"{recipe.backbone} runs in {got} on {_machine()}, and in {recipe.precision} on another"
                    " machine of the cluster. Choose a --precision that all machines have."
                )
        nothing = Images(np.zeros((0, 32), np.uint8), (), (), (), self._root)
        self._job = Job.of(nothing, self._recipes, self._settings, Store(place_of(job["cache"])))

    def __call__(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Process the images of one piece of work, and return the receipt."""
        rows = message["rows"]
        keys = np.frombuffer(bytes.fromhex(message["keys"]), np.uint8).reshape(-1, 32)
        names = list(map(str, rows))
        images = Images(keys, names, message["paths"], message["contents"], self._root, message["boxes"])
        job = replace(self._job, images=images)
        one_pass = Pass(
            images,
            self._recipes,
            self._settings,
            self._threads,
            n_images=len(rows),
            faces=job.faces,
            shelves=job.shelves,
            opened=lambda: self._opened,
            chunk=CHUNK if self._threads == 1 else 1,
        )
        # The worker that died may have stored a part of the piece.
        if message["again"]:
            job.refresh()
        todo = job.todo() if message["again"] else np.arange(len(rows))
        for _ in one_pass.results(job.tasks(todo)):
            pass
        unread = {int(row): why for row, why in one_pass.unread}
        receipt = Receipt(
            rows=[row for row in rows if row not in unread],
            unread=list(unread.items()),
            files=[str(path.relative_to(job.cache)) for path in one_pass.written],
            n_detected=one_pass.n_detected,
            parts=one_pass.clock.seconds,
            achieved=self._achieved,
            machine=_machine(),
        )
        return asdict(receipt)


def _machine() -> str:
    import platform

    return platform.node() or "another machine"
