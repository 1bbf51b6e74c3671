"""Sums over subjects, the independent units of a table of images.

The predictions for images of one subject are right or wrong together: a model that is
wrong on one is likely to be wrong on the others. All statistics of this folder
therefore count subjects with all of their images, never single images.
"""

import numpy as np
from numpy.typing import NDArray


def effective_subjects(subjects: NDArray[np.str_]) -> float:
    """Return the effective number of subjects (Kish 1965), fewer if their numbers of images differ.

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

    0 if the mean comes from a single subject: nothing is known about its standard deviation.
    """
    total = counts.sum(axis=0)
    n_subjects = (counts > 0).sum(axis=0)
    rest = of_each - counts * np.divide(of_each.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    squares = (rest**2).sum(axis=0) * n_subjects / np.maximum(n_subjects - 1, 1)
    return np.asarray(np.sqrt(squares) / np.maximum(total, 1))
