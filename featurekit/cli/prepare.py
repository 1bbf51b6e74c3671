"""featurekit prepare: read a data set into the manifest, and report its problems."""

from pathlib import Path
from typing import Annotated, Any

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import Json, pairs
from featurekit.cli._output import print_table
from featurekit.cli._workspace import project_of_command
from featurekit.errors import ManifestError
from featurekit.text import counted, one_line

Root = Annotated[
    str | None,
    typer.Option(
        help="For table: the folder that its image paths are relative to, or the URL of a folder in a"
        " bucket, e.g. s3://bucket/photos."
    ),
]
Marks = Annotated[
    Path | None,
    typer.Option(
        help="Table of marks that featurekit explore has written: the faces that it excludes are not"
        " used, and the labels that it replaces are replaced."
    ),
]
Kind = Annotated[
    str,
    typer.Argument(
        help="Kind of data set: a name of `featurekit list datasets`.", autocompletion=complete.datasets
    ),
]


def prepare(
    context: typer.Context,
    dataset: Kind,
    path: Annotated[Path, typer.Argument(help="Folder, or table, of the data set.")],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            help="An option of the data set, as name=value; can be given several times. Every data set has"
            " the option missing: missing=WORD,WORD replaces the words that mean a missing value (nan, N/A,"
            " unknown, none, ?, - and the like), missing=+WORD adds a word to them, missing=-WORD removes"
            " one, and missing= treats only empty cells as missing.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="For table: column of the manifest = column of the table that it is taken from, for example"
            " age=years; can be given several times. It is used even if the table has a column called age."
            " With age=, no ages are read."
        ),
    ] = None,
    root: Root = None,
    marks: Marks = None,
    json: Json = False,
) -> None:
    """Read a data set into manifest.csv and report its problems.

    A cell that cannot be read is treated as missing, and a warning names it; the other labels of its row
    are used. Labels that differ only by case, spaces or Unicode form are the same label. A label column is
    renamed if its name cannot be used in a file name or is a column name of featurekit (reason, face,
    photograph, ...): characters other than letters, digits, spaces and _ . - become _, a name of more than
    60 bytes is shortened, and _label is added to the name of a featurekit column. The new name is printed
    and stored in manifest.json.

    Examples:
      featurekit prepare utkface ~/data/UTKFace
      featurekit prepare utkface ~/data/UTKFace --marks marks.csv
      featurekit prepare adience ~/data/adience -o protocol=repaired
      featurekit prepare table people.csv --column image_path=file --column age=years --root photos
      featurekit prepare table people.csv --root s3://bucket/photos
      featurekit prepare table faces.csv --root photos -o labels=beard,hair -o missing=-none -o box=xywh
    """
    from featurekit.data.manifest import REASONS

    project = project_of_command(context)
    options = _options(dataset, option, column, root)
    data = fk.load_dataset(dataset, path, project=project, marks=marks, **options)
    rows = [
        [what.replace("_", " ") if what in REASONS else one_line(str(what)), n]
        for what, n in data.info.get("tally", {}).items()
    ]
    print_table(["what", "rows"], rows)
    if marks:
        _print_applied(marks, data.info["marks"])
    written = project.folder.manifest
    typer.echo(f"Wrote {written} and, with the counts above, {written.with_suffix('.json')}")


def _print_applied(marks: Path, applied: dict[str, Any]) -> None:
    faces, labels = (
        counted(applied["excluded"], "face", "faces"),
        counted(applied["replaced"], "label", "labels"),
    )
    typer.echo(one_line(f"Applied the marks of {marks}: {faces} excluded, {labels} replaced."))


def _options(
    dataset: str, option: list[str] | None, column: list[str] | None, root: str | None
) -> dict[str, Any]:
    """Return the options of a data set, and refuse those that it does not have."""
    from featurekit.data.datasets import DATASETS

    options = pairs(option, "--option")
    for given, name, flag in ((column, "columns", "--column"), (root, "root", "--root")):
        if given and name not in DATASETS[dataset].options:
            raise ManifestError(
                f"{flag} has no effect on {dataset}: this option is for tables. Leave it out, or read a"
                " table: featurekit prepare table FILE --column image_path=COLUMN --root FOLDER."
            )
    if column:
        options["columns"] = pairs(column, "--column")
    if root:
        options["root"] = root
    return options
