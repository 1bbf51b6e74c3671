"""The mean colour of a face: a baseline for networks, and a fast replacement for a network in tests."""

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone


def mean_color(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean red, green and blue of each crop, between 0 and 1, shape (n, 3)."""
    # The sum of whole numbers is exact, so the order of adding cannot matter.
    mean = crops.sum(axis=(1, 2), dtype=np.int64) / (255 * crops.shape[1] * crops.shape[2])
    return np.asarray(mean, np.float32)


BACKBONES.add(
    Backbone(
        name="mean_color",
        about="mean red, green and blue: a baseline for every network",
        layers={"mean": 3},
        input_size=64,
        template="dlib",
        group="hand-crafted",
        compute=mean_color,
    )
)
