"""Read table files of various programs into cells of text.

The encoding and the separator of a text file are inferred, and notes report them. A row with too few or too
many cells is marked, because it is not clear which cell belongs to which column. If a file is not a table, an
error says what to do instead.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path

import pandas as pd

from featurekit.data.file_types import ENDINGS
from featurekit.errors import ManifestError
from featurekit.files import read_file
from featurekit.urls import UrlPath

MAX_BYTES = 2**32
# Stands in messages for the path of a table that does not come from a file.
FRAME = Path("the DataFrame")

_NAMED_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
# How many rows are looked at to find the separator, and how many are named in a message.
_LOOKED_AT, _SHOWN = 200, 3

_FROM_PYTHON = (
    "Export the table as CSV from that program, or in Python: pandas.{read}('{{path}}').to_csv('table.csv')"
)
# First bytes of files that are not text, what such a file is, and what to do instead.
_OTHER_FILES = (
    (b"\x1f\x8b", "compressed (gzip)", "Unpack it: gunzip -k '{path}'"),
    (b"BZh", "compressed (bzip2)", "Unpack it: bunzip2 -k '{path}'"),
    (b"\xfd7zXZ", "compressed (xz)", "Unpack it: unxz -k '{path}'"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "Unpack it: unzstd '{path}'"),
    (b"PK\x03\x04", "a zip archive", "Unpack it (unzip '{path}') and give the table that is in it."),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office document", "Save it as CSV: Save As, CSV UTF-8."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet or CSV."),
    (b"FEA1", "a Feather file", "Save it as Parquet or CSV."),
    (b"SQLite format 3", "a SQLite database", "Export the table as CSV."),
    (b"$FL2", "a file of SPSS", _FROM_PYTHON.format(read="read_spss")),
    (b"$FL3", "a file of SPSS", _FROM_PYTHON.format(read="read_spss")),
    (b"<stata_dta>", "a file of Stata", _FROM_PYTHON.format(read="read_stata")),
    (b"\0" * 12 + b"\xc2\xea\x81\x60", "a file of SAS", _FROM_PYTHON.format(read="read_sas")),
    (b"HEADER RECORD*******LIBRARY HEADER", "a file of SAS", _FROM_PYTHON.format(read="read_sas")),
    (b"%PDF-", "a PDF", "Export the table as CSV from the program that made it."),
    (b"{\\rtf", "a rich text document", "Save it as plain text: in TextEdit, Format, Make Plain Text."),
    (
        b"version https://git-lfs.github.com/spec",
        "a Git LFS pointer",
        "Download the table: git lfs pull",
    ),
)
# A page that a web server sent instead of the file.
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head)", re.I)
# Files that are recognized by their endings, because most of them are zip archives or compressed.
_OTHER_ENDINGS = {
    **dict.fromkeys(
        (".xlsx", ".xlsm", ".xltx", ".xlsb", ".xls", ".ods", ".numbers"),
        "a spreadsheet, not a text table. Save it as CSV (in Excel: Save As, CSV UTF-8) and give that file.",
    ),
    **dict.fromkeys(
        (".rds", ".rda", ".rdata"),
        "an R data file, not a text table. In R: write.csv(readRDS('{path}'), 'table.csv', row.names ="
        " FALSE); for .RData, load() it first.",
    ),
}
# A letter beyond ASCII in UTF-8.
_LETTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# First bytes that name the encoding of a text file.
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        cells: the columns of the table as text, "" in empty cells; names have no spaces around them.
        bad: row from 0 → what is wrong with it, for rows with too few or too many cells.
        notes: what was assumed, and which rows are bad, a sentence each.
        n_empty: number of rows that have only empty cells; they are left out.
        decimal_comma: whether a comma inside a number can only be a decimal one.
    """

    cells: pd.DataFrame
    bad: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_empty: int = 0
    decimal_comma: bool = False


