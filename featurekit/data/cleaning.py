"""Decide for every row of a data set whether it is usable, and if not, give the reason.

The function that reads a data set returns the rows as they are. Missing files, impossible ages and duplicates
are found here, in the same way for all data sets.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data._labels import Changes, clean_labels, clean_subjects, notes_of_missing, shortened
from featurekit.data._names import look_alikes, notes_of, notes_of_links, notes_of_misplaced
from featurekit.data.cells import POSSIBLE_AGE, USUAL, BadCell, Missing, impossible_years
from featurekit.data.datasets import RawRows, unique_ids
from featurekit.data.manifest import COLUMNS, REASONS, Manifest, label_names
from featurekit.data.targets import MAX_AGE, age_group_of
from featurekit.errors import ManifestError
from featurekit.files import content_of as content_of_file
from featurekit.files import is_outside, leads_out
from featurekit.progress import Progress
from featurekit.urls import UrlPath

# How many unreadable cells of a column are kept in manifest.json; all are counted.
KEPT_CELLS = 100

# How many files of a bucket are read at once.
_REQUESTS = 16

_PRECEDENCE = {reason: number for number, reason in enumerate((*REASONS, ""))}

# Any other error of the system means that the file exists but cannot be read.
_REASON_OF = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "missing_file"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EILSEQ), "bad_path"),
}


def clean(
    raw: RawRows,
    *,
    missing: Missing = USUAL,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Decide for every row whether it is usable, and if not, give the reason.

    If several reasons apply to a row, it gets the first one in REASONS. An unreadable cell and an impossible
    age are treated as missing values; a row without any other label gets this as its reason. Labels, or
    subjects, that differ only by case, spaces or their form of Unicode are treated as one.

    Rows with the same file content and the same box show the same face. If their labels differ, none of
    these rows is used. Otherwise only the row with the most labels is used (the first of several). All these
    rows get the same subject. If they had several subjects, these subjects are joined into one.

    Args:
        raw: every row of the data set.
        missing: words for a missing value.
        content_of: function that returns the sha256 of a file in hexadecimal, or raises OSError.
        progress: called with (files read, files to read).

    Returns:
        The manifest: the same rows in the same order. Its info["tally"] has the counts of rows by reason and
        other counts, and its info["notes"] has messages for the user.

    Raises:
        ManifestError: there are no rows, or two rows have the same face_id.
    """
    changes = Changes(missing=Counter(raw.missing), bad_cells=list(raw.bad_cells))
    named, labels, called = _with_safe_names(raw)
    table = _with_all_columns(named)
    own = {label: called.get(label, label) for label in labels if label not in COLUMNS}
    for label, column in own.items():
        table[label] = clean_labels(table[label], label, column, missing, changes)
    table["subject_id"] = clean_subjects(
        table["subject_id"], called.get("subject_id", "subject_id"), missing, changes
    )
    reasons = table["reason"].to_numpy(dtype=object)
    notes = [*raw.notes, *_read_contents(table, raw.root, content_of or content_of_file, progress, reasons)]
    is_known = _check_labels(table, labels, called.get("age", "age"), changes, reasons)
    images = _check_identical(table, is_known, reasons)
    notes += _notes_of_conflicts(table["image_path"][images["is_conflicting"]])
    table["reason"] = reasons.astype(str)
    joined = _join_subjects(table["subject_id"], table["face_id"], images["number"])
    n_joined = int(((table["subject_id"] != "") & (table["subject_id"] != joined)).sum())
    table["subject_id"] = joined
    tally = _tally(Manifest(table, raw.root), images, n_joined) | dict(raw.counts) | changes.tally()
    info = {**raw.info, "tally": tally, "missing_words": sorted(missing.words)}
    reported = _reported(changes, own, missing, notes, table["face_id"])
    return Manifest(table, raw.root, info | {what: value for what, value in reported.items() if value})


def _add_reason(reasons: NDArray[Any], rows: NDArray[np.bool_], reason: str) -> None:
    """Give rows a reason, unless they have one that comes before it in REASONS."""
    for row in np.flatnonzero(rows):
        reasons[row] = min(reasons[row], reason, key=_PRECEDENCE.__getitem__)


