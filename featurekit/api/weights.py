"""fk.add_weights: add a weight file, or a network by reference, that you have on this machine."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from featurekit.errors import WeightsError
from featurekit.faces.align import TEMPLATES
from featurekit.networks import weights, weights_fetching
from featurekit.networks.backbones.references import Preprocessing, add, find
from featurekit.networks.feature_names import is_reference
from featurekit.registry import unknown
from featurekit.text import counted


def add_weights(
    path: str | Path,
    name: str | None = None,
    *,
    input_size: int | None = None,
    resize: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    bgr: bool = False,
    template: str | None = None,
) -> list[dict[str, Any]]:
    """Add a weight file that you have, or a network by reference. Nothing is downloaded.

    A network by reference is called "timm:NAME" or "torchvision:NAME", where NAME is an architecture,
    "hf:NAME" for a folder with config.json and model.safetensors, or "onnx:NAME" for an ONNX file. After it
    has been added, it is used like any other network: ``fk.embed(data, "timm:resnet18@layer3")``.

    Args:
        path: the file or folder.
        name: the reference, or a name of `featurekit weights list`; None for the listed file with the same
            hash.
        input_size: side of the network's square input in pixels. This and the following arguments are only
            for networks by reference that do not state their preprocessing, or state it wrongly.
        resize: side in pixels of the square whose centre is the input; None for input_size.
        mean: values that are subtracted from red, green and blue, for pixels from 0 to 1.
        std: values by which red, green and blue are divided.
        bgr: whether the network takes the channels in the order blue, green, red.
        template: where the landmarks of the face are in the square: "imagenet", "arcface", "dlib" and so on;
            None for "imagenet".

    Returns:
        The facts about each file that was added: name, file, sha256, source and licences.

    Raises:
        WeightsError: the file cannot be read, is not known or does not fit, the preprocessing is not known,
            or an argument has no effect.
        UnknownNameError: there is no such name, architecture or template.

    Example:
        >>> import featurekit as fk
        >>> fk.add_weights("resnet18.safetensors", "timm:resnet18")    # doctest: +SKIP
    """
    if name is None or not is_reference(name):
        given = {"input_size": input_size, "resize": resize, "mean": mean, "std": std, "template": template}
        without_effect = [option for option, value in given.items() if value is not None] + ["bgr"] * bgr
        if without_effect:
            option = without_effect[0].replace("_", "-")
            raise WeightsError(
                f"--{option} has no effect on a listed weight file. Leave it out, or give a reference such as"
                " timm:resnet18."
            )
        return [weights.describe(entry.name) for entry in weights_fetching.add(Path(path), name)]
    if template is not None and template not in TEMPLATES:
        raise WeightsError(unknown("template", template, list(TEMPLATES)))
    stated = Preprocessing(
        input_size=input_size,
        resize=resize,
        mean=_triple(mean, "mean"),
        std=_triple(std, "std"),
        bgr=bgr,
        template=template or "",
    )
    add(name, Path(path).expanduser(), stated)
    return [weights.describe(name)]


def _triple(values: Sequence[float] | None, option: str) -> tuple[float, float, float] | None:
    """Return the values for red, green and blue; one value stands for all three."""
    if values is None:
        return None
    numbers = [float(value) for value in values]
    if len(numbers) == 1:
        numbers *= 3
    is_valid = len(numbers) == 3 and all(map(isfinite, numbers)) and (option == "mean" or min(numbers) > 0)
    if not is_valid:
        raise WeightsError(
            f"--{option} must be three {'positive ' if option == 'std' else ''}numbers for red, green and"
            f" blue, for pixels from 0 to 1. Got {', '.join(map(str, values))} instead."
        )
    return numbers[0], numbers[1], numbers[2]


def described(reference: str) -> list[str]:
    """Return what decides the numbers of a network by reference, as lines of text."""
    network = find(reference)
    shown = network.preprocessing
    default = next(iter(network.layers.items()))
    whole, size = network.square, shown.input_size
    square = f", the centre of {whole} × {whole}" if whole != size else ""
    colors = "BGR" if shown.bgr else "RGB"
    return [
        f"{network.name}: added {network.given}, sha256 {network.sha256}; licence: {network.licence}",
        f"  input: {size} × {size} pixels{square}; mean {_text(shown.mean)}, std {_text(shown.std)},"
        f" {colors}, aligned as for {shown.template or 'imagenet'}",
        f"  {counted(len(network.layers), 'layer', 'layers')}; the default one, {default[0]}, has"
        f" {default[1].pooled_length(()):,} numbers. All of them: featurekit list layers {network.name}",
    ]


def _text(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:.4g}" for value in values or ())
