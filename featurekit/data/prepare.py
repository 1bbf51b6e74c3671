"""Read a data set into a manifest: the one way in, whatever its layout is."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data._content import sha256_of_file
from featurekit.data.cells import USUAL, Missing
from featurekit.data.cleaning import clean
from featurekit.data.datasets import DATASETS, RawRows
from featurekit.data.datasets._tables import FRAME
from featurekit.data.datasets.table import rows_of_frame
from featurekit.data.manifest import REASONS, Manifest
from featurekit.errors import ManifestError
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
    """Read a data set and judge every row of it.

    Args:
        name: of the data set.
        path: where it lies: a folder, or a file for "table".
        content_of: sha256 of a file's bytes in hexadecimal, or OSError; sha256_of_file() unless
            somebody remembers the hashes.
        progress: called with (files read, files to read).
        missing: words that mean "not known" in any column, in a sequence or separated by commas, instead
            of the usual ones ("nan", "N/A", "unknown", "?", "-", "none", ...); with + or - before each,
            words to add to those or to take from them; "" for none: then only an empty cell is missing.
        options: of the data set; see DatasetReader.options.

    Raises:
        UnknownNameError: nobody registered the data set.
        ManifestError: it is not there, is not laid out like that, an option is wrong, or not one row
            of it is usable.
    """
    chosen = DATASETS[name]
    for option in options:
        if option not in chosen.options:
            raise ManifestError(unknown(f"option of {name}", option, list(chosen.options)))
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    path = Path(os.path.realpath(path))
    words = USUAL if missing is None else Missing.of(missing)
    more: dict[str, Any] = {"progress": progress} if chosen.shows_progress else {}
    more |= {"missing": words} if chosen.reads_cells else {}
    raw = chosen.read(path, **options, **more)
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
    """Read a DataFrame, as prepare() reads a table, and judge every row of it.

    Args:
        frame: a row a face.
        name: what the data set is called.
        columns: column of the manifest → column of the frame.
        labels: further columns to keep as labels.
        root: folder that the paths are relative to.
        box: "corners" or "xywh".
        missing: words that mean "not known"; see prepare().
        licence: what the pictures' owner allows.
        content_of: sha256 of a file's bytes in hexadecimal, or OSError.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: a column is not there or holds something else, or not one row is usable.
    """
    words = USUAL if missing is None else Missing.of(missing)
    root = Path(os.path.realpath(root))
    raw = rows_of_frame(frame, columns=columns, root=root, labels=labels, box=box, missing=words)
    given: dict[str, Any] = {"columns": columns, "labels": labels, "box": box}
    given |= {} if missing is None else {"missing": missing}
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
        facts: what is known of the data set: name, path, options and licence.
        what: what messages call it.
        words: which cells say that something is not known.
        content_of: sha256 of a file's bytes.
        progress: called with (files read, files to read).

    Raises:
        ManifestError: not one row is usable.
    """
    manifest = clean(raw, missing=words, content_of=content_of, progress=progress)
    options = {option: _plain(value) for option, value in facts["options"].items()}
    info = {**facts, "options": options, "synthetic": False, **manifest.info}
    if not manifest.usable.any():
        reasons = manifest.table["reason"]
        counted = reasons.value_counts()
        worst = str(counted.index[0])
        example = manifest.table["image_path"][reasons == worst].iloc[0]
        notes = "".join(f" {note}" for note in manifest.info.get("notes", ()))
        raise ManifestError(
            f"None of the {len(manifest)} rows of {what} can be used. For {counted.iloc[0]} of them"
            f" {REASONS[worst]} (first: '{example}' below {manifest.root}).{notes}"
        )
    return Manifest(manifest.table, manifest.root, info)


def _plain(value: Any) -> Any:
    """Return the value of an option as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
