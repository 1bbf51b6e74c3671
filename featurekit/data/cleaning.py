"""Judge every row of a data set: usable, or the one reason why not.

A data set's own reader says what it knows of each row and leaves the judgement
(missing files, impossible ages, duplicates) to this, which is the same for all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data._content import join_subjects, read_files, sha256_of_file
from featurekit.data._labels import (
    Changes,
    clean_labels,
    clean_subjects,
    notes_of_missing,
    shortened,
)
from featurekit.data._names import look_alikes, notes_of, notes_of_misplaced
from featurekit.data.cells import POSSIBLE_AGE, USUAL, BadCell, Missing, impossible_years, is_in_range
from featurekit.data.datasets import RawRows, unique_ids
from featurekit.data.manifest import COLUMNS, REASONS, Manifest, label_names
from featurekit.data.targets import age_group_of
from featurekit.errors import ManifestError
from featurekit.progress import Progress

# Of the cells of a column that cannot be read, so many are kept in manifest.json; all are counted.
KEPT_CELLS = 100


def clean(
    raw: RawRows,
    *,
    missing: Missing = USUAL,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Judge every row: usable, or the one reason why not.

    A row with several reasons gets the first of REASONS. A cell that cannot be read, or an age that nobody
    has, is missing; it is the reason of a row that has no other label. In labels of the data set's own and
    in subjects, missing words are taken as missing, and labels that differ only by case, spaces or the way
    Unicode writes them are one.

    Rows of the same bytes and the same box are one picture: if their labels differ none of them is used,
    else one is, the first of those that know most labels. They share a subject, and so do all rows of the
    subjects that they join.

    Args:
        raw: every row that the data set names.
        missing: which cells say that something is not known.
        content_of: sha256 of a file's bytes in hexadecimal, or OSError.
        progress: called with (files read, files to read).

    Returns:
        The same rows in the same order; what was counted is in info["tally"], what the user should be
        told in info["notes"].

    Raises:
        ManifestError: there are no rows, or two of one face_id.
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
    reasons = _Reasons(table["reason"])
    notes = [
        *raw.notes,
        *_look_at_files(table, raw.root, content_of or sha256_of_file, progress, reasons),
    ]
    is_known = _judge_labels(table, labels, called.get("age", "age"), changes, reasons.object_to)
    pictures = _judge_pictures(table, is_known, reasons)
    if note := _named_again(table["image_path"][pictures.alike.index[pictures.conflicting]]):
        notes.append(note)
    table["reason"] = reasons.of_rows.astype(str)
    joined = join_subjects(table["subject_id"], table["face_id"], pictures.number)
    n_joined = int(((table["subject_id"] != "") & (table["subject_id"] != joined)).sum())
    table["subject_id"] = joined
    tally = _tally(Manifest(table, raw.root), pictures, n_joined) | dict(raw.counts) | changes.tally()
    info = {**raw.info, "tally": tally, "missing_words": sorted(missing.words)}
    told = _to_be_told(changes, own, missing, notes, table["face_id"])
    return Manifest(table, raw.root, info | {what: value for what, value in told.items() if value})


class _Reasons:
    """Why each row is not used: of several reasons the first of REASONS.

    Args:
        given: the reasons that the data set's reader has found, "" for none.

    Attributes:
        of_rows: "" where there is none, shape (n_rows,).
    """

    _PRECEDENCE: Mapping[str, int] = {reason: number for number, reason in enumerate((*REASONS, ""))}

    def __init__(self, given: "pd.Series[str]") -> None:
        self.of_rows = given.to_numpy(dtype=object)

    def object_to(self, rows: NDArray[np.bool_], reason: str) -> None:
        """Give rows a reason, unless they have one that comes before it."""
        for row in np.flatnonzero(rows):
            self.of_rows[row] = min(self.of_rows[row], reason, key=self._PRECEDENCE.__getitem__)


def _look_at_files(
    table: pd.DataFrame,
    root: Path,
    content_of: Callable[[Path], str],
    progress: Progress | None,
    reasons: _Reasons,
) -> list[str]:
    """Fill in the content of each row's file, object to rows without one, and return what to tell of them.

    Args:
        table: the rows; a path in another spelling than its file's gets the file's.
        root: folder that the paths are relative to.
        content_of: sha256 of a file's bytes in hexadecimal, or OSError.
        progress: called with (files read, files to read).
        reasons: of the rows.
    """
    contents, found = read_files(table["image_path"], root, content_of, progress)
    # A file may be there under another spelling of the same name.
    is_missing = found == "missing_file"
    same, others = look_alikes(table["image_path"][is_missing], root)
    if same:
        renamed = is_missing & table["image_path"].isin(same).to_numpy(bool)
        table.loc[renamed, "image_path"] = table["image_path"][renamed].map(same)
        contents[renamed], found[renamed] = read_files(table["image_path"][renamed], root, content_of, None)
    astray = np.isin(found, ["missing_file", "outside_root"])
    notes = [*notes_of(same, others), *notes_of_misplaced(table["image_path"][astray], root)]
    table["content"] = contents
    for reason in sorted(set(found) - {""}):
        reasons.object_to(found == reason, reason)
    return notes


@dataclass(frozen=True)
class _Pictures:
    """Which rows show the same picture.

    Attributes:
        number: of each row's picture, -1 where it has none.
        alike: the same, of the rows that could be used and share a picture with another one.
        conflicting: which of those have other labels than others of their picture.
    """

    number: "pd.Series[int]"
    alike: "pd.Series[int]"
    conflicting: "pd.Series[bool]"


def _judge_pictures(
    table: pd.DataFrame, is_known: Mapping[str, "pd.Series[bool]"], reasons: _Reasons
) -> _Pictures:
    """Object to rows of one picture that contradict each other, and to all but one of those that do not.

    Args:
        table: the rows, with the content of their files.
        is_known: label → which rows have it.
        reasons: of the rows.
    """
    # The same photograph with another box is another face.
    has_content = (table["content"] != "").to_numpy(bool)
    number = pd.Series(-1, index=table.index)
    number[has_content] = pd.factorize(table["content"][has_content] + " " + table["box"][has_content])[0]
    alike = number[(reasons.of_rows == "") & has_content]
    alike = alike[alike.duplicated(keep=False)]
    conflicting = pd.Series(False, index=alike.index)
    for label, known in is_known.items():
        conflicting |= table[label].where(known).loc[alike.index].groupby(alike).transform("nunique") > 1
    reasons.of_rows[alike.index[conflicting]] = "conflicting_labels"
    n_known = sum((known.astype(int) for known in is_known.values()), pd.Series(0, index=table.index))
    best_first = alike.loc[
        n_known[alike.index[~conflicting]].sort_values(ascending=False, kind="stable").index
    ]
    reasons.of_rows[best_first.index[best_first.duplicated()]] = "duplicate"
    return _Pictures(number, alike, conflicting)


def _tally(manifest: Manifest, pictures: _Pictures, n_joined: int) -> dict[str, int]:
    """Return what was counted, in words → rows."""
    table = manifest.table
    return {
        "rows": len(table),
        "usable": int(manifest.usable.sum()),
        "subjects": len(set(manifest.subjects)),
        **{reason: n for reason in REASONS if (n := int((table["reason"] == reason).sum()))},
        "ages between the age groups": int((is_in_range(table["age"]) & (table["age_group"] == "")).sum()),
        "groups of identical files": pictures.alike.nunique(),
        "groups of identical files with conflicting labels": pictures.alike[pictures.conflicting].nunique(),
        "rows whose subject was joined with another": n_joined,
    }


def _to_be_told(
    changes: Changes,
    own: Mapping[str, str],
    missing: Missing,
    notes: Sequence[str],
    face_ids: "pd.Series[str]",
) -> dict[str, Any]:
    """Return what manifest.json says of the changes, and the notes for whoever prepares the data set.

    Args:
        changes: what was changed.
        own: label of the data set's own → its column.
        missing: which cells say that something is not known.
        notes: what else is to be told.
        face_ids: of the rows.
    """
    renamed = {label: column for label, column in own.items() if label != column}
    return {
        "label_names": renamed,
        "respelled_labels": changes.respelled,
        "n_bad_cells": len(changes.bad_cells),
        "bad_cells": _some_of_each_column(changes.bad_cells, face_ids),
        "notes": [
            *notes,
            *(_told_name(column, label) for label, column in renamed.items()),
            *notes_of_missing(changes.missing, list(own.values()), missing),
            *changes.notes,
        ],
    }


def _judge_labels(
    table: pd.DataFrame,
    labels: Sequence[str],
    age_column: str,
    changes: Changes,
    object_to: Callable[[NDArray[np.bool_], str], None],
) -> dict[str, "pd.Series[bool]"]:
    """Return which rows have each label, after ages that nobody has were taken out of the table.

    A row without any label gets the reason why it has none.

    Args:
        table: the rows, with every column of a manifest.
        labels: the columns that can be learned from.
        age_column: what the data set calls its ages.
        changes: cells that cannot be read; impossible ages are added to them.
        object_to: told of the rows that have a reason.
    """
    age = table["age"].copy()
    impossible = age.notna() & ~is_in_range(age)
    # A group that was made from such an age is none either; one that the data set gives beside it is.
    table.loc[impossible & (table["age_group"] == age.map(cache(age_group_of))), "age_group"] = ""
    is_known = {
        label: is_in_range(age) if label == "age" else table[label].notna() & (table[label] != "")
        for label in labels
    }
    has_none = np.ones(len(table), bool)
    for known in is_known.values():
        has_none &= ~np.asarray(known)
    cannot_be_read = np.zeros(len(table), bool)
    cannot_be_read[[cell.row for cell in changes.bad_cells if cell.target in labels]] = True
    object_to(has_none & cannot_be_read, "bad_value")
    object_to(has_none & np.asarray(impossible), "impossible_age")
    object_to(has_none, "no_label")
    # The age of a row that has no other label stays, beside the reason that it is.
    table.loc[impossible & ~has_none, "age"] = np.nan
    for row in np.flatnonzero(impossible):
        said, problem = f"{age[row]:g}", impossible_years(age[row])
        changes.bad_cells.append(BadCell(int(row), age_column, POSSIBLE_AGE, said, problem))
    return is_known


def _with_safe_names(raw: RawRows) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, str]]:
    """Return the rows and the labels with safe names, and what the data set calls its columns."""
    safe = label_names(str(column) for column in raw.table.columns if column not in COLUMNS)
    table = raw.table.rename(columns=safe)
    called = {safe.get(column, column): name for column, name in raw.called.items()}
    called |= {new: old for old, new in safe.items() if new != old and new not in called}
    return table, tuple(safe.get(label, label) for label in raw.labels), called


def _told_name(column: str, label: str) -> str:
    """Say that a label column has another name from here on, and why."""
    return (
        f"The label column '{column}' was renamed to '{label}', because featurekit cannot use the old name"
        f" for files or tables. Next: featurekit fit --target '{label}'"
    )


def _named_again(paths: "pd.Series[str]") -> str:
    """Say that rows of other labels name one photograph, "" where none do.

    Args:
        paths: of the rows that contradict others.
    """
    again = paths[paths.duplicated(keep=False)]
    if not len(again):
        return ""
    first = [int(row) + 1 for row in again.index[again == again.iloc[0]]]
    return (
        f"Images that have several rows with different labels: {again.nunique():,} (first: rows"
        f" {', '.join(map(str, first[:4]))}{(', …' if len(first) > 4 else '')}). None of these rows is"
        " used. If several people labelled each image, write one row per image, with the mean age or the"
        " most frequent label."
    )


def _some_of_each_column(cells: Sequence[BadCell], face_ids: "pd.Series[str]") -> list[dict[str, Any]]:
    """Return the first cells of each column that could not be read, as manifest.json holds them."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for cell in sorted(cells):
        seen[cell.column, cell.target] += 1
        if seen[cell.column, cell.target] <= KEPT_CELLS:
            said = {"row": cell.row + 1, "face_id": face_ids[cell.row], "value": shortened(cell.value)}
            kept.append({**cell._asdict(), **said})
    return kept


def _with_all_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with every column of a manifest, in order, and text where text belongs."""
    if not len(rows):
        raise ManifestError("The data set has no rows.")
    table = rows.reset_index(drop=True)
    if "age_group" not in table and "age" in table:
        table["age_group"] = table["age"].map(cache(age_group_of))
    if "face_id" not in table:
        table["face_id"] = unique_ids(table["image_path"].astype(str).tolist())
    for column in COLUMNS:
        if column not in table:
            table[column] = np.nan if column == "age" else -1 if column == "official_fold" else ""
    table = table[[*COLUMNS, *(column for column in table.columns if column not in COLUMNS)]].copy()
    numbers = {"age": float, "official_fold": int}
    for column in table.columns.difference(list(numbers)):
        if table[column].isna().any():  # as text it would be a label called "nan"
            table[column] = table[column].astype(object).where(table[column].notna(), "")
    return table.astype({column: numbers.get(column, str) for column in table.columns})
