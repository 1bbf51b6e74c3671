"""Draw mean faces, or mean occlusion maps over them, on one sheet, and write it with its numbers.

The sheet has the order of the confusion matrix: a row for each true class (or age band), a column for each
predicted class. Of more classes than fit on a sheet, only the cells with a mean face are drawn, one after the
other.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from featurekit.averages.cells import FEWEST_SUBJECTS, YEARS, Cell, CellFaces
from featurekit.data.manifest import csv_of
from featurekit.files import write_bytes, write_text
from featurekit.inference.draw import heat_scale
from featurekit.text import counted, visible

TILE, _GAP, _CAPTION = 176, 10, 40  # pixels: side of a face, space between faces, height below a face
_MARGIN, _SIDE = 16, 150  # pixels: around the sheet, and for the names of the rows
_LINE = 20  # height of a line of text, in pixels
_MOST_ROWS, _MOST_COLUMNS = 20, 16  # of a confusion matrix that is drawn as one
_IN_A_LINE = 6  # cells side by side on a sheet that is not a confusion matrix
_SCALE = (240, 14)  # width and height of the scale of colors, in pixels
_INK, _FAINT, _PAPER, _EMPTY = (25, 25, 30), (95, 95, 105), (255, 255, 255), (236, 237, 240)


class Tile(NamedTuple):
    """An image of a cell, and the two lines below it."""

    image: Image.Image
    caption: tuple[str, str]


def counts_of(cell: Cell) -> tuple[str, str]:
    """Return the numbers of faces and of subjects of a cell, in words."""
    return counted(cell.n_faces, "face", "faces"), counted(cell.n_subjects, "subject", "subjects")


def sheet_of(
    of: CellFaces,
    tiles: Mapping[int, Tile],
    title: str,
    more: Sequence[str] = (),
    scale: tuple[str, str] | None = None,
) -> Image.Image:
    """Return a sheet with some tiles.

    Args:
        of: the faces of the cells.
        tiles: position of a cell → its tile.
        title: title of the sheet.
        more: sentences below the title and those of the cells.
        scale: the numbers at both ends of the scale of colors; None for no scale.
    """
    # A map is made of some cells only: rows without any are not drawn.
    drawn = {cell.true for at, cell in enumerate(of.cells) if at in tiles or scale is None}
    cells = [(at, cell) for at, cell in enumerate(of.cells) if cell.true in drawn]
    rows = list(dict.fromkeys(cell.true for _, cell in cells))
    columns = [name for name in of.run.classes or YEARS if any(cell.predicted == name for _, cell in cells)]
    is_matrix = len(rows) <= _MOST_ROWS and len(columns) <= _MOST_COLUMNS
    n_rows, n_columns = (len(rows), len(columns)) if is_matrix else (-(-len(tiles) // _IN_A_LINE), _IN_A_LINE)
    left = _MARGIN + (_SIDE if is_matrix else 0)
    width = max(left + n_columns * (TILE + _GAP) + _MARGIN, 760)
    lines = [line for text in (*of.about(), *more) for line in _wrapped(text, width - 2 * _MARGIN)]
    top = _MARGIN + 34 + _LINE * len(lines) + (2 * _LINE if scale else 0) + 36
    height = top + n_rows * (TILE + _CAPTION + _GAP) + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (_MARGIN, _MARGIN), title, width - 2 * _MARGIN, size=20)
    for number, line in enumerate(lines):
        _write(pen, (_MARGIN, _MARGIN + 32 + _LINE * number), line, width, ink=_FAINT)
    if scale:
        _draw_scale(sheet, pen, _MARGIN + 38 + _LINE * len(lines), scale)
    for at, cell in cells:
        if is_matrix:
            place = rows.index(cell.true), columns.index(cell.predicted)
        elif at in tiles:
            place = divmod(list(tiles).index(at), _IN_A_LINE)
        else:
            continue
        x, y = left + place[1] * (TILE + _GAP), top + place[0] * (TILE + _CAPTION + _GAP)
        _draw_tile(sheet, pen, (x, y), tiles.get(at), cell, named=not is_matrix)
    if is_matrix:
        _name_rows_and_columns(pen, rows, columns, left, top)
    return sheet


def _draw_tile(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    tile: Tile | None,
    cell: Cell,
    *,
    named: bool,
) -> None:
    """Draw a cell; a cell without an image is grey, with its numbers."""
    x, y = corner
    if tile is None:
        pen.rectangle((x, y, x + TILE - 1, y + TILE - 1), fill=_EMPTY)
        why = "not drawn" if cell.n_subjects >= FEWEST_SUBJECTS else "too few subjects"
        _write(pen, (x + TILE // 2, y + TILE // 2), why, TILE, ink=_FAINT, anchor="mm")
    else:
        sheet.paste(tile.image, corner)
    captions = counts_of(cell) if tile is None else tile.caption
    if named:
        captions = (str(cell), f"{captions[0]}, {captions[1]}")
    for number, caption in enumerate(captions):
        _write(pen, (x, y + TILE + 3 + 17 * number), caption, TILE, ink=_FAINT if number else _INK, size=13)


def _name_rows_and_columns(
    pen: ImageDraw.ImageDraw, rows: list[str], columns: list[str], left: int, top: int
) -> None:
    for number, name in enumerate(columns):
        _write(pen, (left + number * (TILE + _GAP), top - 21), name, TILE, size=13)
    for number, name in enumerate(rows):
        middle = top + number * (TILE + _CAPTION + _GAP) + TILE // 2
        _write(pen, (left - 12, middle), name, _SIDE - 12, size=14, anchor="rm")


def _draw_scale(sheet: Image.Image, pen: ImageDraw.ImageDraw, top: int, ends: tuple[str, str]) -> None:
    width, height = _SCALE
    sheet.paste(Image.fromarray(heat_scale(width, height)), (_MARGIN, top))
    _write(pen, (_MARGIN, top + height + 2), ends[0], width, ink=_FAINT, size=13)
    _write(pen, (_MARGIN + width, top + height + 2), ends[1], width, ink=_FAINT, size=13, anchor="ra")


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    width: int,
    *,
    ink: tuple[int, int, int] = _INK,
    size: int = 14,
    anchor: str = "la",
) -> None:
    """Write a line of text; a text that is wider than width pixels is shortened."""
    font = ImageFont.load_default(size=size)
    text = visible(text)
    if pen.textlength(text, font=font) > width:
        while text and pen.textlength(f"{text}…", font=font) > width:
            text = text[:-1]
        text = f"{text}…"
    pen.text(place, text, fill=ink, font=font, anchor=anchor)


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most width pixels."""
    font, lines = ImageFont.load_default(size=14), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def png_of(sheet: Image.Image) -> bytes:
    """Return a sheet as a PNG; equal sheets give equal bytes."""
    file = BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def write_sheet(folder: Path, name: str, sheet: Image.Image | None, table: pd.DataFrame) -> list[Path]:
    """Write a sheet as a PNG file, and its numbers as a CSV file beside it, and return the files.

    Args:
        folder: folder for the files.
        name: name of both files, without the ending.
        sheet: the sheet; None to remove an earlier one.
        table: the numbers.
    """
    image, numbers = folder / f"{name}.png", folder / f"{name}.csv"
    write_text(numbers, csv_of(table))
    if sheet is None:
        image.unlink(missing_ok=True)
        return [numbers]
    write_bytes(image, png_of(sheet))
    return [image, numbers]
