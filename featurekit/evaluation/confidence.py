"""Whether a model knows when it is wrong, and whether its answers hold the truth as often as promised."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import TARGETS, Target
from featurekit.evaluation.estimates import classes_of
from featurekit.evaluation.outcomes import Outcomes, gives_probabilities
from featurekit.evaluation.slices import labels_of_faces
from featurekit.uncertainty.abstention import risks_at
from featurekit.uncertainty.conformal import MISSED, cross_fitted_sets
from featurekit.uncertainty.coverage import Coverage, coverage_by
from featurekit.uncertainty.reliability import Bin, CalibrationError, expected_calibration_error, reliability
from featurekit.uncertainty.temperature import cross_fitted
from featurekit.uncertainty.year_ranges import cross_fitted_ranges

SHARES = tuple(number / 20 for number in range(1, 21))  # of faces that are answered, the surest first
# Adience's age groups, what lies between them, and decades from 60 on.
AGE_BANDS = (
    *("0-2", "3", "4-6", "7", "8-12", "13-14", "15-20", "21-24", "25-32", "33-37", "38-43"),
    *("44-47", "48-53", "54-59", "60-69", "70-79", "80 and older"),
)
_BAND_STARTS = (0, 3, 4, 7, 8, 13, 15, 21, 25, 33, 38, 44, 48, 54, 60, 70, 80)


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Whether one model of classes knows when it is wrong.

    Attributes:
        temperature: what makes it calibrated, above 1 where it is too sure; the mean over the folds, each of
            which has one that was fitted on the others.
        before, after: by how much its confidence is off as it comes, and at these temperatures.
        bins: faces of about the same confidence as it comes, the least sure first.
        risks: share of wrong answers among the surest faces, of each of SHARES of all.
    """

    temperature: float
    before: CalibrationError
    after: CalibrationError
    bins: tuple[Bin, ...]
    risks: tuple[float, ...]


def confidence_of(target: Target, table: pd.DataFrame, seed: int) -> Confidence | None:
    """Return whether a model knows when it is wrong.

    None of years, of a model that gives no probabilities, or where a fold has nobody else.
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
    """Return the share of wrong answers among the surest faces, of each of SHARES of all faces."""
    y, proba, _ = classes_of(target, table)
    return risks_at(proba.max(axis=1), proba.argmax(axis=1) != y, SHARES)


def coverage_of(outcomes: Outcomes, target: Target, table: pd.DataFrame) -> tuple[tuple[str, Coverage], ...]:
    """Return how often answers hold the truth: of all faces under "", and of each label under its column.

    Nothing of a model of classes that gives no probabilities, or where a fold has nobody else.
    """
    if not gives_probabilities(table, target.classes) or not _can_be_fitted(table):
        return ()
    folds, subjects = table["fold"].to_numpy(np.intp), table["subject"].to_numpy()
    answers: NDArray[Any]
    y: NDArray[Any]
    if target.is_regression:
        y, years = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
        answers = cross_fitted_ranges(years, y, folds, subjects, alpha=MISSED)
    else:
        y, proba, _ = classes_of(target, table)
        answers = cross_fitted_sets(proba, y, folds, subjects, alpha=MISSED, ordered=target.ordered)
    own, columns = labels_of_faces(outcomes, table)
    bands = age_bands(own["age"].to_numpy(float))
    labels_of = {name: own[name].to_numpy(dtype=str) for name in columns}
    if (bands != "").any():  # they divide further what age groups divide, and leave no gap
        labels_of = {"age_band": bands, **{n: of for n, of in labels_of.items() if n != "age_group"}}
    found = [("", one) for one in coverage_by(np.full(len(y), "all faces"), answers, y, subjects)]
    for name, labels in labels_of.items():
        known = labels != ""
        if not known.any():  # nobody's, in a data set that names none
            continue
        of_column = coverage_by(labels[known], answers[known], y[known], subjects[known])
        natural = AGE_BANDS if name == "age_band" else TARGETS[name].classes if name in TARGETS else ()
        # In their natural order, else the alphabet's; what a known target does not allow comes last.
        place = {label: number for number, label in enumerate(natural or sorted(set(labels)))}
        of_column.sort(key=lambda one: place.get(one.label, len(place)))
        found += [(name, one) for one in of_column]
    return _adjusted(found)


def age_bands(age: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the band of AGE_BANDS of each age, "" where it is not known."""
    place = np.searchsorted(_BAND_STARTS, np.nan_to_num(age, nan=0.0), side="right") - 1
    return np.where(np.isfinite(age), np.array(AGE_BANDS)[np.maximum(place, 0)], "")


def _adjusted(found: Sequence[tuple[str, Coverage]]) -> tuple[tuple[str, Coverage], ...]:
    """Return coverages with p-values that hold for all labels together (Holm 1979).

    They come from an exact test and can be as small as they like, so that a number of labels times them loses
    nothing.
    """
    p_values = [one.p_value for _, one in found if one.p_value is not None]
    order = sorted(p_values)
    steps = np.minimum(np.maximum.accumulate(np.array(order) * np.arange(len(order), 0, -1)), 1.0)
    adjusted = dict(
        zip(reversed(order), reversed(steps.tolist()), strict=True)
    )  # of equal ones the first step
    return tuple(
        (name, one if one.p_value is None else replace(one, p_value=adjusted[one.p_value]))
        for name, one in found
    )


def _can_be_fitted(table: pd.DataFrame) -> bool:
    """Whether each fold has faces of other subjects in other folds, to fit something for it on."""
    folds, subjects = table["fold"].to_numpy(), table["subject"].to_numpy()
    return all(
        bool((~np.isin(subjects, subjects[folds == number]) & (folds != number)).any())
        for number in np.unique(folds)
    )
