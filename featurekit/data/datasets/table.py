"""Read a CSV, Parquet or JSON Lines file with one row per face, whatever the names of its columns.

Any data set can be written as such a table, so this is the way to read a data set whose own layout featurekit
does not know.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.cells import (
    USUAL,
    BadCell,
    Missing,
    count_missing,
    impossible_years,
    m_is_a_woman,
    no_age_group,
    no_box,
    no_gender,
    no_years,
    read_age_group,
    read_box,
    read_fold,
    read_gender,
    read_years,
)
from featurekit.data.datasets import RawRows, dataset, one_of, unique_ids
from featurekit.data.datasets._tables import FRAME, TextTable, read_frame, read_table
from featurekit.data.find import check_folder
from featurekit.data.manifest import COLUMNS, label_names
from featurekit.data.targets import MAX_AGE, age_group_of
from featurekit.errors import ManifestError
from featurekit.registry import unknown
from featurekit.text import words_of
from featurekit.urls import place_of

_CORNERS = ("x1", "y1", "x2", "y2")
# 31,5 in a table whose separator is not a comma.
_DECIMAL_COMMA = re.compile(r"^([+-]?\d*),(\d+)$")
# How many rows are searched for the names of the columns if the first line does not hold them.
_HEAD = 10
_SIDES = ("x", "y", "width", "height")
_MAPPABLE = (*(column for column in COLUMNS if column not in ("content", "reason")), *_CORNERS, *_SIDES)


@dataset(
    "table",
    about="a CSV, Parquet or JSON Lines file with one row per face, and a mapping of its columns",
    licence="as the images' owner says",
)
def table(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    root: Path | str | None = None,
    labels: Sequence[str] = (),
    separator: str = "",
    encoding: str = "",
    box: str = "corners",
    missing: Missing = USUAL,
) -> RawRows:
    r"""Return every row of a table.

    A cell that cannot be read (an age that is not a number, an unknown gender, a box without area) is
    counted, and treated as a missing value; its row can still be used for the other labels. It is an error if
    no cell of a column can be read. An age may be given as an age group, e.g. ``25-32`` or ``60+``.

    Args:
        path: path of the CSV, TSV, Parquet or JSON Lines file.
        columns: column of the manifest → column of the table, e.g. ``{"image_path": "file"}``. Instead of
            "box", its corners "x1", "y1", "x2", "y2", or "x", "y", "width", "height", can be given. By
            default, each column of the manifest is read from the column with the same name; a column that is
            mapped to "" is not read.
        root: folder that the image paths are relative to, or URL of such a folder in a bucket, e.g.
            "s3://bucket/photos"; the folder of the table if None.
        labels: further columns of the table to use as labels, as a sequence or separated by commas. A name
            that contains a comma must be in double quotes. A name that files cannot have is changed; see
            featurekit.data.manifest.label_names.
        separator: separator of the cells of a text file, e.g. ";" or "tab"; inferred if "".
        encoding: encoding of a text file, e.g. "cp1251". If "", it is the encoding that a byte order mark
            names, else UTF-8, else Windows-1252, which a note reports.
        box: meaning of the four numbers of a box, "corners" (x1, y1, x2, y2) or "xywh" (x, y, width, height).
        missing: words for a missing value.

    Raises:
        ManifestError: the file cannot be read, a column does not exist, no column has the image paths, or no
            cell of a column can be read.
    """
    read = partial(read_table, path, separator=separator, encoding=encoding)
    return _raw_rows(
        read, path, place_of(root) if root is not None else path.parent, columns or {}, labels, missing, box
    )


def rows_of_frame(
    frame: pd.DataFrame,
    *,
    columns: Mapping[str, str],
    root: Path | str,
    labels: Sequence[str] = (),
    box: str = "corners",
    missing: Missing = USUAL,
) -> RawRows:
    """Return every row of a DataFrame, which is read like the file of table().

    Args:
        frame: table with one row for each face.
        columns: column of the manifest → column of the frame.
        root: folder that the image paths are relative to.
        labels: further columns of the frame to use as labels.
        box: meaning of the four numbers of a box, "corners" (x1, y1, x2, y2) or "xywh" (x, y, width, height).
        missing: words for a missing value.

    Raises:
        ManifestError: a column does not exist, or no cell of a column can be read.
    """
    return _raw_rows(partial(read_frame, frame), FRAME, place_of(root), columns, labels, missing, box)


def _raw_rows(
    read: Callable[..., TextTable],
    path: Path,
    folder: Path,
    columns: Mapping[str, str],
    labels: Sequence[str],
    missing: Missing,
    box: str,
) -> RawRows:
    """Return the rows of a table; see table().

    Args:
        read: returns the table as text; its keyword known is the names of columns to look up in any case.
        path: path of the table, for messages.
        folder: that the paths are relative to.
        columns: column of the manifest → column of the table.
        labels: further columns to keep as labels.
        missing: which cells mean "not known".
        box: "corners" or "xywh".
    """
    sized = one_of("box", box, ("corners", "xywh")) == "xywh"
    text = read(known=[column for column in _MAPPABLE if sized or column not in _SIDES])
    check_folder(folder)
    own = _label_columns(labels, text.cells, path)
    used = _used_columns(columns, own, text.cells, path, sized=sized)
    reader = _Reader(_with_decimal_points(text, used), used, missing, path)
    rows = _rows(reader, text.cells, folder, own, sized=sized)
    rows["reason"] = ["bad_value" if row in text.bad else "" for row in range(len(rows))]
    safe = label_names(own)
    counts = {
        "rows with too few or too many cells": len(text.bad),
        "rows of empty cells, left out": text.n_empty,
    }
    return RawRows(
        rows,
        folder.resolve(),
        labels=("age", "age_group", "gender", *safe.values()),
        counts={what: n for what, n in counts.items() if n},
        bad_cells=reader.bad_cells,
        missing=reader.said,
        called={**used, **{label: column for column, label in safe.items()}},
        notes=text.notes,
    )


def _with_decimal_points(text: TextTable, used: Mapping[str, str]) -> pd.DataFrame:
    """Return the cells, with a decimal point in numbers that are written with a decimal comma."""
    numbers = text.cells.copy()
    if text.decimal_comma:
        for column in used.keys() & {"age", *_CORNERS, *_SIDES}:
            numbers[used[column]] = text.cells[used[column]].str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return numbers


def _rows(
    reader: "_Reader", cells: pd.DataFrame, folder: Path, own: Sequence[str], *, sized: bool
) -> pd.DataFrame:
    """Return the rows with the columns of a manifest that the table has, and with its own labels.

    Args:
        reader: reader of the table.
        cells: cells of the table, unchanged.
        folder: that the paths are relative to.
        own: columns that are asked for as labels.
        sized: whether a box is x, y, width and height.
    """
    used, missing = reader.used, reader.missing
    roots = re.compile(
        "|".join(rf"\A{re.escape(f'{root}/')}" for root in (folder.absolute(), folder.resolve()))
    )
    paths = reader.text("image_path").str.replace("\\", "/", regex=False)
    rows = pd.DataFrame({"image_path": paths.str.replace(roots, "", regex=True)})
    ids = reader.text("face_id") if "face_id" in used else rows["image_path"]
    rows["face_id"] = unique_ids(ids.where(ids != "", rows["image_path"]).tolist())
    if "subject_id" in used:
        rows["subject_id"] = cells[used["subject_id"]].str.strip()  # clean() looks for missing words
    if "age" in used:
        rows["age"], rows["age_group"] = _ages(reader)
    if "age_group" in used:
        given = reader.read("age_group", partial(read_age_group, missing=missing), no_age_group).fillna("")
        rows["age_group"] = given.where(given != "", rows["age_group"]) if "age_group" in rows else given
    if "gender" in used:
        rows["gender"] = _genders(reader, cells[used["gender"]])
    if "official_fold" in used:
        folds = reader.read(
            "official_fold",
            partial(read_fold, missing=missing),
            lambda _: "is not a fold number (0, 1, 2, ...)",
        )
        rows["official_fold"] = folds.fillna(-1).astype(int)
    parts = [one for one in (*_CORNERS, *_SIDES) if one in used]
    if parts or "box" in used:
        rows["box"] = reader.read(
            "box",
            partial(read_box, missing=missing, sized=sized),
            partial(no_box, sized=sized),
            parts,
        ).fillna("")
    for column, label in label_names(own).items():
        rows[label] = cells[column].str.strip()
    return rows


def _ages(reader: "_Reader") -> tuple["pd.Series[float]", "pd.Series[str]"]:
    """Return the years of a column of ages, and the age groups that it gives or that the years lie in.

    Raises:
        ManifestError: the ages are not in years, or none is possible, for example in years of birth.
    """
    _check_unit(reader.used["age"], reader.path)
    years = reader.read("age", partial(_years_or_group, missing=reader.missing), no_years)
    groups = years.map(lambda one: one if isinstance(one, str) else "")
    ages = years.where(groups == "").astype(float)
    known = ages[ages.notna()]
    if len(known) and not (groups != "").any() and not known.between(0, MAX_AGE).any():
        raise ManifestError(
            f"Column '{reader.used['age']}' of {reader.path} contains no age: '{known.iloc[0]:.10g}'"
            f" {impossible_years(known.iloc[0])}. To leave the column out, use --column age="
        )
    # An impossible age is in no group; clean() reports its row.
    return ages, groups.where(groups != "", ages.map(age_group_of))


def _genders(reader: "_Reader", cells: "pd.Series[str]") -> "pd.Series[str]":
    """Return the genders of a column, "" where one is not known.

    Raises:
        ManifestError: its letters are those of a language in which "m" means woman.
    """
    if letter := m_is_a_woman(set(cells.str.strip())):
        raise ManifestError(
            f"Column '{reader.used['gender']}' of {reader.path} contains '{letter}' and 'M'. In Spanish and"
            " Portuguese this M means woman. Write f and m, or the whole words."
        )
    return reader.read("gender", partial(read_gender, missing=reader.missing), no_gender).fillna("")


class _Reader:
    """Reads columns of a table, and collects the cells that it cannot read.

    Args:
        cells: every cell as text.
        used: column of the manifest → column of the table; the four columns of a box have their own names.
        missing: which cells mean "not known".
        path: path of the table, for messages.
    """

    def __init__(self, cells: pd.DataFrame, used: dict[str, str], missing: Missing, path: Path) -> None:
        self._cells, self.used, self.missing, self.path = cells, used, missing, path
        self.bad_cells: list[BadCell] = []
        self.said: Counter[tuple[str, str]] = Counter()

    def text(self, column: str) -> "pd.Series[str]":
        """Return the cells of a column of the manifest, "" where they mean "not known"."""
        cells = self._cells[self.used[column]].str.strip()
        count_missing(cells, self.used[column], self.missing, self.said)
        says_nothing = {cell for cell in cells.unique() if cell in self.missing}
        return cells.where(~cells.isin(says_nothing), "")

    def read(
        self,
        column: str,
        parse: Callable[[str], object],
        problem: Callable[[str], str],
        parts: Sequence[str] = (),
    ) -> "pd.Series[Any]":
        """Return the values of the cells of a column of the manifest, None where one cannot be read.

        Args:
            column: column of the manifest.
            parse: cell → value, None where it cannot be read.
            problem: cell → what is wrong and what to type instead, as the end of a sentence.
            parts: columns that are joined, if the table has several for this one.

        Raises:
            ManifestError: not one cell can be read.
        """
        name = ", ".join(self.used[one] for one in parts or (column,))
        if parts:
            cells = pd.DataFrame({one: self.text(one) for one in parts}).agg(" ".join, axis=1).str.strip()
        else:
            cells = self._cells[name].str.strip()
            count_missing(cells, name, self.missing, self.said)
        values = {cell: parse(cell) for cell in cells.unique()}
        unreadable = cells.map(lambda cell: values[cell] is None).astype(bool)
        if unreadable.any() and all(value is None or cell in self.missing for cell, value in values.items()):
            first = cells[unreadable].iloc[0]
            raise ManifestError(
                f"Column '{name}' of {self.path} cannot be read as {column}: '{first}'"
                f" {problem(first).replace('COLUMN', name)}. To leave the column out, use --column"
                f" {column}="
            )
        self.bad_cells += [
            BadCell(int(row), name, column, cells[row], problem(cells[row]).replace("COLUMN", name))
            for row in cells.index[unreadable]
        ]
        return cells.map(lambda cell: values[cell])


def _years_or_group(cell: str, missing: Missing) -> float | str | None:
    """Return an age in years, or the age group that a cell of ages gives; None for neither."""
    years = read_years(cell, missing)
    # "25,32" is more likely a number with a decimal comma than a group.
    is_number = years is not None or re.fullmatch(r"\d+,\d+", cell)
    return years if is_number else read_age_group(cell, missing)


def _check_unit(column: str, path: Path) -> None:
    """Refuse a column whose name says that its ages are in another unit than years."""
    words = words_of(column)
    unit = next((word for word in words if re.fullmatch("months?|weeks?|days", word)), "")
    if unit and not {"year", "years", "birth"} & set(words):
        per_year = {"month": "12", "week": "52.18", "day": "365.25"}[unit.rstrip("s")]
        raise ManifestError(
            f"Column '{column}' of {path} seems, from its name, to hold {unit.rstrip('s')}s, but an age"
            f" must be in years. Write a column of years (divide by {per_year}), or rename the column if it"
            " holds years."
        )


def _label_columns(labels: Sequence[str], cells: pd.DataFrame, path: Path) -> list[str]:
    """Return the columns of the table that are asked for as labels, each once."""
    if isinstance(labels, str):
        try:
            wanted = [labels] if labels in cells else next(csv.reader([labels], skipinitialspace=True), [])
        except csv.Error:  # a line break in a name
            wanted = labels.split(",")
    else:
        wanted = list(labels)
    stripped = [label if label in cells else label.strip() for label in wanted]
    return list(dict.fromkeys(_known_column(label, cells, path) for label in stripped if label))


def _used_columns(
    columns: Mapping[str, str], own: Sequence[str], cells: pd.DataFrame, path: Path, *, sized: bool
) -> dict[str, str]:
    """Return column of the manifest → column of the table, for every column that the table has.

    If a box is in four columns, each of them is a key of its own.

    Args:
        columns: those that are mapped; one that is mapped to "" is not used.
        own: columns that are asked for as labels.
        cells: the table.
        path: where it is.
        sized: whether a box is x, y, width and height.

    Raises:
        ManifestError: a column is not there, no column has the image paths, an age or a gender would also be
            a label, or a box is incomplete.
    """
    if strange := [column for column in columns if column not in _MAPPABLE]:
        is_label = strange[0] in cells.columns
        remedy = f" To use it as a label: -o labels={strange[0]}" if is_label else ""
        raise ManifestError(unknown("column of the manifest", strange[0], list(_MAPPABLE)) + remedy)
    mapped = {column: _known_column(name, cells, path) for column, name in columns.items() if name}
    # The mapping of a column takes precedence over its name.
    used = {
        column: column
        for column in _MAPPABLE
        if column in cells and column not in columns and column not in mapped.values()
    } | mapped
    if "image_path" not in used:
        raise ManifestError(
            f"The column with the image paths is not known in {path}. Give the column with --column"
            f" image_path=NAME. The table has: {', '.join(cells.columns)}."
        )
    for column in ("age", "age_group", "gender"):
        if column not in columns and used.get(column) in own:
            raise ManifestError(
                f"Column '{column}' of {path} is already read as {column}. Leave it out of labels, or use"
                f" its words as your own classes: --column {column}= -o labels={column}"
            )
    _check_box(used, mapped, path, sized=sized)
    return used


def _check_box(used: dict[str, str], mapped: Mapping[str, str], path: Path, *, sized: bool) -> None:
    """Remove from used all columns of boxes but one column, or four of the kind that is asked for.

    Raises:
        ManifestError: some of the four are mapped and some are not there, columns of the other kind are
            mapped, or there is no box that could be x, y, width and height.
    """
    parts, others = (_SIDES, _CORNERS) if sized else (_CORNERS, _SIDES)
    kind = "x, y, width and height" if sized else "corners"
    if strange := [part for part in others if part in mapped]:
        raise ManifestError(
            f"--column {strange[0]}= has no effect, because the boxes are given as {kind}. To change this: -o"
            f" box={('corners' if sized else 'xywh')}"
        )
    given = [part for part in parts if part in mapped]
    if given and not all(part in used for part in parts):
        raise ManifestError(
            f"A box needs all of {', '.join(parts)}, but --column gives only {', '.join(given)}."
        )
    is_in_four = all(part in used for part in parts) and (bool(given) or "box" not in mapped)
    if sized and not is_in_four and "box" not in used:
        raise ManifestError(
            f"-o box=xywh has no effect: no column of {path} is a box. Name the column with --column"
            f" box=NAME, or four columns with {' '.join(f'--column {part}=NAME' for part in _SIDES)}"
        )
    for part in ("box", *others) if is_in_four else (*parts, *others):
        used.pop(part, None)


def _known_column(name: str, cells: pd.DataFrame, path: Path) -> str:
    """Return the name of a column; refuse one that the table does not have."""
    if name not in cells:
        raise ManifestError(
            unknown(f"column of {path.name}", name, list(cells.columns)) + _where_it_is(name, cells)
        )
    return name


def _where_it_is(name: str, cells: pd.DataFrame) -> str:
    """Say where else than in the first line the name of a column is, and what to do; "" for nowhere."""
    for number, row in enumerate(cells.head(_HEAD).to_numpy().tolist(), start=1):
        if name in map(str.strip, row):
            return (
                f" Row {number} below the first line has a cell '{name}'. If that row holds the column"
                " names, delete the lines above it."
            )
    if cells.shape[1] == 1 and name in re.split(r"\s+", str(cells.columns[0])):
        return " Each row was read as one cell. If the cells are separated by spaces, use -o separator=space"
    return ""
