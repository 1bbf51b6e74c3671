"""The faces of the page: where each is on the map, its labels, and what models predict for it."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.label_suspects import suspected_of
from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import GENDER, GENDER3, TARGETS, Target
from featurekit.embeddings.plane import Plane
from featurekit.errors import FeaturekitError, UnknownNameError
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.image_quality import QUALITY_BANDS
from featurekit.evaluation.outcomes import MOST_LABELS, gives_probabilities, probabilities_of
from featurekit.evaluation.results import Run
from featurekit.report.gallery import predictions_in
from featurekit.report.select import best_first, is_named, model_name, run_named, target_title
from featurekit.text import counted, visible

_TITLES = {"face_size": "Face size", "sharpness": "Sharpness"}


class HasRuns(Protocol):
    """Results of a comparison, as far as the page needs them."""

    @property
    def runs(self) -> Sequence[Run]:
        """All runs."""

    @property
    def folder(self) -> Path:
        """Folder of the comparison."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """A label, or another property, of the faces.

    Attributes:
        name: name of the column.
        classes: the labels; empty for numbers, such as the age in years.
        is_ordered: whether neighbouring labels are similar.
        values: number of the label of each face, or the number itself; NaN for a face without one.
    """

    name: str
    classes: tuple[str, ...]
    is_ordered: bool
    values: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """Return the column as the page reads it."""
        return {
            "name": self.name,
            "title": visible(_TITLES.get(self.name) or target_title(self.name)),
            "classes": list(self.classes),
            "shown": list(map(visible, self.classes)),
            "ordered": self.is_ordered,
            "values": _numbers(self.values),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What a model predicts for the faces, by models that were fitted without their subjects.

    Attributes:
        run: the run of the model.
        predicted: number of the predicted class, or the predicted years; NaN without a prediction.
        confidence: probability of the predicted class; NaN if it is not known.
        suspicion: 1 for the most suspicious label, 2 for the next one, and so on; 0 for the others.
    """

    run: Run
    predicted: NDArray[np.float64]
    confidence: NDArray[np.float64]
    suspicion: NDArray[np.intp]

    def as_json(self) -> dict[str, Any]:
        """Return the predictions as the page reads them."""
        return {
            "name": self.run.target,
            "model": visible(model_name(self.run)),
            "features": visible(self.run.features),
            "predicted": _numbers(self.predicted),
            "confidence": _numbers(self.confidence),
            "suspicion": self.suspicion.tolist(),
        }

    def at(self, chosen: NDArray[np.intp]) -> "Judgement":
        """Return the predictions for some of the faces."""
        return replace(
            self,
            predicted=self.predicted[chosen],
            confidence=self.confidence[chosen],
            suspicion=self.suspicion[chosen],
        )


def runs_to_show(
    results: HasRuns, data: Manifest, features: str, model: str | None
) -> tuple[list[Run], list[str]]:
    """Return a run of each target, and notes about the others.

    Without the name of a model it is the best trained model, on the features of the map if there is one.

    Raises:
        UnknownNameError: there is no such model, several have the name, or it is set apart.
    """
    apart = set_apart(results.runs, data, results.folder)
    runs = [run for run in results.runs if run.name not in apart]
    if model in apart:
        raise UnknownNameError(f"{model} is set apart, so it is not shown: {apart[model]}.")
    named = runs if model is None else [run for run in runs if is_named(run, model)]
    if model is not None and not named:
        run_named(runs, model)  # raises an error that names the models
    chosen = []
    for target in dict.fromkeys(run.target for run in named):
        own = [run for run in named if run.target == target]
        own = [run for run in own if run.features == features] or own
        if model is not None:
            chosen.append(run_named(own, model, target))
        elif trained := [run for run in own if not run.is_baseline]:
            chosen.append(best_first(trained)[0])
    notes = [
        f"{counted(len(apart), 'run is', 'runs are')} not shown (first: {name}, because {why})."
        for name, why in list(apart.items())[:1]
    ]
    return chosen, notes


def judgements_of(
    runs: Iterable[Run], results: HasRuns | None, data: Manifest, rows: NDArray[np.intp]
) -> tuple[list[Judgement], list[str]]:
    """Return what each run predicts for the faces of some rows, and why some runs are left out."""
    found, notes = list[Judgement](), list[str]()
    if results is None:
        return found, notes
    for run in runs:
        try:
            found.append(_judgement(run, results.folder, data, rows))
        except FeaturekitError as error:
            notes.append(f"The predictions of {run.name} are not shown. {error.args[0]}")
    return found, notes


