"""The methods that make maps of what a prediction depends on, and the check of all maps.

Two methods look into a network. Grad-CAM shows which cells of the last feature map of a
network trained end to end speak for its prediction (Selvaraju et al. 2017). The
gradients are kept for each cell instead of averaged over the map (HiResCAM, Draelos &
Carin 2020). The result is the same if features are means of the map, and stays right if
a dense layer reads the map. Attention is the mean of the masks that some networks have.

Occlusion works for any model: it covers one part of the face after the other, and
predicts each time. The check blurs the tenth of the face that a map calls most
important, and other tenths.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import OpenBackbone
from featurekit.estimators._networks.augmentation import NOTHING, changed
from featurekit.faces.align import LANDMARKS, TEMPLATES, CropKind, similarity
from featurekit.faces.detectors._frame import import_cv2
from featurekit.inference.model import TrainedModel
from featurekit.networks.weights import keep_fonts_at_home

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.estimator import CNN
    from featurekit.estimators._networks.heads import Head

# The crop that maps are drawn over, and its side in pixels.
TEMPLATE, SIDE = "imagenet", 224

# The crop is divided into this many cells a side; whole cells are covered or blurred.
CELLS = 48
# Side of the square that is moved over the crop, and the step from one position to the next, in cells.
_SQUARE, _STEP = 8, 4
# The check: share of the cells that is blurred, the standard deviation of the blur as a share of the side,
# the number of random tenths, and the side of the blocks that these are made of.
_SHARE, _BLUR, _DRAWS, _BLOCK = 0.1, 0.06, 5, 8

# Cells a side that a feature map of a network needs to distinguish parts of a face.
_MIN_CELLS = 3

# The crops of a face for each network, unchanged or changed in n ways: uint8, shape (s, s, 3) or (n, s, s,
# 3). Landmarks, shape (5, 2) or (n, 5, 2), are the same in each way.
FaceCrops = Mapping[CropKind, NDArray[Any]]
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
        recipes = self.model.recipes
        return self.model.predict(np.hstack([vectors[recipe.feature] for recipe in recipes]), recipes)

    def lost(
        self, crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement, number: int
    ) -> NDArray[np.float64]:
        """Return the probability that a class loses by each replacement, or the absolute change in years."""
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
    lost = reader.lost(crops, squares, lambda crop: np.full_like(crop, 127), number)  # covered in grey
    heat = np.tensordot(lost.clip(min=0), squares, 1) / squares.sum(axis=0)
    # Details smaller than the square have no meaning.
    return np.asarray(import_cv2().GaussianBlur(heat, (0, 0), _STEP / 2))


def replaced(crops: FaceCrops, masks: NDArray[np.bool_], by: Replacement) -> FaceCrops:
    """Return a face changed in n ways.

    Args:
        crops: crops of the face, each of shape (s, s, 3).
        masks: the cells that are replaced, shape (n, CELLS, CELLS); each crop is changed in the same part of
            the face.
        by: what they are replaced by.
    """
    made: dict[CropKind, NDArray[Any]] = {}
    for kind, crop in crops.items():
        if kind == LANDMARKS:  # they stay where they are, whatever is painted over the face
            made[kind] = np.repeat(crop[None], len(masks), axis=0)
            continue
        template, side = kind
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
    in_blocks = np.arange(CELLS) // _BLOCK
    block = in_blocks[:, None] * (CELLS // _BLOCK) + in_blocks
    ranks = [-scaled_to(heat, CELLS), *(chance.permutation(block.max() + 1)[block] for _ in range(_DRAWS))]
    masks = np.zeros((len(ranks), CELLS**2), bool)
    for mask, rank in zip(masks, ranks, strict=True):
        mask[rank.ravel().argsort(kind="stable")[: round(_SHARE * CELLS**2)]] = True
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
    # gradcam() interpolates bicubically, which may give negative numbers.
    scaled = cv2.resize(heat.astype(np.float32), (side, side), interpolation=way).clip(min=0)
    return np.asarray(scaled / max(float(scaled.max()), 1e-12))


class _Map(NamedTuple):
    """A late feature map of a network: the layer that makes it, and the part of the image that it shows."""

    layer: "torch.nn.Module"
    rows: slice
    columns: slice


def last_maps(cnn: "CNN") -> list[_Map]:
    """Return a feature map of each network that a CNN is made of, without networks that have none.

    It is the last one with _MIN_CELLS cells a side or, if none has so many, the last one with the most.
    """
    import torch

    body: Any = cnn.network_.body
    # If several networks are trained as one, each reads a part of the image.
    bodies = list(getattr(body, "bodies", [body]))
    whole = slice(0, cnn.side)
    views = [(rows, columns) for rows, columns, _ in getattr(body, "views", [])] or [(whole, whole)]
    last: dict[int, torch.nn.Module] = {}
    most: dict[int, int] = {}  # cells a side of the map of last, at most _MIN_CELLS

    def note(number: int, layer: torch.nn.Module, given: Any, made: Any) -> None:
        # An output with a single channel is a mask, one with a single cell a vector.
        if not isinstance(made, torch.Tensor) or made.ndim != 4 or min(made.shape[1:]) < 2:
            return
        cells = min(*made.shape[2:], _MIN_CELLS)
        if cells >= most.get(number, 0):
            last[number], most[number] = layer, cells

    watched = [
        layer.register_forward_hook(partial(note, number))
        for number, one in enumerate(bodies)
        for layer in one.modules()
    ]
    try:
        with torch.no_grad():
            cnn.network_.eval()
            body(_views(cnn, np.zeros((cnn.side, cnn.side, 3), np.uint8)))
    finally:
        for handle in watched:
            handle.remove()
    return [_Map(last[number], *views[number]) for number in sorted(last)]


def gradcam(cnn: "CNN", maps: Sequence[_Map], crop: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
    """Return how much each pixel of an image adds to the score of a class or to the years, by Grad-CAM."""
    import torch

    keep_fonts_at_home()  # captum imports Matplotlib
    from captum.attr import LayerGradientXActivation

    head = next(head for head in cnn.heads_ if head.target == cnn.target)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return _score(head, cnn.network_(pixels)[head.target.name], number)

    views = _views(cnn, crop)
    heat = torch.zeros(len(views), cnn.side, cnn.side)
    for layer, rows, columns in maps:
        found = LayerGradientXActivation(score, layer).attribute(views)
        found = found.detach().float().cpu().sum(dim=1, keepdim=True)
        # For years, both directions count. For a class, what speaks against it does not count.
        found = found.abs() if head.kind == "years" else found.clamp(min=0)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        # The pixels of a cell share its part of the score, so that maps of different sizes can be added up.
        share = found.shape[2] * found.shape[3] / (size[0] * size[1])
        heat[:, rows, columns] += share * torch.nn.functional.interpolate(found, size, mode="bicubic")[:, 0]
    return _of_both(heat)


def _score(head: "Head", outputs: "torch.Tensor", number: int) -> "torch.Tensor":
    """Return the years, or the log odds of a class, which still differ if its probability is nearly 1.

    The shape is (n,).
    """
    import torch

    if head.kind == "years":
        return head.answer(outputs)
    logs = outputs if head.kind == "classes" else head.probabilities(outputs).clamp(min=1e-30).log()
    return logs[:, number] - torch.cat([logs[:, :number], logs[:, number + 1 :]], dim=1).logsumexp(dim=1)


def attention(cnn: "CNN", crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of a network's own masks, minus its minimum."""
    import torch

    body: Any = cnn.network_.eval().body
    with torch.no_grad():
        masks = body.attention(_views(cnn, crop))
    each = [
        torch.nn.functional.interpolate(mask[:, None].float().cpu(), cnn.side, mode="bilinear")[:, 0]
        for mask in masks
    ]
    heat = _of_both(torch.stack(each).mean(dim=0))
    return np.asarray(heat - heat.min())


def _views(cnn: "CNN", crop: NDArray[np.uint8]) -> "torch.Tensor":
    """Return the input of a network for a face: its crop, and the mirror image if the network reads both."""
    import torch

    views = [NOTHING, NOTHING._replace(is_flipped=True)][: cnn.views]
    device = next(cnn.network_.parameters()).device
    faces = np.stack([changed(crop, view, cnn.side) for view in views])
    return torch.from_numpy(faces).permute(0, 3, 1, 2).to(device).float()


def _of_both(heat: "torch.Tensor") -> NDArray[np.float32]:
    """Return the mean of the maps of _views()."""
    return np.asarray(heat[0] if len(heat) == 1 else (heat[0] + heat[1].flip(-1)) / 2)