def read_table(
    path: Path, *, separator: str = "", encoding: str = "", known: Collection[str] = ()
) -> TextTable:
    """Return every cell of a table as text.

    Args:
        path: a text file with a separator between the cells, a Parquet file, or JSON objects, one a line. The
            content says which, not the ending.
        separator: what is between the cells of a text file; inferred if "".
        encoding: encoding of a text file. If "", what its first bytes name, else UTF-8, else Windows-1252, as
            a note says.
        known: names that are looked up in any case; no two columns may match the same one.

    Raises:
        ManifestError: the file cannot be read, is not a table, or two columns have the same name.
    """
    if not isinstance(path, UrlPath) and not path.is_file():
        raise ManifestError(f"{path} {'is a folder, not a table' if path.is_dir() else 'does not exist'}.")
    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read as a table: {error.strerror or error}") from error
    ending = path.suffix.lower()
    if not data.startswith(b"PAR1"):
        _refuse_other_files(data, path, ending)
    if data.startswith(b"PAR1") or ending in (".parquet", ".pq"):
        table = _read_parquet(data, path, known)
    else:
        text, notes = _decoded(data, path, encoding)
        start = text.lstrip()[:1]
        if start == "{" and ending not in (".csv", ".tsv", ".txt"):
            table = _read_json_lines(text, path, known, notes)
        elif start == "[" and ending == ".json":
            raise ManifestError(
                f"{path} is a single JSON list, which featurekit does not read. Write one object per"
                " line (.jsonl), or a CSV."
            )
        else:
            table = _read_text(text, path, separator, known, notes)
    if not len(table.cells):
        raise ManifestError(f"{path} has no rows.")
    return table


def read_frame(frame: pd.DataFrame, *, known: Collection[str] = (), path: Path = FRAME) -> TextTable:
    """Return every cell of a DataFrame as text, "" where a value is missing.

    Args:
        frame: one row for each face; its index is not read.
        known: names that are looked up in any case; no two columns may match the same one.
        path: path of the file that it comes from, for messages.

    Raises:
        ManifestError: it has no rows, or two columns have the same name.
    """
    names = _names([str(name) for name in frame.columns], path, known, is_text=False)
    if not len(frame):
        raise ManifestError(f"{path} has no rows.")
    cells = {name: _as_text(frame.iloc[:, number]) for number, name in enumerate(names)}
    return TextTable(pd.DataFrame(cells).reset_index(drop=True))


def _refuse_other_files(data: bytes, path: Path, ending: str) -> None:
    if ending in _OTHER_ENDINGS:
        raise ManifestError(f"{path} is {_OTHER_ENDINGS[ending].format(path=path)}")
    for signature, what, remedy in _OTHER_FILES:
        if data.startswith(signature):
            raise ManifestError(f"{path} is {what}, not a text table. {remedy.format(path=path)}")
    if _PAGE.match(data):
        raise ManifestError(
            f"{path} is a web page (HTML), not a text table. The server may have sent a login page instead"
            " of the file. Open it in a browser, and save or export the table as CSV."
        )


def _decoded(data: bytes, path: Path, encoding: str) -> tuple[str, list[str]]:
    """Return the text of a file, and notes on the encoding that was assumed."""
    notes: list[str] = []
    wanted = encoding or next((name for mark, name in _MARKS if data.startswith(mark)), "")
    try:
        text = data.decode(wanted or "utf-8")
    except LookupError as error:
        raise ManifestError(
            f"Unknown encoding '{encoding}'. Examples: utf-8, utf-16, cp1252, latin-1, cp1251, shift_jis."
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        if wanted:
            raise ManifestError(
                f"{path} cannot be read as a table: line {line} is not {wanted} ({error.reason})."
            ) from error
        text = _as_windows(data, path, line)
        example = next((word for word in re.findall(r"\w+", text) if not word.isascii()), "")
        shown = f", for example '{example}'" if example else ""
        notes.append(
            f"{path.name} is not UTF-8. It was read as Windows-1252 (cp1252){shown}. If that is wrong, give"
            " the encoding with -o encoding=NAME (latin-1, cp1250, cp1251, mac_roman, ...), or save the"
            " table as UTF-8."
        )
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        guess = (
            " The file may be in UTF-16: use -o encoding=utf-16-le, or save it as UTF-8."
            if text.count("\0") > len(text) / 4
            else ""
        )
        raise ManifestError(
            f"{path} cannot be read as a table: line {line} contains a NUL byte, which a text file"
            f" cannot have.{guess}"
        )
    return text, notes


def _as_windows(data: bytes, path: Path, line: int) -> str:
    """Return the text of bytes that are not UTF-8, read as Windows-1252."""
    # A wrong byte among letters in UTF-8 means that the file is damaged; the letters would become "Ã©".
    if _LETTER.search(data):
        raise ManifestError(
            f"{path} cannot be read as a table: line {line} is not valid UTF-8, although other lines are."
            " Correct that line, or give the encoding of the file: -o encoding=NAME"
        )
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path} cannot be read as a table: line {line} is not UTF-8. Give the encoding with -o"
            " encoding=NAME (cp1250, cp1251, shift_jis, gbk, ...), or save the file as UTF-8."
        ) from error


