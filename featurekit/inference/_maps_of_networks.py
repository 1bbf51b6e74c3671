"""Maps that are computed inside a network: Grad-CAM and attention.

Grad-CAM shows which cells of the last feature map of a network trained end to end
speak for its prediction (Selvaraju et al. 2017). The gradients are kept for each cell
instead of averaged over the map (HiResCAM, Draelos & Carin 2020). The result is the
same if features are means of the map, and stays right if a dense layer reads the map.
Attention is the mean of the masks that some networks have.
"""

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import NOTHING, changed
from featurekit.estimators._networks.estimator import CNN
from featurekit.networks.weights import home

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.heads import Head


# Cells a side that a feature map needs to distinguish parts of a face.
_MIN_CELLS = 3


class _Map(NamedTuple):
    """A late feature map of a network: the layer that makes it, and the part of the image that it shows."""

    layer: "torch.nn.Module"
    rows: slice
    columns: slice


def last_maps(cnn: CNN) -> list[_Map]:
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


def gradcam(cnn: CNN, maps: Sequence[_Map], crop: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
    """Return how much each pixel of an image adds to the score of a class or to the years, by Grad-CAM."""
    import torch

    # captum imports matplotlib, which would otherwise keep its list of fonts elsewhere in the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "matplotlib"))
    from captum.attr import LayerGradientXActivation

    head = next(head for head in cnn.heads_ if head.target == cnn.target)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return _score(head, cnn.network_(pixels)[head.target.name], number)

    views = _views(cnn, crop)
    heat = torch.zeros(len(views), cnn.side, cnn.side)
    for layer, rows, columns in maps:
        each = LayerGradientXActivation(score, layer).attribute(views)
        found = each.detach().float().cpu().sum(dim=1, keepdim=True)
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
    others = torch.cat([logs[:, :number], logs[:, number + 1 :]], dim=1)
    return logs[:, number] - others.logsumexp(dim=1)


def attention(cnn: CNN, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of a network's own masks, minus its minimum."""
    import torch

    body: Any = cnn.network_.eval().body
    with torch.no_grad():
        masks = body.attention(_views(cnn, crop))
    size = (cnn.side, cnn.side)
    each = [
        torch.nn.functional.interpolate(mask[:, None].float().cpu(), size, mode="bilinear")[:, 0]
        for mask in masks
    ]
    heat = _of_both(torch.stack(each).mean(dim=0))
    return np.asarray(heat - heat.min())


def _views(cnn: CNN, crop: NDArray[np.uint8]) -> "torch.Tensor":
    """Return the input of a network for a face: its crop, and the mirror image if the network reads both."""
    import torch

    views = [NOTHING, NOTHING._replace(is_flipped=True)][: cnn.views]
    device = next(cnn.network_.parameters()).device
    return torch.stack([changed(crop, view, cnn.side) for view in views]).to(device).float()


def _of_both(heat: "torch.Tensor") -> NDArray[np.float32]:
    """Return the mean of the maps of _views()."""
    return np.asarray(heat[0] if len(heat) == 1 else (heat[0] + heat[1].flip(-1)) / 2)
