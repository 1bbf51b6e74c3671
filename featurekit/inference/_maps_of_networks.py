"""Ask a network itself where it looked: Grad-CAM, and attention.

Grad-CAM asks a network trained end to end which cells of its last feature map speak
for its answer (Selvaraju et al. 2017). Gradients are kept cell by cell instead of
averaged over the map (HiResCAM, Draelos & Carin 2020): that is the same where features
are means of the map, and still right where a dense layer reads it. Attention is what a
network with masks of its own lets through.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import NOTHING, changed
from featurekit.estimators._networks.estimator import CNN
from featurekit.networks.weights import home

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.heads import Head


# Cells a side that a feature map needs to say where in a face.
_MIN_CELLS = 3


class _Map(NamedTuple):
    """A late feature map of a network: where it is made, and the part of the picture that it is a map of."""

    layer: "torch.nn.Module"
    rows: slice
    columns: slice


def last_maps(cnn: CNN) -> list[_Map]:
    """Return a feature map of each network that a CNN is made of, leaving out those without.

    It is the last one that has _MIN_CELLS cells a side, or, where none has so many, the last one at all.
    """
    import torch

    body: Any = cnn.network_.body
    # Several networks that are trained as one have each a part of the picture.
    bodies = list(getattr(body, "bodies", [body]))
    whole = slice(0, cnn.side)
    views = [(rows, columns) for rows, columns, _ in getattr(body, "views", [])] or [(whole, whole)]
    last: dict[int, torch.nn.Module] = {}
    most: dict[int, int] = {}  # cells a side of the map that is the last so far, counted up to _MIN_CELLS

    def watch(number: int) -> Callable[..., None]:
        def note(layer: torch.nn.Module, given: Any, made: Any) -> None:
            # A single channel is a mask, a single cell a vector.
            if not isinstance(made, torch.Tensor) or made.ndim != 4 or min(made.shape[1:]) < 2:
                return
            cells = min(*made.shape[2:], _MIN_CELLS)
            if cells >= most.get(number, 0):
                last[number], most[number] = layer, cells

        return note

    layers = [(number, layer) for number, one in enumerate(bodies) for layer in one.modules()]
    watched = [layer.register_forward_hook(watch(number)) for number, layer in layers]
    try:
        with torch.no_grad():
            cnn.network_.eval()
            body(_pictures(cnn, np.zeros((cnn.side, cnn.side, 3), np.uint8)))
    finally:
        for handle in watched:
            handle.remove()
    return [_Map(last[number], *views[number]) for number in sorted(last)]


def gradcam(cnn: CNN, maps: Sequence[_Map], crop: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
    """Return what each place of a picture adds to the score of an answer, by Grad-CAM."""
    import torch
    from torch.nn import functional

    # captum imports matplotlib, which would keep its list of fonts elsewhere in the user's home.
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "matplotlib"))
    from captum.attr import LayerGradientXActivation

    head = next(head for head in cnn.heads_ if head.target == cnn.target)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return _score(head, cnn.network_(pixels)[head.target.name], number)

    pictures = _pictures(cnn, crop)
    heat = torch.zeros(len(pictures), cnn.side, cnn.side)
    for layer, rows, columns in maps:
        each = LayerGradientXActivation(score, layer).attribute(pictures)
        found = each.detach().float().cpu().sum(dim=1, keepdim=True)
        # Younger and older both count; what speaks against a class does not.
        found = found.abs() if head.kind == "years" else found.clamp(min=0)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        # A cell's part of the score, spread over its pixels: so networks of different sizes can be added up.
        share = found.shape[2] * found.shape[3] / (size[0] * size[1])
        spread = functional.interpolate(found, size, mode="bicubic")[:, 0]
        heat[:, rows, columns] += share * spread
    return _of_both(heat)


def _score(head: "Head", outputs: "torch.Tensor", number: int) -> "torch.Tensor":
    """Return the years, or a class's log odds, which still tell apart what is as good as sure; shape (n,)."""
    import torch

    if head.kind == "years":
        return head.answer(outputs)
    logs = outputs if head.kind == "classes" else head.probabilities(outputs).clamp(min=1e-30).log()
    others = torch.cat([logs[:, :number], logs[:, number + 1 :]], dim=1)
    return logs[:, number] - others.logsumexp(dim=1)


def attention(cnn: CNN, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of a network's own masks, its lowest place 0."""
    import torch
    from torch.nn import functional

    body: Any = cnn.network_.eval().body
    with torch.no_grad():
        masks = body.attention(_pictures(cnn, crop))
    size = (cnn.side, cnn.side)
    each = [
        functional.interpolate(mask[:, None].float().cpu(), size, mode="bilinear")[:, 0] for mask in masks
    ]
    heat = _of_both(torch.stack(each).mean(dim=0))
    lowest: NDArray[np.float32] = heat - heat.min()
    return lowest


def _pictures(cnn: CNN, crop: NDArray[np.uint8]) -> "torch.Tensor":
    """Return a face as a network is given it, and its mirror image where it reads that too."""
    import torch

    views = [NOTHING, NOTHING._replace(is_flipped=True)][: cnn.views]
    device = next(cnn.network_.parameters()).device
    return torch.stack([changed(crop, view, cnn.side) for view in views]).to(device).float()


def _of_both(heat: "torch.Tensor") -> NDArray[np.float32]:
    """Return the mean of the maps of _pictures(), as numpy."""
    upright = heat[0] if len(heat) == 1 else (heat[0] + heat[1].flip(-1)) / 2
    found: NDArray[np.float32] = upright.numpy()
    return found
