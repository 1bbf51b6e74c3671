"""timm:NAME: the networks of timm (pytorch-image-models), with a weight file that the user gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurekit.errors import WeightsError
from featurekit.networks.backbones.references import (
    SCHEMES,
    Given,
    check_installed,
    torch_scheme,
    unknown_architecture,
)
from featurekit.networks.backbones.references._added import NOT_STATED, AddedNetwork, Preprocessing
from featurekit.networks.state_dict import load_state
from featurekit.text import first_line

if TYPE_CHECKING:
    import torch

    from featurekit.networks.backbones.references._reading import Readable


def read(name: str, path: Path) -> Given:
    """Return what timm states of an architecture, whose weight file the user gives.

    Args:
        name: name of the architecture, e.g. "resnet18", or with the name of its weights, e.g.
            "resnet18.a1_in1k".
        path: the weight file.

    Raises:
        UnknownNameError: timm has no such architecture.
    """
    if path.is_dir():
        raise WeightsError(
            f"{path} is a folder. Add it as hf:{path.name}, or give the weight file in it: model.safetensors"
        )
    stated = _configuration(name)
    return Given(
        weights=path,
        config={"architecture": name.partition(".")[0], "classifier": listed(stated.get("classifier"))},
        preprocessing=preprocessing_of(stated),
        licence=f"{stated['license']} (of timm's own file)" if stated.get("license") else NOT_STATED,
    )


def _configuration(name: str) -> dict[str, Any]:
    """Return timm's own configuration of an architecture and its weights."""
    import timm

    if not timm.is_model(name):
        raise unknown_architecture("timm", name, timm.list_models())
    found = timm.get_pretrained_cfg(name)
    if found is None:
        raise unknown_architecture("timm", name, timm.list_pretrained(f"{name.partition('.')[0]}*"))
    # Without weights of timm's own, the configuration holds nothing but defaults.
    stated: dict[str, Any] = found.to_dict()
    return stated if found.has_weights else {"classifier": stated.get("classifier")}


def preprocessing_of(stated: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of timm's configuration of a network."""
    size = stated.get("input_size")
    if not size or not stated.get("mean") or not stated.get("std"):
        return Preprocessing()
    whole = stated.get("crop_pct") or 0.875  # timm's own default
    return Preprocessing(
        input_size=size[-1],
        resize=int(size[-1] / whole),
        mean=tuple(stated["mean"]),
        std=tuple(stated["std"]),
        interpolation=str(stated.get("interpolation") or ""),
    )


def listed(classifier: Any) -> list[str]:
    """Return the names of the classifier's parts, of which timm's configuration states one or several."""
    return [classifier] if isinstance(classifier, str) else list(classifier or ())


def where(name: str) -> str:
    """Return where the weights of an architecture can be had, and how they are added."""
    check_installed("timm", f"timm:{name}")
    stated = _configuration(name)
    source = stated.get("hf_hub_id")
    at = f"model.safetensors of https://huggingface.co/{source}" if source else stated.get("url")
    return (
        f"Get its weight file ({at or 'timm publishes none'}), and add it:"
        f" featurekit weights add timm:{name} FILE"
    )


def build(added: AddedNetwork, data: bytes) -> "Readable":
    """Return a network of timm with the tensors of a weight file.

    Raises:
        WeightsError: the file does not fit the architecture.
    """
    import timm
    import torch

    from featurekit.networks.backbones.references._reading import Readable

    # Nothing random survives: every tensor is overwritten, or the file is refused.
    options = {**added.config.get("options", {}), "pretrained": False, "num_classes": 0}
    try:
        network: torch.nn.Module = timm.create_model(added.config["architecture"], **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"timm cannot build {added.name}: {first_line(error)}") from error
    load_state(network, added.name, data, added.config["classifier"])
    return Readable(network, _forward, getattr(network, "num_prefix_tokens", None)).eval()


def _forward(readable: "Readable", pixels: "torch.Tensor") -> "torch.Tensor":
    network: Any = readable.network
    found: torch.Tensor = network.forward_head(readable.features(network.forward_features(pixels)))
    return found


SCHEMES.add(
    torch_scheme(
        name="timm",
        about="an architecture of timm, with a weight file that you have",
        library="timm",
        read=read,
        build=build,
        where=where,
    )
)