def _read_contents(
    table: pd.DataFrame,
    root: Path,
    content_of: Callable[[Path], str],
    progress: Progress | None,
    reasons: NDArray[Any],
) -> list[str]:
    """Fill in the content of each row's file, give rows without one a reason, and return notes for the user.

    Args:
        table: the rows. A path in another form of Unicode than the name of its file is changed to that name.
        root: folder that the paths are relative to.
        content_of: returns the sha256 of a file's bytes in hexadecimal, or raises OSError.
        progress: called with (files read, files to read).
        reasons: reasons of the rows, "" for none; changed in place.
    """
    contents, found = _read_files(table["image_path"], root, content_of, progress)
    is_missing = found == "missing_file"
    same, others = dict[str, str](), dict[str, str]()
    if not isinstance(root, UrlPath):
        same, others = look_alikes(table["image_path"][is_missing], root)
    if same:
        renamed = is_missing & table["image_path"].isin(same).to_numpy(bool)
        table.loc[renamed, "image_path"] = table["image_path"][renamed].map(same)
        contents[renamed], found[renamed] = _read_files(table["image_path"][renamed], root, content_of, None)
    table["content"] = contents
    for reason in sorted(set(found) - {""}):
        _add_reason(reasons, found == reason, reason)
    is_misplaced = np.isin(found, ["missing_file", "outside_root"])
    notes = notes_of(same, others)
    if not isinstance(root, UrlPath):
        notes += notes_of_misplaced(table["image_path"][is_misplaced], root)
        notes += notes_of_links(table["image_path"][found == "outside_root"], root)
    return notes


def _check_identical(
    table: pd.DataFrame, is_known: Mapping[str, "pd.Series[bool]"], reasons: NDArray[Any]
) -> pd.DataFrame:
    """Give a reason to rows of an image that contradict each other, and to all but one of those that agree.

    Args:
        table: the rows, with the content of their files.
        is_known: label → which rows have it.
        reasons: reasons of the rows, "" for none; changed in place.

    Returns:
        A table with one row for each row and the columns number (of its image, -1 where it has none),
        is_alike (whether it could be used and shares its image with another such row) and is_conflicting
        (whether its labels differ from those of another row of its image).
    """
    # The same file with another box is another face.
    has_content = (table["content"] != "").to_numpy(bool)
    number = pd.Series(-1, index=table.index)
    number[has_content] = pd.factorize(table["content"][has_content] + " " + table["box"][has_content])[0]
    alike = number[(reasons == "") & has_content]
    alike = alike[alike.duplicated(keep=False)]
    known = {label: table[label].where(has_label) for label, has_label in is_known.items()}
    labels = pd.DataFrame(known, index=table.index).loc[alike.index]
    conflicting = (labels.groupby(alike).transform("nunique") > 1).any(axis=1)
    reasons[alike.index[conflicting]] = "conflicting_labels"
    n_known = labels[~conflicting].notna().sum(axis=1)
    best_first = alike.loc[n_known.sort_values(ascending=False, kind="stable").index]
    reasons[best_first.index[best_first.duplicated()]] = "duplicate"
    return pd.DataFrame(
        {
            "number": number,
            "is_alike": number.index.isin(alike.index),
            "is_conflicting": number.index.isin(alike.index[conflicting]),
        }
    )


def _tally(manifest: Manifest, images: pd.DataFrame, n_joined: int) -> dict[str, int]:
    """Return what was counted, description → rows; images: what _check_identical() returned."""
    table, number = manifest.table, images["number"]
    return {
        "rows": len(table),
        "usable": int(manifest.usable.sum()),
        "subjects": len(set(manifest.subjects[manifest.usable])),
        **{reason: n for reason in REASONS if (n := int((table["reason"] == reason).sum()))},
        "ages between the age groups": int(
            (table["age"].between(0, MAX_AGE) & (table["age_group"] == "")).sum()
        ),
        "groups of identical files": number[images["is_alike"]].nunique(),
        "groups of identical files with conflicting labels": number[images["is_conflicting"]].nunique(),
        "rows whose subject was joined with another": n_joined,
    }


