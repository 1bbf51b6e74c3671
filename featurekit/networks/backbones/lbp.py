"""Histograms of uniform local binary patterns (LBP) of the parts of a face.

A pixel's code says which of eight points on a circle around it are at least as bright as the pixel. Of the
256 codes, the 58 that change at most twice around the circle (the uniform ones) have a bin each, and all
others share one. The grey crop is divided into 7 × 7 cells, as in the paper, and each cell gives a histogram
whose sum is 1. There is a layer for each radius of the circle: radius_1 sees the finest texture, and radius_2
is that of the paper. Source: Ahonen, Hadid and Pietikäinen 2006, "Face description with local binary
patterns: application to face recognition".
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._grey import grey

CELLS, CELL, POINTS, BINS = 7, 16, 8, 59
SIDE, DIM = CELLS * CELL, CELLS**2 * BINS
RADII = {"radius_1": 1, "radius_2": 2}


def lbp(weights: bytes, layers: Sequence[str]) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Return a function that computes the histograms of each crop, shape (n, DIM), for each radius."""

    def histograms(crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        greys = [grey(crop) for crop in crops]
        return [np.stack([_histograms(one, RADII[layer]) for one in greys]) for layer in layers]

    return histograms


def _histograms(image: NDArray[np.uint8], radius: int) -> NDArray[np.float32]:
    """Return the histograms of all cells of a grey image, row by row, shape (DIM,)."""
    from skimage.feature import local_binary_pattern

    codes: NDArray[np.float64] = local_binary_pattern(  # type: ignore[no-untyped-call]
        image, POINTS, radius, "nri_uniform"
    )
    cells = codes.astype(np.intp).reshape(CELLS, CELL, CELLS, CELL).swapaxes(1, 2).reshape(CELLS**2, CELL**2)
    counts = np.bincount((cells + BINS * np.arange(CELLS**2)[:, None]).ravel(), minlength=DIM)
    return (counts / CELL**2).astype(np.float32)


BACKBONES.add(
    Backbone(
        name="lbp",
        about=f"uniform local binary patterns (Ahonen et al. 2006), {CELLS} × {CELLS} cells: {DIM:,} numbers;"
        " radius_2 for a larger circle",
        layers=dict.fromkeys(RADII, DIM),
        input_size=SIDE,
        template="dlib",
        group="hand-crafted",
        prepare=lbp,
    )
)
