"""Vectors and years as estimators learn from them, and scores as probabilities: numbers in, numbers out."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_scaling(
    X: NDArray[np.float32], blocks: tuple[int, ...] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and factor of each column, such that (X - mean) * factor has a total variance of 1.

    The columns of a block get equal variance, and so do the blocks. Otherwise 4,096 numbers of one network
    would outweigh 256 of another. A constant column gets the factor 0.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.

    Raises:
        ValueError: the blocks do not add up to the vectors' length.
    """
    lengths = blocks or (X.shape[1],)
    if sum(lengths) != X.shape[1]:
        raise ValueError(f"feature_blocks {lengths} must add up to {X.shape[1]}, the length of the vectors.")
    mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    varies = deviation > 1e-6 * np.abs(mean)
    factor = np.zeros(len(mean))
    factor[varies] = 1 / deviation[varies]
    parts = consecutive_slices(lengths)
    for columns in parts:
        factor[columns] /= np.sqrt(max(int(varies[columns].sum()), 1))
    return mean, factor / np.sqrt(max(sum(bool(varies[columns].any()) for columns in parts), 1))


def consecutive_slices(lengths: Sequence[int] | NDArray[np.integer]) -> list[slice]:
    """Return the slices of parts that follow each other, given their lengths.

    >>> consecutive_slices((2, 3))
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return [slice(end - length, end) for end, length in zip(accumulate(lengths), lengths, strict=True)]


def unit_lengths(X: NDArray[np.float32], blocks: tuple[int, ...] | None) -> NDArray[np.float32]:
    """Return vectors whose parts have the length 1; a part of zeros stays unchanged.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.
    """
    unit = np.array(X, dtype=np.float32)
    for columns in consecutive_slices(blocks or (X.shape[1],)):
        part = unit[:, columns]
        norms = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
        part /= np.where(norms > 0, norms, 1)[:, None].astype(np.float32)
    return unit


def learn_years(years: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return years as numbers around 0 with a variance of 1, and the center and unit that turn them back.

    The numbers are scaled square roots: the age of a child can be predicted to a year, that of a grandmother
    to ten, and an error should mean the same for both.
    """
    roots = np.sqrt(np.asarray(years, np.float64))
    center, unit = float(roots.mean()), float(roots.std()) or 1.0
    return (roots - center) / unit, center, unit


def from_years(years: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return years as the numbers that learn_years() makes of them, with its center and unit."""
    return (np.sqrt(np.asarray(years, np.float64)) - center) / unit


def to_years(numbers: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return numbers of learn_years() as years again.

    >>> numbers, center, unit = learn_years(np.array([1.0, 30.0]))
    >>> to_years(numbers, center, unit).round(6)
    array([ 1., 30.])
    """
    return np.maximum(np.asarray(numbers, np.float64) * unit + center, 0) ** 2


def adding_to_one(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row of shares, shape (n, k), divided by its sum."""
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
