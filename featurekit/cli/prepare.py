"""featurekit prepare: a data set becomes the manifest, and what is wrong with it is said."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit.cli._options import pairs
from featurekit.cli._output import print_table
from featurekit.cli._progress import progress_bar
from featurekit.cli._workspace import project_of_command
from featurekit.errors import ManifestError
from featurekit.text import one_line

if TYPE_CHECKING:
    from featurekit.data.manifest import Manifest

DatasetOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        help="name=value, an option of the data set. All have missing=WORD,WORD: what means 'not known'"
        " in any column, instead of nan, N/A, unknown, none, ?, - and the like; missing=+WORD adds one to"
        " those, missing=-WORD takes one from them, missing= leaves only empty cells missing.",
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        help="For table: manifest column=column of the table, e.g. age=years; age= for none. It wins over"
        " a column that is called so."
    ),
]
Root = Annotated[Path | None, typer.Option(help="For table: folder that its paths are relative to.")]


def prepare(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="adience, utkface, image_folder, table, synthetic.")],
    path: Annotated[Path, typer.Argument(help="Where the data set lies.")],
    option: DatasetOptions = None,
    column: Column = None,
    root: Root = None,
) -> None:
    """Read a data set into manifest.csv and say what is wrong with it.

    A cell that cannot be read is missing, with a warning that names it; its row keeps its other labels.
    Labels that differ only by case, spaces or Unicode form are one label. A label column whose name no
    file or no table of featurekit can have gets another, which is printed and kept in manifest.json:
    signs other than letters, digits, spaces and _ . - become _, a name of more than 60 bytes is cut,
    _label follows the name of a column of featurekit's own (reason, face, photograph, ...).

    Examples:
      featurekit prepare utkface ~/data/UTKFace
      featurekit prepare adience ~/data/adience -o protocol=repaired
      featurekit prepare table people.csv --column image_path=file --column age=years --root photos
      featurekit prepare table people.csv -o labels=beard,hair -o missing=-none -o box=xywh
    """
    from featurekit.api.data import load_dataset

    project = project_of_command(context)
    options = _options(dataset, option, column, root)
    with progress_bar("reading") as progress:
        data = load_dataset(dataset, path, project=project, progress=progress, **options)
    _print_tally(data)
    written = project.folder.manifest
    typer.echo(f"Wrote {written} and, with the tally, {written.with_suffix('.json')}")


def _options(
    dataset: str, option: list[str] | None, column: list[str] | None, root: Path | None
) -> dict[str, Any]:
    """Return the options of a data set, and refuse those that it does not have."""
    from featurekit.data.datasets import DATASETS

    options = pairs(option, "--option")
    for given, name, flag in ((column, "columns", "--column"), (root, "root", "--root")):
        if given and name not in DATASETS[dataset].options:
            raise ManifestError(
                f"{flag} has no effect on {dataset}: it is for tables. Leave it out, or read a table:"
                " featurekit prepare table FILE --column image_path=COLUMN --root FOLDER."
            )
    if column:
        options["columns"] = pairs(column, "--column")
    if root:
        options["root"] = root
    return options


def _print_tally(manifest: "Manifest") -> None:
    from featurekit.data.manifest import REASONS

    tally = manifest.info.get("tally", {})
    rows = [
        [what.replace("_", " ") if what in REASONS else one_line(str(what)), f"{n:,}"]
        for what, n in tally.items()
    ]
    print_table(["what", "rows"], rows)
