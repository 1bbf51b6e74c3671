"""The images on which networks are calibrated for int8: made-up portraits, the same for everybody.

The values of a network have other ranges on other faces. With portraits that featurekit draws, the quantized
network does not depend on the images that a user happens to extract first, and needs no images at all.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets.synthetic import Portrait, portraits
from featurekit.faces.align import TEMPLATES, similarity, warp
from featurekit.faces.images import decode
from featurekit.networks.backbones import Backbone
from featurekit.networks.precisions import check_int8
from featurekit.networks.quantized import quantized_once

_N_SUBJECTS, _N_PICTURES, _SEED = 60, 5, 0
CALIBRATED_ON = f"{_N_SUBJECTS * _N_PICTURES} synthetic portraits, seed {_SEED}"


def quantized_network(backbone: Backbone) -> dict[str, str]:
    """Return what a recipe says of a backbone in int8; the first time, the backbone is quantized.

    Raises:
        EngineError: int8 is not offered for the backbone, or not on this processor; or NNCF is not installed.
        WeightsError: the weight file has another hash than expected.
        WorkspaceError: the folder of the weights cannot be written.
    """
    check_int8(backbone.name)
    digest = quantized_once(backbone, CALIBRATED_ON, lambda: calibration_crops(backbone))
    return {"quantized": digest, "calibrated_on": CALIBRATED_ON}


def calibration_crops(backbone: Backbone) -> NDArray[np.uint8]:
    """Return the crops of the made-up portraits, shape (300, input_size, input_size, 3)."""
    side = backbone.input_size
    crops = []
    for portrait in _portraits():
        turn, shift = similarity(portrait.landmarks, TEMPLATES[backbone.template])
        crops.append(warp(decode(portrait.jpeg), turn * side, shift * side, side))
    return np.stack(crops)


@cache
def _portraits() -> list[Portrait]:
    """Return the portraits; drawing them takes half a minute."""
    return list(portraits(_N_SUBJECTS, _N_PICTURES, seed=_SEED))
