"""Read a data set of any layout into a manifest."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.cells import USUAL, Missing
from featurekit.data.cleaning import clean
from featurekit.data.datasets import DATASETS, RawRows
from featurekit.data.datasets._tables import FRAME
from featurekit.data.datasets.table import rows_of_frame
from featurekit.data.manifest import REASONS, Manifest
from featurekit.errors import ManifestError
from featurekit.files import sha256_of_file
from featurekit.progress import Progress
from featurekit.registry import unknown


def prepare(
    name: str,
    path: Path,
    *,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
    missing: str | Sequence[str] | None = None,
    **options: Any,
) -> Manifest:
    """Read a data set and decide for every row whether it is usable.

    Args:
        name: name of the data set.
        path: where it is: a folder, or a file for "table".
        content_of: returns the sha256 of a file's bytes in hexadecimal, or raises OSError; sha256_of_file()
            if None. A cache of hashes can be passed here.
        progress: called with (files read, files to read).
        missing: words that mean "not known" in any column, in a sequence or separated by commas, instead
            of the usual ones ("nan", "N/A", "unknown", "?", "-", "none", ...). With + or - before each word,
            they are added to the usual ones or removed from them. With "", only an empty cell is missing.
        options: options of the data set; see DatasetReader.options.

    Raises:
        UnknownNameError: there is no data set of this name.
        ManifestError: the data set is not there, has another layout, an option is wrong, or not one row
            is usable.
    """
    chosen = DATASETS[name]
    if strange := [option for option in options if option not in chosen.options]:
        raise ManifestError(unknown(f"option of {name}", strange[0], list(chosen.options)))
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    path = Path(os.path.realpath(path))
    words = USUAL if missing is None else Missing.of(missing)
    offered = {"progress": progress, "missing": words}
    wanted = {name: value for name, value in offered.items() if name in chosen.parameters}
    raw = chosen.read(path, **options, **wanted)
    given = options if missing is None else {**options, "missing": missing}
    facts = {"dataset": name, "path": str(path), "options": given, "licence": chosen.licence}
    return _judged(raw, facts, str(path), words, content_of or sha256_of_file, progress)


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
        frame: one row for each face.
        name: name of the data set.
        columns: column of the manifest → column of the frame.
        labels: further columns to keep as labels.
        root: folder that the paths are relative to.
        box: "corners" or "xywh".
        missing: words that mean "not known"; see prepare().
        licence: what the owner of the images allows.
        content_of: returns the sha256 of a file's bytes in hexadecimal, or raises OSError.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: a column is not there or holds something else, or not one row is usable.
    """
    words = USUAL if missing is None else Missing.of(missing)
    root = Path(os.path.realpath(root))
    raw = rows_of_frame(frame, columns=columns, root=root, labels=labels, box=box, missing=words)
    shared = {"columns": columns, "labels": labels, "box": box}
    given = shared if missing is None else {**shared, "missing": missing}
    facts = {"dataset": name, "path": str(root), "options": given, "licence": licence}
    return _judged(raw, facts, str(FRAME), words, content_of or sha256_of_file, progress)


def _judged(
    raw: RawRows,
    facts: Mapping[str, Any],
    what: str,
    words: Missing,
    content_of: Callable[[Path], str],
    progress: Progress | None,
) -> Manifest:
    """Return the manifest of some rows.

    Args:
        raw: the rows.
        facts: name, path, options and licence of the data set.
        what: name of the data set in messages.
        words: which cells mean "not known".
        content_of: returns the sha256 of a file's bytes, or raises OSError.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: not one row is usable.
    """
    manifest = clean(raw, missing=words, content_of=content_of, progress=progress)
    info = {**facts, "options": _plain(facts["options"]), "synthetic": False, **manifest.info}
    if not manifest.usable.any():
        counted = manifest.table["reason"].value_counts()
        worst = str(counted.index[0])
        example = manifest.table["image_path"][manifest.table["reason"] == worst].iloc[0]
        said = (
            f"None of the {len(manifest)} rows of {what} can be used. For {counted.iloc[0]} of them"
            f" {REASONS[worst]} (first: '{example}' below {manifest.root})."
        )
        raise ManifestError(" ".join([said, *manifest.info.get("notes", ())]))
    return Manifest(manifest.table, manifest.root, info)


def _plain(value: Any) -> Any:
    """Return the value of an option in a form that JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
