"""featurekit predict: predict the labels of faces in new images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit.api.telling import note, shown
from featurekit.cli._options import (
    Device,
    Photographs,
    Precision,
    Threads,
    WhichFaces,
    load_model,
    look_up_inputs,
)
from featurekit.cli._output import as_cell, end_with, print_table
from featurekit.cli._signals import Stopped
from featurekit.cli._workspace import project_of_command
from featurekit.errors import FeaturekitError, WorkspaceError
from featurekit.text import one_line

if TYPE_CHECKING:
    from pandas import DataFrame

    from featurekit.inference.model import TrainedModel
    from featurekit.inference.table import Collected

ModelFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        "-m",
        help="Folder of a saved model below models/; can be given several times, or named among the images."
        " Default: the off-the-shelf models. (To `featurekit fit`, --model is the name of a model to fit.)",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="File to write the predictions to: .csv, .tsv, .json, .jsonl or .parquet."
    ),
]
Draw = Annotated[
    Path | None,
    typer.Option(help="Folder for copies of the images with the boxes and the predictions drawn on them."),
]
SamplePortrait = Annotated[
    bool,
    typer.Option("--sample-portrait", help="Also predict the public-domain portrait in scikit-image."),
]
AbstainAbove = Annotated[
    float | None,
    typer.Option(
        help="Abstain from uncertain predictions: the largest share of wrong predictions that you accept,"
        " for example 0.05. The table has the word 'abstained' for faces whose prediction is too uncertain.",
        min=0.0,
        max=1.0,
    ),
]
Sets = Annotated[
    bool,
    typer.Option(
        "--sets",
        help="Also give prediction sets (classes) or prediction intervals (years), which contain the true"
        " value for 90 % of faces like those of the training data.",
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option("--probabilities", help="Also give the probability of every class, one column per class."),
]


def predict(
    context: typer.Context,
    inputs: Photographs = None,
    model: ModelFolders = None,
    output: Output = None,
    draw: Draw = None,
    sample_portrait: SamplePortrait = False,
    faces: WhichFaces = "all",
    abstain_above: AbstainAbove = None,
    sets: Sets = False,
    probabilities: Probabilities = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
) -> None:
    r"""Predict the labels of faces in new images.

    Each face in an image becomes one row. If one model predicts a target, its columns are named after the
    target: gender, gender_probability. If several models do, the columns of each are named after its folder,
    and the command prints which column is of which model.

    An image that is named twice is read once. If the command is stopped early, the rows of the images that
    were read are in OUTPUT.partial. In a file name that is not valid UTF-8, each invalid byte is written as
    \xff, and a backslash before such digits is doubled; featurekit.text.name_as_it_was returns the original
    name.

    Examples:
      featurekit predict photo.jpg holiday/ --model models/gender--dlib_age--svm --output out.csv
      featurekit predict photo.jpg --model models/age_group--dlib_age--svm --sets --abstain-above 0.1
      featurekit predict photos/ models/gender--* --probabilities --output out.parquet
    """
    from featurekit.inference.draw import check_drawings, draw_readings
    from featurekit.inference.table import Collected, check_output, legend

    if output:
        check_output(output)
    named = [project_of_command(context).folder.model(folder) for folder in model or []]
    paths, folders = _named(inputs, named, sample_portrait)
    if draw:
        check_drawings(draw, paths, "--draw")
    models = _models(folders, sets, abstain_above, probabilities)
    collected = Collected(models, len(paths), output, sets=sets, probabilities=probabilities)
    how = {"choose": faces, "device": device, "precision": precision, "threads": threads}
    table = _read(paths, models, collected, output, risk=abstain_above, **how)
    _print_readings(table)
    for column, meaning in legend(models, probabilities=probabilities):
        typer.echo(one_line(f"column {column}: {meaning}"))
    if output:
        typer.echo(one_line(f"Wrote {output}"))
    if draw:
        for picture in draw_readings(collected.readings, models, draw):
            typer.echo(one_line(f"Drew {picture}"))
    end_with([(one.photograph.name, one.message) for one in collected.readings if one.face.status != "ok"])


def _named(
    inputs: list[Path] | None, models: list[Path], sample_portrait: bool
) -> tuple[list[Path], list[Path]]:
    """Return the paths of the images to read, and the folders of the models to use."""
    asked = look_up_inputs(inputs or [])
    paths = [*asked.photographs, *([_sample_portrait()] if sample_portrait else [])]
    if not paths:
        raise WorkspaceError("No images are given. Example: featurekit predict photo.jpg FOLDER/")
    return paths, [*models, *asked.models]


def _sample_portrait() -> Path:
    import skimage.data

    return Path(skimage.data.__file__).parent / "astronaut.png"


def _models(
    folders: Sequence[Path], sets: bool, abstain_above: float | None, probabilities: bool
) -> "list[TrainedModel]":
    """Load the given models, else the off-the-shelf ones, and note which options do not apply to some."""
    from featurekit.evaluation.unused_options import unused_of_predict
    from featurekit.inference.model import off_the_shelf_models

    models = [
        load_model(folder, "featurekit predict IMAGE --model {}") for folder in folders
    ] or off_the_shelf_models()
    for text in unused_of_predict(
        models, sets=sets, abstain_above=abstain_above, probabilities=probabilities
    ):
        note(text)
    return models


def _read(
    paths: Sequence[Path],
    models: "Sequence[TrainedModel]",
    collected: "Collected",
    output: Path | None,
    **how: Any,
) -> "DataFrame":
    """Collect the predictions under a progress bar, and return and write the table of them.

    If reading ends early, the predictions until then are written or printed, and their number is printed.

    Args:
        paths: image files.
        models: the models that predict.
        collected: collects and writes the predictions.
        output: file of the table; None to write no file.
        how: further arguments of read_each().
    """
    from featurekit.inference.predict import read_each

    try:
        with shown(True, "reading", "images") as progress:
            for readings in read_each(paths, models, progress=progress, **how):
                collected.add(readings)
        table = collected.table()
        if output:
            collected.write(table)
        return table
    except BaseException as end:
        said = f"{collected.how_many} were read"
        try:
            kept = collected.keep()
        except FeaturekitError as error:
            said, kept = f"{said}. {error} The predictions are printed here instead", None
        if kept:
            said += f", and their predictions are in {kept}"
        elif collected.n_read:
            _print_readings(collected.table())
        if isinstance(end, Stopped):
            end.remark = f"{said}; the same command reads all images again"
        elif collected.n_read or not isinstance(end, FeaturekitError):
            typer.echo(one_line(said), err=True)
        raise


def _print_readings(table: "DataFrame") -> None:
    print_table(list(table.columns), [[as_cell(value) for value in row] for row in table.to_numpy().tolist()])
