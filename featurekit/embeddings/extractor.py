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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.shelf import Rows
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.open_networks import Opened, open_networks
from featurekit.embeddings.pool import CHUNK, HelperPool, fit_for_helpers
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.embeddings.vectors import remembered_statuses, row_statuses
from featurekit.embeddings.worker import Looked, Looker, Task, face_columns, face_from
from featurekit.errors import ManifestError
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import BROKEN, STATUSES, Face
from featurekit.faces.find import open_finder
from featurekit.faces.images import ImageData
from featurekit.faces.settings import FaceSettings
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress

# A shard is written after so many images or so many seconds; a kill loses no more than that. The first shard
# is written early, and the time doubles with every shard, so that a few hundred images are not lost either.
SHARD_ROWS, SHARD_SECONDS, _FIRST_SHARD_SECONDS = 512, 20.0, 2.0
# Helper processes are started for at least so many images.
HELPERS_FROM = 400


@dataclass(frozen=True)
class Extraction:
    """Counts, times and problems of one extraction.

    Attributes:
        statuses: status → number of rows of the manifest with this status; every row has one status.
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
        seconds_to_open: seconds until the detector and the networks were ready.
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
    seconds_to_open: float = 0.0


def extract(
    manifest: Manifest,
    recipes: Mapping[str, Recipe],
    settings: FaceSettings,
    store: Store,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Extraction:
    """Find the face of every image of a manifest, and store its vectors in the cache.

    Args:
        manifest: table of the images.
        recipes: how each feature's vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        store: the cache, which stores faces and vectors.
        threads: number of threads, which does not change the vectors; 0 for one thread for each core.
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
    keys = row_keys(manifest, settings)
    faces = store.shelf("faces", settings.recipe())
    shelves = {recipe.feature: store.shelf("embeddings", asdict(recipe)) for recipe in recipes.values()}
    ids, paths, contents, boxes = (
        manifest.table[name].to_list() for name in ("face_id", "image_path", "content", "box")
    )
    images = Images(keys, ids, paths, contents, manifest.root, boxes)
    threads = threads or usable_cores()
    todo, one_pass = look_at(images, recipes, settings, faces, shelves, threads=threads, progress=progress)
    of_rows = row_statuses(manifest, keys, faces)
    counts = np.bincount(of_rows, minlength=len(STATUSES))
    broken = np.flatnonzero(np.isin(of_rows, [STATUSES.index(status) for status in BROKEN]))
    return Extraction(
        statuses={status: int(n) for status, n in zip(STATUSES, counts, strict=True) if n},
        n_read=todo,
        n_detected=one_pass.n_detected if one_pass else 0,
        seconds=time.perf_counter() - started,
        recipes=recipes,
        achieved=one_pass.achieved if one_pass else {},
        unread=tuple(one_pass.unread) if one_pass else (),
        broken=tuple((str(manifest.table["image_path"].iloc[row]), STATUSES[of_rows[row]]) for row in broken),
        parts=one_pass.clock.seconds if one_pass else {},
        threads=threads,
        seconds_to_open=one_pass.opened - started if one_pass else 0.0,
    )


@dataclass(frozen=True)
class Images:
    """The images to extract vectors from; each has one row.

    Attributes:
        keys: the key of each row in the cache, shape (n_rows, 32); zeros for a row without an image.
        names: the name of each image in messages.
        paths: paths of the files.
        contents: sha256 of each file.
        root: the folder that the paths are relative to and must not lead out of; None for absolute paths.
        boxes: the box of each row, used if boxes choose the faces; empty for images without boxes.
        held: row → function that returns its image, for images in memory.
    """

    keys: NDArray[np.uint8]
    names: Sequence[str]
    paths: Sequence[str]
    contents: Sequence[str]
    root: Path | None
    boxes: Sequence[str] = ()
    held: Mapping[int, Callable[[], ImageData]] = field(default_factory=dict)

    def task(self, row: int, known: Face | None) -> Task:
        """Return the task of processing one row's image.

        Args:
            row: number of the row.
            known: the face, if an earlier extraction has found it; else None.
        """
        return Task(
            row,
            self.paths[row],
            self.contents[row],
            self.boxes[row] if self.boxes else "",
            known,
            self.held[row]() if row in self.held else None,
        )


def look_at(
    images: Images,
    recipes: Mapping[str, Recipe],
    settings: FaceSettings,
    faces: Rows,
    shelves: Mapping[str, Rows],
    *,
    threads: int,
    progress: Progress | None = None,
    opened: Callable[[], Opened] | None = None,
) -> "tuple[int, _Pass | None]":
    """Process every image whose face or vectors are not stored yet, and store its face and vectors.

    Args:
        images: the images; an image that several rows share is read once.
        recipes: how each feature's vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        faces: stored faces, to which new faces are added.
        shelves: feature → its stored vectors, to which new vectors are added.
        threads: number of threads, at least 1.
        progress: called with (images done, images to do).
        opened: function that returns the networks and the detector, which may be open already; the function
            is not called if helper processes do the work.

    Returns:
        The number of images that were opened, and an object with the times and problems of this pass; None
        instead of the object if no face and no vector was missing.
    """
    todo = _images_to_read(images.keys, faces, list(shelves.values()))
    if not len(todo):
        return 0, None
    helpers = len(todo) >= HELPERS_FROM and threads > 1 and fit_for_helpers(recipes, settings)
    one_pass = _Pass(
        images,
        recipes,
        settings,
        faces,
        shelves,
        threads,
        helpers=helpers and not images.held,
        opened=opened,
    )
    try:
        one_pass.run(todo, progress)
    finally:
        one_pass.close()
        one_pass.flush()  # also after an error, so that what was computed is kept
    return len(todo), one_pass


