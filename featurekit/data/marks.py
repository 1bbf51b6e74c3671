"""Marks: decisions about single faces, which `featurekit explore` writes and `featurekit prepare` reads.

A mark excludes a face, replaces one of its labels, or is only a note. A table has one row for each mark:

    face_id, image_path     the face; both must be those of the data set, or the mark is not used
    mark                    "exclude", "label" or "note"
    label, value            of a mark "label": the label to replace, and its new value, empty for no label
    note                    a remark of the person who looked at the face

The table can be edited in a spreadsheet. No image and no row of the data set is deleted: an excluded row
stays in the manifest with the reason "excluded".
"""

import csv
import io
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featurekit.data._labels import meaning
from featurekit.data.cells import (
    USUAL,
    Missing,
    read_age_group,
    read_gender,
    read_gender3,
    read_years,
    spelled,
)
from featurekit.data.datasets import RawRows, unique_ids
from featurekit.data.manifest import COLUMNS, csv_of, is_measured, label_names
from featurekit.data.targets import AGE_GROUP, GENDER, GENDER3, MAX_AGE, TARGETS, age_group_of
from featurekit.errors import ManifestError
from featurekit.files import read_file, write_text
from featurekit.registry import unknown
from featurekit.text import as_it_was, counted

EXCLUDE, LABEL, NOTE = KINDS = ("exclude", "label", "note")
_MAX_BYTES = 256 * 2**20
# The labels that every manifest has, in the order in which they are replaced: a new age gives a new age
# group, unless the age group is replaced too.
_STANDARD = ("age", "age_group", "gender")
# The targets with fixed classes, and how a word becomes one of them.
_READERS: dict[str, Callable[[str], str | None]] = {
    AGE_GROUP.name: read_age_group,
    GENDER.name: read_gender,
    GENDER3.name: read_gender3,
}


class Mark(NamedTuple):
    """A decision about a face; see above for the fields."""

    face_id: str
    image_path: str
    mark: str
    label: str = ""
    value: str = ""
    note: str = ""


def read_marks(path: Path) -> list[Mark]:
    """Return the marks in a table; none if it has only its head.

    Raises:
        ManifestError: the file cannot be read, or is not a table of marks.
    """
    return [mark for _, mark in numbered_marks(path)]


