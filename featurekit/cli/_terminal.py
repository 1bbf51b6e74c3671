"""How texts look on a terminal: colors, and tables with aligned columns.

A terminal that is too narrow for a table gets its sentences on several lines, broken at spaces. Words, and so
URLs, are never broken: an address that is cut cannot be clicked or copied.
"""

import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from numbers import Integral
from typing import Any, TextIO

import typer

from featurekit.text import visible

_GAP = "  "  # between two columns
_NARROWEST = 16  # to which a column of sentences is made narrower
# Cells of a column that is aligned to the right, such as "1,234", "0.5 MB", "80.0 ± 14.1"; "-" if missing.
_NUMBER = re.compile(r"-?\d[\d,.]*( ?%| MB)?( ± \d[\d,.]*)?|-?")


@dataclass(frozen=True)
class Cell:
    """A cell, or a heading, that is shown in another way than it is written in JSON.

    Attributes:
        value: the value in JSON, or the key that stands for a heading.
        text: the text in a table; on a terminal each of its lines is a line.
        color: name of the color on a terminal; "" for none.
        is_prose: whether a line may be broken at spaces, as that of a str may.
    """

    value: Any
    text: str
    color: str = ""
    is_prose: bool = False


def text_of(cell: Any) -> str:
    """Return a cell as a table shows it.

    >>> text_of(1234), text_of(None), text_of(Cell(0.5, "50 %")), text_of("svm")
    ('1,234', '', '50 %', 'svm')
    """
    if isinstance(cell, Cell):
        return cell.text
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, Integral) and not isinstance(cell, bool) else str(cell)


def has_colors(stream: TextIO) -> bool:
    """Whether colors can be shown: not in a pipe, with NO_COLOR, or on a terminal that has none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(text: str) -> int:
    """Return the number of columns that a text takes on a terminal.

    >>> width_of("año"), width_of("年齢"), width_of("e" + chr(0x301))
    (3, 4, 1)
    """
    return sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


@dataclass(frozen=True)
class Layout:
    """Where the columns of a table are on a terminal.

    Attributes:
        widths: width of each column.
        are_numbers: whether each column is aligned to the right.
        is_colored: whether the terminal shows colors.
    """

    widths: tuple[int, ...]
    are_numbers: tuple[bool, ...]
    is_colored: bool

    @property
    def is_too_wide(self) -> bool:
        """Whether the terminal is too narrow for the table."""
        width = sum(self.widths) + len(_GAP) * (len(self.widths) - 1)
        return width > shutil.get_terminal_size().columns

    @classmethod
    def of(cls, head: Sequence[Any], rows: Sequence[Sequence[Any]], *, is_colored: bool) -> "Layout":
        """Return the layout of a table all of whose rows are known."""
        columns = list(zip(head, *rows, strict=True))
        widths = [max(width_of(line) for cell in column for line in _lines(cell)) for column in columns]
        least = [max(map(_least_width, column)) for column in columns]
        room = shutil.get_terminal_size().columns - len(_GAP) * (len(columns) - 1)
        while sum(widths) > room:
            wide = [number for number, width in enumerate(widths) if width > least[number]]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
        are_numbers = [
            bool(rows) and all(_NUMBER.fullmatch(text_of(cell)) for cell in column[1:]) for column in columns
        ]
        return cls(tuple(widths), tuple(are_numbers), is_colored)

    @classmethod
    def with_widths(cls, widths: Sequence[int], *, is_colored: bool) -> "Layout":
        """Return a layout whose last column, for which no width is given, has the rest of the terminal."""
        rest = shutil.get_terminal_size().columns - sum(widths) - len(_GAP) * len(widths)
        return cls((*widths, max(rest, _NARROWEST)), (False,) * (len(widths) + 1), is_colored)

    def lines(self, row: Sequence[Any], *, is_head: bool = False) -> Iterator[str]:
        """Return the lines that a row takes; one, unless a cell has several or must be broken at spaces."""
        cells = [list(_broken(cell, width)) for cell, width in zip(row, self.widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            padded = map(self._padded, line, self.widths, self.are_numbers, row)
            joined = _GAP.join(text if not is_head else self._styled(text, bold=True) for text in padded)
            yield joined.rstrip()

    def _padded(self, text: str, width: int, is_number: bool, cell: Any) -> str:
        """Return a line of a cell with spaces on one side, and in the color of the cell."""
        spaces = " " * (width - width_of(text))
        if isinstance(cell, Cell) and cell.color and text:
            text = self._styled(text, fg=cell.color)
        return spaces + text if is_number else text + spaces

    def _styled(self, text: str, **style: Any) -> str:
        bare = text.strip(" ")
        return text.replace(bare, typer.style(bare, **style)) if self.is_colored and bare else text


def _lines(cell: Any) -> list[str]:
    """Return the lines of a cell, with invisible characters written out."""
    return [visible(line) for line in text_of(cell).splitlines()] or [""]


def _is_prose(cell: Any) -> bool:
    return cell.is_prose if isinstance(cell, Cell) else isinstance(cell, str)


def _least_width(cell: Any) -> int:
    """Return the smallest width of a column with this cell: only sentences can be broken, at spaces."""
    lines = _lines(cell)
    longest = max(map(width_of, lines))
    if not _is_prose(cell):
        return longest
    words = [width_of(word) for line in lines for word in line.split()]
    return max([min(_NARROWEST, longest), *words])


def _broken(cell: Any, width: int) -> Iterator[str]:
    """Return the lines of a cell in a column of this width."""
    for line in _lines(cell):
        if width_of(line) <= width or not _is_prose(cell):
            yield line
            continue
        kept = ""
        for word in line.split():
            longer = f"{kept} {word}" if kept else word
            if kept and width_of(longer) > width:
                yield kept
                longer = word
            kept = longer
        yield kept
