"""The tables of the report as an Excel workbook: one sheet for each table, and a list of them.

The sheets have the cells of the page's "Copy as CSV", with numbers as numbers. A text that
begins like a formula stays a text. The same page always gives the same bytes, so the file has
no time of its own.
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from featurekit.errors import EngineError
from featurekit.report.model import Cell, Page, Table
from featurekit.report.tables import Value, headings_of, rows_of, tables_of
from featurekit.text import visible
from featurekit.version import __version__

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

CONTENTS = "Contents"
_LONGEST_SHEET, _LONGEST_TEXT = 31, 32_767  # characters that Excel allows
_NARROWEST, _WIDEST = 8, 60  # characters of a column
_YEAR = 1980  # the first year that a zip archive can state

# Excel reads _x0041_ in a text as the character with this code.
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_DECIMALS = re.compile(r"[+−-]?[\d,]+(?:\.(\d+))?(?: \D*)?")


def check_openpyxl() -> None:
    """Raise EngineError unless openpyxl is installed."""
    if find_spec("openpyxl") is None:
        raise EngineError(
            "A workbook is written by openpyxl, which is not installed: pip install 'featurekit[xlsx]'."
        )


def render_workbook(page: Page) -> bytes:
    """Return the tables of a page as the bytes of an .xlsx file.

    Raises:
        EngineError: openpyxl is not installed.
    """
    check_openpyxl()
    from openpyxl import Workbook
    from openpyxl.worksheet.hyperlink import Hyperlink

    book = Workbook()
    book.properties.creator = f"featurekit {__version__}"
    book.properties.title = _text(page.title)
    contents = book.active
    contents.title = CONTENTS
    found = list(tables_of(page))
    names = sheet_names([table.caption for _, table in found])
    listed: list[list[Value]] = [
        [table.caption, name, section, table.note]
        for name, (section, table) in zip(names, found, strict=True)
    ]
    _fill(contents, ["Table", "Sheet", "Section", "Explanation"], listed)
    for number, name in enumerate(names, start=2):
        cell = contents.cell(number, 2)
        cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{name}'!A1")
        cell.style = "Hyperlink"
    for name, (_, table) in zip(names, found, strict=True):
        sheet = book.create_sheet(name)
        _fill(sheet, headings_of(table), rows_of(table))
        _format(sheet, table)
    file = BytesIO()
    book.save(file)
    return _without_times(file.getvalue())


def sheet_names(captions: Sequence[str]) -> list[str]:
    """Return a name for the sheet of each table: its number and the first words of its caption.

    >>> sheet_names(["Table 1. Age group: all models, best first", "Table 2. Gender: [a/b]", "Runs"])
    ['1 Age group all models, best', '2 Gender a b', '3 Runs']
    """
    names = []
    for place, caption in enumerate(captions, start=1):
        numbered = re.match(r"Table (\d+)\. ", caption)
        title = caption[numbered.end() :] if numbered else caption
        words = " ".join(re.sub(r"[\[\]:*?/\\']", " ", visible(title)).split())
        name = f"{numbered[1] if numbered else place} {words}"
        if len(name) > _LONGEST_SHEET:
            cut = name[: _LONGEST_SHEET + 1].rpartition(" ")[0]
            name = cut if " " in cut else name[:_LONGEST_SHEET]
        names.append(name.strip(" ,"))
    return names


def _fill(sheet: "Worksheet", headings: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
    """Write the headings and rows of a sheet, with the first row in sight and columns of a fitting width."""
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    for number, row in enumerate([headings, *rows], start=1):
        for place, value in enumerate(row, start=1):
            if value is None:
                continue
            cell = sheet.cell(number, place)
            if isinstance(value, str):
                cell.value = _text(value)
                cell.data_type = "s"  # also if it begins with =
                cell.quotePrefix = True  # it stays a text if somebody edits it
            else:
                cell.value = value
            if number == 1:
                cell.font = Font(bold=True)
            cell.alignment = Alignment(vertical="top", wrap_text=isinstance(value, str))
    sheet.freeze_panes = "A2"
    for place, heading in enumerate(headings, start=1):
        longest = max([len(str(row[place - 1])) for row in rows if row[place - 1] is not None], default=0)
        # A heading may take two lines.
        width = max(longest, len(heading) / 2, *map(len, heading.split())) + 2
        sheet.column_dimensions[get_column_letter(place)].width = min(max(width, _NARROWEST), _WIDEST)


def _format(sheet: "Worksheet", table: Table) -> None:
    """Show each number with as many decimals as the page has; the cell holds all of them."""
    for number, row in enumerate(table.rows, start=2):
        place = 1
        for column, cell in zip(table.columns, row, strict=True):
            shown = sheet.cell(number, place)
            if cell.value is not None:
                shown.number_format = number_format(cell)
            place += 1 + len(column.others)


def number_format(cell: Cell) -> str:
    """Return Excel's format for the number of a cell.

    >>> number_format(Cell("72.0", 72.04)), number_format(Cell("1,234", 1234)), number_format(Cell("no", 1))
    ('#,##0.0', '#,##0', 'General')
    """
    found = _DECIMALS.fullmatch(cell.text)
    if not found or cell.value is None:
        return "General"
    digits = found[1] or ""
    # A size such as "3.4 MB" is copied in bytes.
    is_as_shown = abs(abs(cell.value) - float(re.sub(r"[^\d.]", "", cell.text))) <= 10 ** -len(digits)
    return f"#,##0.{'0' * len(digits)}".rstrip(".") if is_as_shown else "General"


def _text(text: str) -> str:
    """Return a text as Excel can hold it, with every hidden character written out."""
    shown = visible(text)
    shown = shown if len(shown) <= _LONGEST_TEXT else f"{shown[: _LONGEST_TEXT - 1]}…"
    return _ESCAPE.sub("_x005F_", shown)


def _without_times(data: bytes) -> bytes:
    """Return an .xlsx file with one fixed time in place of the time at which it was written."""
    file = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(file, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb">\d{4}-\d\d-\d\dT[\d:]+Z<", b">%d-01-01T00:00:00Z<" % _YEAR, content)
            member: Any = ZipInfo(name, (_YEAR, 1, 1, 0, 0, 0))
            member.compress_type, member.external_attr = ZIP_DEFLATED, 0o644 << 16
            new.writestr(member, content)
    return file.getvalue()
