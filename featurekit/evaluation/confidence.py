"""How well the confidence of a model is calibrated, and the coverage of its prediction sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.evaluation.estimates import classes_of
from featurekit.evaluation.outcomes import Outcomes, gives_probabilities
from featurekit.evaluation.slices import AGE_BANDS, age_bands, in_order, labels_of_faces
from featurekit.uncertainty.abstention import risks_at
from featurekit.uncertainty.calibration import cross_fitted
from featurekit.uncertainty.conformal import (
    MISSED,
    Coverage,
    coverage_by,
    cross_fitted_ranges,
    cross_fitted_sets,
)
from featurekit.uncertainty.reliability import Bin, CalibrationError, expected_calibration_error, reliability
from featurekit.uncertainty.resampling import faces_of_others

SHARES = tuple(number / 20 for number in range(1, 21))  # of faces that are answered, most confident first


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """How well the confidence of one classifier is calibrated.

    Attributes:
        temperature: mean over folds of the temperature that was fitted on the other folds; above 1 if the
            model is overconfident.
        before, after: calibration error before and after the probabilities are scaled by the temperatures.
        bins: groups of faces with about the same unscaled confidence, the least confident first.
        risks: share of wrong predictions among the most confident faces, for each share of faces in SHARES.
    """

    temperature: float
    before: CalibrationError
    after: CalibrationError
    bins: tuple[Bin, ...]
    risks: tuple[float, ...]


def confidence_of(target: Target, table: pd.DataFrame, seed: int) -> Confidence | None:
    """Return how well the confidence of a model is calibrated.

    The result is None for a regression target, for a model without probabilities, or if a fold contains all
    subjects.
    """
    if target.is_regression or not gives_probabilities(table, target.classes) or not _can_be_fitted(table):
        return None
    y, proba, subjects = classes_of(target, table)
    calibrated, temperatures = cross_fitted(proba, y, table["fold"].to_numpy(np.intp), subjects)
    return Confidence(
        temperature=float(np.mean(list(temperatures.values()))),
        before=expected_calibration_error(proba, y, subjects, seed=seed),
        after=expected_calibration_error(calibrated, y, subjects, seed=seed),
        bins=reliability(proba, y),
        risks=risks_of(target, table),
    )


def risks_of(target: Target, table: pd.DataFrame) -> tuple[float, ...]:
    """Return the share of wrong predictions among the most confident faces, for each share in SHARES."""
    y, proba, _ = classes_of(target, table)
    return risks_at(proba.max(axis=1), proba.argmax(axis=1) != y, SHARES)


def coverage_of(outcomes: Outcomes, target: Target, table: pd.DataFrame) -> tuple[tuple[str, Coverage], ...]:
    """Return how often the prediction sets or ranges of a model contain the true value.

    Each coverage has the name of a column of labels, or "" for all faces. The result is empty for a
    classifier without probabilities, or if a fold contains all subjects.
    """
    if not gives_probabilities(table, target.classes) or not _can_be_fitted(table):
        return ()
    folds, subjects = table["fold"].to_numpy(np.intp), table["subject"].to_numpy()
    if target.is_regression:
        y: NDArray[Any] = table["true"].to_numpy(float)
        years = table["predicted"].to_numpy(float)
        answers: NDArray[Any] = cross_fitted_ranges(years, y, folds, subjects, alpha=MISSED)
    else:
        y, proba, _ = classes_of(target, table)
        answers = cross_fitted_sets(proba, y, folds, subjects, alpha=MISSED, ordered=target.ordered)
    own, columns = labels_of_faces(outcomes, table)
    bands = age_bands(own["age"].to_numpy(float))
    # A data set may have no label of a column.
    labels_of = {name: own[name].to_numpy(dtype=str) for name in columns if (own[name] != "").any()}
    if (bands != "").any():  # finer than age groups, and without gaps between them
        labels_of = {"age_band": bands, **{n: of for n, of in labels_of.items() if n != "age_group"}}
    found = [("", one) for one in coverage_by(np.full(len(y), "all faces"), answers, y, subjects)]
    for name, labels in labels_of.items():
        known = labels != ""
        of_column = coverage_by(labels[known], answers[known], y[known], subjects[known])
        natural = AGE_BANDS if name == "age_band" else in_order(name, labels)
        of_column.sort(key=lambda one: natural.index(one.label))
        found += [(name, one) for one in of_column]
    return _adjusted(found)


def _adjusted(found: Sequence[tuple[str, Coverage]]) -> tuple[tuple[str, Coverage], ...]:
    """Return coverages with p-values that hold for all labels together (Holm 1979).

    They come from an exact test and can be arbitrarily small, so that multiplying them loses nothing.
    """
    order = sorted(one.p_value for _, one in found if one.p_value is not None)
    steps = np.minimum(np.maximum.accumulate(np.array(order) * np.arange(len(order), 0, -1)), 1.0)
    # Of equal p-values the first step counts, so it is written last.
    adjusted = dict(zip(reversed(order), reversed(steps.tolist()), strict=True))
    return tuple(
        (name, one if one.p_value is None else replace(one, p_value=adjusted[one.p_value]))
        for name, one in found
    )


def _can_be_fitted(table: pd.DataFrame) -> bool:
    """Whether each fold has faces of other subjects in other folds, on which a calibration can be fitted."""
    folds, subjects = table["fold"].to_numpy(np.intp), table["subject"].to_numpy()
    return all(others.any() for others in faces_of_others(folds, subjects).values())
