"""What becomes of the answers for new photographs: a table, a file, drawings.

A table is written whole. Where reading ends before its end, by an error or because somebody stops it, what
was read until then becomes a whole table too, beside, under a name that says that it is a part.
"""

import os
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.datasets import find_pictures
from featurekit.data.manifest import csv_of
from featurekit.errors import ManifestError, WorkspaceError
from featurekit.faces.images import read_image
from featurekit.files import fresh_name, whole_file
from featurekit.inference.archive import CONTENT
from featurekit.inference.columns import BEFORE, BEHIND
from featurekit.inference.model import Reading, TrainedModel, columns_of
from featurekit.text import name_as_it_was, readable_name

DECLINED = "unsure"  # stands in the place of an answer
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PARTIAL = ".partial"
_FIRST = ("photograph", "face", "status")  # columns of every table of readings
# Seconds between two writings of the part that has been read, for a process that is killed and cannot write.
KEEP_EVERY = 60


# ---------------------------------------------------------------- what is to be read


@dataclass(frozen=True)
class Asked:
    """What was named on a command line.

    Attributes:
        photographs: each once, in the order named.
        models: folders of models that stood among the photographs.
        repeated: photographs that were named more than once, each time that they were after the first.
        left_out: what of each folder is no photograph, a sentence each.
    """

    photographs: tuple[Path, ...]
    models: tuple[Path, ...]
    repeated: tuple[Path, ...]
    left_out: tuple[str, ...] = ()


def look_up(inputs: Sequence[Path]) -> Asked:
    """Return the photographs that paths of files and folders name, and the models that stand among them.

    A file is the same wherever its folder is reached from; two links to it in a folder are two photographs.

    Raises:
        WorkspaceError: a path is not there, or is a folder of models.
        ManifestError: a folder has no photograph in it.
    """
    found: dict[str, Path] = {}
    models, repeated, left_out = [], [], []
    for path in inputs:
        if is_model(path):
            models.append(path)
            continue
        photographs, note = _photographs(path)
        left_out += [f"{path}: {note}"] if note else []
        for photograph in photographs:
            key = os.path.join(os.path.realpath(photograph.parent), photograph.name)  # noqa: PTH118 — as above
            if key in found:
                repeated.append(photograph)
            found.setdefault(key, photograph)
    return Asked(tuple(found.values()), tuple(models), tuple(repeated), tuple(left_out))


def is_model(folder: Path) -> bool:
    """Whether a path is a model's folder."""
    return (folder / CONTENT).is_file()


def models_in(folder: Path) -> list[Path]:
    """Return the models that a folder holds, for a folder that is no model itself."""
    if is_model(folder) or not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if is_model(one))


def as_options(models: Sequence[Path]) -> str:
    """Return what to type for these models.

    >>> as_options([Path("models/a"), Path("my models/b")])
    "--model models/a --model 'my models/b'"
    """
    return " ".join(f"--model {shlex.quote(str(one))}" for one in models)


def _photographs(path: Path) -> tuple[list[Path], str]:
    """Return the photographs that a path names, and what else lies there in one sentence, or ""."""
    if not path.is_dir():
        if not path.exists():
            raise WorkspaceError(f"There is no file or folder {path}.")
        return [path], ""
    try:
        found = find_pictures(path)
    except ManifestError:
        if inside := models_in(path):
            raise WorkspaceError(
                f"{path} is a folder of models, not of photographs. To ask them: {as_options(inside)}"
            ) from None
        raise
    table = found.table
    return [
        _real_path(path, name, is_text=reason != "bad_path")
        for name, reason in zip(table["image_path"], table["reason"], strict=True)
    ], found.note


def _real_path(folder: Path, name: str, *, is_text: bool) -> Path:
    """Return the file that find_pictures() calls by a name, in which bytes may be written out.

    Args:
        folder: what the name is relative to.
        name: with forward slashes.
        is_text: whether the file's own name, without its folders, is text.
    """
    if is_text and (folder / name).exists():
        return folder / name
    *parents, last = name.split("/")
    for number, part in enumerate((*parents, last)):
        is_last = number == len(parents)
        # A name that only looks as if bytes were written out comes last where bytes are meant.
        named = [one for one in os.listdir(folder) if part in (one, *_written(one))]  # noqa: PTH208 — names
        named.sort(key=lambda one: (one == part) if is_last and not is_text else (one != part))
        folder = folder / (named[0] if named else name_as_it_was(part))
    return folder


def _written(name: str) -> tuple[str, str]:
    return readable_name(name), os.fsencode(name).decode("utf-8", "backslashreplace")


# ---------------------------------------------------------------- the table


