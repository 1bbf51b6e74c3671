"""Vectors and years as estimators learn from them, and scores as probabilities: numbers in, numbers out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_scaling(
    X: NDArray[np.float32], blocks: tuple[int, ...] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and factor of each column, such that (X - mean) * factor has a total variance of 1.

    Columns of a block get equal variance, and so do the blocks: without that, 4,096 numbers of one
    network would drown 256 of another. A constant column gets the factor 0.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.

    Raises:
        ValueError: the blocks do not add up to the vectors' length.
    """
    lengths = blocks or (X.shape[1],)
    if sum(lengths) != X.shape[1]:
        raise ValueError(f"feature_blocks {lengths} must add up to {X.shape[1]}, the length of the vectors.")
    mean = X.mean(axis=0, dtype=np.float64)
    spread = X.std(axis=0, dtype=np.float64)
    varies = spread > 1e-6 * np.abs(mean)
    factor = np.zeros(len(mean))
    factor[varies] = 1 / spread[varies]
    start, used = 0, 0
    for length in lengths:
        columns = slice(start, start + length)
        n_varying = int(varies[columns].sum())
        factor[columns] /= np.sqrt(max(n_varying, 1))
        used += n_varying > 0
        start += length
    return mean, factor / np.sqrt(max(used, 1))


def unit_lengths(X: NDArray[np.float32], blocks: tuple[int, ...] | None) -> NDArray[np.float32]:
    """Return vectors each part of which has the length 1; a part of zeros stays one.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.
    """
    unit = np.array(X, dtype=np.float32)
    start = 0
    for length in blocks or (X.shape[1],):
        part = unit[:, start : start + length]
        norms = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
        part /= np.where(norms > 0, norms, 1)[:, None].astype(np.float32)
        start += length
    return unit


def learn_years(years: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return years as numbers around 0 with a variance of 1, and what turns them back: center and unit.

    They are scaled square roots: a child is guessed to a year, a grandmother to ten, and an error should
    mean the same for both.
    """
    roots = np.sqrt(np.asarray(years, np.float64))
    center, unit = float(roots.mean()), float(roots.std()) or 1.0
    return (roots - center) / unit, center, unit


def from_years(years: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return years as the numbers that learn_years() would have made of them."""
    numbers: NDArray[np.float64] = (np.sqrt(np.asarray(years, np.float64)) - center) / unit
    return numbers


def to_years(numbers: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return the years that learn_years() made the numbers of.

    >>> numbers, center, unit = learn_years(np.array([1.0, 30.0]))
    >>> to_years(numbers, center, unit).round(6)
    array([ 1., 30.])
    """
    years: NDArray[np.float64] = np.maximum(np.asarray(numbers, np.float64) * unit + center, 0) ** 2
    return years


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores of shape (n, k) as probabilities; each row adds up to 1."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares
