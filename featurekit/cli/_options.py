"""Options that several commands have, and how options of the form name=value are read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from featurekit.errors import ManifestError
from featurekit.project import ProjectFolder

LARGEST_SEED = 2**32 - 1  # that scikit-learn takes

Device = Annotated[
    str,
    typer.Option(
        help="Device to compute on: auto, cpu or cuda. With cuda, a GPU that cannot be used is an error."
    ),
]
Precision = Annotated[str, typer.Option(help="Precision of the networks: auto, fp32 or bf16.")]
Threads = Annotated[
    int, typer.Option(help="Number of threads; 0 means one per core. The results do not depend on it.", min=0)
]
Photographs = Annotated[list[Path] | None, typer.Argument(help="Image files, and folders of image files.")]
WhichFaces = Annotated[
    str, typer.Option(help="Which faces of an image are read: all, only the most central, or the largest.")
]


def _name_of_comparison(name: str | None) -> str | None:
    """Raise WorkspaceError for a name that no comparison can have, also for an empty one."""
    return name if name is None else ProjectFolder(Path()).report(name).name


ComparisonName = Annotated[
    str | None,
    typer.Option(
        help="Name of the comparison. Default: the name of the data set.", callback=_name_of_comparison
    ),
]


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Turn texts of the form name=value into a dictionary."""
    found: dict[str, Any] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign:
            raise ManifestError(f"{option} must have the form name=value. Got '{text}' instead.")
        if name in found:
            raise ManifestError(
                f"{option} {name}= is given twice: '{found[name]}' and '{value}'. Give it once."
            )
        found[name] = value
    return found


def as_value(text: str) -> Any:
    """Return the number, true or false that a text stands for, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