def readings_table(
    readings: Sequence[Reading],
    models: Sequence[TrainedModel],
    *,
    room: bool = False,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Return readings as a table: one row a face, the likeliest answer and its probability a model.

    What each model's columns are called says columns_of(). The table's attrs["models"], which a Parquet file
    keeps, has the folder of the model that each answer is of.

    Args:
        readings: of faces.
        models: who read them.
        room: whether a column tells which classes, or two which years, the true ones are likely among;
            empty for a model that cannot say.
        probabilities: whether there is a column for the probability of each class.
    """
    named = list(zip(models, columns_of(models), strict=True))
    rows = []
    for reading in readings:
        face = reading.face
        before = (str(reading.path), reading.number, face.status, face.confidence)
        row: dict[str, Any] = dict(zip(BEFORE, before, strict=True))
        for model, columns in named:
            answer = reading.answers.get(columns.answer)
            among = reading.room.get(columns.answer, ())
            if model.target.is_regression:
                row[columns.answer] = answer["years"] if answer else float("nan")
                if room:
                    row |= zip(columns.years, among or (float("nan"), float("nan")), strict=True)
                continue
            best = max(answer, key=lambda name: answer[name]) if answer else ""
            row[columns.answer] = DECLINED if columns.answer in reading.declined else best
            row[columns.probability] = answer[best] if answer else float("nan")
            if room:
                row[columns.among] = " | ".join(map(str, among))
            if probabilities:
                for column, label in zip(columns.classes, model.target.classes, strict=True):
                    row[column] = answer[label] if answer else float("nan")
        row |= zip(BEHIND, (*map(float, face.box), reading.message), strict=True)
        # Names, labels and messages may hold what neither a text file nor a DataFrame can.
        rows.append(
            {name: readable_name(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        )
    table = pd.DataFrame(rows)
    table.attrs["models"] = {columns.answer: readable_name(str(model.place)) for model, columns in named}
    return table


def legend(models: Sequence[TrainedModel], *, probabilities: bool = False) -> list[tuple[str, str]]:
    """Return in words what columns are of which model, where their names do not say it.

    That is where several models read one target, or where a target or a label cannot be a column's name.

    Args:
        models: who read.
        probabilities: whether there is a column for each class.
    """
    said = []
    several = len({model.target.name for model in models}) < len(models)
    for model, columns in zip(models, columns_of(models), strict=True):
        target = model.target
        if several or columns.answer != target.name:
            said.append((columns.answer, f"{target.name}, read by {model.place}"))
        if probabilities:
            for column, label in zip(columns.classes, target.classes, strict=True):
                if column != f"{columns.answer}_p_{label}":
                    said.append((column, f"the probability of '{label}'"))
    return said


def check_output(path: Path) -> None:
    """Raise WorkspaceError unless a table can be written there, so that nothing is read in vain."""
    if path.is_dir():
        raise WorkspaceError(f"{path} is a folder. Name a file in it: --output {path / 'predictions.csv'}")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        kinds = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        remedy = " A spreadsheet opens .csv." if ending in (".xlsx", ".xls", ".ods") else ""
        raise WorkspaceError(f"--output must end in {kinds}. Got '{path.name}' instead.{remedy}")
    check_folder_for(path)
    if not _holds_readings(path):
        raise WorkspaceError(
            f"{path} is there, and is no table of predictions: it would be lost. Name another file, or"
            " move it away first."
        )


def _holds_readings(path: Path) -> bool:
    """Whether a file is not there, is empty, or begins as write_readings() lets one begin."""
    ending = path.suffix.lower()
    if not path.is_file() or not path.stat().st_size:
        return True
    if ending == ".parquet":
        from pyarrow import parquet

        try:
            return list(parquet.read_schema(path).names[:3]) == list(_FIRST)
        except (OSError, ValueError):
            return False
    with path.open("rb") as file:
        start = file.read(200).decode(errors="replace").lstrip("\ufeff[{ \r\n")
    if ending in (".csv", ".tsv"):
        return start.startswith(("\t" if ending == ".tsv" else ",").join(_FIRST))
    return start.startswith(f'"{_FIRST[0]}":') or start == "]"


def check_folder_for(path: Path) -> None:
    """Raise WorkspaceError unless the folder that a file is to lie in is there, or can be made."""
    above = next((one for one in path.absolute().parents if one.exists() or one.is_symlink()), None)
    if above is None or not above.is_dir():
        raise WorkspaceError(f"Cannot write {path}: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise WorkspaceError(f"Cannot write {path}: nothing may be written in {above}.")


def check_drawings(folder: Path, photographs: Sequence[Path], option: str) -> None:
    """Raise WorkspaceError where drawings cannot go to a folder, or could take photographs' places.

    Args:
        folder: where they are to go.
        photographs: what is drawn on.
        option: that names the folder.
    """
    check_folder_for(folder / "drawing.png")
    theirs = {os.path.realpath(one) for one in {photograph.parent for photograph in photographs}}
    if os.path.realpath(folder) in theirs:
        raise WorkspaceError(
            f"{folder} is where the photographs lie, and a drawing could take the place of one."
            f" Name another folder: {option} {folder / 'drawn'}"
        )


def write_readings(table: pd.DataFrame, path: Path) -> None:
    """Write a table of readings; its ending, of any case, decides the format: one of ENDINGS.

    A name that ends in PARTIAL is of the format that the name without it has.
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
    """Readings as they come, of which nothing is lost where they end too early.

    Args:
        models: who read.
        n_photographs: that are to be read.
        output: the file that the table goes to; None for none.
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
        """How many photographs of how many were read, in words."""
        return f"{self.n_read:,} of {self._n_photographs:,} photographs"

    def add(self, readings: Sequence[Reading]) -> None:
        """Add all readings of a photograph."""
        self.readings += readings
        self.n_read += 1
        started = time.monotonic()
        if started - self._kept >= self._pause:
            self.keep()
            self._kept = time.monotonic()
            # A table of very many rows takes long to write: most of the time is for reading.
            self._pause = max(KEEP_EVERY, 20 * (self._kept - started))

    def table(self) -> pd.DataFrame:
        """Return what was read as a table."""
        return readings_table(self.readings, self._models, **self._options)

    def keep(self) -> Path | None:
        """Write what was read as a part of the table, and return its file; None where there is none to write.

        Raises:
            WorkspaceError: it cannot be written.
        """
        if not self._output or not self.n_read:
            return None
        path = _partial(self._output)
        write_readings(self.table(), path)
        return path

    def write(self, table: pd.DataFrame) -> None:
        """Write the whole table, and remove what an earlier run kept in part."""
        assert self._output is not None
        write_readings(table, self._output)
        with suppress(OSError):
            _partial(self._output).unlink()


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


# ---------------------------------------------------------------- drawings


def draw_readings(readings: Sequence[Reading], models: Sequence[TrainedModel], folder: Path) -> list[Path]:
    """Write a copy of each photograph with a face, boxes and answers drawn on it; return the copies."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = []
    by_picture: dict[Path, list[Reading]] = {}
    for reading in readings:
        if reading.face.status == "ok":
            by_picture.setdefault(reading.path, []).append(reading)
    names: set[str] = set()
    captions = _Captions(models)
    for path, faces in by_picture.items():
        picture = Image.fromarray(read_image(path))
        pen = ImageDraw.Draw(picture)
        # Lines and letters grow with the picture, so that they can be read when it is shown whole.
        unit = max(max(picture.size) / 400, 1.0)
        font = ImageFont.load_default(size=round(11 * unit))
        for reading in faces:
            box = [float(value) for value in reading.face.box]
            pen.rectangle(box, outline=(255, 255, 255), width=round(3 * unit))
            pen.rectangle(box, outline=(20, 90, 200), width=round(1.5 * unit))
            text = captions.of(reading)
            # Below the face where there is room, else inside.
            left, top, right, bottom = pen.textbbox((box[0], box[3] + 2 * unit), text, font=font)
            lift = max(bottom + 3 * unit - picture.size[1], 0)
            shift = max(right + 3 * unit - picture.size[0], 0)
            x, y = left - shift, top - lift
            edge = 2 * unit
            pen.rectangle(
                (x - edge, y - edge, right - shift + edge, bottom - lift + edge), fill=(20, 90, 200)
            )
            pen.text((x, y), text, fill=(255, 255, 255), font=font, anchor="la")
        file_name = fresh_name(path.stem, ".png", names)
        with whole_file(folder / file_name) as file:
            picture.save(file, "PNG")
        drawn.append(folder / file_name)
    return drawn


class _Captions:
    """What is written beside a face: a line a model, which is named where several read the same target."""

    def __init__(self, models: Sequence[TrainedModel]) -> None:
        targets = [model.target.name for model in models]
        self._models = {
            columns.answer: (model.target, targets.count(model.target.name) > 1)
            for model, columns in zip(models, columns_of(models), strict=True)
        }

    def of(self, reading: Reading) -> str:
        """Return the lines for a face."""
        lines = []
        for name, answer in reading.answers.items():
            target, is_one_of_several = self._models[name]
            best = max(answer, key=lambda label: answer[label])
            said = (
                f"{answer[best]:.0f} years" if target.is_regression else f"{best} {100 * answer[best]:.0f} %"
            )
            if name in reading.declined:
                said = DECLINED if is_one_of_several else f"{target.name.replace('_', ' ')}: {DECLINED}"
            lines.append(f"{name}: {said}" if is_one_of_several else said)
        return "\n".join(lines)
