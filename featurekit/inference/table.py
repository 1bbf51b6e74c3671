"""The predictions for new images as a table with one row per face, and its files.

A table is written whole. If reading ends early, because of an error or because somebody
stops it, the rows until then are written as a table of their own, beside it, under a
name that says that it is a part.
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

    columns_of() names the columns of each model. The table's attrs["models"], which a Parquet file keeps, has
    the folder of the model for each column of predictions.

    Args:
        readings: of faces.
        models: the models that made the predictions.
        sets: whether there is a column for the prediction set (or two for the prediction interval); they are
            empty for a model without them.
        probabilities: whether there is a column for the probability of each class.
    """
    named = list(zip(models, columns_of(models), strict=True))
    rows, nan = [], float("nan")
    for reading in readings:
        face = reading.face
        before = (reading.photograph.name, reading.number, face.status, face.confidence)
        row: dict[str, Any] = dict(zip(BEFORE, before, strict=True))
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
    """Return the meaning, in words, of the columns whose names do not say it.

    These are columns of several models with the same target, and columns whose target or label cannot be
    the name of a column.

    Args:
        models: the models that made the predictions.
        probabilities: whether there is a column for each class.
    """
    said = []
    several = len({model.target.name for model in models}) < len(models)
    for model, columns in zip(models, columns_of(models), strict=True):
        target = model.target
        if several or columns.answer != target.name:
            said.append((columns.answer, f"{target.name}, read by {model.place}"))
        if probabilities:
            said += [
                (column, f"the probability of '{label}'")
                for column, label in zip(columns.classes, target.classes, strict=True)
                if column != f"{columns.answer}_p_{label}"
            ]
    return said


def check_output(path: Path) -> None:
    """Raise WorkspaceError unless a table can be written there, so that no image is read in vain."""
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
    """Raise WorkspaceError unless the folder of a file exists or can be made."""
    above = next((one for one in path.absolute().parents if one.exists() or one.is_symlink()), None)
    if above is None or not above.is_dir():
        raise WorkspaceError(f"Cannot write {path}: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise WorkspaceError(f"Cannot write {path}: there is no permission to write in {above}.")


def write_readings(table: pd.DataFrame, path: Path) -> None:
    """Write a table of readings in the format that the ending of the file's name says, one of ENDINGS.

    PARTIAL may follow the ending. Capital letters make no difference.
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
    """Collects readings, so that none is lost if reading ends early.

    Args:
        models: the models that make the predictions.
        n_photographs: number of images to read.
        output: the file of the table; None for none.
        options: of readings_table().
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
        """How many of the images were read, in words."""
        return f"{self.n_read:,} of {self._n_photographs:,} images"

    def add(self, readings: Sequence[Reading]) -> None:
        """Add all readings of an image."""
        self.readings += readings
        self.n_read += 1
        started = time.monotonic()
        if started - self._kept >= self._pause:
            self.keep()
            self._kept = time.monotonic()
            # Writing a table of very many rows takes long. At most a twentieth of the time is spent on it.
            self._pause = max(KEEP_EVERY, 20 * (self._kept - started))

    def table(self) -> pd.DataFrame:
        """Return the readings until now as a table."""
        return readings_table(self.readings, self._models, **self._options)

    def keep(self) -> Path | None:
        """Write the readings until now as a part of the table; return its file, or None if there is none.

        Raises:
            WorkspaceError: the file cannot be written.
        """
        if not self._output or not self.n_read:
            return None
        path = _partial(self._output)
        write_readings(self.table(), path)
        return path

    def write(self, table: pd.DataFrame) -> None:
        """Write the whole table, and remove the part that an earlier run may have left."""
        assert self._output is not None
        write_readings(table, self._output)
        with suppress(OSError):
            _partial(self._output).unlink()


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)
