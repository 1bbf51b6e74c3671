"""Histograms of oriented gradients (HOG) of a face.

The parameters are those of the paper: 9 orientations from 0 to 180 degrees, cells of 8 × 8 pixels, and
blocks of 2 × 2 cells that overlap by one cell and are normalized by L2-Hys. Each pixel votes for the
histogram of its own cell only. The gradients are those of the grey crop. A crop of 96 pixels has 11 × 11
blocks.
Source: Dalal and Triggs 2005, "Histograms of oriented gradients for human detection".
"""

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._grey import grey

SIDE, CELL, BLOCK, ORIENTATIONS = 96, 8, 2, 9
DIM = (SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS


def hog(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the histograms of oriented gradients of each crop, shape (n, DIM), each number from 0 to 1."""
    import skimage.feature

    return np.stack(
        [
            skimage.feature.hog(
                grey(crop),
                orientations=ORIENTATIONS,
                pixels_per_cell=(CELL, CELL),
                cells_per_block=(BLOCK, BLOCK),
                block_norm="L2-Hys",
            )
            for crop in crops
        ]
    ).astype(np.float32)


BACKBONES.add(
    Backbone(
        name="hog",
        about=f"histograms of oriented gradients (Dalal and Triggs 2005), {SIDE}×{SIDE}: {DIM:,} numbers",
        layers={"histograms": DIM},
        input_size=SIDE,
        template="dlib",
        group="hand-crafted",
        compute=hog,
    )
)
