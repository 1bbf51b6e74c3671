"""The means of explain --average without a model: of the faces of a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import featurekit as fk
from featurekit.cli._output import as_cell, print_message, print_table
from featurekit.cli._signals import Stopped
from featurekit.cli._terminal import Cell
from featurekit.cli._workspace import comparison_of_command
from featurekit.errors import WorkspaceError

if TYPE_CHECKING:
    from featurekit.api.averages import Average

# Options that only one of the two kinds of explain --average has.
_OF_COMPARISONS = ("name", "target", "run", "sample")
_OF_MAPS = ("seed", "device", "threads", "how")


def is_given(context: typer.Context, option: str) -> bool:
    """Whether an option was typed on the command line."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def check_options_of_images(context: typer.Context) -> None:
    """Raise WorkspaceError for an option that has no effect unless a comparison is explained."""
    for option in _OF_COMPARISONS:
        if is_given(context, option):
            raise WorkspaceError(
                f"--{option} has an effect only on the faces of a comparison. Leave it out, or explain a"
                " comparison, without naming a model and images: featurekit explain --average"
            )


def check_options_of_comparison(context: typer.Context, how: str, sample: int) -> None:
    """Raise WorkspaceError for an option that has no effect on the means of a comparison."""
    if is_given(context, "faces"):
        raise WorkspaceError(
            "--faces has no effect without images: the faces are those that were extracted. Leave it out."
        )
    if how not in ("auto", "occlusion"):
        raise WorkspaceError(f"--how {how} has no effect without images: these maps are made by occlusion.")
    for option in _OF_MAPS:
        if sample == 0 and is_given(context, option):
            raise WorkspaceError(
                f"--{option} has no effect with --sample 0, which makes no maps. Leave it out."
            )


def average_comparison(
    context: typer.Context,
    name: str | None,
    targets: Sequence[str] | None,
    run: str | None,
    output: Path | None,
    options: dict[str, Any],
) -> None:
    """Write the mean faces and mean maps of a comparison, and print what they are.

    Args:
        context: the context of the command.
        name: name of the comparison; None for the one that is named after the data set.
        targets: the targets; None for all.
        run: name of a model or run; None for the best trained model of each target.
        output: folder to write to; None for average/ in the folder of the comparison.
        options: further arguments of results.average.save().
    """
    results = fk.load_results(comparison_of_command(context, name))
    try:
        made = results.average.save(targets or None, model=run, folder=output, **options)
    except Stopped as stopped:
        stopped.remark = "the same command starts again; files that were complete are kept"
        raise
    _print(made)


def _print(made: "Sequence[Average]") -> None:
    """List the written files, and name the cells without a mean."""
    rows = []
    for one in made:
        n_cells = len(one.faces.cells)
        n_faces = sum(cell.n_faces for cell in one.faces.cells if not cell.left_out)
        drawn = {"faces": len(one.faces.faces), "maps": len(one.maps.maps) if one.maps else 0}
        for file in (file for file in one.files if file.suffix == ".png"):
            used = one.maps.n_faces if one.maps and file.stem == "maps" else n_faces
            rows.append(
                [
                    one.faces.run.target,
                    one.faces.run.name,
                    Cell(drawn[file.stem], f"{drawn[file.stem]} of {n_cells}"),
                    used,
                    as_cell(str(file)),
                ]
            )
    print_table(["target", "model", "cells", "faces", "file"], rows)
    for one in made:
        target = one.faces.run.target
        if left_out := one.faces.of.left_out:
            typer.echo(f"{target}: no mean of {left_out}")
        if one.maps and one.maps.not_drawn:
            typer.echo(f"{target}: no map of {one.maps.not_drawn}")
        if one.faces.of.note:
            typer.echo(f"{target}: {one.faces.of.note}")
        if one.no_maps:
            print_message(f"warning: {target} has no maps: {one.no_maps}")
    typer.echo(
        "Each image is the mean of the faces of at least ten subjects: of a cell with the same true and"
        " predicted class, or the same age band and error. Cells with fewer are left out. The predictions are"
        " out of fold. Beside each sheet is a CSV file with its numbers. The images are not in the report."
    )
    if any(one.maps for one in made):
        typer.echo(
            "The maps show how much the prediction of the saved model changes if a part of the face is"
            " covered, on average over the drawn faces."
        )
