"""The images and models that are named on a command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from featurekit.api.telling import SHOWN
from featurekit.errors import WorkspaceError
from featurekit.text import one_line, readable_name

if TYPE_CHECKING:
    from featurekit.inference.inputs import Asked
    from featurekit.inference.model import TrainedModel


def look_up_inputs(inputs: Sequence[Path], *, asks_one: bool = False) -> "Asked":
    """Return the images and models that were named, and print a warning for what is neither or a repetition.

    Args:
        inputs: the names.
        asks_one: whether a model is given already, and only one can be used.
    """
    from featurekit.inference.inputs import look_up

    asked = look_up(inputs)
    for note in asked.left_out:
        typer.echo(one_line(f"warning: {note}"), err=True)
    for folder in asked.models:
        if asks_one:
            raise WorkspaceError(
                f"{folder} is a second model, but only one model can be explained at a time. To explain this"
                f" one: featurekit explain {folder} IMAGE"
            )
        typer.echo(one_line(f"{folder} is a saved model, and is used as with --model {folder}"), err=True)
    if asked.repeated:
        n, first = len(asked.repeated), asked.repeated[0]
        what = f"'{first}' is named twice" if n == 1 else f"{n:,} images are named twice ('{first}', …)"
        typer.echo(one_line(f"warning: {what}; each image is read once"), err=True)
    return asked


def load_models(folders: Sequence[Path]) -> "list[TrainedModel]":
    """Load models; for a folder that contains several, raise an error that says what to type."""
    from featurekit.inference.inputs import as_options, models_in
    from featurekit.inference.model import TrainedModel

    for folder in folders:
        if inside := models_in(folder):
            raise WorkspaceError(
                f"{folder} is not a model, but a folder of {len(inside)} models. Name the models to use:"
                f" {as_options(inside)}"
            )
    return [TrainedModel.load(folder) for folder in folders]


def load_model(folder: Path, command: str) -> "TrainedModel":
    """Load a model; for a folder of several, raise an error with the command to type, {} being the model."""
    from featurekit.inference.inputs import check_is_one
    from featurekit.inference.model import TrainedModel

    check_is_one(folder, command)
    return TrainedModel.load(folder)


def end_with(bad: Sequence[tuple[str, str]]) -> None:
    """Print which images were not read and why, and exit with code 1 if there are any."""
    for photograph, message in bad[:SHOWN]:
        named = message if photograph in message else f"{readable_name(photograph)}: {message}"
        typer.echo(one_line(f"error: {named}"), err=True)
    if len(bad) > SHOWN:
        typer.echo(f"error: … and {len(bad) - SHOWN} more", err=True)
    if bad:
        raise typer.Exit(1)
