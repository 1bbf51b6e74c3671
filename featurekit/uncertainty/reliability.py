"""Whether a model knows when it is wrong.

A model is calibrated where it is right on 80 % of the faces that it gives a
probability of 80 %.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes, check_lengths
from featurekit.uncertainty.intervals import LEVEL, resampled_sums
from featurekit.uncertainty.subjects import per_subject, standard_errors

N_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Faces of about the same confidence.

    Attributes:
        confidence: mean probability of the likeliest class.
        right: share of faces that have that class.
        n_faces: how many there are.
    """

    confidence: float
    right: float
    n_faces: int


def reliability(
    probabilities: NDArray[np.float64], y: NDArray[np.intp], *, n_bins: int = N_BINS, equal_mass: bool = True
) -> tuple[Bin, ...]:
    """Return how often the likeliest class is right, the least confident faces first.

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        n_bins: into how many bins faces are put; those without a face are left out.
        equal_mass: bins of as many faces each, else of equal width between 0 and 1. Faces of the same
            confidence share a bin in any case.
    """
    confidence, right = _likeliest(probabilities, y)
    bins = _bins(confidence, n_bins, equal_mass)
    counts = np.bincount(bins)
    confidences, rights = (np.bincount(bins, weights=one) for one in (confidence, right))
    return tuple(
        Bin(float(sure / n), float(true / n), int(n))
        for sure, true, n in zip(confidences, rights, counts, strict=True)
        if n
    )


@dataclass(frozen=True)
class CalibrationError:
    """By how much confidence is off on average over the faces, a number between 0 and 1.

    Attributes:
        value: corrected for what chance adds.
        plain: as usually given (ECE, Guo et al. 2017); above 0 also for a perfect model.
        low, high: between which values it lies.
    """

    value: float
    plain: float
    low: float
    high: float


def expected_calibration_error(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    n_bins: int = N_BINS,
    equal_mass: bool = True,
    seed: int = 0,
) -> CalibrationError:
    """Return the expected calibration error of the likeliest class.

    The plain one is the mean over bins of how far the share of right answers is from the mean confidence.
    Chance moves the share either way and each way counts as an error, so that the fewer persons there are,
    the worse every model looks. What chance adds is worked out as Kumar, Liang & Ma (2019) do, with the error
    of each bin taken for normally distributed and its spread taken over persons, and is subtracted. That
    takes away two fifths of what a perfect model should not have, and nearly all of it from a model that is
    off by as much as its bins spread.

    The interval is as wide as the plain error moves when persons are drawn anew, with the bins as they are,
    and wider by what is not known of the correction: chance adds the less the farther off a bin is, and each
    may be off by its spread more, or less, than it looks. (Percentiles of the plain error nearly never hold
    a truth near 0, and mirroring them at it holds it too seldom.)

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        n_bins: see reliability().
        equal_mass: see reliability().
        seed: of the random number generator.
    """
    from scipy.stats import norm

    check_lengths(probabilities, subjects)
    confidence, right = _likeliest(probabilities, y)
    bins = np.unique(_bins(confidence, n_bins, equal_mass), return_inverse=True)[1]
    is_in = np.eye(int(bins.max()) + 1)[bins]
    of_each = per_subject(np.hstack([is_in * (confidence - right)[:, None], is_in]), subjects)
    width = is_in.shape[1]
    spread = standard_errors(of_each[:, :width], of_each[:, width:])

    def plain(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        errors: NDArray[np.float64] = np.abs(sums[..., :width]).sum(-1) / sums[..., width:].sum(-1)
        return errors

    sums = of_each.sum(axis=0)
    off, shares = np.abs(sums[:width]) / sums[width:], sums[width:] / sums[width:].sum()

    def by_chance(off: NDArray[np.float64]) -> float:
        return float(shares @ (_mean_size(off, spread) - off))

    seen = float(plain(sums))
    drawn = plain(resampled_sums(of_each, seed=seed))
    half = float(norm.ppf((1 + LEVEL) / 2) * drawn.std())
    low = seen - by_chance(np.maximum(off - spread, 0.0)) - half
    high = seen - by_chance(off + spread) + half
    return CalibrationError(max(seen - by_chance(off), 0.0), seen, max(low, 0.0), min(high, 1.0))


def _likeliest(
    probabilities: NDArray[np.float64], y: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of each face's likeliest class, and 1 where it is the face's own."""
    check_classes(probabilities, y)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == y).astype(np.float64)


def _bins(confidence: NDArray[np.float64], n_bins: int, equal_mass: bool) -> NDArray[np.intp]:
    """Return the number of each face's bin; edges and what lies on them as scikit-learn has them."""
    shares = np.linspace(0.0, 1.0, n_bins + 1)
    edges = np.quantile(confidence, shares) if equal_mass else shares
    return np.searchsorted(edges[1:-1], confidence)


def _mean_size(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the absolute value of normally distributed numbers."""
    from scipy.special import erf

    z = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    size = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * erf(z / np.sqrt(2))
    sizes: NDArray[np.float64] = np.where(spread > 0, size, np.abs(mean))
    return sizes
