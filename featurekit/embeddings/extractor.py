"""Compute the vectors of faces; a vector that is in the cache is not computed again.

One pass over the images computes the vectors of all networks and layers: each image is decoded once, its face
is found and turned upright once, and each network gets its own crop of the face. On a CPU one worker does all
steps for an image, so that no core waits for a slower step. On a GPU the workers cut faces out while the GPU
runs the networks. Workers are threads of this process or, for many images and small networks, other
processes.

The cache finds results by the content of an image. So a renamed or repeated image is not processed again, an
extraction that was stopped continues where it stopped, and a second extraction opens no image.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.job import Images, Job, images_of
from featurekit.embeddings.open_networks import Opened, open_networks
from featurekit.embeddings.part import ALL, Part
from featurekit.embeddings.pool import CHUNK, HelperPool, fit_for_helpers
from featurekit.embeddings.recipe import MOST_STORED, Recipe, face_keys, row_keys
from featurekit.embeddings.vectors import row_statuses
from featurekit.embeddings.worker import (
    Looked,
    Looker,
    Task,
    face_columns,
    keep_errors,
    run_network,
)
from featurekit.errors import ManifestError
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import BROKEN, STATUSES
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.urls import is_in_memory

# A shard is written after so many images or so many seconds; a kill loses no more than that. The first shard
# is written early, and the time doubles with every shard, so that a few hundred images are not lost either.
SHARD_ROWS, SHARD_SECONDS, _FIRST_SHARD_SECONDS = 512, 20.0, 2.0
# Helper processes are started for at least so many images.
HELPERS_FROM = 400


@dataclass(frozen=True)
class Extraction:
    """Counts, times and problems of one extraction.

    Attributes:
        statuses: status → number of rows with this status, of the manifest or of a part of its images; every
            row has one status.
        n_read: number of images that were opened.
        n_detected: number of images that the face detector was run on.
        seconds: wall-clock time of the extraction in seconds.
        recipes: feature, as "backbone:layer" → recipe, which says how its vectors are computed.
        achieved: network → engine, device and precision that were really used; empty if no network had to
            run.
        unread: face_id and reason of each image that has changed or could not be read this time.
        broken: path in the manifest and status of each row whose image cannot be decoded, in this extraction
            or in an earlier one.
        parts: seconds that were spent in "read", "decode", "detect", "align", "write" and in each network,
            summed over the threads.
        threads: number of threads or helper processes.
        is_on_cluster: whether workers of a cluster did the work.
        n_lost: number of workers of a cluster that ended early, so that others did their work again.
        seconds_to_open: seconds until the detector and the networks were ready; on a cluster the mean over
            its workers.
    """

    statuses: Mapping[str, int]
    n_read: int
    n_detected: int
    seconds: float
    recipes: Mapping[str, Recipe]
    achieved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    threads: int = 1
    is_on_cluster: bool = False
    n_lost: int = 0
    seconds_to_open: float = 0.0


def extract(
    manifest: Manifest,
    recipes: Mapping[str, Recipe],
    settings: FaceSettings,
    store: Store,
    *,
    threads: int = 0,
    part: Part = ALL,
    run: "Run | None" = None,
    progress: Progress | None = None,
) -> Extraction:
    """Find the face of every image of a manifest, or of a part of them, and store its vectors in the cache.

    Args:
        manifest: table of the images.
        recipes: how each feature's vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        store: the cache, which stores faces and vectors.
        threads: number of threads, which does not change the vectors; 0 for one thread for each core.
        part: the images to process; the counts and problems are those of their rows.
        run: function that does the work elsewhere than in run_here(), with as many threads as it likes.
        progress: called with (images done, images to do).

    Raises:
        EngineError: a device or precision is not available.
        ManifestError: boxes choose the faces (choose "box"), and no row has a box.
        WorkspaceError: the cache cannot be written.
    """
    started = time.perf_counter()
    if settings.choose == "box" and not (manifest.table["box"] != "").any():
        raise ManifestError(
            "--choose box needs boxes, but the column 'box' of the manifest is empty. Name the column of"
            " your table that contains the boxes as x1 y1 x2 y2 in pixels: featurekit prepare table FILE"
            " --column box=NAME (or four columns: --column x1=NAME --column y1=NAME --column x2=NAME"
            " --column y2=NAME)."
        )
    keys, own = row_keys(manifest, settings), part.rows(manifest)
    # A row of another part counts as one without an image.
    job = Job.of(images_of(manifest, keys * own[:, np.newaxis]), recipes, settings, store)
    todo = job.todo()
    run = run or partial(run_here, threads=threads)
    work = run(job, todo, progress) if len(todo) else Work(threads=threads or usable_cores())
    of_rows = row_statuses(manifest, keys, job.faces)
    counts = np.bincount(of_rows[own], minlength=len(STATUSES))
    broken = np.flatnonzero(own & np.isin(of_rows, [STATUSES.index(status) for status in BROKEN]))
    return Extraction(
        statuses={status: int(n) for status, n in zip(STATUSES, counts, strict=True) if n},
        n_read=len(todo),
        seconds=time.perf_counter() - started,
        recipes=recipes,
        broken=tuple((str(manifest.table["image_path"].iloc[row]), STATUSES[of_rows[row]]) for row in broken),
        **vars(work),
    )


@dataclass(frozen=True)
class Work:
    """What was done to extract the missing faces and vectors; see the attributes of Extraction."""

    n_detected: int = 0
    achieved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    threads: int = 1
    is_on_cluster: bool = False
    n_lost: int = 0
    seconds_to_open: float = 0.0


# Does a job: processes the images in some rows, and stores their faces and vectors.
Run = Callable[[Job, NDArray[np.intp], Progress | None], Work]


def run_here(job: Job, todo: NDArray[np.intp], progress: Progress | None = None, *, threads: int = 0) -> Work:
    """Process the images in some rows on this machine, and store their faces and vectors.

    Args:
        job: what to extract.
        todo: numbers of the rows, from Job.todo(); at least one.
        progress: called with (images done, images to do).
        threads: number of threads, which does not change the vectors; 0 for one thread for each core.
    """
    started, threads = time.perf_counter(), threads or usable_cores()
    if progress:  # before the networks are loaded
        progress(0, len(todo))
    one_pass = Pass(
        job.images,
        job.recipes,
        job.settings,
        threads,
        n_images=len(todo),
        faces=job.faces,
        shelves=job.shelves,
    )
    with closing(one_pass.results(job.tasks(todo))) as results:
        for done, _ in enumerate(results, start=1):
            if progress:
                progress(done, len(todo))
    return Work(
        n_detected=one_pass.n_detected,
        achieved=one_pass.achieved,
        unread=tuple(one_pass.unread),
        parts=one_pass.clock.seconds,
        threads=threads,
        seconds_to_open=one_pass.opened - started,
    )


class Pass:
    """One pass over images, with a bounded number of them in memory at a time.

    Args:
        images: the images.
        recipes: feature → recipe, which says how its vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        threads: number of threads or helper processes, at least 1.
        n_images: approximate number of images; helper processes are started only for many images.
        faces: stored faces, to which new faces are added; None to store nothing.
        shelves: feature → its stored vectors, to which new vectors are added.
        opened: function that returns the networks and the detector, which may be open already; the function
            is not called if helper processes do the work.
        is_careful: whether an unexpected error with an image is part of its result instead of being raised.
        chunk: number of images that a thread processes together, so that each network runs on all of them
            before the next one; helper processes have their own.

    Attributes:
        achieved: network → engine, device and precision that are really used.
        clock: seconds of each step, added up over the threads.
        opened: value of time.perf_counter() when the detector and the networks were ready.
        n_detected: number of images on which the face detector was run.
        unread: name and reason of each image that has changed or could not be read this time.
        written: paths of the files that were added to the cache.
    """

    def __init__(
        self,
        images: Images,
        recipes: Mapping[str, Recipe],
        settings: FaceSettings,
        threads: int,
        *,
        n_images: int,
        faces: Shelf | None = None,
        shelves: Mapping[str, Shelf] | None = None,
        opened: Callable[[], Opened] | None = None,
        is_careful: bool = False,
        chunk: int = 1,
    ) -> None:
        self._images, self._threads, self._is_careful = images, threads, is_careful
        self._faces, self._shelves = faces, shelves or {}
        self._pool: HelperPool | None = None
        helpers = n_images >= HELPERS_FROM and threads > 1 and fit_for_helpers(recipes, settings)
        helpers = helpers and not images.held and not is_in_memory(images.root)
        theirs = [recipe for recipe in recipes.values() if helpers and recipe.engine == "cpu"]
        ours = [recipe for recipe in recipes.values() if recipe not in theirs]
        finder: FaceFinder | None = None
        self.achieved: dict[str, dict[str, str]] = {}
        try:
            if helpers:  # they open their networks while this process opens its own
                kept = list(dict.fromkeys((recipe.template, recipe.input_size) for recipe in ours))
                self._pool = HelperPool(images.root, settings, theirs, kept, threads, is_careful=is_careful)
            if opened and not helpers:
                networks, finder = opened()
            else:
                networks = open_networks(ours, threads)
            if self._pool:
                self.achieved = self._pool.ready()
        except BaseException:
            self.close()
            raise
        self.achieved |= {network.name: asdict(network.session.achieved) for network in networks}
        self._later = networks
        if self._pool:
            self.clock, self._look, self._chunk = self._pool.clock, self._pool.look, CHUNK
        else:
            # Networks that take one image at a time are run by the thread that processes the image.
            self._later = [network for network in networks if network.session.batch > 1]
            looker = Looker(
                images.root,
                settings,
                finder or open_finder(settings, threads=threads),
                networks=[network for network in networks if network.session.batch == 1],
                kept=list(dict.fromkeys(network.crop for network in self._later)),
                is_careful=is_careful,
            )
            self.clock, self._look, self._chunk = looker.clock, looker.several, chunk
        self._batch = max((network.session.batch for network in self._later), default=1)
        self.opened = time.perf_counter()
        self.n_detected = 0
        self.unread: list[tuple[str, str]] = []
        self.written: list[Path] = []
        # What was computed and not yet written; networks that take many faces have seen the first of these.
        self._computed: list[Looked] = []
        self._embedded = 0

    def results(self, tasks: Iterable[Task | Looked]) -> Generator[Looked, None, None]:
        """Yield the result for each image, in order.

        Faces and vectors are written to the cache from time to time, and when this ends in any way.

        Args:
            tasks: a task for each image to process, or the result for an image that is processed already.
        """
        under_way = (8 * self._threads + self._batch * (self._batch > 1)) // self._chunk + self._threads
        flushed, wait = time.monotonic(), _FIRST_SHARD_SECONDS
        waiting: deque[tuple[list[Task | Looked], Future[list[Looked]]]] = deque()
        ready: list[Looked] = []
        rest = iter(tasks)
        try:
            with ThreadPoolExecutor(self._threads) as pool:
                try:
                    while True:
                        while len(waiting) < under_way and (some := list(islice(rest, self._chunk))):
                            own = [one for one in some if isinstance(one, Task)]
                            waiting.append((some, pool.submit(self._look, own)))
                        if not waiting:
                            break
                        some, future = waiting.popleft()
                        found = iter(self._noted(future.result()))
                        ready += [next(found) if isinstance(one, Task) else one for one in some]
                        if len(self._computed) - self._embedded >= self._batch:
                            self._embed()
                        if len(self._computed) == self._embedded:
                            yield from ready
                            ready = []
                        if len(self._computed) >= SHARD_ROWS or time.monotonic() - flushed > wait:
                            self.flush()
                            flushed, wait = time.monotonic(), min(2 * wait, SHARD_SECONDS)
                finally:
                    for _, future in waiting:  # before the pool waits for them
                        future.cancel()
            self._embed()
            yield from ready
        finally:
            self.close()
            self.flush()  # also after an error, so that what was computed is kept

    def _noted(self, found: list[Looked]) -> list[Looked]:
        """Count the results for some images, keep those that are to be written, and return them all."""
        for looked in found:
            self.n_detected += looked.detected
            if looked.is_final:
                self._computed.append(looked)
            else:
                self.unread.append((str(self._images.names[looked.row]), looked.why))
        return found

    def _embed(self) -> None:
        """Run the networks that take many crops at a time on the crops collected so far."""
        fresh = self._computed[self._embedded :] if self._later else []
        self._embedded = len(self._computed)
        if self._is_careful:
            keep_errors(fresh, self._run_later)
        else:
            self._run_later(fresh)

    def _run_later(self, looked: Sequence[Looked]) -> None:
        for network in self._later:
            run_network(network, looked, clock=self.clock)
        for face in (face for one in looked for face in one.faces):
            face.crops = {}

    def flush(self) -> None:
        """Write what has been computed, faces first: vectors that a kill loses are computed again."""
        self._embed()
        computed = [one for one in self._computed if one.is_final and len(one.faces) <= MOST_STORED]
        if self._faces is not None and computed:
            with self.clock("write"):
                keys = np.concatenate(
                    [face_keys(self._images.keys[looked.row], len(looked.faces)) for looked in computed]
                )
                written = [self._faces.append(keys, face_columns(computed))]
                faces = [face for looked in computed for face in looked.faces]
                found = np.array([face.face.status == "ok" for face in faces])
                by = np.array([face.aligned_by == "landmarks" for face in faces])
                for feature, shelf in self._shelves.items() if found.any() else ():
                    vectors = np.stack([face.vectors[feature] for face in faces if face.vectors])
                    written.append(shelf.append(keys[found], {"vectors": vectors, "by_landmarks": by[found]}))
                self.written += [path for path in written if path]
        self._computed.clear()
        self._embedded = 0

    def close(self) -> None:
        """End the helpers."""
        if self._pool:
            self._pool.close()
