"""The pixels of a small grey face, one after the other: what eigenfaces are learned from.

The crop has 32 × 32 pixels and little background (the template "dlib"). It is turned to grey by OpenCV
(``cv2.cvtColor`` with ``COLOR_RGB2GRAY``: 0.299 red + 0.587 green + 0.114 blue, rounded to a whole number).

The backbone ``pixels`` is something else: it keeps larger crops in colour, as bytes, for networks that are
trained end to end.
"""

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone

SIDE = 32  # pixels


def flattened_pixels(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the grey values of the pixels of each crop, row by row, between 0 and 1, shape (n, side²)."""
    import cv2

    n_crops, side = crops.shape[:2]
    # All crops below each other are one image. OpenCV computes in whole numbers, so every pixel is converted
    # in the same way, whatever stands beside it.
    grey = cv2.cvtColor(np.ascontiguousarray(crops).reshape(n_crops * side, side, 3), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.float32).reshape(n_crops, side * side) / np.float32(255)


BACKBONES.add(
    Backbone(
        name="flattened_pixels",
        group="hand-crafted",
        about=f"the grey pixels of the face, {SIDE}×{SIDE}: {SIDE * SIDE:,} numbers; also for eigenfaces",
        layers={"grey": SIDE * SIDE},
        input_size=SIDE,
        template="dlib",
        compute=flattened_pixels,
    )
)