def _read_text(text: str, path: Path, separator: str, known: Collection[str], notes: list[str]) -> TextTable:
    """Return the table of a text with a separator between its cells."""
    between = _NAMED_SEPARATORS.get(separator.lower(), separator)
    if len(between) > 1 or between in ('"', "\n", "\r"):
        raise ManifestError(
            "separator must be one character, or tab or space, for example -o separator=';'."
            f" Got '{separator}' instead."
        )
    if not between:
        # Excel reads, and some programs write, a first line that names the separator.
        said = re.match(r"sep=(.)\r?\n", text)
        between = said[1] if said else _separator_of(text, likely="\t" if path.suffix == ".tsv" else ",")
        text = text[said.end() :] if said else text
        if not said and between != "," and path.suffix.lower() == ".csv":
            named = "a tab" if between == "\t" else f"'{between}'"
            notes.append(f"{path.name} was read with {named} as the separator of its cells.")
    records = _records(text, between, path)
    _, head = next(records, (0, []))
    if not head:
        raise ManifestError(f"{path} has no rows.")
    # Programs that end each line with a separator end the first one with it too, or not.
    n_columns = max([1, *(number for number, name in enumerate(head, start=1) if name.strip())])
    lines = list(records)
    filled = [(line, row) for line, row in lines if "".join(row).strip()]
    rows = [row[:n_columns] + [""] * (n_columns - len(row)) for _, row in filled]
    bad = {
        number: f"row {number + 1}, line {line}, has {len(row)} "
        + (f"of {n_columns} cells" if len(row) < n_columns else f"cells for {n_columns} columns")
        for number, (line, row) in enumerate(filled)
        if len(row) < n_columns or "".join(row[n_columns:]).strip()
    }
    names = _names(head[:n_columns], path, known, is_text=True)
    if len(bad) > len(rows) / 2:
        raise ManifestError(
            f"{path} cannot be read as a table: {len(bad):,} of its {len(rows):,} rows have a different"
            f" number of cells from the first line ({next(iter(bad.values()))})."
            f" {_remedy(filled, n_columns)}"
        )
    if bad:
        shown = "; ".join(list(bad.values())[:_SHOWN]) + ("; …" if len(bad) > _SHOWN else "")
        notes.append(
            "Rows with too few or too many cells are not used, because it is not clear which cell belongs to"
            f" which column: {len(bad):,} ({shown})."
        )
    return TextTable(
        pd.DataFrame(rows, columns=names, dtype=object),
        bad,
        tuple(notes),
        n_empty=len(lines) - len(filled),
        decimal_comma=between != ",",
    )


def _remedy(rows: Sequence[tuple[int, list[str]]], n_columns: int) -> str:
    """Return what to type where the first line does not have as many cells as most rows.

    Args:
        rows: the line that each row begins in, and its cells.
        n_columns: cells of the first line.
    """
    usual = Counter(len(row) for _, row in rows).most_common(1)[0][0]
    # In the files of R's write.table(), the column of row names has no name.
    if usual == n_columns + 1 and n_columns > 1 and all(len(row) == usual for _, row in rows):
        return (
            "Every row has one cell more than the first line. R writes such files if the table has row names."
            " Write the table with row.names = FALSE, or add a name for the first column."
        )
    # A title that a spreadsheet exports has empty cells behind it.
    full = [(line, row) for line, row in rows if len(row) == usual and all(map(str.strip, row))]
    if (
        usual > n_columns
        and full
        and not any(_names_an_image(cell) or re.fullmatch(r"\s*[-+]?[\d.,]+\s*", cell) for cell in full[0][1])
    ):
        line, row = full[0]
        head = ", ".join(map(str.strip, row))
        return f"The column names seem to be in line {line} ({head}). Delete the lines above line {line}."
    return (
        "A cell that contains the separator must be in quotes. To choose another separator: -o separator=';'"
    )


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins in, from 1, and its cells; lines without cells are left out."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=separator == " "
    )
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError(
            f'{path} cannot be read as a table: a quote (") that opens in line {line} is not closed at'
            f" the end of the cell ({error}). Double a quote inside a cell, or remove it."
        ) from error


