"""featurekit weights: fetch, add and check weight files."""

from pathlib import Path
from typing import Annotated

import typer

from featurekit.cli._output import print_table
from featurekit.cli._progress import progress_bar


def weights_list() -> None:
    """List every weight file: where it comes from, whether it is here, and its licences.

    Example: featurekit weights list
    """
    from featurekit.networks import weights, weights_table

    rows = [
        [
            entry.name,
            "here" if weights.present(entry.name) else "-",
            entry.about,
            f"code: {entry.licences.code}\nweights: {entry.licences.weights}"
            f"\ntraining data: {entry.licences.training_data}",
            f"{entry.file_name}\n{entry.source}",
        ]
        for entry in weights_table.WEIGHTS.values()
    ]
    print_table(["name", "", "what it is", "licences", "file and source"], rows)
    typer.echo(f"Weight files are kept in {weights.home() / 'weights'}")


def weights_fetch(
    names: Annotated[list[str], typer.Argument(help="builtin, or names of `featurekit weights list`.")],
) -> None:
    """Download weight files and check their hashes. This command uses the network.

    Example: featurekit weights fetch builtin
    """
    from featurekit.networks import weights_fetching

    for name in names:
        with progress_bar(f"fetching {name}", unit="bytes") as progress:
            fetched = weights_fetching.fetch(name, progress)
        got = ", ".join(entry.name for entry in fetched) or "already here"
        typer.echo(f"{name}: {got}; every hash is right")


def weights_add(
    file: Annotated[Path, typer.Argument(help="A weight file you have.")],
    name: Annotated[str | None, typer.Option(help="Which entry of the table it is.")] = None,
) -> None:
    """Register a weight file you already have; nothing is downloaded.

    Example: featurekit weights add ~/Downloads/resnet50-0676ba61.pth
    """
    from featurekit.networks import weights_fetching

    for entry in weights_fetching.add(file, name):
        typer.echo(f"{entry.name}: added {entry.file_name}")


def weights_verify() -> None:
    """Hash every weight file again; exit code 1 if one is not what it should be.

    Example: featurekit weights verify
    """
    from featurekit.networks import weights

    findings = [(name, status) for name, status in weights.verify() if status != "missing"]
    for name, status in findings:
        typer.echo(f"{name}: {status}")
    if not findings:
        typer.echo("No weight files here. Get some: featurekit weights fetch builtin")
    if any(status != "ok" for _, status in findings):
        raise typer.Exit(1)
