"""featurekit predict: predict the labels of faces in new images."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurekit as fk
from featurekit.api.telling import note, shown
from featurekit.cli._options import (
    Address,
    Device,
    ExecutorName,
    GpusPerWorker,
    Json,
    Photographs,
    Precision,
    Profile,
    Threads,
    WhichFaces,
    Workers,
    executor_of,
    load_model,
    look_up_inputs,
)
from featurekit.cli._output import (
    as_cell,
    end_with,
    print_further_table,
    print_message,
    print_profile,
    print_table,
)
from featurekit.cli._signals import Stopped
from featurekit.cli._workspace import next_command, project_of_command
from featurekit.errors import FeaturekitError, WorkspaceError
from featurekit.text import counted, one_line
from featurekit.urls import place_of

if TYPE_CHECKING:
    from collections import Counter

    from pandas import DataFrame

    from featurekit.api.project import Project
    from featurekit.embeddings.executors.ray import RayExecutor
    from featurekit.inference.model import TrainedModel
    from featurekit.inference.predict import Predictor
    from featurekit.inference.table import Collected

_NAMED = 20  # files whose names are printed
_STATUSES = ("status", "rows", "meaning")

Listing = Annotated[
    Path | None,
    typer.Option(
        help="File that lists further images: a text file with one path or URL in each line, or a"
        " manifest.csv."
    ),
]
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
        "--output",
        "-o",
        help="File to write the predictions to: .csv, .tsv, .json, .jsonl or .parquet. It may be the URL of a"
        " file in a bucket, such as s3://bucket/ages.csv.",
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


NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Neither use nor change the cache of the workspace, so that nothing about the images is stored.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="End with exit code 1 if an image has no face that can be used.")
]


def predict(
    context: typer.Context,
    inputs: Photographs = None,
    listing: Listing = None,
    model: ModelFolders = None,
    output: Output = None,
    draw: Draw = None,
    sample_portrait: SamplePortrait = False,
    faces: WhichFaces = "all",
    abstain_above: AbstainAbove = None,
    sets: Sets = False,
    probabilities: Probabilities = False,
    strict: Strict = False,
    no_cache: NoCache = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
    executor: ExecutorName = "local",
    address: Address = None,
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    profile: Profile = False,
    json: Json = False,
) -> None:
    r"""Predict the labels of faces in new images.

    Each face in an image becomes one row. If one model predicts a target, its columns are named after the
    target: gender, gender_probability. If several models do, the columns of each are named after its folder,
    and the command prints which column is of which model.

    In a workspace with a data set, the faces and vectors of the images are kept in its cache. An image that
    is named twice is read once. The rows are written to OUTPUT.partial while images are read; if the command
    is stopped early, they stay there. An image without a face is a row with its status, and the exit code is
    0 if another image has one; an image that cannot be read makes it 1. In a file name that is not valid
    UTF-8, each invalid byte is written as \xff, and a backslash before such digits is doubled;
    featurekit.text.name_as_it_was returns the original name.

    With --executor ray, OUTPUT is a folder of Parquet files, the parts of the table: each is whole or absent,
    and the same command writes those that are absent.

    Examples:
      featurekit predict photo.jpg holiday/ --model models/gender--dlib_age--svm --output out.csv
      featurekit predict photo.jpg --model models/age_group--dlib_age--svm --sets --abstain-above 0.1
      featurekit predict photos/ models/gender--* --probabilities --output out.parquet
      featurekit predict photos/ --executor ray --address local --output predictions/
      featurekit predict s3://bucket/photos --output s3://bucket/ages.parquet
    """
    project, where = project_of_command(context), executor_of(executor, address, workers, gpus_per_worker)
    output = place_of(output) if output else None
    models = [project.folder.model(one) for one in model or []]
    paths, folders = _named(inputs, listing, models, sample_portrait)
    if not folders:
        note(_who_predicts(context))
    how: dict[str, Any] = {"abstain_above": abstain_above, "sets": sets, "probabilities": probabilities}
    how |= {"choose": faces, "device": device, "precision": precision}
    here = {"--draw": draw, "--no-cache": no_cache, "--threads": threads, "--profile": profile}
    if where == "local":
        _predict_here(project, paths, folders, output, strict=strict, how=how, here=here)
    else:
        _predict_in_parts(paths, folders, output, where, strict=strict, how=how, here=here)


def _predict_here(
    project: "Project",
    paths: list[Path],
    folders: list[Path],
    output: Path | None,
    *,
    strict: bool,
    how: dict[str, Any],
    here: dict[str, Any],
) -> None:
    """Predict on this machine, and print and write the table.

    Args:
        project: the project, whose cache is used.
        paths: the images.
        folders: folders of the models; empty for the off-the-shelf models.
        output: file for the table.
        strict: whether an image without a face is an error.
        how: options of the predictions.
        here: options that only this machine has.
    """
    from featurekit.api.model import cache_for_images
    from featurekit.faces.photographs import as_photograph
    from featurekit.inference.draw import check_drawings
    from featurekit.inference.predict import Predictor
    from featurekit.inference.table import Collected, check_output

    how, draw, no_cache = dict(how), here["--draw"], here["--no-cache"]
    risk, sets, probabilities = (how.pop(name) for name in ("abstain_above", "sets", "probabilities"))
    if output:
        check_output(output)
    if draw:
        check_drawings(draw, paths, "--draw")
    models = _models(folders, sets, risk, probabilities)
    collected = Collected(models, len(paths), output, sets=sets, probabilities=probabilities)
    with cache_for_images(project, cache=not no_cache) as (store, files):
        given = [as_photograph(path) for path in paths]
        how["threads"] = here["--threads"]
        predictor = Predictor(given, models, risk=risk, store=store, files=files, **how)
        drawn = _read(predictor, models, collected, draw)
    _print_results(collected, models, probabilities=probabilities)
    _print_files(output, drawn)
    if here["--profile"]:
        print_profile(predictor.profile())
    _end(collected.statuses, collected.without, strict=strict)


def _predict_in_parts(
    paths: list[Path],
    folders: list[Path],
    output: Path | None,
    executor: "str | RayExecutor",
    *,
    strict: bool,
    how: dict[str, Any],
    here: dict[str, Any],
) -> None:
    """Predict with a cluster, and print how many rows have each status; see _predict_here()."""
    unused = next((name for name, value in here.items() if value), None)
    if unused:
        raise WorkspaceError(f"{unused} has no effect with --executor ray. Leave it out.")
    if output is None:
        raise WorkspaceError("With --executor ray, the table is a folder of parts: --output FOLDER")
    parts = fk.predict_in_parts(paths, output, list(folders) or None, executor=executor, **how)
    print_table(_STATUSES, _rows_of(parts.statuses))
    before = f"; {parts.n_images - parts.n_read:,} were done before" if parts.n_read < parts.n_images else ""
    typer.echo(f"Read {counted(parts.n_read, 'image', 'images')}{before}.")
    wrote, rows = counted(len(parts.paths), "part", "parts"), counted(parts.n_rows, "row", "rows")
    typer.echo(one_line(f"Wrote {wrote} with {rows}: {output}"))
    _end(parts.statuses, parts.without, strict=strict)


def _named(
    inputs: list[Path] | None, listing: Path | None, models: list[Path], sample_portrait: bool
) -> tuple[list[Path], list[Path]]:
    """Return the paths of the images to read, and the folders of the models to use."""
    from featurekit.inference.inputs import listed

    asked = look_up_inputs(inputs or [])
    # A listed image that is not there is a row of the table, as is one that cannot be read.
    paths = list(dict.fromkeys([*asked.photographs, *(listed(listing) if listing else [])]))
    paths += [_sample_portrait()] if sample_portrait else []
    if not paths:
        raise WorkspaceError("No images are given. Example: featurekit predict photo.jpg FOLDER/")
    return paths, [*models, *asked.models]


def _who_predicts(context: typer.Context) -> str:
    """Say which networks predict if no model is given, and how to use a model of one's own."""
    from featurekit.estimators.off_the_shelf import HEADS
    from featurekit.inference.inputs import models_in
    from featurekit.networks.feature_names import backbone_of

    networks = " and ".join(sorted(set(map(backbone_of, HEADS.values()))))
    folder = project_of_command(context).folder.models
    saved = models_in(folder)
    if saved:
        own = f"{f'one of the {len(saved):,} models' if len(saved) > 1 else 'the model'} in {folder}"
    else:
        own = f"a model of your own, fit it with {next_command(context, 'fit')}; then"
    name = saved[0].name if len(saved) == 1 else "NAME"
    command = next_command(context, "predict", "IMAGE", "--model", f"models/{name}")
    return f"No model is given, so the off-the-shelf networks {networks} predict. To use {own}: {command}"


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
    predictor: "Predictor", models: "Sequence[TrainedModel]", collected: "Collected", draw: Path | None
) -> list[Path]:
    """Collect the predictions under a progress bar, and write the table of them; return what was drawn.

    If reading ends early, the predictions until then are written or printed, and their number is printed.

    Args:
        predictor: predicts the labels of each image.
        models: the models that predict.
        collected: collects and writes the predictions.
        draw: folder for drawings; None to draw nothing.
    """
    from featurekit.inference.draw import draw_readings

    drawn: list[Path] = []
    names: set[str] = set()
    try:
        with shown(True, "reading", "images") as progress, closing(predictor.each(progress)) as each:
            for readings in each:
                collected.add(readings)
                if draw:
                    drawn += draw_readings(readings, models, draw, names)
        collected.finish()
        return drawn
    except BaseException as end:
        said = f"{collected.how_many} were read"
        try:
            kept = collected.keep()
        except FeaturekitError as error:
            said, kept = f"{said}. {error} The predictions that were not written are printed here", None
        if kept:
            said += f", and their predictions are in {kept}"
        elif collected.n_read:
            _print_readings(collected.unwritten())
        if isinstance(end, Stopped):
            again = "reads only the others" if predictor.has_store else "reads all images again"
            end.remark = f"{said}; the same command {again}"
        elif collected.n_read or not isinstance(end, FeaturekitError):
            print_message(said)
        raise


