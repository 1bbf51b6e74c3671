"""How well the confidence of a model is calibrated.

A model is calibrated if it is right on 80 % of the faces to which it gives a
probability of 80 %.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import (
    LEVEL,
    check_classes,
    check_lengths,
    per_subject,
    resampled_sums,
    standard_errors,
)

N_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Faces of about the same confidence.

    Attributes:
        confidence: mean probability of the likeliest class.
        right: share of the faces whose likeliest class is the true class.
        n_faces: number of faces.
    """

    confidence: float
    right: float
    n_faces: int


def reliability(
    probabilities: NDArray[np.float64], y: NDArray[np.intp], *, n_bins: int = N_BINS
) -> tuple[Bin, ...]:
    """Return how often the likeliest class is right, for bins of faces, the least confident bin first.

    Args:
        probabilities: predicted probability of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        n_bins: number of bins. Each has about the same number of faces, and faces of the same confidence
            share a bin. Bins without a face are left out.
    """
    confidence, right = _likeliest(probabilities, y)
    bins = _bins(confidence, n_bins)
    counts = np.bincount(bins)
    confidences, rights = (np.bincount(bins, weights=one) for one in (confidence, right))
    return tuple(
        Bin(float(sure / n), float(true / n), int(n))
        for sure, true, n in zip(confidences, rights, counts, strict=True)
        if n
    )


@dataclass(frozen=True)
class CalibrationError:
    """The mean difference between confidence and accuracy over the faces, between 0 and 1.

    Attributes:
        value: calibration error, corrected for the part that chance adds.
        plain: error as it is usually computed (ECE by Guo et al. 2017), above 0 even for a perfect model.
        low, high: confidence interval of the value.
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
    seed: int = 0,
) -> CalibrationError:
    """Return the expected calibration error of the likeliest class.

    The plain error is the mean over bins of the distance between the share of correct predictions and the
    mean confidence. Chance moves the share in both directions and both count as an error, so the fewer
    subjects there are, the worse every model looks. What chance adds is estimated as in Kumar, Liang & Ma
    (2019) and subtracted: the error of each bin is taken to be normally distributed, with a standard error
    over subjects. This removes two fifths of the error that a perfect model should not have, and nearly all
    of it for a model whose error is as large as the standard errors of its bins.

    The width of the interval is that of the plain error when subjects are resampled with the same bins, and
    the uncertainty of the correction is added: chance adds less to a bin with a larger error, and the error
    of each bin may be one standard error larger or smaller than observed. (Percentiles of the plain error
    hardly ever contain a true value near 0, and intervals mirrored at the estimate contain it too rarely.)

    Args:
        probabilities: predicted probability of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: subject of each face, shape (n,).
        seed: seed of the random number generator.
    """
    from scipy.special import ndtri

    check_lengths(probabilities, subjects)
    confidence, right = _likeliest(probabilities, y)
    bins = np.unique(_bins(confidence, N_BINS), return_inverse=True)[1]
    is_in = np.eye(int(bins.max()) + 1)[bins]
    of_each = per_subject(np.hstack([is_in * (confidence - right)[:, None], is_in]), subjects)
    width = is_in.shape[1]
    std = standard_errors(of_each[:, :width], of_each[:, width:])

    def plain(sums: NDArray[np.float64]) -> Any:
        return np.abs(sums[..., :width]).sum(-1) / sums[..., width:].sum(-1)

    sums = of_each.sum(axis=0)
    off, shares = np.abs(sums[:width]) / sums[width:], sums[width:] / sums[width:].sum()

    def by_chance(off: NDArray[np.float64]) -> float:
        return float(shares @ (_mean_size(off, std) - off))

    seen = float(plain(sums))
    half = float(ndtri((1 + LEVEL) / 2) * plain(resampled_sums(of_each, seed=seed)).std())
    return CalibrationError(
        value=max(seen - by_chance(off), 0.0),
        plain=seen,
        low=max(seen - by_chance(np.maximum(off - std, 0.0)) - half, 0.0),
        high=min(seen - by_chance(off + std) + half, 1.0),
    )


def _likeliest(
    probabilities: NDArray[np.float64], y: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of each face's likeliest class, and 1 where it is the face's own."""
    check_classes(probabilities, y)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == y).astype(np.float64)


def _bins(confidence: NDArray[np.float64], n_bins: int) -> NDArray[np.intp]:
    """Return the number of the bin of each face; edges are treated as in scikit-learn."""
    return np.searchsorted(np.quantile(confidence, np.linspace(0.0, 1.0, n_bins + 1)[1:-1]), confidence)


def _mean_size(mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean absolute value of normal distributions with these means and standard deviations."""
    from scipy.special import erf

    z = np.divide(mean, std, out=np.zeros_like(mean), where=std > 0)
    size = std * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * erf(z / np.sqrt(2))
    return np.where(std > 0, size, np.abs(mean))
