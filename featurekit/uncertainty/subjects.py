"""Sums over persons: what of a table of photographs is independent.

Photographs of one person go right or wrong together: a model that reads her
wrongly once reads her wrongly again. What is counted in this folder is therefore
always a person with all of her photographs, never a photograph alone.
"""

import numpy as np
from numpy.typing import NDArray


def effective_subjects(subjects: NDArray[np.str_]) -> float:
    """Return how many persons with equally many photographs would tell as much (Kish 1965).

    >>> effective_subjects(np.array(["a", "b", "c", "c"]))
    2.6666666666666665

    Args:
        subjects: person on each photograph, shape (n,).
    """
    counts = np.unique(subjects, return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / (counts**2).sum())


def per_subject(columns: NDArray[np.float64], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return the sums of the columns over each person's photographs, shape (n_subjects, k)."""
    codes = np.unique(subjects, return_inverse=True)[1]
    n = int(codes.max()) + 1
    sums = [np.bincount(codes, weights=column, minlength=n) for column in columns.T]
    return np.ascontiguousarray(np.stack(sums, axis=1))


def standard_errors(of_each: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of each column's mean over faces, whose sums of each person are given.

    0 where a single person decides the mean: nothing is known of its spread.
    """
    total = counts.sum(axis=0)
    persons = (counts > 0).sum(axis=0)
    rest = of_each - counts * np.divide(of_each.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    squares = (rest**2).sum(axis=0) * persons / np.maximum(persons - 1, 1)
    spread: NDArray[np.float64] = np.sqrt(squares) / np.maximum(total, 1)
    return spread
