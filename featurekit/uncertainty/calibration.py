"""The calibration that is stored with a fitted model.

A temperature makes the probabilities of a model calibrated. Beyond that a model may
abstain, or answer with a prediction set of several classes or a range of years that
contains the true value as often as requested.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from featurekit.uncertainty.abstention import Abstention, abstention
from featurekit.uncertainty.conformal import ClassSets, fit_class_sets
from featurekit.uncertainty.intervals import FEWEST
from featurekit.uncertainty.temperature import fit_temperature
from featurekit.uncertainty.year_ranges import YearRanges, fit_year_ranges


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibration of a model, computed on subjects that the models of the folds had not seen.

    Attributes:
        missed: share of faces whose prediction set or range may miss the true value.
        temperature: makes its probabilities calibrated; 1 for years.
        abstention: above which confidence it may answer; None for years.
        sets: prediction sets of classes; None for years.
        ranges: ranges of years; None for classes.
    """

    missed: Annotated[float, Interval(ge=0, le=1)]
    temperature: Annotated[float, Interval(ge=1e-6, le=1e6)] = 1.0
    abstention: Abstention | None = None
    sets: ClassSets | None = None
    ranges: YearRanges | None = None


def calibrate_classes(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    missed: float,
    ordered: bool,
) -> Calibration | None:
    """Return the calibration of a model of classes, None if there are fewer than FEWEST subjects.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: subject of each face, shape (n,).
        missed: share of faces, of each class, whose prediction set may miss the true class.
        ordered: see conformal.class_scores().
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(
        missed=missed,
        temperature=fit_temperature(probabilities, y),
        abstention=abstention(probabilities.max(axis=1), probabilities.argmax(axis=1) != y, subjects),
        sets=fit_class_sets(probabilities, y, subjects, alpha=missed, ordered=ordered),
    )


def calibrate_years(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[Any], *, missed: float
) -> Calibration | None:
    """Return the calibration of a model of years, None if there are fewer than FEWEST subjects.

    Args:
        years: predicted for faces that the model had not seen, shape (n,).
        y: the true ones.
        subjects: subject of each face, shape (n,).
        missed: share of faces, of people of each age, whose range may miss the true age.
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(missed=missed, ranges=fit_year_ranges(years, y, subjects, alpha=missed))
