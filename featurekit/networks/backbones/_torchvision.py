"""What torchvision's networks have in common: official files, ImageNet's normalization, inner layers."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any

from featurekit.networks.engines import Network, Normalization
from featurekit.networks.state_dict import load_state

if TYPE_CHECKING:
    import torch

# ImageNet's mean and standard deviation on 0..255.
IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

_graphs: "dict[tuple[str, tuple[str, ...]], tuple[torch.fx.Graph, torch.fx.Graph]]" = {}
_following = Lock()


def torchvision_network(
    name: str,
    nodes: Mapping[str, str],
    weights: bytes,
    layers: Sequence[str],
    **options: Any,
) -> Network:
    """Return a network of torchvision's, read at some of its inner layers.

    Args:
        name: function of torchvision.models that builds it.
        nodes: layer → name of its node in the network's graph. Of a feature map the mean of its cells is
            read, or, with ":size/stride" behind the name, the means of so large squares of cells, channel
            by channel: "features.13:6/4".
        weights: bytes of an official file of torchvision's: a state dictionary.
        layers: layers to read, in this order.
        options: passed on to the function that builds it.

    Raises:
        WeightsError: the file is no state dictionary, or its tensors are not those of this network.
    """
    wanted = tuple(nodes[layer] for layer in layers)
    return Network(
        name=name,
        module=lambda: _build(name, weights, wanted, options),
        outputs=wanted,
    )


def _build(name: str, weights: bytes, nodes: Sequence[str], options: Mapping[str, Any]) -> "torch.nn.Module":
    import torch
    import torchvision

    # Nothing random survives: every tensor is overwritten, or load_state() refuses the file.
    network: torch.nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    load_state(network, name, weights)
    for part in network.modules():
        # In-place layers would overwrite an inner layer that is read too, and converters refuse them.
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]  # torch types every attribute as a tensor
    extractor = _up_to(name, tuple(dict.fromkeys(node.partition(":")[0] for node in nodes)), network.eval())

    class InOrder(torch.nn.Module):
        """The layers wanted as a tuple."""

        def __init__(self) -> None:
            super().__init__()
            self.extractor = extractor

        def forward(self, pixels: "torch.Tensor") -> tuple["torch.Tensor", ...]:
            found = self.extractor(pixels)
            return tuple(_pooled(found[node.partition(":")[0]], node.partition(":")[2]) for node in nodes)

    return InOrder().eval()


def _up_to(name: str, nodes: tuple[str, ...], network: "torch.nn.Module") -> "torch.nn.Module":
    """Return a module that computes some nodes of a network, by name, and no more than they need.

    While torch follows a network's calls, it follows those of every thread: a fold that makes its network
    would break one that trains. So that is done once a process for each architecture, before any of its
    networks is there to be used.
    """
    from torchvision.models.feature_extraction import DualGraphModule, create_feature_extractor

    with _following:
        if (name, nodes) not in _graphs:
            extractor = create_feature_extractor(network, list(nodes), suppress_diff_warning=True)
            _graphs[name, nodes] = (extractor.train_graph, extractor.eval_graph)
        # A copy for each module, because switching between them changes them.
        for_training, for_use = deepcopy(_graphs[name, nodes])
    module: torch.nn.Module = DualGraphModule(network, for_training, for_use).eval()
    return module


def _pooled(found: "torch.Tensor", squares: str) -> "torch.Tensor":
    """Return a vector as it is, and of a feature map the means of its cells."""
    import torch

    if squares:
        size, stride = map(int, squares.split("/"))
        return torch.nn.functional.avg_pool2d(found, size, stride).flatten(1)
    return found.mean(dim=(2, 3)) if found.dim() == 4 else found