def _print_results(collected: "Collected", models: "Sequence[TrainedModel]", *, probabilities: bool) -> None:
    """Print the predictions, what the columns mean, and how many rows have each status unless all are ok."""
    from featurekit.inference.table import legend

    _print_readings(collected.table())
    if left := collected.n_rows - len(collected.first):
        typer.echo(f"… and {counted(left, 'more row', 'more rows')}")
    for column, meaning in legend(models, probabilities=probabilities):
        typer.echo(one_line(f"column {column}: {meaning}"))
    if set(collected.statuses) != {"ok"}:
        print_further_table(_STATUSES, _rows_of(collected.statuses))


def _rows_of(statuses: "Counter[str]") -> list[list[Any]]:
    """Return the rows of a table that counts the rows with each status."""
    from featurekit.faces.face import STATUS_MEANINGS

    return [[name, n, STATUS_MEANINGS[name]] for name, n in statuses.most_common()]


def _print_files(output: Path | None, drawn: Sequence[Path]) -> None:
    """Print the name of the table's file, and of the first drawings."""
    if output:
        typer.echo(one_line(f"Wrote {output}"))
    for picture in drawn[:_NAMED]:
        typer.echo(one_line(f"Drew {picture}"))
    if left := len(drawn) - len(drawn[:_NAMED]):
        typer.echo(one_line(f"Drew {counted(left, 'more image', 'more images')} in {drawn[0].parent}"))


def _end(statuses: "Counter[str]", without: Sequence[tuple[str, str, str]], *, strict: bool) -> None:
    """Print the images whose missing predictions are errors, and end with exit code 1 if there are any."""
    from featurekit.faces.face import NO_FACE

    is_error = strict or not statuses["ok"]
    errors = {name for name in statuses if name != "ok" and (is_error or name not in NO_FACE)}
    end_with(
        [(image, message) for image, status, message in without if status in errors],
        sum(statuses[name] for name in errors),
    )


def _print_readings(table: "DataFrame") -> None:
    rows = [[as_cell(value) for value in row] for row in table.to_numpy().tolist()]
    print_table(list(table.columns), rows)
