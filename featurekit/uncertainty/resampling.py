"""Sums over subjects, the independent units of a table of images, and the intervals of resampled subjects.

The predictions for images of one subject are right or wrong together: a model that is
wrong on one is likely to be wrong on the others. All statistics of this package
therefore count subjects with all of their images, never single images.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 2_000
FEWEST = 30  # subjects in a slice; for fewer no number is given
_AT_ONCE = 20_000_000  # numbers in one piece of a large product


def effective_subjects(subjects: NDArray[np.str_]) -> float:
    """Return the effective number of subjects (Kish 1965), which is lower if their numbers of images differ.

    >>> effective_subjects(np.array(["a", "b", "c", "c"]))
    2.6666666666666665

    Args:
        subjects: subject of each image, shape (n,).
    """
    counts = np.unique(subjects, return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / (counts**2).sum())


def per_subject(columns: NDArray[np.float64], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return the sums of the columns over each subject's images, shape (n_subjects, k)."""
    codes = np.unique(subjects, return_inverse=True)[1]
    sums = [np.bincount(codes, weights=column) for column in columns.T]
    return np.ascontiguousarray(np.stack(sums, axis=1))


def standard_errors(of_each: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of each column's mean over faces, from the sums of each subject.

    It is 0 if the mean comes from a single subject, because nothing is known about the standard deviation.
    """
    total = counts.sum(axis=0)
    n_subjects = (counts > 0).sum(axis=0)
    rest = of_each - counts * np.divide(of_each.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    squares = (rest**2).sum(axis=0) * n_subjects / np.maximum(n_subjects - 1, 1)
    return np.asarray(np.sqrt(squares) / np.maximum(total, 1))


@dataclass(frozen=True)
class Interval:
    """The confidence interval of a score, at LEVEL, over subjects."""

    low: float
    high: float


def resampled_sums(
    of_each: NDArray[np.float64], *, seed: int, n_resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Return the sums over subjects resampled with replacement (cluster bootstrap), shape (n_resamples, k).

    Args:
        of_each: one row per subject, shape (n_subjects, k).
        seed: seed of the random number generator; the same seed and number of subjects give the same
            resamples, whatever the rows.
        n_resamples: number of resamples.
    """
    n = len(of_each)
    rng = np.random.default_rng(seed)
    sums = np.empty((n_resamples, of_each.shape[1]))
    for rows in pieces(n_resamples, n):
        drawn = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(*rows)])
        sums[slice(*rows)] = drawn.astype(np.float64) @ of_each
    return sums


def interval(estimates: NDArray[np.float64]) -> Interval:
    """Return the percentile interval of the resampled values of a score, at LEVEL; NaN is left out.

    >>> interval(np.array([2.0, 2.0, np.nan, 2.0]))
    Interval(low=2.0, high=2.0)
    """
    low, high = np.nanquantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def exact_interval(share: float, n: float, doubt: float) -> Interval:
    """Return the exact interval of a share (Clopper & Pearson 1934); n need not be a whole number."""
    from scipy.stats import beta

    hits = share * n
    low = float(beta.ppf(doubt / 2, hits, n - hits + 1)) if share > 0 else 0.0
    high = float(beta.ppf(1 - doubt / 2, hits + 1, n - hits)) if share < 1 else 1.0
    return Interval(low, high)


def pieces(n: int, width: int, at_once: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each piece of n rows of this width; each piece fits into memory."""
    size = max((at_once or _AT_ONCE) // max(width, 1), 1)
    yield from ((start, min(start + size, n)) for start in range(0, n, size))
