"""Answers of several classes that hold the truth as often as was asked for."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes, check_lengths
from featurekit.uncertainty.cross_fitting import on_others

MISSED = 0.1  # share of faces whose answer of several classes, or of a range of years, may lack the truth

_Threshold = Annotated[float, Interval(ge=-10, le=10)]


def conformal_threshold(scores: NDArray[np.float64], alpha: float, subjects: NDArray[Any]) -> float:
    """Return up to which score an answer must be let in so that the true one is, but for a share of alpha.

    >>> conformal_threshold(np.arange(1.0, 10.0), 0.2, np.array(list("abcdefghi")))
    8.0

    Faces of a person are alike, so that what is promised is about persons: of a new person one face, drawn at
    random, is covered with a probability of at least 1 - alpha, whatever the model and the faces are like.
    Each person counts for one, with equal parts for each face, and one more person, of whom nothing is known,
    counts as the worst there can be. That is the pooling of persons' distributions of Dunn, Wasserman &
    Ramdas (2023, "Distribution-free prediction sets for two-layer hierarchical models") with the correction
    that makes its promise hold for any number of persons (Lee, Barber & Willett 2023, "Distribution-free
    inference with hierarchical data"). Their other way, one face of each person over and over, needs
    chance and promises only 1 - 2 alpha. Counting faces instead promises nothing: the persons with most
    photographs would decide for all.

    The promise is about all persons together. Among those of one age group fewer may be covered: see
    coverage.coverage_by().

    Args:
        scores: how strange the true answer looked, of faces that the model had not seen, shape (n,).
        alpha: share that may be missed.
        subjects: person on each face, shape (n,).

    Returns:
        The threshold; infinite where there are fewer than 1 / alpha - 1 persons.
    """
    check_lengths(scores, subjects)
    codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    weights = np.cumsum(1 / counts[codes[order]])
    # What is equal but for the last bits of a sum counts as equal.
    first = int(np.searchsorted(weights, (1 - alpha) * (len(counts) + 1) - 1e-9))
    return float(scores[order[first]]) if first < len(scores) else float("inf")


def class_scores(probabilities: NDArray[np.float64], *, ordered: bool) -> NDArray[np.float64]:
    """Return how strange each class looks as the answer, shape (n, n_classes).

    >>> class_scores(np.array([[0.5, 0.25, 0.25]]), ordered=True)
    array([[0.  , 0.5 , 0.75]])

    Args:
        probabilities: of each class, shape (n, n_classes).
        ordered: whether classes have neighbours. If not, a score is 1 - probability, which gives the
            smallest sets there can be (Sadinle, Lei & Wasserman 2019). If so, sets must not have gaps: they
            grow from the likeliest class to whichever neighbour is the likelier, and the score of a class
            is the probability of all that was let in before it.
    """
    if not ordered:
        return 1.0 - probabilities
    n, n_classes = probabilities.shape
    rows = np.arange(n)
    low = probabilities.argmax(axis=1)
    high = low.copy()
    scores = np.zeros((n, n_classes))
    held = probabilities[rows, low]
    beside = np.pad(probabilities, ((0, 0), (1, 1)), constant_values=-1.0)  # nothing grows beyond the ends
    for _ in range(n_classes - 1):
        is_down = beside[rows, low] >= beside[rows, high + 2]
        low, high = low - is_down, high + ~is_down
        added = np.where(is_down, low, high)
        scores[rows, added] = held
        held = held + probabilities[rows, added]
    return scores


@dataclass(frozen=True)
class ClassSets:
    """Which classes to answer with.

    Attributes:
        thresholds: up to which of its class_scores() each class is let in, shape (n_classes,); None for
            a class that was seen too seldom to say, which is then always in.
        ordered: whether sets must not have gaps.
    """

    thresholds: Annotated[tuple[_Threshold | None, ...], MaxLen(10_000)]
    ordered: bool

    def of(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which classes each face may have, bool of shape (n, n_classes).

        The likeliest class is always one of them: an empty answer would say less than an unsure one. So a
        model that is right more often than is asked for gives single answers, which hold the truth more
        often.
        """
        scores = class_scores(probabilities, ordered=self.ordered)
        sets: NDArray[np.bool_] = ~(scores > np.array(self.thresholds, float))  # None is NaN, and never less
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        if self.ordered:  # where every class has its own threshold one may be left out between two others
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
    per_class: bool,
) -> ClassSets:
    """Return how to answer with sets of classes that hold the true one, but for a share of alpha.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().
        per_class: keep the promise for the persons of each class by themselves, at the price of larger
            sets (Sadinle, Lei & Wasserman 2019). Otherwise it is kept for all of them together, where a class
            that is hard to read may be missed far more often.
    """
    check_classes(probabilities, y)
    n_classes = probabilities.shape[1]
    own = class_scores(probabilities, ordered=ordered)[np.arange(len(y)), y]
    if not per_class:
        thresholds = [conformal_threshold(own, alpha, subjects)] * n_classes
    else:
        each = (y == number for number in range(n_classes))
        thresholds = [
            conformal_threshold(own[chosen], alpha, subjects[chosen]) if chosen.any() else np.inf
            for chosen in each
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
    per_class: bool,
) -> NDArray[np.bool_]:
    """Return which classes each face may have, by what was found on other persons, shape (n, n_classes).

    The promise of conformal_threshold() is for the faces of one model. Here every fold has its own, and that
    they are alike is all there is to say that it holds still; so look whether it does, with
    coverage.coverage_by().

    Args:
        probabilities: of each class, by a model that had not seen the person, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().
        per_class: see fit_class_sets().

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    fit = partial(fit_class_sets, alpha=alpha, ordered=ordered, per_class=per_class)
    sets = np.zeros(probabilities.shape, bool)
    return on_others(probabilities, y, folds, subjects, fit=fit, answer=ClassSets.of, into=sets)[0]
