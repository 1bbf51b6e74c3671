"""The work of an extraction: the images, how their vectors are computed, and where these are stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import Recipe
from featurekit.embeddings.vectors import remembered_statuses
from featurekit.embeddings.worker import Task, face_from
from featurekit.faces.face import STATUSES, Face
from featurekit.faces.images import ImageData
from featurekit.faces.settings import FaceSettings


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

    def task(self, row: int, known: Sequence[Face] = ()) -> Task:
        """Return the task of processing one row's image.

        Args:
            row: number of the row.
            known: the faces, if an earlier pass has found them.
        """
        return Task(
            row,
            self.paths[row],
            self.contents[row],
            self.boxes[row] if self.boxes else "",
            tuple(known),
            self.held[row]() if row in self.held else None,
        )


@dataclass(frozen=True)
class Job:
    """What to extract, and where to store it.

    Attributes:
        images: the images; an image that several rows share is read once.
        recipes: how each feature's vectors are computed, from make_recipes().
        settings: how faces are found; the recipes contain the same settings.
        cache: folder of the cache.
        faces: the stored faces.
        shelves: feature → its stored vectors.
    """

    images: Images
    recipes: Mapping[str, Recipe]
    settings: FaceSettings
    cache: Path
    faces: Shelf
    shelves: Mapping[str, Shelf]

    @classmethod
    def of(cls, images: Images, recipes: Mapping[str, Recipe], settings: FaceSettings, store: Store) -> "Job":
        """Return a job whose faces and vectors are in a store.

        Raises:
            StoreError: the cache cannot be read.
        """
        faces = store.shelf("faces", settings.recipe())
        shelves = {one.feature: store.shelf("embeddings", asdict(one)) for one in recipes.values()}
        return cls(images, recipes, settings, store.root, faces, shelves)

    def refresh(self) -> None:
        """Look for faces and vectors that other processes have stored in the meantime."""
        for shelf in (self.faces, *self.shelves.values()):
            shelf.refresh()

    def todo(self) -> NDArray[np.intp]:
        """Return one row number for each image of which a face or vector is missing, increasing."""
        return _images_to_read(self.images.keys, self.faces, list(self.shelves.values()))

    def tasks(self, rows: NDArray[np.intp]) -> Iterator[Task]:
        """Yield the task of each row, with the face if an earlier pass has found it."""
        known = _known_faces(self.images.keys, rows, self.faces)
        return (self.images.task(int(row), known.get(int(row), ())) for row in rows)


def images_of(manifest: Manifest, keys: NDArray[np.uint8]) -> Images:
    """Return the images of a manifest, whose rows have these keys in the cache."""
    ids, paths, contents, boxes = (
        manifest.table[name].to_list() for name in ("face_id", "image_path", "content", "box")
    )
    return Images(keys, ids, paths, contents, manifest.root, boxes)


def _images_to_read(keys: NDArray[np.uint8], faces: Shelf, shelves: Sequence[Shelf]) -> NDArray[np.intp]:
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


def _known_faces(
    keys: NDArray[np.uint8], todo: NDArray[np.intp], faces: Shelf
) -> dict[int, tuple[Face, ...]]:
    """Return the face that an earlier pass has found on each image, by row."""
    rows = np.delete(todo, faces.missing(keys[todo]))
    if not len(rows):
        return {}
    columns = faces.read(keys[rows])
    return {int(row): (face_from(columns, i),) for i, row in enumerate(rows)}
