"""The answers for new photographs as a table: one row a face."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from featurekit.inference.columns import BEFORE, BEHIND, columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import Reading
from featurekit.text import readable_name

DECLINED = "abstained"  # what the table has in the place of a prediction


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
        before = (reading.photograph.name, reading.number, face.status, face.confidence)
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
