"""featurekit weights: list, download, add and check weight files."""

from typing import Annotated

import typer

import featurekit as fk
from featurekit.api.telling import shown
from featurekit.cli._output import print_table
from featurekit.errors import WeightsError
from featurekit.networks import weights, weights_fetching
from featurekit.networks.feature_names import is_reference

# What a status means for a file whose hash nobody states.
_MEANINGS = {
    "ok": "its hash was recorded when it was added",
    "damaged": "its hash is not the one that was recorded when it was added",
    "unrecorded": "nobody states its hash, and none was recorded: add it with featurekit weights add",
}


def weights_list() -> None:
    """List all weight files and their licences.

    The list also shows where each file comes from, and whether it is on this machine.

    Example: featurekit weights list
    """
    from featurekit.networks.backbones import BACKBONES

    added = [weights.entry_of(one.name) for one in BACKBONES.references()]
    rows = [
        [
            entry.name,
            "here" if weights.present(entry.name) else "-",
            entry.about,
            f"code: {entry.licences.code}\nweights: {entry.licences.weights}"
            f"\ntraining data: {entry.licences.training_data}",
            f"{entry.file_name}\n{entry.source}",
        ]
        for entry in (*weights.WEIGHTS.values(), *added)
    ]
    print_table(["name", "", "what it is", "licences", "file and source"], rows)
    typer.echo(f"Weight files are kept in {weights.home() / 'weights'}")


def weights_fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of `featurekit weights list`, or builtin for all built-in ones."),
    ],
) -> None:
    """Download weight files and check their hashes.

    This command uses the network.

    Example: featurekit weights fetch builtin
    """
    for name in names:
        with shown(True, f"fetching {name}", "bytes") as progress:
            fetched = weights_fetching.fetch(name, progress)
        got = ", ".join(entry.name for entry in fetched) or "already here"
        typer.echo(f"{name}: {got}; all hashes are right")


def weights_add(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="[REFERENCE] FILE",
            help="Weight file on this machine. Before it, a reference: timm:NAME or torchvision:NAME for a"
            " file of this architecture, onnx:NAME for an ONNX file, hf:NAME for a folder.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="Name in `featurekit weights list`. Default: the name with the same hash."),
    ] = None,
    input_size: Annotated[
        int | None, typer.Option(help="Side of the network's input in pixels, if the file does not state it.")
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(help="Side of the square whose centre is the input. Default: the side of the input."),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Values to subtract from red, green and blue, such as 0.485,0.456,0.406."),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(help="Values to divide red, green and blue by, such as 0.229,0.224,0.225."),
    ] = None,
    bgr: Annotated[bool, typer.Option("--bgr", help="The network takes blue before green and red.")] = False,
    template: Annotated[
        str | None,
        typer.Option(help="Where the landmarks are: imagenet, arcface, dlib and so on. Default: imagenet."),
    ] = None,
) -> None:
    """Add a weight file that you already have, or a network by reference.

    Nothing is downloaded. A file is recognized by its hash. If nobody states the hash of a file, the file is
    recognized by its name, and its hash is recorded and checked from then on.

    A network by reference is built and run once, so that a file that does not fit is refused. How the pixels
    are prepared is read from the configuration of the network; if it is not stated there, it must be given
    with the options, for pixels from 0 to 1.

    Examples:
      featurekit weights add ~/Downloads/resnet50-0676ba61.pth
      featurekit weights add timm:resnet18 resnet18.safetensors
      featurekit weights add onnx:mine mine.onnx --input-size 112 --mean 0.5 --std 0.5 --template arcface
    """
    from featurekit.api.weights import described

    if len(given) > 2:
        raise WeightsError(f"Add one file at a time. Got {' '.join(given)} instead.")
    reference = given[0] if len(given) == 2 else None
    if reference and not is_reference(reference):
        raise WeightsError(
            f"'{reference}' is no reference: give timm:NAME, torchvision:NAME, onnx:NAME or hf:NAME before"
            " the file, or the file alone."
        )
    if reference and name:
        raise WeightsError(f"--name has no effect after the reference {reference}. Leave it out.")
    added = fk.add_weights(
        given[-1],
        reference or name,
        input_size=input_size,
        resize=resize,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        bgr=bgr,
        template=template,
    )
    for facts in added:
        lines = described(reference) if reference else [f"{facts['name']}: added {facts['file']}"]
        typer.echo("\n".join(lines))


def _numbers(text: str | None, option: str) -> list[float] | None:
    """Return the numbers of an option, which commas separate."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise WeightsError(f"{option} must be numbers, such as 0.5,0.5,0.5. Got '{text}' instead.") from None


def weights_verify() -> None:
    """Check the hashes of all weight files.

    The exit code is 1 if a hash is wrong.

    Example: featurekit weights verify
    """
    from featurekit.networks.backbones import BACKBONES

    names = [*weights.WEIGHTS, *(one.name for one in BACKBONES.references())]
    findings = [(name, status) for name, status in weights.verify(names) if status != "missing"]
    for name, status in findings:
        stated = weights.entry_of(name).sha256
        typer.echo(f"{name}: {status}{'' if stated else f' ({_MEANINGS[status]})'}")
    if not findings:
        typer.echo(
            "There are no weight files on this machine. To download some: featurekit weights fetch builtin"
        )
    if any(status != "ok" for _, status in findings):
        raise typer.Exit(1)
