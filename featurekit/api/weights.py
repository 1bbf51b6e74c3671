"""fk.add_weights and fk.add_network: add a weight file, or a network by reference, that you have."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from featurekit.checked import checked
from featurekit.errors import UnknownNameError, WeightsError
from featurekit.faces.align import TEMPLATES
from featurekit.networks import weights, weights_fetching
from featurekit.networks.backbones.references import add
from featurekit.networks.backbones.references._added import AddedNetwork, Preprocessing
from featurekit.registry import unknown

_MOST = 4096  # pixels
_TRIPLES = {
    "mean": "--mean must be three numbers from 0 to 1 for red, green and blue.",
    "std": "--std must be three numbers above 0, up to 1, for red, green and blue.",
}


@checked()
def add_weights(path: str | Path, name: str | None = None) -> list[dict[str, Any]]:
    """Add a weight file that you have. Nothing is downloaded.

    Args:
        path: the file.
        name: its name in `featurekit weights list`; None for the name with the same hash.

    Returns:
        The facts about each file that was added: name, file, sha256, source and licences.

    Raises:
        WeightsError: the file cannot be read, or is not the expected one.
        UnknownNameError: no weight file has this name.

    Example:
        >>> import featurekit as fk
        >>> fk.add_weights("Downloads/resnet50-0676ba61.pth")    # doctest: +SKIP
    """
    return [weights.describe(entry.name) for entry in weights_fetching.add(Path(path), name)]


@checked()
def add_network(
    path: str | Path,
    reference: str,
    *,
    input_size: int | None = None,
    resize: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    bgr: bool = False,
    template: str | None = None,
    replace: bool = False,
) -> AddedNetwork:
    """Add a network by reference, which is then used like any other one. Nothing is downloaded.

    The arguments after the reference are for networks that do not state their preprocessing, or state it
    wrongly.

    Args:
        path: the weight file, or the folder of an "hf:" network.
        reference: "timm:NAME" or "torchvision:NAME", where NAME is an architecture; "hf:NAME" for a folder
            with config.json and model.safetensors; "onnx:NAME" for an ONNX file.
        input_size: side of the network's square input in pixels.
        resize: side in pixels of the square whose centre is the input; None for input_size.
        mean: values that are subtracted from red, green and blue, for pixels from 0 to 1.
        std: values by which red, green and blue are divided.
        bgr: whether the network takes the channels in the order blue, green, red.
        template: where the landmarks of the face are: "arcface", "dlib" and so on; None for "imagenet".
        replace: whether another network that was added under this name before is replaced.

    Returns:
        What is known of the network: its layers, preprocessing, licence and hash.

    Raises:
        WeightsError: the file cannot be read or does not fit, the preprocessing is not known, or another
            network was added under this name before.
        UnknownNameError: there is no such kind of reference, architecture or template.

    Example:
        >>> import featurekit as fk
        >>> fk.add_network("resnet18.safetensors", "timm:resnet18")       # doctest: +SKIP
        >>> X = fk.embed(data, "timm:resnet18+timm:resnet18@layer3")      # doctest: +SKIP
    """
    if template is not None and template not in TEMPLATES:
        raise UnknownNameError(unknown("template", template, list(TEMPLATES)))
    if any(side is not None and not 1 <= side <= _MOST for side in (input_size, resize)):
        raise WeightsError(f"--input-size and --resize must be numbers of pixels from 1 to {_MOST:,}.")
    if resize is not None and resize < (input_size or 0):
        raise WeightsError(
            f"--resize {resize} is smaller than --input-size {input_size}, which is its centre. Give a larger"
            " one, or leave it out."
        )
    means, deviations = _triple(mean, "mean"), _triple(std, "std")
    stated = Preprocessing(
        input_size=input_size, resize=resize, mean=means, std=deviations, bgr=bgr, template=template or ""
    )
    return add(reference, Path(path).expanduser(), stated, replaces=replace)


def _triple(values: Sequence[float] | None, name: str) -> tuple[float, float, float] | None:
    """Return the values for red, green and blue; one value stands for all three."""
    if values is None:
        return None
    numbers = [float(value) for value in values]
    if len(numbers) == 1:
        numbers *= 3
    got = f"{_TRIPLES[name]} Got {', '.join(map(str, values))} instead"
    if len(numbers) != 3 or not all(map(isfinite, numbers)) or min(numbers) < 0:
        raise WeightsError(f"{got}.")
    if max(numbers) > 1:
        raise WeightsError(f"{got}: if they are for pixels from 0 to 255, divide them by 255.")
    if name == "std" and min(numbers) == 0:
        raise WeightsError(f"{got}.")
    return numbers[0], numbers[1], numbers[2]
