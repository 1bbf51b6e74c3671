"""Make a table of predictions for new images, with one row per face, and write it to a file.

The rows are written while the images are read, to a file beside the table whose name ends in ".partial". The
file gets the name of the table when all images are done.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import pandas as pd

from featurekit.data.manifest import csv_of
from featurekit.errors import WorkspaceError
from featurekit.files import is_file, is_folder, make_folder, opened, sync_folder, write_bytes
from featurekit.inference.columns import BEFORE, BEHIND, columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import Reading
from featurekit.text import readable_name
from featurekit.urls import Bucket, UrlPath

ABSTAINED = "abstained"  # stands in the table instead of a prediction

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PARTIAL = ".partial"
_FIRST = BEFORE[:3]  # the columns that every file of a table begins with
# Images without a prediction that are named, for each status.
SHOWN = 10


def readings_table(
    readings: Sequence[Reading],
    models: Sequence[TrainedModel],
    *,
    sets: bool = False,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Return a table with one row per face: for each model, the prediction and its probability.

    columns_of() gives the names of the columns. attrs["models"] of the table, which a Parquet file stores
    too, has the folder of the model for each column of predictions.

    Args:
        readings: the predictions for each face, from Predictor.each().
        models: the models that made the predictions.
        sets: whether to add a column for the prediction set, or two columns for the prediction interval.
            These columns are empty for a model without a calibration.
        probabilities: whether to add a column for the probability of each class.
    """
    named = list(zip(models, columns_of(models), strict=True))
    rows, nan = [], float("nan")
    for reading in readings:
        face = reading.face
        row: dict[str, Any] = dict(
            zip(BEFORE, (reading.photograph.name, reading.number, face.status, face.confidence), strict=True)
        )
        for model, columns in named:
            answer = reading.answers.get(columns.answer)
            among = reading.sets.get(columns.answer, ())
            if model.target.is_regression:
                row[columns.answer] = answer["years"] if answer else nan
                if sets:
                    row |= zip(columns.years, among or (nan, nan), strict=True)
                continue
            best = max(answer, key=lambda name: answer[name]) if answer else ""
            row[columns.answer] = ABSTAINED if columns.answer in reading.abstained else best
            row[columns.probability] = answer[best] if answer else nan
            if sets:
                row[columns.among] = " | ".join(map(str, among))
            if probabilities:
                row |= {
                    column: answer[label] if answer else nan
                    for column, label in zip(columns.classes, model.target.classes, strict=True)
                }
        row |= zip(BEHIND, (*map(float, face.box), reading.message), strict=True)
        # Names, labels and messages may have characters that a text file or a DataFrame cannot have.
        rows.append(
            {name: readable_name(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        )
    table = pd.DataFrame(rows)
    table.attrs["models"] = {columns.answer: readable_name(str(model.place)) for model, columns in named}
    return table


def legend(models: Sequence[TrainedModel], *, probabilities: bool = False) -> list[tuple[str, str]]:
    """Return pairs of a column and its meaning, for columns whose names do not say what they contain.

    These are the columns for a target that several models predict, and the columns that have another name
    because the target or the label cannot be the name of a column.

    Args:
        models: the models that made the predictions.
        probabilities: whether the table has a column for the probability of each class.
    """
    said = []
    several = len({model.target.name for model in models}) < len(models)
    for model, columns in zip(models, columns_of(models), strict=True):
        if several or columns.answer != model.target.name:
            said.append((columns.answer, f"{model.target.name}, predicted by {model.place}"))
        if probabilities:
            said += [
                (column, f"the probability of '{label}'")
                for column, label in zip(columns.classes, model.target.classes, strict=True)
                if column != f"{columns.answer}_p_{label}"
            ]
    return said


def check_output(path: Path) -> None:
    """Raise WorkspaceError if a table cannot be written to a path; call it before reading any image."""
    if is_folder(path):
        raise WorkspaceError(f"{path} is a folder. Name a file in it: --output {path / 'predictions.csv'}")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        remedy = " A spreadsheet program can open .csv." if ending in (".xlsx", ".xls", ".ods") else ""
        raise WorkspaceError(
            f"--output must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}. Got '{path.name}' instead."
            f"{remedy}"
        )
    check_folder_for(path)
    if not _holds_readings(path):
        raise WorkspaceError(
            f"{path} exists and is not a table of predictions, so it would be lost. Give another file, or"
            " move it away first."
        )


def _holds_readings(path: Path) -> bool:
    """Whether a file does not exist, is empty, or begins like a file of a TableFile."""
    ending = path.suffix.lower()
    if not is_file(path):
        return True
    with opened(path) as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(0)
        if ending == ".parquet":
            from pyarrow import parquet

            try:
                return tuple(parquet.read_schema(file).names[:3]) == _FIRST
            except (OSError, ValueError):
                return False
        start = file.read(200).decode(errors="replace").lstrip("\ufeff[{ \r\n")
    if ending in (".csv", ".tsv"):
        return start.startswith(("\t" if ending == ".tsv" else ",").join(_FIRST))
    return start.startswith(f'"{_FIRST[0]}":') or start == "]"


def check_folder_for(path: Path) -> None:
    """Raise WorkspaceError if the folder of a file does not exist and cannot be made."""
    if isinstance(path, UrlPath):
        try:
            Bucket(path.scheme).listed(path.parent)
        except OSError as error:
            raise WorkspaceError(f"Cannot write {path}: {error.strerror}.") from None
        return
    above = next((one for one in path.absolute().parents if one.exists() or one.is_symlink()), None)
    if above is None or not above.is_dir():
        raise WorkspaceError(f"Cannot write {path}: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise WorkspaceError(f"Cannot write {path}: there is no permission to write in {above}.")


class TableFile:
    """Writes a table of predictions in parts, so that it is never in memory as a whole.

    The rows go to a file beside the table, whose name ends in PARTIAL. It gets the name of the table when the
    table is complete. The rows of a table in a bucket go to a temporary file of this machine, which is
    uploaded at the end.

    Args:
        path: file of the table; its ending gives the format: one of ENDINGS, also in capital letters.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(path.name + PARTIAL)
        self._ending = path.suffix.lower()
        self._file: BinaryIO | None = None
        self._parquet: Any = None

    def append(self, table: pd.DataFrame) -> None:
        """Write further rows.

        Raises:
            WorkspaceError: the rows cannot be written.
        """
        with self._in_one_line():
            is_first = self._file is None
            if self._file is None:
                self._file = self._new_file()
            if self._ending == ".parquet":
                self._append_to_parquet(table, self._file)
            elif self._ending == ".jsonl":
                self._file.write(table.to_json(orient="records", lines=True).encode())
            elif self._ending == ".json":
                rows = table.to_json(orient="records", indent=2).removeprefix("[").removesuffix("\n]")
                self._file.write(("[" if is_first else ",").encode() + rows.encode())
            else:
                text = csv_of(table, "\t" if self._ending == ".tsv" else ",")
                self._file.write((text if is_first else text.split("\n", 1)[1]).encode())
            self._file.flush()

    def _new_file(self) -> BinaryIO:
        if isinstance(self.path, UrlPath):
            return cast(BinaryIO, TemporaryFile())
        make_folder(self.path.parent)
        return self.partial.open("wb")

    def _append_to_parquet(self, table: pd.DataFrame, file: BinaryIO) -> None:
        import pyarrow
        from pyarrow import parquet

        rows = pyarrow.Table.from_pandas(table, preserve_index=False)
        if self._parquet is None:
            # As pandas writes them, so that pandas reads them.
            attributes = {b"PANDAS_ATTRS": json.dumps(table.attrs).encode()}
            schema = rows.schema.with_metadata({**(rows.schema.metadata or {}), **attributes})
            self._parquet = parquet.ParquetWriter(file, schema)
        self._parquet.write_table(rows.cast(self._parquet.schema))

    def end(self) -> Path | None:
        """Complete the format of the file that was begun, and return its path; None if no row was written.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        return self._complete(self.partial)

    def _complete(self, path: Path) -> Path | None:
        """Complete the format of the file that was begun, and upload it to a path in a bucket; see end()."""
        if self._file is None:
            return None
        if not self._file.closed:
            with self._in_one_line(), self._file as file:
                if self._parquet:
                    self._parquet.close()
                elif self._ending == ".json":
                    file.write(b"\n]\n")
                if isinstance(path, UrlPath):
                    file.seek(0)
                    write_bytes(path, file.read())
        return path

    def finish(self) -> None:
        """Complete the file, and give it the name of the table.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        if isinstance(self.path, UrlPath):
            self._complete(self.path)
        elif self.end():
            with self._in_one_line():
                with self.partial.open("rb+") as file:
                    os.fsync(file.fileno())
                self.partial.replace(self.path)
                sync_folder(self.path.parent)

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WorkspaceError(f"Cannot write {self.path}: {error.strerror or error}.") from error


class Collected:
    """Collects the predictions of a call, and writes them to a file while the images are read.

    Args:
        models: the models that make the predictions.
        n_photographs: number of images to read.
        output: file for the table; None to keep all predictions in memory.
        options: keyword arguments for readings_table().

    Attributes:
        n_read: number of images that are done.
        statuses: status → number of rows.
        without: name, status and message of the first images without a prediction.
        first: the first rows of the table, or all rows if there is no file.
        n_rows: number of rows.
    """

    SHOWN = 100  # rows that are kept to be printed if there is a file
    _ROWS, _SECONDS = 2000, 10.0  # rows and seconds after which rows are written

    def __init__(
        self,
        models: Sequence[TrainedModel],
        n_photographs: int,
        output: Path | None = None,
        **options: bool,
    ) -> None:
        self.n_read, self.n_rows = 0, 0
        self.statuses: Counter[str] = Counter()
        self.without: list[tuple[str, str, str]] = []
        self.first: list[Reading] = []
        self._waiting: list[Reading] = []  # to be written
        self._models, self._n_photographs, self._options = models, n_photographs, options
        self._file = TableFile(output) if output else None
        self._written = time.monotonic()

    @property
    def how_many(self) -> str:
        """The number of images that are done, e.g. "3 of 10 images"."""
        return f"{self.n_read:,} of {self._n_photographs:,} images"

    def add(self, readings: Sequence[Reading]) -> None:
        """Add the predictions for all faces of one image.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        self.n_read += 1
        self.n_rows += len(readings)
        for one in readings:
            status = one.face.status
            self.statuses[status] += 1
            if status != "ok" and self.statuses[status] <= SHOWN:
                self.without.append((one.photograph.name, status, one.message))
        if self._file is None or len(self.first) < self.SHOWN:
            self.first += readings
        if self._file:
            self._waiting += readings
            if len(self._waiting) >= self._ROWS or time.monotonic() - self._written > self._SECONDS:
                self._write()

    def _write(self) -> None:
        assert self._file is not None
        if self._waiting:
            self._file.append(self._table(self._waiting))
            self._waiting = []
        self._written = time.monotonic()

    def table(self) -> pd.DataFrame:
        """Return the rows that are kept to be printed."""
        return self._table(self.first)

    def unwritten(self) -> pd.DataFrame:
        """Return the rows that are not in a file; without a file, all rows."""
        return self._table(self._waiting if self._file else self.first)

    def _table(self, readings: Sequence[Reading]) -> pd.DataFrame:
        return readings_table(readings, self._models, **self._options)

    def keep(self) -> Path | None:
        """Write the predictions that were added so far to the .partial file, and return its path.

        Returns None if no image is done, or if no file for the table was given.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        if self._file is None:
            return None
        try:
            self._write()
        finally:
            path = self._file.end()
        return path

    def finish(self) -> None:
        """Write all predictions, and give the file the name of the table, if there is a file.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        if self._file:
            self._write()
            self._file.finish()
