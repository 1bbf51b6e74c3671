"""The predictions for new images as a table with one row per face."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from featurekit.inference.columns import BEFORE, BEHIND, columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import Reading
from featurekit.text import readable_name

ABSTAINED = "abstained"  # stands in the table instead of a prediction


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
