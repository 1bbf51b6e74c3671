"""featurekit weights: list, download, add and check weight files."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import featurekit as fk
from featurekit.api.telling import shown
from featurekit.cli import _completion as complete
from featurekit.cli._options import Json
from featurekit.cli._output import print_table
from featurekit.cli._terminal import Cell
from featurekit.errors import WeightsError
from featurekit.networks import weights, weights_fetching
from featurekit.networks.feature_names import is_reference
from featurekit.text import counted

if TYPE_CHECKING:
    from featurekit.networks.backbones.references._added import AddedNetwork

# What a status means for a file whose hash nobody states.
_MEANINGS = {
    "ok": "its hash was recorded when it was added",
    "damaged": "its hash is not the one that was recorded when it was added",
    "unrecorded": "nobody states its hash, and none was recorded: add it with featurekit weights add",
}


Given = Annotated[
    list[str],
    typer.Argument(
        metavar="[REFERENCE] FILE",
        help="Weight file on this machine. Before it, a reference: timm:NAME or torchvision:NAME for a file"
        " of this architecture, onnx:NAME for an ONNX file, hf:NAME for a folder.",
    ),
]
ListedName = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name in `featurekit weights list`. Default: that with the hash.",
        autocompletion=complete.weight_files,
    ),
]
InputSize = Annotated[int | None, typer.Option(help="Side of the network's input in pixels, if not stated.")]
Resize = Annotated[
    int | None,
    typer.Option(help="Side of the square whose centre is the input. Default: the side of the input."),
]
Mean = Annotated[
    str | None, typer.Option(help="Values to subtract from red, green and blue, such as 0.485,0.456,0.406.")
]
Std = Annotated[
    str | None, typer.Option(help="Values to divide red, green and blue by, such as 0.229,0.224,0.225.")
]
Bgr = Annotated[bool, typer.Option("--bgr", help="The network takes blue before green and red.")]
Template = Annotated[
    str | None,
    typer.Option(help="Where the landmarks are: imagenet, arcface, dlib and so on. Default: imagenet."),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Replace another network that was added under this reference before."),
]


def weights_list(json: Json = False) -> None:
    """List all weight files and their licences.

    The list also shows where each file comes from, and whether it is on this machine.

    Example: featurekit weights list
    """
    from featurekit.networks.backbones import BACKBONES

    added = [weights.entry_of(one.name) for one in BACKBONES.references()]
    rows = [
        [
            entry.name,
            Cell(True, "here", "green") if weights.present(entry.name) else Cell(False, "-"),
            entry.about,
            _licences_cell(entry.licences),
            Cell(
                {"file": entry.file_name, "source": entry.source},
                f"{entry.file_name}\n{entry.source}",
                is_prose=True,
            ),
        ]
        for entry in (*weights.WEIGHTS.values(), *added)
    ]
    print_table(["name", Cell("here", ""), "what it is", "licences", "file and source"], rows)
    typer.echo(f"Weight files are kept in {weights.home() / 'weights'}")


def _licences_cell(of: weights.Licences) -> Cell:
    """Return three licences as a cell of three lines."""
    text = f"code: {of.code}\nweights: {of.weights}\ntraining data: {of.training_data}"
    return Cell(asdict(of), text, is_prose=True)


def weights_fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Names of `featurekit weights list`, or builtin for all built-in ones.",
            autocompletion=complete.weight_files_to_fetch,
        ),
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
    given: Given,
    name: ListedName = None,
    input_size: InputSize = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    bgr: Bgr = False,
    template: Template = None,
    replace: Replace = False,
) -> None:
    """Add a weight file that you already have, or a network by reference.

    Nothing is downloaded. A file is recognized by its hash. If nobody states the hash of a file, the file is
    recognized by its name, and its hash is recorded and checked from then on.

    A network by reference is built and run once, so that a file that does not fit is refused. How the pixels
    are prepared is read from the configuration of the network; if it is not stated there, it must be given
    with the options, for pixels from 0 to 1. Another network of the same reference is replaced only with
    --replace.

    Examples:
      featurekit weights add ~/Downloads/resnet50-0676ba61.pth
      featurekit weights add timm:resnet18 resnet18.safetensors
      featurekit weights add onnx:mine mine.onnx --input-size 112 --mean 0.5 --std 0.5 --template arcface
    """
    if len(given) > 2:
        raise WeightsError(f"Add one file at a time. Got {' '.join(given)} instead.")
    if len(given) == 1 and is_reference(given[0]) and not Path(given[0]).exists():
        raise WeightsError(f"Give the file too: featurekit weights add {given[0]} FILE")
    if len(given) == 1:
        options = {"input_size": input_size, "resize": resize, "mean": mean, "std": std, "bgr": bgr}
        _refuse_options(**options, template=template, replace=replace)
        for facts in fk.add_weights(given[0], name):
            typer.echo(f"{facts['name']}: added {facts['file']}")
        return
    reference, file = given
    if not is_reference(reference):
        raise WeightsError(
            f"'{reference}' is no reference: give timm:NAME, torchvision:NAME, onnx:NAME or hf:NAME before"
            " the file, or the file alone."
        )
    if name:
        raise WeightsError(f"--name has no effect after the reference {reference}. Leave it out.")
    added = fk.add_network(
        file,
        reference,
        input_size=input_size,
        resize=resize,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        bgr=bgr,
        template=template,
        replace=replace,
    )
    _print_network(added)


def _refuse_options(**options: object) -> None:
    """Raise WeightsError for the first option that is given: a listed weight file has no such option."""
    for name, value in options.items():
        if value not in (None, False):
            raise WeightsError(
                f"--{name.replace('_', '-')} has no effect on a listed weight file. Leave it out, or give a"
                " reference such as timm:resnet18 before the file."
            )


def _print_network(network: "AddedNetwork") -> None:
    """Print what decides the numbers of a network by reference."""
    shown, whole = network.preprocessing, network.square
    default, layer = next(iter(network.layers.items()))
    centre = f", the centre of {whole} × {whole}" if whole != shown.input_size else ""
    numbers = [", ".join(f"{value:.4g}" for value in values or ()) for values in (shown.mean, shown.std)]
    typer.echo(
        f"{network.name}: added {network.given}, sha256 {network.sha256}; licence: {network.licence}\n"
        f"  input: {shown.input_size} × {shown.input_size} pixels{centre}; mean {numbers[0]},"
        f" std {numbers[1]}, {'BGR' if shown.bgr else 'RGB'}, aligned as for {shown.template or 'imagenet'}\n"
        f"  {counted(len(network.layers), 'layer', 'layers')}; the default one, {default}, has"
        f" {layer.pooled_length(()):,} numbers. All of them: featurekit list layers {network.name}"
    )


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
