"""The layers of Inception-ResNet-v1 as a torch module, whose tensors are named as in facenet-pytorch's files.

The architecture is that of Szegedy et al. (2017), with the channels of David Sandberg's facenet. Parts have
the names of facenet-pytorch, because the tensors of a weight file are found by them.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from featurekit.networks.state_dict import load_state

# The classifier of the people in the training data.
_CLASSIFIER = ("logits.weight", "logits.bias")

# A convolution of a branch: its outputs, its size (rows and columns), and whether it halves the image.
_Convolution = tuple[int, tuple[int, int], bool]
_Branch = tuple[_Convolution, ...]


def _one(outputs: int) -> _Convolution:
    return outputs, (1, 1), False


def _three(outputs: int) -> _Convolution:
    return outputs, (3, 3), False


def _halving(outputs: int) -> _Convolution:
    return outputs, (3, 3), True


# The branches of each kind of block, side by side.
_BLOCK_35: tuple[_Branch, ...] = (
    (_one(32),),
    (_one(32), _three(32)),
    (_one(32), _three(32), _three(32)),
)
_BLOCK_17: tuple[_Branch, ...] = (
    (_one(128),),
    (_one(128), (128, (1, 7), False), (128, (7, 1), False)),
)
_BLOCK_8: tuple[_Branch, ...] = (
    (_one(192),),
    (_one(192), (192, (1, 3), False), (192, (3, 1), False)),
)
_REDUCTION_6A: tuple[_Branch, ...] = (
    (_halving(384),),
    (_one(192), _three(192), _halving(256)),
)
_REDUCTION_7A: tuple[_Branch, ...] = (
    (_one(256), _halving(384)),
    (_one(256), _halving(256)),
    (_one(256), _three(256), _halving(256)),
)


def facenet_module(name: str, weights: bytes, layers: Sequence[str]) -> nn.Module:
    """Return the network with the tensors of a weight file, in evaluation mode.

    Args:
        name: name of the backbone, for messages.
        weights: bytes of a state dictionary of facenet-pytorch. Its classifier is not used and may be absent.
        layers: "pooled" or "embedding", in this order.

    Raises:
        WeightsError: the file is not a state dictionary, or its tensors are not those of this network.
    """
    with torch.device("meta"):
        network = InceptionResnet(layers)
    load_state(network, name, weights, ignored=_CLASSIFIER)
    if "embedding" not in layers:  # nothing would use, or train, its last matrix
        del network.last_linear, network.last_bn
    return network.eval()


class InceptionResnet(nn.Module):
    """Normalized pixels (n, 3, 160, 160) → the layers wanted.

    Args:
        layers: "pooled" or "embedding", in this order.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = layers
        self.conv2d_1a = _Step(3, 32, 3, stride=2)
        self.conv2d_2a = _Step(32, 32, 3)
        self.conv2d_2b = _Step(32, 64, 3, border=1)
        self.conv2d_3b = _Step(64, 80, 1)
        self.conv2d_4a = _Step(80, 192, 3)
        self.conv2d_4b = _Step(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(*(_Residual(256, _BLOCK_35, 0.17) for _ in range(5)))
        self.mixed_6a = _Reduction(256, _REDUCTION_6A)
        self.repeat_2 = nn.Sequential(*(_Residual(896, _BLOCK_17, 0.10) for _ in range(10)))
        self.mixed_7a = _Reduction(896, _REDUCTION_7A)
        self.repeat_3 = nn.Sequential(*(_Residual(1792, _BLOCK_8, 0.20) for _ in range(5)))
        self.block8 = _Residual(1792, _BLOCK_8, 1.0, is_last=True)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=0.001)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(pixels)))
        found = self.conv2d_3b(functional.max_pool2d(found, 3, 2))
        found = self.conv2d_4b(self.conv2d_4a(found))
        found = self.repeat_2(self.mixed_6a(self.repeat_1(found)))
        found = self.block8(self.repeat_3(self.mixed_7a(found)))
        pooled = found.mean(dim=(2, 3))
        return tuple(pooled if layer == "pooled" else self._embedding(pooled) for layer in self.layers)

    def _embedding(self, pooled: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.last_bn(self.last_linear(pooled)))


class _Step(nn.Module):
    """A convolution, its batch normalization, and a ReLU."""

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        size: int | tuple[int, int],
        stride: int = 1,
        border: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_inputs, n_outputs, size, stride, border, bias=False)
        self.bn = nn.BatchNorm2d(n_outputs, eps=0.001)

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.bn(self.conv(found)))


def _add_branches(module: nn.Module, n_inputs: int, branches: Sequence[_Branch]) -> None:
    """Add branch0, branch1, … to a module; a branch of one convolution is that convolution."""
    for number, branch in enumerate(branches):
        steps, width = [], n_inputs
        for n_outputs, size, is_halving in branch:
            border = (0, 0) if is_halving else (size[0] // 2, size[1] // 2)
            steps.append(_Step(width, n_outputs, size, 2 if is_halving else 1, border))
            width = n_outputs
        module.add_module(f"branch{number}", nn.Sequential(*steps) if len(steps) > 1 else steps[0])


class _Residual(nn.Module):
    """Branches side by side, whose joined maps are scaled and added to what came in."""

    def __init__(
        self, width: int, branches: Sequence[_Branch], scale: float, *, is_last: bool = False
    ) -> None:
        super().__init__()
        self.n_branches, self.scale, self.is_last = len(branches), scale, is_last
        _add_branches(self, width, branches)
        self.conv2d = nn.Conv2d(sum(branch[-1][0] for branch in branches), width, 1)

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        maps = [getattr(self, f"branch{number}")(found) for number in range(self.n_branches)]
        added: torch.Tensor = self.conv2d(torch.cat(maps, dim=1)) * self.scale + found
        return added if self.is_last else functional.relu(added)


class _Reduction(nn.Module):
    """Branches side by side that halve the image, and a maximum over squares of it."""

    def __init__(self, width: int, branches: Sequence[_Branch]) -> None:
        super().__init__()
        self.n_branches = len(branches)
        _add_branches(self, width, branches)

    def forward(self, found: torch.Tensor) -> torch.Tensor:
        maps = [getattr(self, f"branch{number}")(found) for number in range(self.n_branches)]
        return torch.cat([*maps, functional.max_pool2d(found, 3, 2)], dim=1)
