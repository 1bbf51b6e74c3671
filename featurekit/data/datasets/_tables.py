"""Read a table, as people's programs write it, into cells of text.

Nothing is guessed in silence: what the bytes leave open (the encoding, what stands
between the cells) is found out and said, and a row that has not as many cells as
there are names of columns is marked, because nobody knows which cell it lacks. What
is no table is refused with what to type.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from featurekit.data.file_types import ENDINGS
from featurekit.errors import ManifestError
from featurekit.files import read_plain

MAX_BYTES = 2**32
# What messages call a table that comes from no file.
FRAME = Path("the DataFrame")

# What may stand between cells, most usual first.
_SEPARATORS = (",", ";", "\t", "|")
_NAMED_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}
# Rows from which the separator is found out, and that are named in a message.
_LOOKED_AT, _SHOWN = 200, 3

_FROM_PYTHON = "Export the table as CSV there, or in Python: pandas.{read}('{{path}}').to_csv('table.csv')"
_FROM_R = "In R: write.csv(readRDS('{path}'), 'table.csv', row.names = FALSE); for .RData, load() it first."
# First bytes of what is no text → what it is, and what to type.
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
        "a Git LFS pointer instead of the table",
        "Fetch the table itself: git lfs pull",
    ),
)
# A page that a web server gave instead of the file.
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head)", re.I)
# Those are zip archives, too.
_SPREADSHEETS = (".xlsx", ".xlsm", ".xltx", ".xlsb", ".ods", ".numbers")
# A letter beyond ASCII as UTF-8 writes it.
_LETTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        cells: one column of text for each of the table's, "" where there is nothing; names without the
            spaces around them.
        bad: row from 0 → what is wrong with it, for rows with too few or too many cells.
        notes: what was assumed, and which rows are bad, a sentence each.
        n_empty: rows of nothing but empty cells, which are left out.
        decimal_comma: whether a comma inside a cell can only be a decimal one.
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
        path: a text file with something between the cells, a Parquet file, or JSON objects, one a line. The
            content says which, but for CSV.
        separator: what is between the cells of a text file, found out if "".
        encoding: of a text file; if "", UTF-8 or what its first bytes say, else Windows-1252, which is said.
        known: names that are looked up in any capitals; two columns must not both be meant.

    Raises:
        ManifestError: the file cannot be read, is no table, or two columns have one name.
    """
    if not path.is_file():
        raise ManifestError(f"{path} {'is a folder, not a table' if path.is_dir() else 'does not exist'}.")
    try:
        data = read_plain(path, MAX_BYTES)
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


def read_frame(frame: pd.DataFrame, *, known: Collection[str] = ()) -> TextTable:
    """Return every cell of a DataFrame as text, "" where it holds none.

    Args:
        frame: a row a face; its index is not read.
        known: names that are looked up in any capitals; two columns must not both be meant.

    Raises:
        ManifestError: it has no rows, or two columns have one name.
    """
    names = _names([str(name) for name in frame.columns], FRAME, known, is_text=False)
    if not len(frame):
        raise ManifestError(f"{FRAME} has no rows.")
    columns = [frame.iloc[:, number] for number in range(frame.shape[1])]
    cells = {name: _as_text(column) for name, column in zip(names, columns, strict=True)}
    return TextTable(pd.DataFrame(cells).reset_index(drop=True))


def _refuse_other_files(data: bytes, path: Path, ending: str) -> None:
    if ending in (*_SPREADSHEETS, ".xls"):
        raise ManifestError(
            f"{path} is a spreadsheet, not a text table. Save it as CSV (in Excel: Save As, CSV UTF-8) and"
            " give that file."
        )
    if ending in (".rds", ".rda", ".rdata"):  # mostly compressed
        raise ManifestError(f"{path} is an R data file, not a text table. {_FROM_R.format(path=path)}")
    for signature, what, remedy in _OTHER_FILES:
        if data.startswith(signature):
            raise ManifestError(f"{path} is {what}, not a text table. {remedy.format(path=path)}")
    if _PAGE.match(data):
        raise ManifestError(
            f"{path} is a web page (HTML), not a text table. The server may have sent a login page instead"
            " of the file. Open it in a browser, and save or export the table as CSV."
        )


