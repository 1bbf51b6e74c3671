"""Compute the vectors of the faces on images that are not in a data set, in the same way as an extraction."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import Store
from featurekit.embeddings.extractor import Pass
from featurekit.embeddings.job import Images
from featurekit.embeddings.open_networks import opened_once
from featurekit.embeddings.recipe import Recipe, face_keys
from featurekit.embeddings.worker import EmbeddedFace, Looked, Task, face_from
from featurekit.errors import ImageError
from featurekit.faces.face import BROKEN, STATUS_MEANINGS
from featurekit.faces.photographs import Photograph, content_of
from featurekit.faces.settings import FaceSettings
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.urls import UrlPath

# Images that are hashed and looked up in the cache together.
BLOCK = 512


@dataclass(frozen=True)
class OfPhotographs:
    """The vectors of images, with one row for each image, in the order of the images.

    Attributes:
        vectors: vectors of the images, float32, shape (n_images, dim); NaN for an image without a vector.
        statuses: status of each image, one of featurekit.faces.face.STATUSES.
        messages: for each image the reason why it has no vector; "" if it has one.
    """

    vectors: NDArray[np.float32]
    statuses: tuple[str, ...]
    messages: tuple[str, ...]


def vectors_of(
    photographs: Sequence[Photograph],
    features: Sequence[str],
    recipes: Mapping[str, Recipe],
    settings: FaceSettings,
    lengths: Sequence[int],
    *,
    store: Store | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> OfPhotographs:
    """Find the chosen face of each image, and compute its vector.

    Args:
        photographs: the images; an image that occurs twice among 512 successive ones is processed once.
        features: the features whose vectors are joined, in this order, each as "backbone:layer".
        recipes: feature → recipe, which says how its vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        lengths: length of each feature's vectors.
        store: the cache, which stores faces and vectors; None to compute them every time.
        threads: number of threads, which does not change the vectors; 0 for one thread for each core.
        progress: called with (images done, images to do).

    Raises:
        EngineError: a device or precision is not available.
        WorkspaceError: the cache cannot be written.
    """
    if store is None:  # the heads of a backbone are worth keeping, but nobody asks for them here
        recipes = {feature: recipes[feature] for feature in features}
    vectors = np.full((len(photographs), sum(lengths)), np.nan, np.float32)
    statuses, messages = [], []
    reader = PhotographReader(photographs, recipes, settings, store=store, threads=threads)
    with closing(reader.each()) as found:
        for row, looked in enumerate(found):
            face = looked.faces[0]
            statuses.append(face.face.status)
            if face.face.status == "ok":
                vectors[row] = np.concatenate([face.vectors[feature] for feature in features])
            messages.append("" if face.vectors else looked.why or STATUS_MEANINGS[face.face.status])
            if progress:
                progress(row + 1, len(photographs))
    return OfPhotographs(vectors, tuple(statuses), tuple(messages))


class PhotographReader:
    """Finds the faces on images and computes their vectors, except those that are in the cache.

    Args:
        photographs: the images.
        recipes: feature → recipe, which says how its vectors are computed, from make_recipes().
        settings: how faces are found; the recipes must contain the same settings.
        store: the cache, in which stored faces and vectors are looked up by the content of the image, and to
            which new ones are added; None to compute them all.
        files: stored hashes of files that have not changed; None to hash every file.
        threads: number of threads or helper processes; 0 for one per core.
        is_careful: whether an unexpected error with an image is part of its result instead of being raised.

    Attributes:
        one_pass: the pass over the images that were not in the cache; None if all were.
        n_stored: number of images whose faces and vectors were all in the cache.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        recipes: Mapping[str, Recipe],
        settings: FaceSettings,
        *,
        store: Store | None = None,
        files: FileIndex | None = None,
        threads: int = 0,
        is_careful: bool = False,
    ) -> None:
        self._photographs, self._recipes, self._settings = photographs, recipes, settings
        self._files, self._threads, self._is_careful = files, threads or usable_cores(), is_careful
        self._faces = store.shelf("faces", settings.recipe()) if store else None
        self._shelves = {
            feature: store.shelf("embeddings", asdict(recipe)) for feature, recipe in recipes.items() if store
        }
        paths = [_absolute(one.path) if one.path else "" for one in photographs]
        held = {row: one.read for row, one in enumerate(photographs) if one.path is None}
        keys = np.zeros((len(photographs), 32), np.uint8)
        self._contents = [""] * len(photographs)
        names = [one.name for one in photographs]
        self._images = Images(keys, names, paths, self._contents, None, held=held)
        self._same: dict[int, int] = {}  # row → earlier row with the same content
        self.one_pass: Pass | None = None
        self.n_stored = 0

    def each(self) -> Generator[Looked, None, None]:
        """Yield the result for each image, in order.

        Raises:
            EngineError: a device or precision is not available.
            WorkspaceError: the cache cannot be written.
        """
        waiting: dict[int, Looked] = {}  # rows whose content comes again
        last = -1
        for looked in self._results():
            row = looked.row
            if row in self._same:
                looked = replace(waiting[self._same.pop(row)], row=row)
            elif row > last:
                waiting.clear()
            again = [later for later, earlier in self._same.items() if earlier == row]
            if again:
                waiting[row] = looked
                last = max(last, *again)
            yield looked

    def _results(self) -> Iterator[Looked]:
        """Yield results; the networks are opened when the first image needs them."""
        items = self._items()
        for item in items:
            if isinstance(item, Looked):
                yield item
                continue
            recipes = self._recipes
            self.one_pass = Pass(
                self._images,
                recipes,
                self._settings,
                self._threads,
                n_images=len(self._photographs) - item.row,
                faces=self._faces,
                shelves=self._shelves,
                opened=partial(opened_once, list(recipes.values()), self._settings, self._threads),
                is_careful=self._is_careful,
            )
            yield from self.one_pass.results(chain([item], items))

    def _items(self) -> Iterator[Task | Looked]:
        """Yield a task for each image, or its result if that is in the cache or the file cannot be read."""
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(self._photographs), BLOCK):
                rows = range(start, min(start + BLOCK, len(self._photographs)))
                broken = {
                    row: error for row, error in zip(rows, pool.map(self._hash, rows), strict=True) if error
                }
                first: dict[bytes, int] = {}
                for row in rows:
                    if row not in broken:
                        earlier = first.setdefault(self._images.keys[row].tobytes(), row)
                        if earlier != row:
                            self._same[row] = earlier
                stored = self._stored(np.array(list(first.values()), np.intp))
                for row in rows:
                    if row in broken:
                        error = broken[row]
                        yield Looked.without_face(row, error.status, str(error), is_final=False)
                    elif row in self._same:
                        yield Looked(row, [])  # each() puts the result of the earlier row in its place
                    elif row in stored and all(
                        face.vectors for face in stored[row] if face.face.status == "ok"
                    ):
                        self.n_stored += 1
                        yield Looked(row, stored[row])
                    else:
                        yield self._images.task(row, [face.face for face in stored.get(row, ())])

    def _hash(self, row: int) -> ImageError | None:
        """Fill in the hash of an image; return the error if the file cannot be read."""
        try:
            content = self._content_of(self._photographs[row])
        except ImageError as error:
            return error
        self._contents[row] = content
        self._images.keys[row] = np.frombuffer(bytes.fromhex(content), np.uint8)
        return None

    def _content_of(self, one: Photograph) -> str:
        """Return the hash of an image, which is read only if its hash is not stored.

        Raises:
            ImageError: the file cannot be read.
        """
        path, files = one.path, self._files
        if path is None or files is None:
            return content_of(one.read())
        if isinstance(path, UrlPath):
            with suppress(OSError):  # read() says what is wrong
                return files.content_of(path)
            return content_of(one.read())
        if known := files.known(path):
            return known
        status = None
        with suppress(OSError, ValueError):
            status = path.stat()
        content = content_of(one.read())
        if status:
            files.remember(path, status, content)
        return content

    def _stored(self, rows: NDArray[np.intp]) -> dict[int, list[EmbeddedFace]]:
        """Return the faces of images that are in the cache, by row.

        A face has no vectors unless those of all features are in the cache. An image that cannot be decoded
        is left out, because the cache does not have the message that says why.

        Args:
            rows: rows of the images.
        """
        if self._faces is None or not len(rows):
            return {}
        keys = self._images.keys
        there = np.delete(rows, self._faces.missing(keys[rows]))
        if not len(there):
            return {}
        # With choose "all", the first face says how many there are.
        several = self._settings.choose == "all"
        counts = self._faces.read(keys[there], ["n_found"])["n_found"] if several else np.ones(len(there))
        of_rows = [face_keys(keys[row], max(1, int(n))) for row, n in zip(there, counts, strict=True)]
        numbers = np.repeat(np.arange(len(there)), [len(some) for some in of_rows])
        flat = np.concatenate(of_rows)
        lost = np.unique(numbers[self._faces.missing(flat)])  # images of which a face is missing
        is_kept = ~np.isin(numbers, lost)
        flat, numbers = flat[is_kept], numbers[is_kept]
        columns = self._faces.read(flat) if len(flat) else {}
        faces = [EmbeddedFace(face_from(columns, number)) for number in range(len(flat))]
        found = np.flatnonzero([face.face.status == "ok" for face in faces])
        whole = found
        for shelf in self._shelves.values():
            whole = np.setdiff1d(whole, found[shelf.missing(flat[found])])
        for feature, shelf in self._shelves.items() if len(whole) else ():
            vectors = shelf.read(flat[whole], ["vectors"])["vectors"]
            for number, vector in zip(whole, vectors, strict=True):
                faces[number].vectors[feature] = vector
        of_row: dict[int, list[EmbeddedFace]] = {}
        for number, face in zip(numbers, faces, strict=True):
            if face.face.status not in BROKEN:
                of_row.setdefault(int(there[number]), []).append(face)
        return of_row


def _absolute(path: Path) -> str:
    """Return the absolute path of a file, or its URL; links stay as they are."""
    return str(path) if isinstance(path, UrlPath) else os.path.abspath(path)  # noqa: PTH100
