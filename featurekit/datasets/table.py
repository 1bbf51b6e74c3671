"""A CSV, Parquet or JSON Lines file with one row a face, whatever its columns are called.

Everything else a user may have can be brought into this form, so it is the way
in for data sets that featurekit has no reader for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from featurekit.datasets import (
    NOT_KNOWN,
    RawRows,
    check_folder,
    dataset,
    read_age_group,
    read_gender,
    unique_ids,
)
from featurekit.datasets._tables import read_table
from featurekit.errors import ManifestError
from featurekit.manifest import AGE_GROUP, COLUMNS, GENDER, age_group_of
from featurekit.registry import unknown

_CORNERS = ("x1", "y1", "x2", "y2")
# 31,5 where the comma is not what stands between cells.
_DECIMAL_COMMA = re.compile(r"^([+-]?\d*),(\d+)$")
_MAPPABLE = (*(column for column in COLUMNS if column not in ("content", "reason")), *_CORNERS)


@dataset(
    "table",
    about="a CSV, Parquet or JSON Lines file with one row a face, and a mapping of its columns",
    licence="as the pictures' owner says",
)
def table(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    root: Path | str | None = None,
    labels: Sequence[str] = (),
    separator: str = "",
    encoding: str = "",
) -> RawRows:
    r"""Return every row of a table.

    A cell that cannot be read (an age that is no number, an unknown gender, a box without area) makes its
    row unusable and is counted; a column in which nothing can be read is refused.

    Args:
        path: a CSV, TSV, Parquet or JSON Lines file.
        columns: column of the manifest → column of the table, e.g. ``{"image_path": "file"}``; instead of
            "box" also its corners "x1", "y1", "x2", "y2". A column that is not mapped is used where
            the table has one of the same name.
        root: folder that the paths are relative to; the table's own folder if None.
        labels: further columns of the table to keep as labels, as a sequence or separated by commas.
        separator: what is between the cells of a text file, e.g. ";" or "tab"; found out if "".
        encoding: of a text file, e.g. "cp1251"; if "", UTF-8 or what the file's first bytes say, and else
            Windows-1252, which is said.

    Raises:
        ManifestError: the file cannot be read, a column is not in it, none names the pictures, or
            a column holds something else than it should.
    """
    read_cells = read_table(path, separator=separator, encoding=encoding, known=_MAPPABLE)
    cells = read_cells.cells
    folder = Path(root) if root is not None else path.parent
    check_folder(folder)
    written_roots = (f"{folder.absolute()}/", f"{folder.resolve()}/")
    folder = folder.resolve()
    used = _used_columns(columns or {}, cells, path)
    wanted = labels.split(",") if isinstance(labels, str) else labels
    own = [_known_column(label.strip(), cells, path) for label in wanted if label.strip()]
    for label in own:
        if label in COLUMNS:
            raise ManifestError(
                f"A label cannot be called '{label}': the manifest has a column of that name."
            )

    text = {column: cells[name].str.strip() for column, name in used.items()}
    if read_cells.decimal_comma:
        for column in text.keys() & {"age", *_CORNERS}:
            text[column] = text[column].str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    rows = pd.DataFrame(index=cells.index)
    is_bad = pd.Series(False, index=cells.index)
    is_bad.loc[list(read_cells.bad)] = True
    counts = {
        "rows with too few or too many cells": len(read_cells.bad),
        "rows of empty cells, left out": read_cells.n_empty,
    }
    counts = {what: n for what, n in counts.items() if n}

    def read(column: str, parse: Callable[[str], object], expected: str) -> "pd.Series[str]":
        """Parse a column's cells, None for what cannot be read."""
        values = {cell: parse(cell) for cell in text[column].unique()}
        unreadable = text[column].map(lambda cell: values[cell] is None).astype(bool)
        says_something = ~text[column].str.lower().isin(NOT_KNOWN)
        if unreadable.any() and not (says_something & ~unreadable).any():
            first = text[column][unreadable].iloc[0]
            raise ManifestError(
                f"Column '{used[column]}' of {path} cannot be read as {column}: '{first}' is not {expected}."
            )
        if n := int(unreadable.sum()):
            counts[f"cells of {used[column]} that are no {column}"] = n
        is_bad.loc[unreadable] = True
        return text[column].map(lambda cell: values[cell])

    rows["image_path"] = text["image_path"].map(lambda cell: _relative(cell, written_roots))
    names = (
        text["face_id"].where(text["face_id"] != "", rows["image_path"])
        if "face_id" in text
        else rows["image_path"]
    )
    rows["face_id"] = unique_ids(names.tolist())
    if "subject_id" in text:
        rows["subject_id"] = text["subject_id"]
    if "age" in text:
        rows["age"] = read("age", _read_years, "a number of years").astype(float)
        rows["age_group"] = rows["age"].map(age_group_of)
    if "age_group" in text:
        given = read("age_group", read_age_group, f"one of {', '.join(AGE_GROUP.classes)}").fillna("")
        rows["age_group"] = given.where(given != "", rows["age_group"]) if "age_group" in rows else given
    if "gender" in text:
        expected = f"{' or '.join(GENDER.classes)} (or f, m, woman, man, ...)"
        rows["gender"] = read("gender", read_gender, expected).fillna("")
    if "official_fold" in text:
        rows["official_fold"] = (
            read("official_fold", _read_fold, "a fold's number from 0").fillna(-1).astype(int)
        )
    if all(corner in text for corner in _CORNERS):
        text["box"] = pd.DataFrame(text)[list(_CORNERS)].agg(" ".join, axis=1).str.strip()
        used["box"] = ", ".join(used[corner] for corner in _CORNERS)
    if "box" in text:
        rows["box"] = read("box", _read_box, "x1 y1 x2 y2 in pixels with x1 < x2 and y1 < y2").fillna("")
    for label in own:
        rows[label] = cells[label].str.strip()
    rows["reason"] = np.where(is_bad, "bad_value", "")
    labelled = ("age", "age_group", "gender", *own)
    return RawRows(rows, folder, labels=labelled, counts=counts, notes=read_cells.notes)