def _images_to_read(keys: NDArray[np.uint8], faces: Rows, shelves: Sequence[Rows]) -> NDArray[np.intp]:
    """Return one row number for each image of which a face or vector is missing, increasing."""
    with_image = np.flatnonzero(keys.any(axis=1))
    # An image that several rows share is read once.
    _, first = np.unique(keys[with_image], axis=0, return_index=True)
    rows = with_image[np.sort(first)]
    statuses = remembered_statuses(keys[rows], faces)
    missing: NDArray[np.bool_] = statuses == STATUSES.index("not_extracted")
    with_face = np.flatnonzero(statuses == STATUSES.index("ok"))
    for shelf in shelves:
        missing[with_face[shelf.missing(keys[rows[with_face]])]] = True
    return rows[missing]


class _Pass:
    """One pass over photographs, with a bounded number of them in memory at a time."""

    def __init__(
        self,
        images: Images,
        recipes: Mapping[str, Recipe],
        settings: FaceSettings,
        faces: Rows,
        shelves: Mapping[str, Rows],
        threads: int,
        *,
        helpers: bool,
        opened: Callable[[], Opened] | None,
    ) -> None:
        self._images, self._keys, self._threads = images, images.keys, threads
        self._faces, self._shelves = faces, shelves
        self._pool: HelperPool | None = None
        finder: FaceFinder | None = None
        theirs = [recipe for recipe in recipes.values() if helpers and recipe.engine == "cpu"]
        ours = [recipe for recipe in recipes.values() if recipe not in theirs]
        self.achieved: dict[str, dict[str, str]] = {}
        try:
            if helpers:  # they open their networks while this process opens its own
                kept = list(dict.fromkeys((recipe.template, recipe.input_size) for recipe in ours))
                self._pool = HelperPool(images.root, settings, theirs, kept, threads)
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
            self.clock = self._pool.clock
        else:
            # Networks that take one image at a time are run by the thread that processes the image.
            self._later = [network for network in networks if network.session.batch > 1]
            self._looker = Looker(
                images.root,
                settings,
                finder or open_finder(settings, threads=threads),
                networks=[network for network in networks if network.session.batch == 1],
                kept=list(dict.fromkeys(network.crop for network in self._later)),
            )
            self.clock = self._looker.clock
        self.opened = time.perf_counter()
        self.n_detected = 0
        self.unread: list[tuple[str, str]] = []
        self._looked: list[Looked] = []
        self._embedded = 0

    def run(self, todo: NDArray[np.intp], progress: Progress | None) -> None:
        """Process the image of each of these rows."""
        found = np.delete(todo, self._faces.missing(self._keys[todo]))  # by an earlier pass
        columns = self._faces.read(self._keys[found])
        known = {int(row): face_from(columns, i) for i, row in enumerate(found)}
        batch = max((network.session.batch for network in self._later), default=1)
        chunk = CHUNK if self._pool else 1
        look: Callable[[Sequence[Task]], list[Looked]] = (
            self._pool.look if self._pool else lambda tasks: [self._looker(task) for task in tasks]
        )
        under_way = (8 * self._threads + batch * (batch > 1)) // chunk + self._threads
        flushed = time.monotonic()
        wait = _FIRST_SHARD_SECONDS
        done = 0
        with ThreadPoolExecutor(self._threads) as pool:
            rows = iter(todo)
            waiting: deque[Future[list[Looked]]] = deque()
            try:
                while done < len(todo):
                    while len(waiting) < under_way and (some := list(islice(rows, chunk))):
                        tasks = [self._images.task(int(row), known.get(int(row))) for row in some]
                        waiting.append(pool.submit(look, tasks))
                    for looked in waiting.popleft().result():
                        self.n_detected += looked.detected
                        if looked.face.status == "not_extracted":
                            self.unread.append((str(self._images.names[looked.row]), looked.why))
                        else:
                            self._looked.append(looked)
                        done += 1
                        if progress:
                            progress(done, len(todo))
                    if len(self._looked) - self._embedded >= batch:
                        self._embed()
                    if len(self._looked) >= SHARD_ROWS or time.monotonic() - flushed > wait:
                        self.flush()
                        flushed = time.monotonic()
                        wait = min(2 * wait, SHARD_SECONDS)
            finally:
                for future in waiting:
                    future.cancel()

    def close(self) -> None:
        """End the helpers."""
        if self._pool:
            self._pool.close()

    def _embed(self) -> None:
        """Run the networks that take many crops at a time on the crops collected so far."""
        fresh = [looked for looked in self._looked[self._embedded :] if looked.face.status == "ok"]
        self._embedded = len(self._looked)
        if not fresh:
            return
        for network in self._later:
            with self.clock(network.name):
                crops = np.stack([looked.crops[network.crop] for looked in fresh])
                for feature, vectors in network.vectors(crops).items():
                    for looked, vector in zip(fresh, vectors, strict=True):
                        looked.vectors[feature] = vector
        for looked in fresh:
            looked.crops = {}

    def flush(self) -> None:
        """Write what has been computed, faces first: vectors that a kill loses are computed again."""
        self._embed()
        if not self._looked:
            return
        with self.clock("write"):
            self._faces.append(
                self._keys[[looked.row for looked in self._looked]], face_columns(self._looked)
            )
            with_face = [looked for looked in self._looked if looked.face.status == "ok"]
            keys = self._keys[[looked.row for looked in with_face]]
            by = np.array([looked.aligned_by == "landmarks" for looked in with_face])
            for feature, shelf in self._shelves.items():
                if with_face:
                    vectors = np.stack([looked.vectors[feature] for looked in with_face])
                    shelf.append(keys, {"vectors": vectors, "by_landmarks": by})
        self._looked.clear()
        self._embedded = 0