def _reported(
    changes: Changes,
    own: Mapping[str, str],
    missing: Missing,
    notes: Sequence[str],
    face_ids: "pd.Series[str]",
) -> dict[str, Any]:
    """Return the changes as manifest.json holds them, and all notes for the user.

    Args:
        changes: what was changed.
        own: the data set's own labels → their columns.
        missing: which cells mean "not known".
        notes: further notes.
        face_ids: ids of the rows.
    """
    renamed = {label: column for label, column in own.items() if label != column}
    return {
        "label_names": renamed,
        "respelled_labels": changes.respelled,
        "n_bad_cells": len(changes.bad_cells),
        "bad_cells": _some_of_each_column(changes.bad_cells, face_ids),
        "notes": [
            *notes,
            *(
                f"The label column '{column}' was renamed to '{label}', because featurekit cannot use the old"
                f" name for files or tables. Next: featurekit fit --target '{label}'"
                for label, column in renamed.items()
            ),
            *notes_of_missing(changes.missing, list(own.values()), missing),
            *changes.notes,
        ],
    }


def _check_labels(
    table: pd.DataFrame, labels: Sequence[str], age_column: str, changes: Changes, reasons: NDArray[Any]
) -> dict[str, "pd.Series[bool]"]:
    """Remove impossible ages from the table, and return which rows have each label.

    A row without any label gets the reason why it has none.

    Args:
        table: the rows, with every column of a manifest.
        labels: the columns that can be learned from.
        age_column: name of the column of ages in the data set.
        changes: impossible ages are added to its bad cells.
        reasons: reasons of the rows, "" for none; changed in place.
    """
    age = table["age"].copy()
    impossible = age.notna() & ~age.between(0, MAX_AGE)
    # An age group that was made from such an age is removed too; one that the data set itself gives stays.
    table.loc[impossible & (table["age_group"] == age.map(cache(age_group_of))), "age_group"] = ""
    is_known = {
        label: age.between(0, MAX_AGE) if label == "age" else table[label].notna() & (table[label] != "")
        for label in labels
    }
    has_none = ~pd.DataFrame(is_known, index=table.index).any(axis=1).to_numpy(bool)
    unreadable = np.isin(table.index, [cell.row for cell in changes.bad_cells if cell.target in labels])
    _add_reason(reasons, has_none & unreadable, "bad_value")
    _add_reason(reasons, has_none & np.asarray(impossible), "impossible_age")
    _add_reason(reasons, has_none, "no_label")
    # If a row has no other label, its impossible age stays in the table, because it is the row's reason.
    table.loc[impossible & ~has_none, "age"] = np.nan
    changes.bad_cells += [
        BadCell(int(row), age_column, POSSIBLE_AGE, f"{age[row]:g}", impossible_years(age[row]))
        for row in np.flatnonzero(impossible)
    ]
    return is_known


def _with_safe_names(raw: RawRows) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, str]]:
    """Return the rows and the labels with safe names, and column → its name in the data set."""
    safe = label_names(str(column) for column in raw.table.columns if column not in COLUMNS)
    table = raw.table.rename(columns=safe)
    called = {safe.get(column, column): name for column, name in raw.called.items()}
    called |= {new: old for old, new in safe.items() if new != old and new not in called}
    return table, tuple(safe.get(label, label) for label in raw.labels), called


def _notes_of_conflicts(paths: "pd.Series[str]") -> list[str]:
    """Return a note if several rows with different labels name the same file.

    Args:
        paths: paths of the rows that contradict others.
    """
    again = paths[paths.duplicated(keep=False)]
    if not len(again):
        return []
    first = [str(row + 1) for row in again.index[again == again.iloc[0]]]
    return [
        f"Images that have several rows with different labels: {again.nunique():,} (first: rows"
        f" {', '.join(first[:4])}{(', …' if len(first) > 4 else '')}). None of these rows is"
        " used. If several people labelled each image, write one row per image, with the mean age or the"
        " most frequent label."
    ]


def _some_of_each_column(cells: Sequence[BadCell], face_ids: "pd.Series[str]") -> list[dict[str, Any]]:
    """Return the first unreadable cells of each column, as manifest.json holds them."""
    ordered = sorted(cells)
    table = pd.DataFrame(ordered, columns=BadCell._fields, dtype=object)
    return [
        {
            **cell._asdict(),
            "row": cell.row + 1,
            "face_id": face_ids[cell.row],
            "value": shortened(cell.value),
        }
        for cell, number in zip(ordered, table.groupby(["column", "target"]).cumcount(), strict=True)
        if number < KEPT_CELLS
    ]


