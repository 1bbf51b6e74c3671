"""Repeat the prediction of any model with a part of the face changed: occlusion, and the check of all maps.

Occlusion covers one part of the face after the other. The check blurs the tenth of
the face that a map calls most important, and other tenths.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import OpenBackbone
from featurekit.faces.align import TEMPLATES, CropKind, similarity
from featurekit.faces.detectors._frame import import_cv2
from featurekit.inference.model import TrainedModel

# The crop that maps are drawn over, and its side in pixels.
TEMPLATE, SIDE = "imagenet", 224

# The crop is divided into this many cells a side; whole cells are covered or blurred.
CELLS = 48
# Side of the square that is moved over the crop, and the step from one position to the next, in cells.
_SQUARE, _STEP = 8, 4
_GREY = 127
# The check: share of the cells that is blurred, the standard deviation of the blur as a share of the side,
# the number of random tenths, and the side of the blocks that these are made of.
_SHARE, _BLUR, _DRAWS, _BLOCK = 0.1, 0.06, 5, 8

# The crops of a face for each network, unchanged or changed in n ways: uint8, shape (s, s, 3) or (n, s, s,
# 3).
FaceCrops = Mapping[CropKind, NDArray[np.uint8]]
# A crop → the crop from which the replaced pixels are taken.
Replacement = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class Loss(NamedTuple):
    """How much a prediction changes if a tenth of the face is blurred: lost probability, or absolute years.

    Attributes:
        important: if it is the tenth in which the map is highest.
        random: the mean over random tenths.
    """

    important: float
    random: float


class Reader:
    """A model with its networks: predicts from the crops of a face that is changed in n ways."""

    def __init__(self, model: TrainedModel, networks: Sequence[OpenBackbone]) -> None:
        self.model = model
        self.networks = networks
        self.kinds = list(dict.fromkeys(network.crop for network in networks))

    def __call__(self, crops: FaceCrops) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), or years, shape (n, 1)."""
        vectors = {
            feature: part
            for network in self.networks
            for feature, part in network.vectors(crops[network.crop]).items()
        }
        joined = np.hstack([vectors[recipe.feature] for recipe in self.model.recipes])
        return self.model.predict(joined, self.model.recipes)

    def lost(
        self, crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement, number: int
    ) -> NDArray[np.float64]:
        """Return the probability that a class loses by each replacement; for years, the absolute change."""
        # The first mask replaces nothing.
        said = self(replaced(crops, np.concatenate([np.zeros_like(masks[:1]), masks]), by))[:, number]
        lost: NDArray[np.float64] = said[0] - said[1:]
        return np.abs(lost) if self.model.target.is_regression else lost


def occlusion(reader: Reader, crops: FaceCrops, number: int) -> NDArray[np.float64]:
    """Return for each cell how much the prediction loses on average over the squares that cover it."""
    starts = range(0, CELLS - _SQUARE + 1, _STEP)
    squares = np.zeros((len(starts) ** 2, CELLS, CELLS), bool)
    for square, (top, left) in zip(squares, ((a, b) for a in starts for b in starts), strict=True):
        square[top : top + _SQUARE, left : left + _SQUARE] = True
    lost = reader.lost(crops, squares, lambda crop: np.full_like(crop, _GREY), number)
    heat = np.tensordot(lost.clip(min=0), squares, 1) / squares.sum(axis=0)
    # Details smaller than the square have no meaning.
    return np.asarray(import_cv2().GaussianBlur(heat, (0, 0), _STEP / 2))


def replaced(crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement) -> FaceCrops:
    """Return a face changed in n ways.

    Args:
        crops: of the face, each of shape (s, s, 3).
        masks: the cells that are replaced, shape (n, CELLS, CELLS); each crop is changed in the same part of
            the face.
        by: what they are replaced by.
    """
    made = {}
    for (template, side), crop in crops.items():
        # Position of the middle of each pixel in the crop that has the cells.
        turn, shift = similarity(TEMPLATES[template], TEMPLATES[TEMPLATE])
        across = (np.arange(side) + 0.5) / side
        places = turn * (across + 1j * across[:, None]) + shift
        rows, columns = (np.floor(part * CELLS).astype(int) for part in (places.imag, places.real))
        is_inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
        at = masks[:, rows.clip(0, CELLS - 1), columns.clip(0, CELLS - 1)] & is_inside
        made[template, side] = np.where(at[..., None], by(crop), crop)
    return made


def check(
    reader: Reader, crops: FaceCrops, number: int, heat: NDArray[Any], chance: np.random.Generator
) -> Loss:
    """Blur the most important tenth of the cells, and others, and return how much the prediction changes."""
    n_blurred = round(_SHARE * CELLS**2)
    in_blocks = np.arange(CELLS) // _BLOCK
    block = in_blocks[:, None] * (CELLS // _BLOCK) + in_blocks
    ranks = [-scaled_to(heat, CELLS), *(chance.permutation(block.max() + 1)[block] for _ in range(_DRAWS))]
    masks = np.zeros((len(ranks), CELLS**2), bool)
    for mask, rank in zip(masks, ranks, strict=True):
        mask[rank.ravel().argsort(kind="stable")[:n_blurred]] = True
    lost = reader.lost(
        crops,
        masks.reshape(-1, CELLS, CELLS),
        lambda crop: np.asarray(import_cv2().GaussianBlur(crop, (0, 0), _BLUR * len(crop))),
        number,
    )
    return Loss(float(lost[0]), float(lost[1:].mean()))


def scaled_to(heat: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a map of this side whose maximum is 1; or all 0."""
    cv2 = import_cv2()
    way = cv2.INTER_AREA if side < len(heat) else cv2.INTER_LINEAR
    scaled = cv2.resize(heat.astype(np.float32), (side, side), interpolation=way)
    scaled = scaled.clip(min=0)  # a bicubic interpolation may give negative numbers
    return np.asarray(scaled / max(float(scaled.max()), 1e-12))
