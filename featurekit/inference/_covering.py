"""Ask any model again with a part of the face changed: occlusion, and the check of every map.

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

# The cut that maps are shown over, and its side in pixels.
TEMPLATE, SIDE = "imagenet", 224

# The shown cut is divided into so many cells each way: what is covered or blurred is made of them.
CELLS = 48
# The square that is slid over it, and how far from one place to the next.
_SQUARE, _STEP = 8, 4
_GREY = 127
# The check: share of the cells that is blurred, with what standard deviation in parts of the side, how often
# the tenth is drawn at random, and the side of the blocks that it is then made of.
_SHARE, _BLUR, _DRAWS, _BLOCK = 0.1, 0.06, 5, 8

# A face as each network is given it, once or changed in n ways: uint8, shape (s, s, 3) or (n, s, s, 3).
FaceCrops = Mapping[CropKind, NDArray[np.uint8]]
# A crop → what takes its place where it is replaced.
Replacement = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class Loss(NamedTuple):
    """What an answer loses when a tenth of the face is blurred: probability; for years, how far they move.

    Attributes:
        important: with the tenth where the map is highest.
        random: with other tenths; the mean of some.
    """

    important: float
    random: float


class Reader:
    """A model and its networks: the crops of a face, changed in n ways → what it says of each."""

    def __init__(self, model: TrainedModel, networks: Sequence[OpenBackbone]) -> None:
        self.model = model
        self.networks = networks
        self.kinds = list(dict.fromkeys(network.crop for network in networks))

    def __call__(self, crops: FaceCrops) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), or years, shape (n, 1)."""
        vectors: dict[str, NDArray[Any]] = {}
        for network in self.networks:
            vectors.update(network.vectors(crops[network.crop]))
        joined = np.hstack([vectors[recipe.feature] for recipe in self.model.recipes])
        return self.model.predict(joined, self.model.recipes)

    def lost(
        self, crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement, number: int
    ) -> NDArray[np.float64]:
        """Return what the answer of this number loses by each replacement; for years, how far they move."""
        untouched = np.zeros_like(masks[:1])
        said = self(replaced(crops, np.concatenate([untouched, masks]), by))[:, number]
        lost: NDArray[np.float64] = said[0] - said[1:]
        return np.abs(lost) if self.model.target.is_regression else lost


def occlusion(reader: Reader, crops: FaceCrops, number: int) -> NDArray[np.float64]:
    """Return what an answer loses, at each cell, on average over the squares that cover it."""
    starts = range(0, CELLS - _SQUARE + 1, _STEP)
    squares = np.zeros((len(starts) ** 2, CELLS, CELLS), bool)
    for square, (top, left) in zip(squares, ((a, b) for a in starts for b in starts), strict=True):
        square[top : top + _SQUARE, left : left + _SQUARE] = True
    lost = reader.lost(crops, squares, lambda crop: np.full_like(crop, _GREY), number)
    heat = np.tensordot(lost.clip(min=0), squares, 1) / squares.sum(axis=0)
    # Steps finer than the square are no finding.
    smooth: NDArray[np.float64] = import_cv2().GaussianBlur(heat, (0, 0), _STEP / 2)
    return smooth


def replaced(crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement) -> FaceCrops:
    """Return a face changed in n ways.

    Args:
        crops: the face, each of shape (s, s, 3).
        masks: cells of the shown cut that are replaced, shape (n, CELLS, CELLS); each crop is changed at
            the same place of the face.
        by: what it is replaced by.
    """
    made = {}
    for (template, side), crop in crops.items():
        # Where the middle of each pixel lies in the shown cut.
        turn, shift = similarity(TEMPLATES[template], TEMPLATES[TEMPLATE])
        across = (np.arange(side) + 0.5) / side
        places = turn * (across + 1j * across[:, None]) + shift
        rows, columns = (np.floor(part * CELLS).astype(int) for part in (places.imag, places.real))
        is_inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
        at = masks[:, rows.clip(0, CELLS - 1), columns.clip(0, CELLS - 1)] & is_inside
        made[template, side] = np.where(at[..., None], by(crop), crop)
    return made


def _blurred(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2 = import_cv2()
    blurred: NDArray[np.uint8] = cv2.GaussianBlur(crop, (0, 0), _BLUR * len(crop))
    return blurred


def check(
    reader: Reader, crops: FaceCrops, number: int, heat: NDArray[Any], chance: np.random.Generator
) -> Loss:
    """Return what is lost with the tenth of the cells that the map calls most important, and with others."""
    n_blurred = round(_SHARE * CELLS**2)
    in_blocks = np.arange(CELLS) // _BLOCK
    block = in_blocks[:, None] * (CELLS // _BLOCK) + in_blocks
    ranks = [-scaled_to(heat, CELLS), *(chance.permutation(block.max() + 1)[block] for _ in range(_DRAWS))]
    masks = np.zeros((len(ranks), CELLS**2), bool)
    for mask, rank in zip(masks, ranks, strict=True):
        mask[rank.ravel().argsort(kind="stable")[:n_blurred]] = True
    lost = reader.lost(crops, masks.reshape(-1, CELLS, CELLS), _blurred, number)
    return Loss(float(lost[0]), float(lost[1:].mean()))


def scaled_to(heat: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a map brought to a side, its highest place 1; or all 0."""
    cv2 = import_cv2()
    way = cv2.INTER_AREA if side < len(heat) else cv2.INTER_LINEAR
    scaled: NDArray[np.float32] = cv2.resize(heat.astype(np.float32), (side, side), interpolation=way)
    scaled = scaled.clip(min=0)  # smooth curves swing a little too far
    return scaled / max(float(scaled.max()), 1e-12)
