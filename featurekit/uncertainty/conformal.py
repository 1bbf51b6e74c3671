"""Prediction sets of classes that contain the true class as often as requested."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes, check_lengths
from featurekit.uncertainty.cross_fitting import on_others

MISSED = 0.1  # share of faces whose prediction set or range of years may miss the true value

_Threshold = Annotated[float, Interval(ge=-10, le=10)]


def conformal_threshold(scores: NDArray[np.float64], alpha: float, subjects: NDArray[Any]) -> float:
    """Return the highest score of a class in a prediction set that misses the true one with a share of alpha.

    >>> conformal_threshold(np.arange(1.0, 10.0), 0.2, np.array(list("abcdefghi")))
    8.0

    Faces of one subject are alike, so the guarantee is about subjects: one random face of a new subject is
    covered with a probability of at least 1 - alpha, whatever the model and the faces are like. Each subject
    has the same weight, divided equally among its faces, and one more subject, about whom nothing is known,
    counts as the worst case. This is the pooling of the subjects' distributions of Dunn, Wasserman & Ramdas
    (2023, "Distribution-free prediction sets for two-layer hierarchical models") with the correction that
    makes the guarantee hold for any number of subjects (Lee, Barber & Willett 2023, "Distribution-free
    inference with hierarchical data"). Their other method, repeated sampling of one face of each subject, is
    random and guarantees only 1 - 2 alpha. Counting faces instead guarantees nothing, because the subjects
    with the most images would decide for all.

    The guarantee is about all subjects together. Among those of one age group fewer may be covered: see
    coverage.coverage_by().

    Args:
        scores: of the true class of faces that the model had not seen, shape (n,); see class_scores().
        alpha: share that may be missed.
        subjects: subject of each face, shape (n,).

    Returns:
        The threshold; infinite if there are fewer than 1 / alpha - 1 subjects.
    """
    check_lengths(scores, subjects)
    codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    weights = np.cumsum(1 / counts[codes[order]])
    # Values that differ only by rounding count as equal.
    first = int(np.searchsorted(weights, (1 - alpha) * (len(counts) + 1) - 1e-9))
    return float(scores[order[first]]) if first < len(scores) else float("inf")


def class_scores(probabilities: NDArray[np.float64], *, ordered: bool) -> NDArray[np.float64]:
    """Return the nonconformity score of each class, higher for less likely ones, shape (n, n_classes).

    >>> class_scores(np.array([[0.5, 0.25, 0.25]]), ordered=True)
    array([[0.  , 0.5 , 0.75]])

    Args:
        probabilities: of each class, shape (n, n_classes).
        ordered: whether classes have neighbours. If not, a score is 1 - probability, which gives the
            smallest possible sets (Sadinle, Lei & Wasserman 2019). If so, sets must not have gaps: they grow
            from the likeliest class to the likelier of its neighbours, and the score of a class is the
            probability of all classes that were added before it.
    """
    if not ordered:
        return 1.0 - probabilities
    rows = np.arange(len(probabilities))
    low = probabilities.argmax(axis=1)
    high = low.copy()
    scores = np.zeros(probabilities.shape)
    held = probabilities[rows, low]
    beside = np.pad(probabilities, ((0, 0), (1, 1)), constant_values=-1.0)  # sets do not grow beyond the ends
    for _ in range(probabilities.shape[1] - 1):
        is_down = beside[rows, low] >= beside[rows, high + 2]
        low, high = low - is_down, high + ~is_down
        added = np.where(is_down, low, high)
        scores[rows, added] = held
        held = held + probabilities[rows, added]
    return scores


@dataclass(frozen=True)
class ClassSets:
    """Prediction sets: which classes to answer with.

    Attributes:
        thresholds: the highest of its class_scores() with which each class is in a set, shape (n_classes,);
            None for a class with too few subjects, which is then in every set.
        ordered: whether sets must not have gaps.
    """

    thresholds: Annotated[tuple[_Threshold | None, ...], MaxLen(10_000)]
    ordered: bool

    def of(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which classes are in the prediction set of each face, bool of shape (n, n_classes).

        The likeliest class is always one of them, because an empty set would say nothing. So a model that is
        right more often than requested gives sets of one class, which contain the true class more often.
        """
        scores = class_scores(probabilities, ordered=self.ordered)
        # None becomes NaN, and no score is larger than NaN.
        sets: NDArray[np.bool_] = ~(scores > np.array(self.thresholds, float))
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        if self.ordered:  # each class has its own threshold, so that one between two others may be missing
            after_first = np.logical_or.accumulate(sets, axis=1)
            before_last = np.logical_or.accumulate(sets[:, ::-1], axis=1)[:, ::-1]
            sets = after_first & before_last
        return sets


def fit_class_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
) -> ClassSets:
    """Return prediction sets that miss the true class with a share of at most alpha.

    The guarantee holds for the subjects of each class by themselves, at the price of larger sets (Sadinle,
    Lei & Wasserman 2019). If it held only for all of them together, a class that is hard to predict would be
    missed far more often.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().
    """
    check_classes(probabilities, y)
    own = class_scores(probabilities, ordered=ordered)[np.arange(len(y)), y]
    thresholds = [
        conformal_threshold(own[chosen], alpha, subjects[chosen]) if chosen.any() else np.inf
        for chosen in (y == number for number in range(probabilities.shape[1]))
    ]
    return ClassSets(tuple(one if np.isfinite(one) else None for one in thresholds), ordered)


def cross_fitted_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
) -> NDArray[np.bool_]:
    """Return the prediction set of each face, fitted on other subjects, bool of shape (n, n_classes).

    The guarantee of conformal_threshold() is for the faces of one model. Here every fold has its own model,
    and the guarantee holds only as far as these models are alike; check it with coverage.coverage_by().

    Args:
        probabilities: of each class, by a model that had not seen the subject, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().

    Raises:
        ValueError: a fold contains all subjects.
    """
    return on_others(
        probabilities,
        y,
        folds,
        subjects,
        fit=partial(fit_class_sets, alpha=alpha, ordered=ordered),
        answer=ClassSets.of,
        into=np.zeros(probabilities.shape, bool),
    )[0]
