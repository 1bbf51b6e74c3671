"""Confidence intervals of scores, by resampling subjects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._pieces import pieces

LEVEL = 0.95
RESAMPLES = 2_000
FEWEST = 30  # subjects in a slice; for fewer no number is given


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
        seed: of the random number generator; the same seed and number of subjects give the same resamples,
            whatever the rows.
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
    """Return the interval between the outer percentiles of a score's resamples, at LEVEL; NaN is left out.

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
