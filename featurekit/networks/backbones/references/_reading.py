"""Read layers of a torch module by name, and pool what they return to vectors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from featurekit.errors import WeightsError
from featurekit.networks.backbones.references._added import AddedNetwork, Layer, parsed

# The layer that a network's forward() returns: what its classifier reads.
DEFAULT = "pooled"


class Readable(nn.Module):
    """A network without its classifier, whose forward() returns the default layer.

    Args:
        network: the module.
        forward: function of (this module, pixels) that returns the vectors of the default layer. It calls
            self.features on the feature map or the tokens before they are pooled.
        n_prefix: number of tokens before those of the patches; None if not known.
    """

    def __init__(
        self,
        network: nn.Module,
        forward: "Callable[[Readable, torch.Tensor], torch.Tensor]",
        n_prefix: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.features = nn.Identity()
        self.n_prefix = n_prefix
        self._forward = forward
        for part in network.modules():
            # In-place layers would overwrite an inner layer that is read too, and converters refuse them.
            if hasattr(part, "inplace"):
                part.inplace = False  # type: ignore[assignment]  # torch types every attribute as a tensor

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._forward(self, pixels)

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules inside the network by name, and "features"."""
        inner = {name: part for name, part in self.network.named_modules() if name}
        return {**inner, "features": self.features}


class Reader(nn.Module):
    """Pixels (n, 3, side, side) → a tuple with the vectors of each layer.

    Args:
        network: the network.
        added: what is known of it.
        layers: names of the layers, which may be followed by pools.
    """

    def __init__(self, network: Readable, added: AddedNetwork, layers: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._wanted = []
        self._caught: dict[str, torch.Tensor] = {}
        size = added.preprocessing.input_size
        assert size is not None
        # As torchvision's and timm's centre crop, for an odd margin too.
        first = round((added.square - size) / 2)
        self._centre = slice(first, first + size)
        parts = network.parts()
        for layer in layers:
            known, pools = parsed(added, layer)
            assert known is not None
            name = layer.partition("+")[0] or "features"
            self._wanted.append((name, known, pools))
            if name != DEFAULT:
                parts[name].register_forward_hook(self._catch(name))

    def _catch(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._caught[name] = output

        return hook

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        last = self.network(pixels[:, :, self._centre, self._centre])
        caught = {**self._caught, DEFAULT: last}
        self._caught.clear()
        return tuple(pooled(caught[name], known, pools) for name, known, pools in self._wanted)


def pooled(found: torch.Tensor, layer: Layer, pools: Sequence[str]) -> torch.Tensor:
    """Return what a layer has returned as vectors, shape (n, length)."""
    if layer.kind == "vector":
        return found
    places = {
        "map": lambda: found.flatten(2).transpose(1, 2),
        "map_last": lambda: found.flatten(1, 2),
        "tokens": lambda: found[:, layer.n_prefix :],
    }[layer.kind]()
    made = {
        "mean": lambda: places.mean(dim=1),
        "max": lambda: places.amax(dim=1),
        "cls": lambda: found[:, 0],
    }
    return torch.cat([made[pool]() for pool in pools or ("mean",)], dim=1)


def layers_of(network: Readable, size: int, name: str) -> Mapping[str, Layer]:
    """Return all layers of a network that can be read, the default one first.

    Args:
        network: the network.
        size: side of its input, in pixels.
        name: name of the network, for messages.

    Raises:
        WeightsError: the network does not run on an image, or what it returns is no vector of finite numbers.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def noting(part: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                shapes.setdefault(part, tuple(output.shape))

        return hook

    hooks = [part.register_forward_hook(noting(name)) for name, part in network.parts().items()]
    try:
        with torch.inference_mode():
            last = network.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise WeightsError(
            f"{name} cannot be run on an image of {size} × {size} pixels: {str(error).splitlines()[0]}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if last.dim() != 2 or not torch.isfinite(last).all():
        raise WeightsError(
            f"{name} returns {'no finite numbers' if last.dim() == 2 else 'no vector'} for an image."
        )
    found = {
        part: layer for part, shape in shapes.items() if (layer := Layer.of_shape(shape, network.n_prefix))
    }
    return {DEFAULT: Layer("vector", last.shape[1]), **found}