def _used_columns(columns: Mapping[str, str], cells: pd.DataFrame, path: Path) -> dict[str, str]:
    """Return the column of the table behind each column of the manifest that it fills."""
    for column in columns:
        if column not in _MAPPABLE:
            raise ManifestError(unknown("column of the manifest", column, list(_MAPPABLE)))
    used = {column: column for column in _MAPPABLE if column in cells}
    used |= {column: _known_column(name, cells, path) for column, name in columns.items()}
    if "image_path" not in used:
        raise ManifestError(
            f"No column of {path} is known to name the pictures. Map one: columns image_path=NAME."
            f" It has: {', '.join(cells.columns)}."
        )
    corners = [corner for corner in _CORNERS if corner in columns]
    if corners and len(corners) < len(_CORNERS) and not all(corner in used for corner in _CORNERS):
        raise ManifestError(
            f"A box needs all of {', '.join(_CORNERS)}; only {', '.join(corners)} are mapped."
        )
    return used


def _known_column(name: str, cells: pd.DataFrame, path: Path) -> str:
    """Return the name of a column, or refuse one that the table does not have."""
    if name not in cells:
        raise ManifestError(unknown(f"column of {path.name}", name, list(cells.columns)))
    return name


def _relative(cell: str, roots: Sequence[str]) -> str:
    """Return a cell's path with forward slashes, without the root where it starts with it."""
    path = cell.replace("\\", "/")
    return next((path.removeprefix(root) for root in roots if path.startswith(root)), path)


def _read_years(cell: str) -> float | None:
    if cell.lower() in NOT_KNOWN:
        return np.nan
    # float() would also take "1e3", "infinity" and "1_0".
    return float(cell) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", cell) else None


def _read_fold(cell: str) -> int | None:
    if cell.lower() in NOT_KNOWN or cell == "-1":
        return -1
    return int(cell) if cell.isdecimal() else None


def _read_box(cell: str) -> str | None:
    if cell.lower() in NOT_KNOWN:
        return ""
    parts = re.split(r"[\s,;]+", cell.strip("[]() "))
    numbers = [_read_years(part) for part in parts]
    corners = [number for number in numbers if number is not None and np.isfinite(number)]
    if len(parts) != 4 or len(corners) != 4 or corners[0] >= corners[2] or corners[1] >= corners[3]:
        return None
    return " ".join(f"{corner:.10g}" for corner in corners)