def _decoded(data: bytes, path: Path, encoding: str) -> tuple[str, list[str]]:
    """Return a file's text, and what was assumed of its encoding."""
    notes: list[str] = []
    marks = (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    )
    wanted = encoding or next((name for mark, name in marks if data.startswith(mark)), "")
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
        guess = ""
        if text.count("\0") > len(text) / 4:
            guess = " It may be UTF-16: -o encoding=utf-16-le, or save it as UTF-8."
        raise ManifestError(
            f"{path} cannot be read as a table: line {line} contains a NUL byte, which a text file"
            f" cannot have.{guess}"
        )
    return text, notes


def _as_windows(data: bytes, path: Path, line: int) -> str:
    """Return the text of bytes that are not UTF-8 as Western Windows programs write it."""
    # One strange byte among letters in UTF-8 is damage, and the others would become "Ã©".
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
    """Return a table with something between its cells."""
    between = _NAMED_SEPARATORS.get(separator.lower(), separator)
    if len(between) > 1 or between in ('"', "\n", "\r"):
        raise ManifestError(
            f"separator must be one character, or tab or space. Got '{separator}' instead: -o separator=';'"
        )
    if not between:
        # Excel reads, and some programs write, a first line that says it.
        said = re.match(r"sep=(.)\r?\n", text)
        between = said[1] if said else _separator_of(text, likely="\t" if path.suffix == ".tsv" else ",")
        text = text[said.end() :] if said else text
        if not said and between != "," and path.suffix.lower() == ".csv":
            named = "a tab" if between == "\t" else f"'{between}'"
            notes.append(f"{path.name} uses {named} as the separator, and was read with it.")
    lines = _records(text, between, path)
    _, head = next(lines, (0, []))
    if not head:
        raise ManifestError(f"{path} has no rows.")
    rows: list[list[str]] = []
    bad: dict[int, str] = {}
    n_empty = 0
    # Programs that end each line with a separator end the first one with it too, or not.
    n_columns = len(head)
    while n_columns > 1 and not head[n_columns - 1].strip():
        n_columns -= 1
    for line, row in lines:
        if not "".join(row).strip():
            n_empty += 1
            continue
        if len(row) == n_columns:
            rows.append(row)
            continue
        cells = row[:n_columns]
        if any(cell.strip() for cell in row[n_columns:]):
            bad[len(rows)] = f"row {len(rows) + 1}, line {line}, has {len(row)} cells for {n_columns} columns"
        elif len(row) < n_columns:
            bad[len(rows)] = f"row {len(rows) + 1}, line {line}, has {len(row)} of {n_columns} cells"
        rows.append(cells + [""] * (n_columns - len(cells)))
    names = _names(head[:n_columns], path, known, is_text=True)
    if len(bad) > len(rows) / 2:
        raise ManifestError(
            f"{path} cannot be read as a table: {len(bad):,} of its {len(rows):,} rows have a different"
            f" number of cells from the first line ({next(iter(bad.values()))})."
            f" {_remedy(text, between, names, path)}"
        )
    if bad:
        notes.append(_ragged(bad))
    table = pd.DataFrame(rows, columns=names, dtype=object)
    return TextTable(table, bad, tuple(notes), n_empty, decimal_comma=between != ",")


def _remedy(text: str, separator: str, names: Sequence[str], path: Path) -> str:
    """Return what to type where the first line has not as many cells as most rows."""
    rows = [(line, row) for line, row in _records(text, separator, path) if "".join(row).strip()]
    usual = Counter(len(row) for _, row in rows[1:]).most_common(1)[0][0]
    # R's write.table() gives the names of its rows no name.
    if usual == len(names) + 1 and len(names) > 1 and all(len(row) == usual for _, row in rows[1:]):
        return (
            "Every row has one cell more than the first line. R writes such files, with row names. Write"
            " the table with row.names = FALSE, or add a name for the first column."
        )
    # A title that a spreadsheet exports has empty cells behind it.
    full = [(line, row) for line, row in rows if len(row) == usual and all(map(str.strip, row))]
    if usual > len(names) and full and not any(map(_looks_like_data, full[0][1])):
        line, row = full[0]
        head = ", ".join(cell.strip() for cell in row)
        return f"The column names seem to be in line {line} ({head}). Delete the lines above it."
    return (
        "A cell that contains the separator has to be in quotes. To set another separator: -o separator=';'"
    )


