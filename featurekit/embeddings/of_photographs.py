"""Compute the vectors of images that are not in a data set, in the same way as an extraction."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.shelf import MemoryShelf, Rows
from featurekit.cache.store import Store
from featurekit.embeddings.extractor import Images, look_at
from featurekit.embeddings.open_networks import opened_once
from featurekit.embeddings.recipe import Recipe
from featurekit.embeddings.vectors import remembered_statuses
from featurekit.errors import ImageError
from featurekit.faces.face import STATUS_MEANINGS, STATUSES
from featurekit.faces.photographs import Photograph, content_of
from featurekit.faces.settings import FaceSettings
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress


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
        photographs: the images; an image that occurs twice is processed once.
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
    faces: Rows = store.shelf("faces", settings.recipe()) if store else MemoryShelf()
    shelves: dict[str, Rows] = {
        feature: store.shelf("embeddings", asdict(recipe)) if store else MemoryShelf()
        for feature, recipe in recipes.items()
    }
    images, errors = _images(photographs)
    threads = threads or usable_cores()
    opened = partial(opened_once, list(recipes.values()), settings, threads)
    _, one_pass = look_at(
        images, recipes, settings, faces, shelves, threads=threads, progress=progress, opened=opened
    )
    statuses = [STATUSES[number] for number in remembered_statuses(images.keys, faces)]
    for broken, error in errors.items():
        statuses[broken] = error.status
    found = np.flatnonzero([status == "ok" for status in statuses])
    vectors = np.full((len(statuses), sum(lengths)), np.nan, np.float32)
    if len(found):
        parts = np.split(vectors, np.cumsum(lengths)[:-1], axis=1)  # views
        for feature, part in zip(features, parts, strict=True):
            part[found] = shelves[feature].read(images.keys[found], ["vectors"])["vectors"]
    unread = dict(one_pass.unread) if one_pass else {}
    messages = [
        "" if status == "ok" else str(errors.get(row) or unread.get(content, STATUS_MEANINGS[status]))
        for row, (content, status) in enumerate(zip(images.contents, statuses, strict=True))
    ]
    return OfPhotographs(vectors, tuple(statuses), tuple(messages))


def _images(photographs: Sequence[Photograph]) -> tuple[Images, dict[int, ImageError]]:
    """Return photographs as the images of a pass, and row → error for those that cannot be read."""
    keys = np.zeros((len(photographs), 32), np.uint8)
    contents = [""] * len(photographs)
    held: dict[int, Callable[[], bytes | NDArray[np.uint8]]] = {}
    errors: dict[int, ImageError] = {}
    for row, one in enumerate(photographs):
        try:
            contents[row] = content_of(one.read())
        except ImageError as error:
            errors[row] = error
            continue
        keys[row] = np.frombuffer(bytes.fromhex(contents[row]), np.uint8)
        if one.path is None:
            held[row] = one.read
    paths = [os.path.abspath(one.path) if one.path else "" for one in photographs]  # noqa: PTH100 — links stay
    return Images(keys, contents, paths, contents, None, held=held), errors