def _judgement(run: Run, folder: Path, data: Manifest, rows: NDArray[np.intp]) -> Judgement:
    table, tested = predictions_in(folder, run, data)
    target = run.seen(data).target(run.target)
    predicted, confidence = np.full(len(data), np.nan), np.full(len(data), np.nan)
    suspicion = np.zeros(len(data), np.intp)
    if target.is_regression:
        predicted[tested] = table["predicted"].to_numpy(float)
    else:
        classes = data.target(run.target).classes
        predicted[tested] = _coded(table["predicted"].astype(str), classes)
        if gives_probabilities(table, target.classes):
            confidence[tested] = probabilities_of(table, target.classes).max(axis=1)
            named = table.assign(face_id=data.table["face_id"].to_numpy(dtype=str)[tested])
            row_of = dict(zip(named["face_id"], tested, strict=True))
            for rank, face in enumerate(suspected_of(named, target, data.subjects[tested]).rows, start=1):
                suspicion[row_of[face]] = rank
    return Judgement(
        run=run, predicted=predicted[rows], confidence=confidence[rows], suspicion=suspicion[rows]
    )


def columns_of(
    data: Manifest, quality: pd.DataFrame, rows: NDArray[np.intp], needed: Collection[str] = ()
) -> list[Column]:
    """Return the columns by which the faces of some rows are filtered; labels that no face has are left out.

    Args:
        data: the data set.
        quality: labels for the quality of the image, from quality_labels(), for the same rows.
        rows: numbers of the rows.
        needed: labels that are not left out if they have many classes.
    """
    own = [name for name in map(str, data.table.columns) if name not in COLUMNS and name not in TARGETS]
    found: list[Column] = []
    for name in [*(one for one in TARGETS if one in data.table), *own]:
        target = data.target(name)
        # A user's own column with many labels names files or people, rather than groups.
        if name not in (*TARGETS, *needed) and not 2 <= len(target.classes) <= MOST_LABELS:
            continue
        column = column_of(target, data.table[name].iloc[rows])
        if name == GENDER3.name and _is_gender(column, found):
            continue
        if not np.isnan(column.values).all():
            found.append(column)
    for measure, labels in quality.items():
        name = str(measure)
        bands = tuple(band for band in QUALITY_BANDS[name] if band in set(labels))
        if name not in own and len(bands) > 1:
            values = _coded(labels.astype(str), bands)
            found.append(Column(name=name, classes=bands, is_ordered=True, values=values))
    return found


def _is_gender(column: Column, others: Sequence[Column]) -> bool:
    """Whether a column of three genders has the two of the column gender only."""
    genders = next((one for one in others if one.name == GENDER.name), None)
    names = [
        np.array([*one.classes, ""])[np.nan_to_num(one.values, nan=-1).astype(int)]
        for one in (column, genders)
        if one
    ]
    return len(names) == 2 and bool((names[0] == names[1]).all())


def column_of(target: Target, values: "pd.Series[Any]") -> Column:
    """Return the labels of a target as a column."""
    coded = (
        values.to_numpy(float)
        if target.is_regression
        else _coded(values.fillna("").astype(str), target.classes)
    )
    return Column(name=target.name, classes=target.classes, is_ordered=target.ordered, values=coded)


def page_data(
    data: Manifest,
    rows: NDArray[np.intp],
    plane: Plane,
    chosen: NDArray[np.intp],
    columns: Sequence[Column],
    judgements: Sequence[Judgement],
    facts: Mapping[str, Any],
) -> bytes:
    """Return everything that the page shows of the faces, but for their images and marks, as JSON.

    Args:
        data: the data set.
        rows: row number of each face.
        plane: the map.
        chosen: position of each face on the map.
        columns: labels of the faces.
        judgements: predictions for the faces.
        facts: further facts, such as the name of the features.
    """
    table = data.table.iloc[rows]
    shared = {
        "dataset": visible(data.name),
        "synthetic": bool(data.info.get("synthetic")),
        "method": plane.method.upper(),
        "shares": plane.shares and [round(100 * share, 1) for share in plane.shares],
        "rows": rows.tolist(),
        "x": np.round(plane.places[chosen, 0], 4).tolist(),
        "y": np.round(plane.places[chosen, 1], 4).tolist(),
        "images": [visible(str(path)) for path in table["image_path"]],
        "subjects": [visible(str(name)) for name in table["subject_id"]],
        "columns": [column.as_json() for column in columns],
        "targets": [one.as_json() for one in judgements],
    }
    return json.dumps({**facts, **shared}, allow_nan=False, ensure_ascii=True).encode()


def _coded(labels: "pd.Series[str]", classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the number of the class of each label, NaN for a label that is none of the classes."""
    numbers = {label: float(number) for number, label in enumerate(classes)}
    return np.array([numbers.get(label, np.nan) for label in labels], np.float64)


def _numbers(values: NDArray[np.float64]) -> list[float | int | None]:
    """Return numbers as JSON has them: None for NaN, and whole numbers without a point."""
    return [
        None if value != value else int(value) if value == int(value) else round(value, 4)
        for value in values.tolist()
    ]