def _ragged(bad: Mapping[int, str]) -> str:
    shown = "; ".join(list(bad.values())[:_SHOWN]) + ("; …" if len(bad) > _SHOWN else "")
    return (
        "Rows with too few or too many cells are not used, because it is not clear which cell belongs to"
        f" which column: {len(bad):,} ({shown})."
    )


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins in, from 1, and its cells; lines without any are left out."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        strict=True,
        skipinitialspace=separator == " ",
    )
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ManifestError(
                f'{path} cannot be read as a table: a quote (") that opens in line {line} is not closed at'
                f" the end of the cell ({error}). Double a quote inside a cell, or remove it."
            ) from error
        if row:
            yield line, row


def _separator_of(text: str, likely: str) -> str:
    """Return what stands between the cells: what divides the first rows most alike, else what is likely."""
    best, most = likely, (0.0, 0)
    for separator in (likely, *_SEPARATORS):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        widths: list[int] = []
        try:
            while len(widths) < _LOOKED_AT:
                if row := next(reader):
                    widths.append(len(row))
        except (StopIteration, csv.Error):
            pass
        if widths and widths[0] > 1:
            alike = Counter(width >= widths[0] for width in widths)[True] / len(widths)
            if (alike, widths[0]) > most:
                best, most = separator, (alike, widths[0])
    return best


def _names(names: Sequence[str], path: Path, known: Collection[str], *, is_text: bool) -> list[str]:
    """Return the names of the columns, or refuse those that leave open which is meant."""
    stripped = [str(name).strip() for name in names]
    looks_like_data = [name for name in stripped if _names_a_picture(name)]
    if is_text and looks_like_data:
        raise ManifestError(
            f"The first line of {path} looks like data ('{looks_like_data[0]}'), not like column names."
            " Write a line above it with the column names, for example: image_path,age,gender"
        )
    seen: dict[str, int] = {}
    for number, name in enumerate(stripped):
        if not name:
            continue
        key = name.casefold() if name.casefold() in known else name
        if key in seen:
            first = stripped[seen[key]]
            raise ManifestError(
                f"{path} has two columns called '{first}'"
                + (f" and '{name}'" if name != first else "")
                + f": column {seen[key] + 1} and column {number + 1}. Rename one, or delete it."
            )
        seen[key] = number
    return [name or f"column {number + 1}" for number, name in enumerate(stripped)]


def _names_a_picture(cell: str) -> bool:
    return Path(cell.strip().replace("\\", "/")).suffix.lower() in ENDINGS


def _looks_like_data(cell: str) -> bool:
    return _names_a_picture(cell) or bool(re.fullmatch(r"\s*[-+]?[\d.,]+\s*", cell))


def _read_parquet(data: bytes, path: Path, known: Collection[str]) -> TextTable:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        names = _names(table.column_names, path, known, is_text=False)
        columns = [table.column(number).to_pandas() for number in range(table.num_columns)]
    except ManifestError:
        raise
    except (OSError, ValueError, TypeError, NotImplementedError, pyarrow.ArrowException) as error:
        raise ManifestError(f"{path} cannot be read as a table: {error}") from error
    cells = {name: _as_text(column) for name, column in zip(names, columns, strict=True)}
    return TextTable(pd.DataFrame(cells).reset_index(drop=True))


def _read_json_lines(text: str, path: Path, known: Collection[str], notes: list[str]) -> TextTable:
    """Return a table of JSON objects, one a line; a list in a cell becomes its parts with spaces between."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            pairs = json.loads(line, object_pairs_hook=list)
            if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
                raise ValueError("it is no object")
            names = [name for name, _ in pairs]
            if len(set(names)) < len(names):
                raise ValueError("a name occurs twice in it")
            rows.append({name: _json_text(value) for name, value in pairs})
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f"{path} cannot be read as a table: line {number} is not a JSON object of plain values"
                f" ({error})."
            ) from error
    columns = list(dict.fromkeys(name for row in rows for name in row))
    names = _names(columns, path, known, is_text=False)
    cells = [[row.get(column, "") for column in columns] for row in rows]
    return TextTable(pd.DataFrame(cells, columns=names, dtype=object), notes=tuple(notes))


def _json_text(value: object) -> str:
    if isinstance(value, list):
        if any(isinstance(part, list | tuple) for part in value):
            raise ValueError("a value is an object or a list of lists")
        return " ".join(_json_text(part) for part in value)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _as_text(column: "pd.Series[str]") -> "pd.Series[str]":
    """Return a column as text; a whole number that a gap turned into 12.0 is 12 again."""
    is_whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    cells = (column.astype("Int64") if is_whole else column).astype(object)
    return cells.where(column.notna(), "").astype(str)
