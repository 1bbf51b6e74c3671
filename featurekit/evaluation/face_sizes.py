"""How large the faces of a comparison are on their images, in bands, as the cache knows it.

A small face has few pixels to read, so a model may fail on small faces. The detector's box of each face is in
the cache since the extraction, so nothing is measured again, and no image is opened.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import row_keys, settings_of
from featurekit.errors import FeaturekitError

FACE_SIZE = "face_size"  # name of the column of labels
_EDGES = (32, 64, 128, 256)  # pixels
SIZE_BANDS = ("under 32 px", "32-63 px", "64-127 px", "128-255 px", "256 px and more")


def size_bands(sides: NDArray[np.floating[Any]]) -> NDArray[np.str_]:
    """Return the band of SIZE_BANDS of each length in pixels, "" for an unknown length.

    >>> size_bands(np.array([31.9, 32.0, 200.0, 256.0, np.nan])).tolist()
    ['under 32 px', '32-63 px', '128-255 px', '256 px and more', '']
    """
    place = np.searchsorted(_EDGES, np.nan_to_num(sides, nan=0.0), side="right")
    return np.where(np.isfinite(sides), np.array(SIZE_BANDS)[place], "")


def face_sizes(
    manifest: Manifest, recipes: Iterable[Mapping[str, Any]], store: Store, rows: NDArray[np.intp]
) -> "pd.Series[str] | None":
    """Return the band of the size of each face, or None if the cache does not have the faces.

    The size is the shorter side of the detector's box, in pixels of the image.

    Args:
        manifest: manifest of the faces.
        recipes: settings with which the faces were found; the first with a face in the cache are used.
        store: the cache.
        rows: numbers of the rows of the faces, shape (n_faces,).

    Returns:
        One of SIZE_BANDS for each row, "" for a row whose face the cache does not have; the index is rows.
    """
    own = replace(manifest, table=manifest.table.iloc[rows])
    for recipe in recipes:
        try:
            keys, faces = row_keys(own, settings_of(recipe)), store.shelf("faces", recipe)
            known = np.delete(np.arange(len(rows)), faces.missing(keys))
            boxes = faces.read(keys[known], ["box"])["box"] if len(known) else None
        except (FeaturekitError, KeyError, TypeError, ValueError):
            continue  # the settings are none, or the cache is damaged: the report does without the sizes
        if boxes is not None:
            sides = np.full(len(rows), np.nan)
            sides[known] = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
            return pd.Series(size_bands(sides).astype(object), index=pd.Index(rows, name="row"))
    return None
