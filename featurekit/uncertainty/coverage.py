"""How often prediction sets and ranges of years contain the true value."""

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
    """How often answers contain the true value, for the faces with one label.

    Attributes:
        label: the label.
        n_faces, n_subjects: how many there are.
        value: share of covered faces, with equal weights for subjects; None for fewer than FEWEST subjects.
        between: interval of the value.
        size: mean number of classes in an answer, or mean width in years.
        p_value: of "answers contain the true value at least as often as promised", for this label alone from
            coverage_by(), for all labels together in a report; None for fewer than FEWEST subjects.
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
    """Return how often answers contain the true value for the faces of each label, in increasing order.

    All subjects have the same weight, as in the guarantee of conformal.conformal_threshold(), each with the
    mean over its faces with the label. The interval is exact for a share (Clopper & Pearson 1934) of the
    effective number of independent faces; unlike a bootstrap interval it has a width also if all are covered.

    Args:
        labels: of each face, shape (n,).
        answers: sets of classes, bool of shape (n, n_classes), or ranges of completed years, float of shape
            (n, 2).
        y: class numbers or years, shape (n,).
        subjects: subject of each face, shape (n,).
        missed: share of faces whose answer may miss the true value, as promised.
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
        found.append(
            Coverage(
                label=str(label),
                n_faces=int(chosen.sum()),
                n_subjects=n_subjects,
                value=value,
                between=exact_interval(value, n, 1 - LEVEL),
                size=size,
                p_value=_at_most(value, n, 1 - missed),
            )
        )
    return found


def _held(answers: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 for each answer that contains the true value, and the size of each answer."""
    if answers.dtype == np.bool_:
        check_classes(answers, y)
        return answers[np.arange(len(y)), y].astype(np.float64), answers.sum(axis=1).astype(np.float64)
    low, high = answers.T
    completed = np.floor(y)
    return ((low <= completed) & (completed <= high)).astype(np.float64), high - low


def _at_most(share: float, n: float, promised: float) -> float:
    """Return the p-value of a share this small if the promise is kept (exact binomial test)."""
    from scipy.stats import beta

    hits = share * n
    return float(beta.sf(promised, hits + 1, n - hits)) if hits < n else 1.0
