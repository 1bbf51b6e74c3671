"""The layers of dlib's face recognition network as a torch module, read from dlib's own file."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from featurekit.errors import WeightsError

# Channels of each block of two convolutions, and whether it halves the image.
BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)
# How dlib's file calls the parts that learn, and how many numbers stand before the sides of their tensors.
_NUMBERS_BEFORE = {b"con_4": 1, b"affine_": 1, b"fc_2": 3}
_PART = re.compile(b"|".join(_NUMBERS_BEFORE))


class Recognition(nn.Module):
    """Pixels (n, 3, 150, 150) → the layers wanted.

    Args:
        weights: bytes of dlib's file.
        layers: "pooled" or "embedding", in this order.

    Raises:
        WeightsError: the file is not one of this network.
    """

    def __init__(self, weights: bytes, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = layers
        tensors = _tensors(weights)
        self.first = _Step(tensors, 3, 32, 7, 2)
        widths = [32, *(width for width, _ in BLOCKS)]
        self.blocks = nn.Sequential(
            *(_Block(tensors, widths[number], *facts) for number, facts in enumerate(BLOCKS))
        )
        if "embedding" in layers:
            matrix = torch.tensor(_next(tensors, 256 * 128)).view(256, 128)
            self.embedding = nn.Linear(256, 128, bias=False)
            self.embedding.load_state_dict({"weight": matrix.T.contiguous()})

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.blocks(functional.max_pool2d(functional.relu(self.first(pixels)), 3, 2))
        pooled = found.mean(dim=(2, 3))
        return tuple(pooled if layer == "pooled" else self.embedding(pooled) for layer in self.layers)


class _Block(nn.Module):
    """Two steps, and a connection past them."""

    def __init__(
        self, tensors: Iterator[NDArray[np.float32]], n_inputs: int, n_outputs: int, is_smaller: bool
    ) -> None:
        super().__init__()
        self.is_smaller = is_smaller
        self.first = _Step(tensors, n_inputs, n_outputs, 3, 2 if is_smaller else 1)
        self.second = _Step(tensors, n_outputs, n_outputs, 3, 1)

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        around = functional.avg_pool2d(found, 2) if self.is_smaller else found
        found = self.second(functional.relu(self.first(found)))
        return functional.relu(_sum(found, around))


class _Step(nn.Module):
    """A convolution, and a factor and an offset a channel, which its normalization became."""

    def __init__(
        self, tensors: Iterator[NDArray[np.float32]], n_inputs: int, n_outputs: int, size: int, stride: int
    ) -> None:
        super().__init__()
        shape = (n_outputs, n_inputs, size, size)
        count = int(np.prod(shape))
        numbers, affine = _next(tensors, count + n_outputs), _next(tensors, 2 * n_outputs)
        weight, bias = numbers[:count].reshape(shape), numbers[count:]
        factor, offset = affine.reshape(2, n_outputs)
        larger = _enlargement(weight)
        # dlib puts no border around an image that it makes smaller.
        border = size // 2 if stride == 1 else 0
        self.convolution = nn.Conv2d(n_inputs, n_outputs, size, stride, border, bias=False)
        self.convolution.load_state_dict({"weight": torch.tensor(weight * larger)})
        self.factor = nn.Parameter(torch.tensor(factor / larger).view(1, n_outputs, 1, 1))
        self.offset = nn.Parameter(torch.tensor(offset + bias * factor).view(1, n_outputs, 1, 1))

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = self.convolution(found) * self.factor + self.offset
        return scaled


def _enlargement(weight: NDArray[np.float32]) -> np.float32:
    """Return the power of two that brings weights near to the size that networks start with (He et al. 2015).

    dlib's are an eighth of it, and what follows makes up for that. An optimizer whose steps are of one size
    for all weights, as Adam's, would undo within a few what such a network has learned. A power of two
    changes no bit of what the network says.
    """
    usual = np.sqrt(2 / weight[0].size)
    own = max(float(np.sqrt(np.square(weight).mean())), 1e-12)
    return np.float32(2.0 ** round(np.log2(usual / own)))


def _sum(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the sum of two maps; missing channels, rows or columns of one count as zeros."""

    def filled(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        channels, rows, columns = (
            max(theirs - own, 0) for own, theirs in zip(one.shape[1:], other.shape[1:], strict=True)
        )
        return functional.pad(one, [0, columns, 0, rows, 0, channels])

    if left.shape == right.shape:
        return left + right  # to fill up by nothing would copy both
    return filled(left, right) + filled(right, left)


def _tensors(content: bytes) -> Iterator[NDArray[np.float32]]:
    """Yield what a file of dlib's has learned, layer after layer from the pixels on, each as a vector.

    dlib writes the network's parts from the pixels to the result: a part's name, a version, the four sides
    of its tensor, the numbers. Of what else is in the file nothing is needed: the network is known.
    """
    place = 0
    while part := _PART.search(content, place):
        place = part.end()
        for _ in range(_NUMBERS_BEFORE[part[0]]):
            _, place = _integer(content, place)
        size = 1
        for _ in range(4):
            side, place = _integer(content, place)
            size *= side
        numbers = content[place : place + 4 * size]
        if len(numbers) < 4 * size:  # cut off
            return
        yield np.frombuffer(numbers, "<f4")
        place += len(numbers)


def _integer(content: bytes, place: int) -> tuple[int, int]:
    """Return a number, and the place behind it: dlib writes how many bytes it has, then these."""
    start = place + 1
    stop = start + (int.from_bytes(content[place:start], "little") & 0x0F)
    return int.from_bytes(content[start:stop], "little"), stop


def _next(tensors: Iterator[NDArray[np.float32]], size: int) -> NDArray[np.float32]:
    found = next(tensors, None)
    if found is None or len(found) != size:
        raise WeightsError("The weight file is not a file of dlib's face recognition network.")
    return found
