"""Face crops as the input of a network: bytes, square, in three colours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators import Crops


def pixels_and_rows(X: Crops | NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return pixels, shape (n_all, s, s, 3), and the row numbers of the selected faces."""
    if isinstance(X, Crops):
        return as_crops(X.pixels), X.rows
    return as_crops(X), np.arange(len(X))


def as_crops(X: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return faces as uint8 of shape (n, s, s, 3); each may be given as one row of numbers.

    Raises:
        ValueError: they are not square crops of bytes.
    """
    if X.dtype != np.uint8:
        raise ValueError(f"A network reads face images of type uint8, not {X.dtype}.")
    if X.ndim == 2:
        side = round((X.shape[1] / 3) ** 0.5)
        if side * side * 3 != X.shape[1]:
            raise ValueError(f"{X.shape[1]} numbers are not a square image with three colours.")
        return X.reshape(len(X), side, side, 3)
    if X.ndim != 4 or X.shape[1] != X.shape[2] or X.shape[3] != 3:
        raise ValueError(f"Faces of shape {X.shape[1:]} are not square images with three colours.")
    return X
