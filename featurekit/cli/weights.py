"""featurekit weights: list, download, add and check weight files."""

from pathlib import Path
from typing import Annotated

import typer

from featurekit.api.telling import shown
from featurekit.cli._output import print_table
from featurekit.networks import weights, weights_fetching

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
    rows = [
        [
            entry.name,
            "here" if weights.present(entry.name) else "-",
            entry.about,
            f"code: {entry.licences.code}\nweights: {entry.licences.weights}"
            f"\ntraining data: {entry.licences.training_data}",
            f"{entry.file_name}\n{entry.source}",
        ]
        for entry in weights.WEIGHTS.values()
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
    file: Annotated[Path, typer.Argument(help="Weight file on this machine.")],
    name: Annotated[
        str | None,
        typer.Option(help="Name in `featurekit weights list`. Default: the name with the same hash."),
    ] = None,
) -> None:
    """Add a weight file that you already have.

    Nothing is downloaded. A file is recognized by its hash. If nobody states the hash of a file, the file is
    recognized by its name, and its hash is recorded and checked from then on.

    Example: featurekit weights add ~/Downloads/resnet50-0676ba61.pth
    """
    for entry in weights_fetching.add(file, name):
        typer.echo(f"{entry.name}: added {entry.file_name}")


def weights_verify() -> None:
    """Check the hashes of all weight files.

    The exit code is 1 if a hash is wrong.

    Example: featurekit weights verify
    """
    findings = [(name, status) for name, status in weights.verify() if status != "missing"]
    for name, status in findings:
        stated = weights.entry_of(name).sha256
        typer.echo(f"{name}: {status}{'' if stated else f' ({_MEANINGS[status]})'}")
    if not findings:
        typer.echo(
            "There are no weight files on this machine. To download some: featurekit weights fetch builtin"
        )
    if any(status != "ok" for _, status in findings):
        raise typer.Exit(1)