def _with_all_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with every column of a manifest, in order, and every column but two as text."""
    if not len(rows):
        raise ManifestError("The data set has no rows.")
    table = rows.reset_index(drop=True)
    if "age_group" not in table and "age" in table:
        table["age_group"] = table["age"].map(cache(age_group_of))
    if "face_id" not in table:
        table["face_id"] = unique_ids(table["image_path"].astype(str).tolist())
    numbers = {"age": float, "official_fold": int}
    empty: dict[str, Any] = {**dict.fromkeys(COLUMNS, ""), "age": np.nan, "official_fold": -1}
    table = table.assign(**{column: value for column, value in empty.items() if column not in table})
    table = table[[*COLUMNS, *table.columns.difference(list(COLUMNS), sort=False)]].copy()
    for column in table.columns.difference(list(numbers)):
        if table[column].isna().any():  # as text it would be a label called "nan"
            table[column] = table[column].astype(object).where(table[column].notna(), "")
    return table.astype({column: numbers.get(column, str) for column in table.columns})


def _read_files(
    paths: pd.Series, root: Path, content_of: Callable[[Path], str], progress: Progress | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the content of each row's file, "" where it cannot be read, and the reason why not.

    A file that several rows name is read once. A file outside root is not opened.

    Raises:
        ManifestError: root is in a bucket, and its server cannot be reached.
    """
    is_outside = cache(lambda folder: leads_out(Path(folder), root))

    def read(path: str) -> tuple[str, str]:
        if not path or "\0" in path:
            return "", "bad_path" if path else "no_path"
        if isinstance(root, UrlPath):
            return _read_in_bucket(root / path, root, content_of)
        file = os.path.join(root, path)  # noqa: PTH118 — half a million paths; pathlib takes ten times as long
        may_be_elsewhere = path.endswith("..") or os.path.islink(file)  # noqa: PTH114
        if is_outside(os.path.dirname(file)) or (may_be_elsewhere and is_outside(file)):  # noqa: PTH120
            return "", "outside_root"
        try:
            if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
                return "", "unreadable"
            return content_of(Path(file)), ""
        except OSError as error:
            return "", _REASON_OF.get(error.errno or 0, "unreadable")

    numbers, names = pd.factorize(paths)
    found = []
    # The requests to a bucket wait for its answers, and several can wait at once.
    with ThreadPoolExecutor(_REQUESTS) if isinstance(root, UrlPath) else nullcontext() as pool:
        for done, one in enumerate(pool.map(read, names) if pool else map(read, names), start=1):
            found.append(one)
            if progress:
                progress(done, len(names))
    by_file = np.array(found, dtype=object)[numbers]
    return by_file[:, 0], by_file[:, 1]


def _read_in_bucket(file: Path, root: UrlPath, content_of: Callable[[Path], str]) -> tuple[str, str]:
    """Return the content of a file in a bucket, "" if it cannot be read, and the reason why not.

    Raises:
        ManifestError: this is not due to the file.
    """
    if is_outside(file, root):
        return "", "outside_root"
    try:
        return content_of(file), ""
    except OSError as error:
        if error.errno == errno.EACCES:
            return "", "unreadable"
        if error.errno not in _REASON_OF:
            raise ManifestError(f"Cannot read {file}: {error.strerror or error}. Try again.") from None
        return "", _REASON_OF[error.errno]


def _join_subjects(subjects: pd.Series, face_ids: pd.Series, images: pd.Series) -> NDArray[Any]:
    """Return the subject of each row, the same one for all rows of an image.

    If rows of one image have two subjects, these are the same subject, or at least must not be on both sides
    of a fold. All rows of either get the id of the one that comes first.

    Args:
        subjects: "" where not known: the row is its own subject.
        face_ids: unique.
        images: number of the row's image, -1 where it has none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # The name that Manifest.subjects gives to a row without a subject.
    own = subjects.where(subjects != "", "row:" + face_ids)
    subject, names = pd.factorize(own)
    has_image = np.flatnonzero(images >= 0)
    n_nodes = len(names) + int(images.max()) + 1
    edges = (subject[has_image], len(names) + images.to_numpy()[has_image])
    links = coo_array((np.ones(len(has_image), bool), edges), shape=(n_nodes, n_nodes))
    joined = pd.Series(connected_components(links, directed=False)[1][subject], index=own.index)
    is_joined = own.groupby(joined).transform("nunique") > 1
    # Subjects that the data set names come first, so that a joined one does not get the name of a row.
    first = own.iloc[np.argsort(subjects == "", kind="stable")].groupby(joined).first()
    return np.asarray(subjects.where(~is_joined, joined.map(first)))