def numbered_marks(path: Path) -> list[tuple[int, Mark]]:
    """Return the marks in a table, each with the number of its line; the head is line 1.

    Raises:
        ManifestError: the file cannot be read, or is not a table of marks.
    """
    try:
        text = read_file(path, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"The marks {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"The marks {path} are not in UTF-8. Save the table as CSV in UTF-8.") from error
    first = text.split("\n", 1)[0]
    separator = max((",", ";", "\t"), key=first.count)  # spreadsheets of some countries write others
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise ManifestError(f"The marks {path} are not a table: {error}.") from error
    head = [name.strip() for name in rows[0]] if rows else []
    if absent := [name for name in Mark._fields[:5] if name not in head]:
        raise ManifestError(
            f"{path} is not a table of marks: it lacks the columns {', '.join(absent)}. featurekit explore"
            " writes such tables."
        )
    marks = []
    for number, row in enumerate(rows[1:], start=2):
        cells = dict(zip(head, map(as_it_was, row), strict=False))
        if any(cells.values()):
            mark = Mark(**{name: cells.get(name, "") for name in Mark._fields})
            marks.append((number, _checked(mark, number, path)))
    return marks


def write_marks(path: Path, marks: Iterable[Mark]) -> None:
    """Write a table of marks that read_marks() reads, and that a spreadsheet shows without formulas.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    write_text(path, csv_of(pd.DataFrame(list(marks), columns=list(Mark._fields), dtype=str)))


def with_marks(
    raw: RawRows,
    marks: Sequence[tuple[int, Mark]],
    path: Path,
    *,
    missing: Missing = USUAL,
    has_columns: bool = False,
) -> RawRows:
    """Return the rows of a data set with marks applied.

    Marks of faces that are not in the data set are counted in a note, and a class that no face has yet is
    named in one. A label that is replaced is no cell that cannot be read any more.

    Args:
        raw: the rows as the data set has them.
        marks: the marks, each with the number of its line.
        path: table of the marks, for messages.
        missing: words for a missing value.
        has_columns: whether the user says which columns of the data set are labels.

    Raises:
        ManifestError: a new value cannot be read, a face of the data set has no such label, or two marks
            give it different values.
    """
    table = raw.table.reset_index(drop=True)
    if "face_id" not in table:
        table["face_id"] = unique_ids(table["image_path"].astype(str).tolist())
    if "reason" not in table:
        table["reason"] = ""
    own = {
        safe: name for name, safe in label_names(map(str, table.columns.difference(list(COLUMNS)))).items()
    }
    found, unused = _of_faces(marks, table)
    new = [one for one in found if one.mark.mark == LABEL]
    values = {one: _value_of(one, own, path, has_columns=has_columns) for one in new}
    notes = _notes_of_new_classes(new, table, own, missing, path)
    _refuse_contradictions(values, path)
    for one in new:
        _replace(table, one.row, one.mark.label, own.get(one.mark.label, one.mark.label), values[one])
    replaced = {(one.row, one.mark.label) for one in new}
    excluded = {one.row for one in found if one.mark.mark == EXCLUDE}
    table.loc[sorted(excluded), "reason"] = "excluded"
    return replace(
        raw,
        table=table,
        bad_cells=[cell for cell in raw.bad_cells if (cell.row, cell.target) not in replaced],
        counts={**raw.counts, "labels replaced by marks": len(replaced)},
        info={
            **raw.info,
            "marks": {"file": path.name, "excluded": len(excluded), "replaced": len(replaced)},
        },
        notes=[*raw.notes, *notes, *_note_of_unused(unused, path)],
    )


class _Found(NamedTuple):
    """A mark of a face in the data set: its line in the table of the marks, and the row of the face."""

    line: int
    mark: Mark
    row: int

    def at(self, path: Path) -> str:
        """Return where the mark is, for messages."""
        return f"Line {self.line} of {path} ('{self.mark.face_id}')"


def _of_faces(
    marks: Sequence[tuple[int, Mark]], table: pd.DataFrame
) -> tuple[list[_Found], list[tuple[int, Mark]]]:
    """Return the marks of faces in a table, in the order in which they are applied, and all others."""
    # A path in another form of Unicode than the name of its file is changed only after this.
    rows = {
        (str(face), unicodedata.normalize("NFC", str(image))): row
        for row, (face, image) in enumerate(zip(table["face_id"], table["image_path"], strict=True))
    }
    order = {label: number for number, label in enumerate(_STANDARD)}
    found, unused = list[_Found](), list[tuple[int, Mark]]()
    for line, mark in sorted(marks, key=lambda one: order.get(one[1].label, len(order))):
        row = rows.get((mark.face_id, unicodedata.normalize("NFC", mark.image_path)))
        if row is None:
            unused.append((line, mark))
        else:
            found.append(_Found(line, mark, row))
    return found, unused


def _refuse_contradictions(values: Mapping[_Found, Any], path: Path) -> None:
    """Raise ManifestError if two marks give a label of one face different values."""
    first: dict[tuple[int, str], _Found] = {}
    for one, value in values.items():
        other = first.setdefault((one.row, one.mark.label), one)
        if meaning(str(value)) != meaning(str(values[other])):
            raise ManifestError(
                f"{one.at(path)}: {one.mark.label} is '{one.mark.value}' here, but '{other.mark.value}' in"
                f" line {other.line}. Keep one of the two marks."
            )


def _value_of(one: _Found, own: Mapping[str, str], path: Path, *, has_columns: bool) -> Any:
    """Return what the new value of a label means.

    Raises:
        ManifestError: it cannot be read, or there is no such label.
    """
    label = one.mark.label
    if label not in (*_STANDARD, *own):
        remedy = " A column of the table becomes a label with -o labels=COLUMN" if has_columns else ""
        known = sorted({*_STANDARD, *own})
        raise ManifestError(f"{one.at(path)}: {unknown('label', label, known)}{remedy}")
    try:
        return read_value(label, one.mark.value)
    except ManifestError as error:
        raise ManifestError(f"{one.at(path)}: {error.args[0]}") from None


def _notes_of_new_classes(
    marks: Sequence[_Found], table: pd.DataFrame, own: Mapping[str, str], missing: Missing, path: Path
) -> list[str]:
    """Return a note for each class that marks give to a face, and that no face of the table has."""
    notes = []
    given = [one for one in marks if one.mark.label in own and one.mark.label not in TARGETS]
    for label in dict.fromkeys(one.mark.label for one in given):
        cells = [str(cell) for cell in table[own[label]].fillna("").unique()]
        known = sorted({spelled(cell) for cell in cells if cell not in missing})
        if not known or is_measured(known):
            continue
        classes = {meaning(cell) for cell in known}
        new: dict[str, list[_Found]] = {}
        for one in given:
            if one.mark.label == label and one.mark.value not in missing:
                new.setdefault(meaning(one.mark.value), []).append(one)
        for first, *others in (found for word, found in new.items() if word not in classes):
            more = f", and {counted(len(others), 'other line', 'other lines')}" if others else ""
            said = unknown(f"class of {label}", spelled(first.mark.value), known)
            notes.append(
                f"{first.at(path)}{more}: {said} It becomes a new class. If it is mistyped, correct the mark,"
                " and prepare again."
            )
    return notes


def _checked(mark: Mark, number: int, path: Path) -> Mark:
    """Return a mark, or raise ManifestError if it says nothing that is known; number: its line."""
    if mark.mark not in KINDS:
        raise ManifestError(f"Line {number} of {path}: {unknown('mark', mark.mark, list(KINDS))}")
    if mark.mark == LABEL and not mark.label:
        raise ManifestError(f"Line {number} of {path}: the label to replace is missing.")
    return mark


def read_value(label: str, text: str) -> Any:
    """Return what the new value of a label means.

    >>> read_value("gender", "woman"), read_value("beard", " full "), read_value("age", "31")
    ('female', 'full', 31.0)

    Raises:
        ManifestError: it cannot be read.
    """
    if label == "age":
        years = read_years(text)
        if years is not None and (math.isnan(years) or 0 <= years <= MAX_AGE):
            return years
        allowed = f"a number of years from 0 to {MAX_AGE}"
    elif label in _READERS:
        value = _READERS[label](text)
        if value is not None:
            return value
        allowed = f"one of {', '.join(TARGETS[label].classes)}"
    else:
        return text.strip()
    raise ManifestError(f"The {label.replace('_', ' ')} must be {allowed}. Got '{text[:60]}' instead.")


def _replace(table: pd.DataFrame, row: int, label: str, column: str, value: Any) -> None:
    """Replace a label of a row; a new age gives a new age group, if the old one was that of the old age."""
    if "age_group" not in table and "age" in table and label == "age_group":
        table["age_group"] = table["age"].map(age_group_of)
    if column not in table:
        table[column] = np.nan if label == "age" else ""
    if label == "age" and "age_group" in table:
        before = age_group_of(float(table["age"].to_numpy(float)[row]))
        if table.loc[row, "age_group"] in ("", before):
            table.loc[row, "age_group"] = age_group_of(value)
    # Three genders are those two, and others: they follow the gender.
    follows = label == "gender" and GENDER3.name in table
    if follows and str(table.loc[row, GENDER3.name]) == str(table.loc[row, column]):
        table.loc[row, GENDER3.name] = value
    table.loc[row, column] = value


def _note_of_unused(unused: Sequence[tuple[int, Mark]], path: Path) -> list[str]:
    if not unused:
        return []
    line, first = unused[0]
    return [
        f"{counted(len(unused), 'mark', 'marks')} of {path.name} had no effect, because the data set has no"
        f" such face (first: line {line}, '{first.face_id}')."
    ]
