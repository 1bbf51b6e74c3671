"""Read a data set, whatever its layout, into a manifest (the table of its faces)."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.checked import checked
from featurekit.data.cells import USUAL, Missing
from featurekit.data.cleaning import clean
from featurekit.data.datasets import DATASETS, RawRows
from featurekit.data.datasets._tables import FRAME
from featurekit.data.datasets.table import rows_of_frame
from featurekit.data.manifest import REASONS, Manifest
from featurekit.data.marks import numbered_marks, with_marks
from featurekit.errors import ManifestError
from featurekit.progress import Progress
from featurekit.registry import unknown
from featurekit.urls import UrlPath, place_of


@checked()
def prepare(
    name: str,
    path: Path,
    *,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
    missing: str | Sequence[str] | None = None,
    marks: Path | None = None,
    **options: Any,
) -> Manifest:
    """Read a data set and decide for every row whether it is usable.

    Args:
        name: name of the data set.
        path: folder of the data set, or the file if name is "table"; it may be in a bucket.
        content_of: function that returns the sha256 of a file in hexadecimal, or raises OSError, for example
            one with a cache; content_of() of featurekit.files if None.
        progress: called with (files read, files to read).
        missing: words for a missing value in any column, as a sequence or separated by commas. They replace
            the default words ("nan", "N/A", "unknown", "?", "-", "none", ...). Words with + or - in front are
            added to the default words or removed from them. If missing is "", only empty cells are missing
            values.
        marks: table of marks that exclude rows or replace labels; see featurekit.data.marks.
        options: options of the data set; see DatasetReader.options.

    Raises:
        UnknownNameError: there is no data set of this name.
        ManifestError: the path does not contain this data set, an option is wrong, the marks cannot be read,
            or no row is usable.
    """
    chosen = DATASETS[name]
    if strange := [option for option in options if option not in chosen.options]:
        raise ManifestError(unknown(f"option of {name}", strange[0], list(chosen.options)))
    place = place_of(path)
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    path = place if isinstance(place, UrlPath) else Path(os.path.realpath(place))
    words = USUAL if missing is None else Missing.of(missing)
    offered = {"progress": progress, "missing": words}
    raw = chosen.read(
        path, **options, **{name: value for name, value in offered.items() if name in chosen.parameters}
    )
    given = options if missing is None else {**options, "missing": missing}
    facts = {"dataset": name, "path": str(path), "options": given, "licence": chosen.licence}
    if marks is not None:
        has_columns = "labels" in chosen.options
        raw = with_marks(raw, numbered_marks(marks), marks, missing=words, has_columns=has_columns)
    return _judged(raw, facts, str(path), words, content_of, progress)


def prepare_frame(
    frame: pd.DataFrame,
    *,
    name: str,
    columns: Mapping[str, str],
    labels: Sequence[str] = (),
    root: Path,
    box: str = "corners",
    missing: str | Sequence[str] | None = None,
    licence: str = "as the images' owner says",
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Read a DataFrame, as prepare() reads a table, and decide for every row whether it is usable.

    Args:
        frame: table with one row for each face.
        name: name of the data set.
        columns: column of the manifest → column of the frame.
        labels: further columns of the frame to use as labels.
        root: folder that the image paths are relative to.
        box: "corners" (x1, y1, x2, y2) or "xywh" (x, y, width, height).
        missing: words for a missing value; see prepare().
        licence: what the owner of the images allows.
        content_of: function that returns the sha256 of a file in hexadecimal, or raises OSError.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: a column is missing or its cells cannot be read, or no row is usable.
    """
    words = USUAL if missing is None else Missing.of(missing)
    root = root if isinstance(root, UrlPath) else Path(os.path.realpath(root))
    raw = rows_of_frame(frame, columns=columns, root=root, labels=labels, box=box, missing=words)
    shared = {"columns": columns, "labels": labels, "box": box}
    given = shared if missing is None else {**shared, "missing": missing}
    facts = {"dataset": name, "path": str(root), "options": given, "licence": licence}
    return _judged(raw, facts, str(FRAME), words, content_of, progress)


def _judged(
    raw: RawRows,
    facts: Mapping[str, Any],
    what: str,
    words: Missing,
    content_of: Callable[[Path], str] | None,
    progress: Progress | None,
) -> Manifest:
    """Return the manifest of some rows.

    Args:
        raw: the rows.
        facts: name, path, options and licence of the data set.
        what: name of the data set in messages.
        words: which cells mean "not known".
        content_of: returns the sha256 of a file's bytes, or raises OSError; None for that of
            featurekit.files.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: not one row is usable.
    """
    manifest = clean(raw, missing=words, content_of=content_of, progress=progress)
    # As manifest.json holds them.
    options = json.loads(json.dumps(facts["options"], default=str))
    info = {**facts, "options": options, "synthetic": False, **manifest.info}
    if not manifest.usable.any():
        counted = manifest.table["reason"].value_counts()
        worst = str(counted.index[0])
        example = manifest.table["image_path"][manifest.table["reason"] == worst].iloc[0]
        said = (
            f"None of the {len(manifest)} rows of {what} can be used. Most frequent reason"
            f" ({counted.iloc[0]} rows): {REASONS[worst]} (first: '{example}' below {manifest.root})."
        )
        raise ManifestError(" ".join([said, *manifest.info.get("notes", ())]))
    return Manifest(manifest.table, manifest.root, info)
