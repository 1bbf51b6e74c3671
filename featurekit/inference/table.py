"""Make a table of predictions for new images, with one row per face, and write it to a file.

The table is written when all images are done. If an error or the user ends the program early, the rows that
are finished are written to another file beside it, whose name ends in ".partial".
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.manifest import csv_of
from featurekit.errors import WorkspaceError
from featurekit.files import whole_file
from featurekit.inference.columns import BEFORE, BEHIND, columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import Reading
from featurekit.text import readable_name

ABSTAINED = "abstained"  # stands in the table instead of a prediction

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PARTIAL = ".partial"
_FIRST = BEFORE[:3]  # the columns that every file of a table begins with
# Seconds after which the rows until then are written again, because a process that is killed cannot write
# them.
KEEP_EVERY = 60


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
        readings: the predictions for each face, from read_each().
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
    if path.is_dir():
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
    """Whether a file does not exist, is empty, or begins like a file of write_readings()."""
    ending = path.suffix.lower()
    if not path.is_file() or not path.stat().st_size:
        return True
    if ending == ".parquet":
        from pyarrow import parquet

        try:
            return tuple(parquet.read_schema(path).names[:3]) == _FIRST
        except (OSError, ValueError):
            return False
    with path.open("rb") as file:
        start = file.read(200).decode(errors="replace").lstrip("\ufeff[{ \r\n")
    if ending in (".csv", ".tsv"):
        return start.startswith(("\t" if ending == ".tsv" else ",").join(_FIRST))
    return start.startswith(f'"{_FIRST[0]}":') or start == "]"


def check_folder_for(path: Path) -> None:
    """Raise WorkspaceError if the folder of a file does not exist and cannot be made."""
    above = next((one for one in path.absolute().parents if one.exists() or one.is_symlink()), None)
    if above is None or not above.is_dir():
        raise WorkspaceError(f"Cannot write {path}: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise WorkspaceError(f"Cannot write {path}: there is no permission to write in {above}.")


def write_readings(table: pd.DataFrame, path: Path) -> None:
    """Write a table of predictions in the format that the ending of the file's name gives, one of ENDINGS.

    The ending may be in capital letters, and PARTIAL may follow it.
    """
    ending = Path(path.name.removesuffix(PARTIAL)).suffix.lower()
    with whole_file(path) as file:
        if ending == ".parquet":
            table.to_parquet(file, index=False)
        elif ending == ".json":
            file.write((table.to_json(orient="records", indent=2) + "\n").encode())
        elif ending == ".jsonl":
            file.write(table.to_json(orient="records", lines=True).encode())
        else:
            file.write(csv_of(table, "\t" if ending == ".tsv" else ",").encode())


class Collected:
    """Collects predictions, and writes them to a file now and then in case the program ends early.

    Args:
        models: the models that make the predictions.
        n_photographs: number of images to read.
        output: file for the table; None to write no file.
        options: keyword arguments for readings_table().
    """

    def __init__(
        self,
        models: Sequence[TrainedModel],
        n_photographs: int,
        output: Path | None = None,
        **options: bool,
    ) -> None:
        self.readings: list[Reading] = []
        self.n_read = 0
        self._models, self._n_photographs, self._output = models, n_photographs, output
        self._options = options
        self._pause, self._kept = float(KEEP_EVERY), time.monotonic()

    @property
    def how_many(self) -> str:
        """The number of images that are done, e.g. "3 of 10 images"."""
        return f"{self.n_read:,} of {self._n_photographs:,} images"

    def add(self, readings: Sequence[Reading]) -> None:
        """Add the predictions for all faces of one image."""
        self.readings += readings
        self.n_read += 1
        started = time.monotonic()
        if started - self._kept >= self._pause:
            self.keep()
            self._kept = time.monotonic()
            # Writing a table of very many rows takes long. At most a twentieth of the time is spent on it.
            self._pause = max(KEEP_EVERY, 20 * (self._kept - started))

    def table(self) -> pd.DataFrame:
        """Return the predictions that were added so far as a table."""
        return readings_table(self.readings, self._models, **self._options)

    def keep(self) -> Path | None:
        """Write the predictions that were added so far to the .partial file, and return its path.

        Returns None if no image is done, or if no file for the table was given.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        if not self._output or not self.n_read:
            return None
        path = _partial(self._output)
        write_readings(self.table(), path)
        return path

    def write(self, table: pd.DataFrame) -> None:
        """Write the whole table, and remove the .partial file."""
        assert self._output is not None
        write_readings(table, self._output)
        with suppress(OSError):
            _partial(self._output).unlink()


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)
