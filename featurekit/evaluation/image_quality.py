"""The quality of the images of the faces of a comparison, in bands, as the cache knows it.

A small or blurred face shows few details, so a model may fail on such faces. The detector's box of each face
is in the cache since the extraction, and its sharpness is there if it was extracted (`featurekit extract
--backbone sharpness`). So nothing is measured again, and no image is opened.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import make_recipes, row_keys, settings_of
from featurekit.errors import FeaturekitError

FACE_SIZE, SHARPNESS = "face_size", "sharpness"  # names of the columns of labels
_EDGES = (32, 64, 128, 256)  # pixels
SIZE_BANDS = ("under 32 px", "32-63 px", "64-127 px", "128-255 px", "256 px and more")
SHARPNESS_BANDS = ("lowest third", "middle third", "highest third")
# The labels of each column, in their order.
QUALITY_BANDS = {FACE_SIZE: SIZE_BANDS, SHARPNESS: SHARPNESS_BANDS}

_Floats = NDArray[np.floating[Any]]


def size_bands(sides: _Floats) -> NDArray[np.str_]:
    """Return the band of SIZE_BANDS of each length in pixels, "" for an unknown length.

    >>> size_bands(np.array([31.9, 32.0, 200.0, 256.0, np.nan])).tolist()
    ['under 32 px', '32-63 px', '128-255 px', '256 px and more', '']
    """
    return _bands(sides, np.searchsorted(_EDGES, sides, side="right"), SIZE_BANDS)


def thirds(values: _Floats) -> NDArray[np.str_]:
    """Return the band of SHARPNESS_BANDS of each value, "" for an unknown one.

    A band has about a third of the known values, unless many values are equal, which are in the same band.

    >>> thirds(np.array([5.0, 90.0, np.nan, 40.0])).tolist()
    ['lowest third', 'highest third', '', 'middle third']
    """
    edges = np.quantile(values[np.isfinite(values)], (1 / 3, 2 / 3))
    return _bands(values, np.searchsorted(edges, values, side="left"), SHARPNESS_BANDS)


def _bands(values: _Floats, place: NDArray[np.intp], names: Sequence[str]) -> NDArray[np.str_]:
    """Return the name at the place of each value, "" for an unknown value."""
    return np.where(np.isfinite(values), np.array(names)[place], "")


def quality_labels(
    manifest: Manifest, recipes: Collection[Mapping[str, Any]], store: Store, rows: NDArray[np.intp]
) -> pd.DataFrame:
    """Return labels for the quality of the image of each face, as far as the cache knows it.

    The column face_size has the band of the shorter side of the detector's box, in pixels of the image. The
    column sharpness has the third of the rows into which the face falls by the backbone "sharpness".

    Args:
        manifest: manifest of the faces.
        recipes: settings with which the faces were found; the first with a face in the cache are used.
        store: the cache.
        rows: numbers of the rows of the faces, shape (n_faces,).

    Returns:
        A column for each known property, with a label of QUALITY_BANDS for each row, and "" for a row that
        is not in the cache. The index is rows.
    """
    own = replace(manifest, table=manifest.table.iloc[rows])
    labels = {}
    for name, measure, bands in ((FACE_SIZE, _sides, size_bands), (SHARPNESS, _sharpness, thirds)):
        for recipe in recipes:
            try:
                values = measure(own, recipe, store)
            except (FeaturekitError, KeyError, TypeError, ValueError):
                continue  # the settings are none, or the cache is damaged: the report does without them
            if np.isfinite(values).any():
                labels[name] = bands(values).astype(object)
                break
    return pd.DataFrame(labels, index=pd.Index(rows, name="row"))


def _sides(own: Manifest, faces: Mapping[str, Any], store: Store) -> _Floats:
    """Return the shorter side of the box of each face, NaN for a face that is not in the cache."""
    boxes = _read(own, faces, store.shelf("faces", faces), "box", 4)
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(axis=1))


def _sharpness(own: Manifest, faces: Mapping[str, Any], store: Store) -> _Floats:
    """Return the sharpness of each face, NaN for a face that is not in the cache."""
    values = np.full(len(own), np.nan)
    # A crop is as sharp as its mirror image, so either kind of extraction will do, also for some faces only.
    for mirrored in (False, True):
        unknown = np.isnan(values)
        if not unknown.any():
            break
        (made,) = make_recipes(
            [SHARPNESS], settings_of(faces), device="cpu", precision="fp32", mirrored=mirrored
        ).values()
        shelf = store.shelf("embeddings", asdict(replace(made, faces=faces)))
        values[unknown] = _read(own, faces, shelf, "vectors", 1)[unknown, 0]
    return values


def _read(own: Manifest, faces: Mapping[str, Any], shelf: Shelf, column: str, length: int) -> _Floats:
    """Return a column of a shelf for each face, shape (n, length), NaN for a face that it does not have."""
    keys = row_keys(own, settings_of(faces))
    known = np.delete(np.arange(len(keys)), shelf.missing(keys))
    values = np.full((len(keys), length), np.nan)
    if len(known):
        values[known] = shelf.read(keys[known], [column])[column]
    return values
