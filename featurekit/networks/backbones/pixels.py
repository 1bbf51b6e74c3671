"""The face crop itself, so that networks trained end to end need not open the image files again."""

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone

SIDE = 160  # pixels: more than the networks read, so that a part of the crop can be enlarged


def pixels(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the crops as vectors, shape (n, side · side · 3)."""
    return crops.reshape(len(crops), -1)


BACKBONES.add(
    Backbone(
        name="pixels",
        about=f"the face crop itself, {SIDE}×{SIDE}, for networks trained end to end (75 KB per face)",
        layers={"rgb": SIDE * SIDE * 3},
        input_size=SIDE,
        template="imagenet",
        group="other",
        compute=pixels,
        is_picture=True,
    )
)
