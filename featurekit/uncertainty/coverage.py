"""How often answers of several classes, or of a range of years, hold the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes, check_lengths
from featurekit.uncertainty.conformal import MISSED
from featurekit.uncertainty.intervals import FEWEST, LEVEL, Interval, exact_interval
from featurekit.uncertainty.subjects import per_subject


@dataclass(frozen=True)
class Coverage:
    """How often answers hold the truth, for faces of one label.

    Attributes:
        label: theirs.
        n_faces, n_subjects: how many there are.
        value: share that is covered, every person counting alike; None of fewer than FEWEST persons.
        between: where it lies.
        size: how many classes an answer has on average, or how many years it is wide.
        p_value: of "answers hold the truth at least as often as promised", of this label alone where it comes
            from coverage_by(), for all labels together where a report shows it; None of fewer than FEWEST
            persons.
    """

    label: str
    n_faces: int
    n_subjects: int
    value: float | None
    between: Interval | None
    size: float | None
    p_value: float | None = None


def coverage_by(
    labels: NDArray[Any],
    answers: NDArray[Any],
    y: NDArray[Any],
    subjects: NDArray[Any],
    *,
    missed: float = MISSED,
) -> list[Coverage]:
    """Return how often answers hold the truth for the faces of each label, the labels in increasing order.

    Persons count alike, as in what conformal.conformal_threshold() promises, each with the mean over her
    faces of the label. The interval is exact for a share (Clopper & Pearson 1934) of as many independent
    faces as tell as much as these persons do; unlike one from persons drawn anew it has a width also where
    all are covered.

    Args:
        labels: of each face, shape (n,).
        answers: sets of classes, bool of shape (n, n_classes), or ranges of completed years, float of shape
            (n, 2).
        y: class numbers or years, shape (n,).
        subjects: person on each face, shape (n,).
        missed: share of faces whose answer may lack the truth: what is promised.
    """
    check_lengths(labels, answers, y, subjects)
    covered, sizes = _held(answers, y)
    found = []
    for label in np.unique(labels):
        chosen = labels == label
        columns = np.stack([covered[chosen], sizes[chosen], np.ones(chosen.sum())], axis=1)
        of_each = per_subject(columns, subjects[chosen])
        means = of_each[:, :2] / of_each[:, 2:]
        n_subjects = len(means)
        if n_subjects < FEWEST:
            found.append(Coverage(str(label), int(chosen.sum()), n_subjects, None, None, None))
            continue
        value, size = (float(mean) for mean in means.mean(axis=0))
        variance = float(means[:, 0].var(ddof=1)) / n_subjects
        n = max(value * (1 - value) / variance, n_subjects) if variance else n_subjects
        between = exact_interval(value, n, 1 - LEVEL)
        p_value = _at_most(value, n, 1 - missed)
        found.append(Coverage(str(label), int(chosen.sum()), n_subjects, value, between, size, p_value))
    return found


def _held(answers: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 where an answer holds the truth, and how large it is."""
    if answers.dtype == np.bool_:
        check_classes(answers, y)
        return answers[np.arange(len(y)), y].astype(np.float64), answers.sum(axis=1).astype(np.float64)
    low, high = answers.T
    completed = np.floor(y)
    return ((low <= completed) & (completed <= high)).astype(np.float64), high - low


def _at_most(share: float, n: float, promised: float) -> float:
    """Return how often a share as small is seen where the promise is kept (exact binomial test)."""
    from scipy.stats import beta

    hits = share * n
    return float(beta.sf(promised, hits + 1, n - hits)) if hits < n else 1.0
