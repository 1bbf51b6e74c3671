"""torchvision:NAME: the networks of torchvision, with a weight file that the user gives."""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurekit.errors import WeightsError
from featurekit.networks.backbones.references import (
    SCHEMES,
    Given,
    bytes_of,
    torch_scheme,
    unknown_architecture,
)
from featurekit.networks.backbones.references._added import AddedNetwork, Preprocessing
from featurekit.networks.state_dict import load_state

if TYPE_CHECKING:
    from featurekit.networks.backbones.references._reading import Readable


def read(name: str, path: Path) -> Given:
    """Return what torchvision states of a weight file, if it is one of its official ones.

    Raises:
        UnknownNameError: torchvision has no such architecture.
        WeightsError: the file cannot be read.
    """
    official = _official(name)
    digest = sha256(bytes_of(path)).hexdigest()
    # The names of the official files end in the beginning of their hashes.
    for one in official:
        if digest.startswith(one.url.rpartition("-")[2].partition(".")[0]):
            shown = one.transforms()
            return Given(
                weights=path,
                preprocessing=Preprocessing(
                    input_size=shown.crop_size[0],
                    resize=shown.resize_size[0],
                    mean=tuple(shown.mean),
                    std=tuple(shown.std),
                    interpolation=str(shown.interpolation.value),
                ),
                licence="BSD-3-Clause",
            )
    return Given(weights=path)


def _official(name: str) -> list[Any]:
    """Return the official weights of an architecture, as torchvision lists them."""
    from torchvision import models

    # Those without a dot classify images; the others detect objects, and so on.
    known = [one for one in models.list_models() if hasattr(models, one)]
    if name not in known:
        raise unknown_architecture("torchvision", name, known)
    return list(models.get_model_weights(name))


def where(name: str) -> str:
    """Return where the weights of an architecture can be had, and how they are added."""
    addresses = [one.url for one in _official(name)]
    return (
        f"Get its weight file ({addresses[-1] if addresses else 'torchvision publishes none'}), and add it:"
        f" featurekit weights add torchvision:{name} FILE"
    )


def build(added: AddedNetwork, data: bytes) -> "Readable":
    """Return a network of torchvision without its last linear layer, the classifier.

    Raises:
        WeightsError: the file does not fit the architecture, or the architecture has no linear classifier.
    """
    import torch
    from torchvision import models

    from featurekit.networks.backbones.references._reading import Readable

    name = added.name.partition(":")[2]
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    # Nothing random survives: every tensor is overwritten, or the file is refused.
    network: torch.nn.Module = models.get_model(name, weights=None, **options)
    linear = [part for part, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    if not linear or linear[-1].partition(".")[0] not in ("fc", "classifier", "head", "heads"):
        raise WeightsError(f"{added.name} has no linear classifier as its last layer, so it cannot be used.")
    parent, _, last = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), last, torch.nn.Identity())
    load_state(network, added.name, data, linear[-1:])
    return Readable(network, lambda readable, pixels: readable.network(readable.features(pixels))).eval()


SCHEMES.add(
    torch_scheme(
        name="torchvision",
        about="an architecture of torchvision, with a weight file that you have",
        library="torchvision",
        read=read,
        build=build,
        where=where,
    )
)