def _separator_of(text: str, likely: str) -> str:
    """Return the separator by which most rows have as many cells as the first one, else the likely one."""
    best = (0.0, 0, likely)
    for separator in (likely, ",", ";", "\t", "|"):  # the most usual first
        rows = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        widths: list[int] = []
        with suppress(csv.Error):  # the rows before it say enough
            widths.extend(map(len, islice(rows, _LOOKED_AT)))
        if widths and widths[0] > 1:
            share = sum(width >= widths[0] for width in widths) / len(widths)
            best = max(best, (share, widths[0], separator), key=itemgetter(0, 1))
    return best[2]


def _names(names: Sequence[str], path: Path, known: Collection[str], *, is_text: bool) -> list[str]:
    """Return the names of the columns; refuse names of which it is not clear what they mean."""
    stripped = [str(name).strip() for name in names]
    looks_like_data = [name for name in stripped if _names_an_image(name)]
    if is_text and looks_like_data:
        raise ManifestError(
            f"The first line of {path} looks like data ('{looks_like_data[0]}'), not like column names."
            " Write a line above it with the column names, for example: image_path,age,gender"
        )
    keys = [name.casefold() if name.casefold() in known else name for name in stripped]
    first_of = {key: number for number, key in reversed([*enumerate(keys)])}
    for number, name in enumerate(stripped):
        first = first_of[keys[number]]
        if name and first < number:
            raise ManifestError(
                f"{path} has two columns called '{stripped[first]}'"
                + (f" and '{name}'" if name != stripped[first] else "")
                + f": column {first + 1} and column {number + 1}. Rename one, or delete it."
            )
    return [name or f"column {number}" for number, name in enumerate(stripped, start=1)]


def _names_an_image(cell: str) -> bool:
    return Path(cell.strip().replace("\\", "/")).suffix.lower() in ENDINGS


def _read_parquet(data: bytes, path: Path, known: Collection[str]) -> TextTable:
    import pyarrow.parquet

    try:
        frame = pyarrow.parquet.read_table(io.BytesIO(data)).to_pandas(ignore_metadata=True)
    except (OSError, ValueError, TypeError, NotImplementedError, pyarrow.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read as a table: {error}") from error
    return read_frame(frame, known=known, path=path)


def _read_json_lines(text: str, path: Path, known: Collection[str], notes: list[str]) -> TextTable:
    """Return a table of JSON objects, one a line; a list in a cell becomes its parts with spaces between."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            pairs = json.loads(line, object_pairs_hook=list)
            if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
                raise ValueError("it is not an object")
            rows.append({name: _json_text(value) for name, value in pairs})
            if len(rows[-1]) < len(pairs):
                raise ValueError("it has the same name twice")
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f"{path} cannot be read as a table: line {number} is not a JSON object of plain values"
                f" ({error})."
            ) from error
    table = pd.DataFrame(rows, dtype=object).fillna("")
    names = _names(list(table.columns), path, known, is_text=False)
    return TextTable(table.set_axis(names, axis=1), notes=tuple(notes))


def _json_text(value: object) -> str:
    if isinstance(value, list):
        if any(isinstance(part, list | tuple) for part in value):
            raise ValueError("one of its values is an object or a list of lists")
        return " ".join(_json_text(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _as_text(column: "pd.Series[str]") -> "pd.Series[str]":
    """Return a column as text; a whole number that a gap turned into 12.0 is 12 again."""
    is_whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    cells = (column.astype("Int64") if is_whole else column).astype(object)
    return cells.where(column.notna(), "").astype(str)
