"""The calibration that is stored with a fitted model, and the temperature that is part of it.

A temperature makes the probabilities of a model calibrated, without changing any predicted
class. With a calibration, a model can also abstain, or predict a set of classes or a range of
years that contains the true value as often as requested.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from featurekit.uncertainty.abstention import Abstention, abstention
from featurekit.uncertainty.conformal import ClassSets, YearRanges, fit_class_sets, fit_year_ranges
from featurekit.uncertainty.resampling import FEWEST, check_classes, on_others

TEMPERATURES = (0.05, 1000.0)  # bounds of the search
_LEAST = 1e-12  # replaces a probability of 0 before its logarithm is taken


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibration of a model, computed on subjects that the models of the folds had not seen.

    Attributes:
        missed: share of faces whose prediction set or range may miss the true value.
        temperature: temperature that makes the probabilities calibrated; 1 for a regression target.
        abstention: thresholds below which the model can abstain; None for a regression target.
        sets: prediction sets of classes; None for a regression target.
        ranges: ranges of years; None for a target of classes.
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
    """Return the calibration of a classifier, or None if there are fewer than FEWEST subjects.

    Args:
        probabilities: predicted probability of each class for faces that the model had not seen, shape (n,
            n_classes).
        y: class numbers, shape (n,).
        subjects: subject of each face, shape (n,).
        missed: share of the faces of each class whose prediction set may miss the true class.
        ordered: whether the classes have an order; see conformal.class_scores().
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
    """Return the calibration of a regression model, or None if there are fewer than FEWEST subjects.

    Args:
        years: predicted ages of faces that the model had not seen, shape (n,).
        y: true ages, shape (n,).
        subjects: subject of each face, shape (n,).
        missed: share of the faces of people of each age whose range may miss the true age.
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(missed=missed, ranges=fit_year_ranges(years, y, subjects, alpha=missed))


def fit_temperature(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """Return the temperature that maximizes the likelihood of the true classes (Guo et al. 2017).

    >>> round(fit_temperature(np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])), 6)
    2.0

    It is above 1 for an overconfident model and below 1 for an underconfident one. The search is limited to
    TEMPERATURES: otherwise a model that is right on all of these faces would get extreme probabilities.

    Args:
        probabilities: predicted probability of each class, shape (n, n_classes).
        y: class numbers, shape (n,).

    Returns:
        The temperature with the smallest log loss; 1 if no other is better.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    check_classes(probabilities, y)
    logs = np.log(np.clip(probabilities, _LEAST, 1.0))
    own = logs[np.arange(len(y)), y]

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float((logsumexp(logs * sharpness, axis=1) - own * sharpness).mean())

    # The loss is convex in 1 / temperature, so that there is only one minimum.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x)) if found.fun < loss(0.0) - _LEAST else 1.0


def apply_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities at a temperature; which class is likeliest does not change.

    >>> apply_temperature(np.array([[0.9, 0.1]]), 2.0)
    array([[0.75, 0.25]])

    Args:
        probabilities: predicted probability of each class, shape (n, n_classes); 0 counts as 1e-12.
        temperature: number by which the logarithms of the probabilities are divided.
    """
    from scipy.special import softmax

    return np.asarray(softmax(np.log(np.clip(probabilities, _LEAST, 1.0)) / temperature, axis=1))


def cross_fitted(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
) -> tuple[NDArray[np.float64], dict[int, float]]:
    """Return the probabilities at a temperature that was fitted on other subjects.

    See resampling.on_others() for the small influence of a fold on its own temperature.

    Args:
        probabilities: predicted probability of each class, by a model that had not seen the subject, shape
            (n, n_classes).
        y: class numbers, shape (n,).
        folds: number of the fold in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).

    Returns:
        The probabilities at the temperature of their fold, and the temperature of each fold.

    Raises:
        ValueError: a fold contains all subjects.
    """
    return on_others(
        probabilities,
        y,
        folds,
        subjects,
        fit=lambda said, y, _: fit_temperature(said, y),
        answer=lambda temperature, said: apply_temperature(said, temperature),
        into=np.full(probabilities.shape, np.nan),
    )
