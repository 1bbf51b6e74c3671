"""The tables of a page as rows of numbers and texts, for CSV, for Excel and for pandas.

All copies of a table have the same cells: the number of each cell in the unit of its heading
(not the rounded text), the further numbers of the cell in columns of their own, and texts as
the page shows them. report.js makes the same CSV in the browser.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from featurekit.report.cells import ABSENT
from featurekit.report.model import Cell, Column, Page, Table
from featurekit.text import visible

# A number, a text, or None for an empty cell.
Value = float | str | None

# What a spreadsheet would take for a formula. A number never is one.
_FORMULA = re.compile(r"[\s\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]|[\t\r\n]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


def tables_of(page: Page) -> Iterator[tuple[str, Table]]:
    """Return the tables of a page from top to bottom, each with the title of its section."""
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                yield section.title, block


def headings_of(table: Table) -> list[str]:
    """Return the headings of the copied columns: each with its unit and its group.

    >>> accuracy = Column("Accuracy", "%", others=("low", "high"), is_number=True)
    >>> headings_of(Table("t", (Column("Model"), accuracy), ()))
    ['Model', 'Accuracy, %', 'Accuracy, %, low', 'Accuracy, %, high']
    """
    return [heading for column in table.columns for heading in _headings(column)]


def _headings(column: Column) -> list[str]:
    name = visible(column.copied_heading)
    return [name, *(f"{name}, {visible(other)}" for other in column.others)]


def rows_of(table: Table) -> list[list[Value]]:
    """Return the rows of a table; each has one value for each of headings_of().

    >>> accuracy = Column("Accuracy", "%", others=("low", "high"), is_number=True)
    >>> cells = (Cell("svm", tag="best"), Cell("72.0", 72.04, others=(71.1, 73.0))), (Cell("mlp"), Cell("—"))
    >>> rows_of(Table("t", (Column("Model"), accuracy), cells))
    [['svm (best)', 72.04, 71.1, 73.0], ['mlp', None, None, None]]
    """
    return [
        [
            value
            for column, cell in zip(table.columns, row, strict=True)
            for value in (value_of(cell), *_others(column, cell))
        ]
        for row in table.rows
    ]


def value_of(cell: Cell) -> Value:
    """Return the number of a cell or else its text; None if the cell says that there is nothing."""
    if cell.value is not None:
        return cell.value
    text = visible(f"{cell.text} ({cell.tag})" if cell.tag else cell.text)
    return None if text in ("", ABSENT) else text


def _others(column: Column, cell: Cell) -> list[Value]:
    """Return the further numbers of a cell, one for each further heading of its column."""
    return [cell.others[place] if place < len(cell.others) else None for place in range(len(column.others))]


def frame_of(table: Table) -> pd.DataFrame:
    """Return a table as a DataFrame, with the headings of its copy as the names of the columns."""
    return pd.DataFrame(rows_of(table), columns=headings_of(table))


def csv_of_frame(frame: pd.DataFrame) -> str:
    """Return the numbers of a figure as CSV; numbers have six significant digits."""
    rows = [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return csv_text([list(map(str, frame.columns)), *rows])


def _plain(value: Any) -> Value:
    """Return a value of a DataFrame as a number that is short enough to be embedded, or as a text."""
    if value is None or value != value:  # NaN
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return visible(str(value))
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.6g}")


def csv_text(rows: Sequence[Sequence[Value]]) -> str:
    r"""Return rows as CSV with lines that end as RFC 4180 says; no cell is a formula.

    >>> csv_text([["Model", "Accuracy, %"], ["=1+1", -0.5], ["svm", None]])
    'Model,"Accuracy, %"\r\n"\'=1+1",-0.5\r\nsvm,\r\n'
    """
    return "".join(",".join(map(_field, row)) + "\r\n" for row in rows)


def _field(value: Value) -> str:
    text = "" if value is None else str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if re.search("[\",\r\n']", text) else text
