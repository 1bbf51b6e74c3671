"""What a fitted model keeps of its calibration: what it may promise beyond its answer.

Temperature makes a model calibrated. Where that is not enough it may decline to
answer, or answer with several age groups, or with a range of years, that hold the
truth as often as was asked for.
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
    """What a model may promise beyond its answer, as found on persons that its folds had not seen.

    Attributes:
        missed: share of faces whose set or range may lack the truth.
        temperature: that makes its probabilities calibrated; 1 for years.
        abstention: from which confidence it may answer; None for years.
        sets: which classes to answer with; None for years.
        ranges: which years to answer with; None for classes.
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
    """Return what a model of classes may promise, None where there are fewer than FEWEST persons.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        missed: share of faces, of each class, whose set may lack the truth.
        ordered: see conformal.class_scores().
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(
        missed=missed,
        temperature=fit_temperature(probabilities, y),
        abstention=abstention(probabilities.max(axis=1), probabilities.argmax(axis=1) != y, subjects),
        sets=fit_class_sets(probabilities, y, subjects, alpha=missed, ordered=ordered, per_class=True),
    )


def calibrate_years(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[Any], *, missed: float
) -> Calibration | None:
    """Return what a model of years may promise, None where there are fewer than FEWEST persons.

    Args:
        years: read from faces that the model had not seen, shape (n,).
        y: the true ones.
        subjects: person on each face, shape (n,).
        missed: share of faces, of people of each age, whose range may lack the truth.
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(missed=missed, ranges=fit_year_ranges(years, y, subjects, alpha=missed))
