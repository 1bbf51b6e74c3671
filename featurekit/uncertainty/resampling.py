"""Subjects as independent units: sums over subjects, intervals of resampled subjects, fits on other subjects.

The predictions for images of one subject are right or wrong together: a model that is
wrong on one is likely to be wrong on the others. All statistics of this package
therefore count subjects with all of their images, never single images.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import local
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 2_000
FEWEST = 30  # subjects in a slice; for fewer no number is given
_AT_ONCE = 20_000_000  # numbers in one piece of a large product
IN_CACHE = 500_000  # numbers in one piece of a product that is read again soon
_KEPT = 64_000_000  # bytes of resamples that are kept for the next score of the same subjects

Fitted = TypeVar("Fitted")
Answer = TypeVar("Answer", bound=np.generic)


def check_lengths(*arrays: NDArray[Any]) -> None:
    """Raise ValueError unless all arrays have the same number of rows, at least one."""
    lengths = [len(one) for one in arrays]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ValueError(
            f"All arrays need the same number of rows, at least one. Got {', '.join(map(str, lengths))}."
        )


def check_classes(probabilities: NDArray[Any], y: NDArray[Any]) -> None:
    """Raise ValueError unless y has class numbers for which there are probabilities."""
    check_lengths(probabilities, y)
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= probabilities.shape[1]:
        raise ValueError(f"y must be class numbers from 0 to {probabilities.shape[1] - 1}.")


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
    sums = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    return np.ascontiguousarray(sums)


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


def resampled_sums(of_each: Any, *, seed: int, n_resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return the sums over subjects resampled with replacement (cluster bootstrap), shape (n_resamples, k).

    Args:
        of_each: one row per subject, shape (n_subjects, k): a NumPy array, or a sparse array of SciPy.
        seed: seed of the random number generator; the same seed and number of subjects give the same
            resamples, whatever the values.
        n_resamples: number of resamples.
    """
    sums = np.empty((n_resamples, of_each.shape[1]))
    for start, piece in pieces_of_resampled_sums(of_each, seed=seed, n_resamples=n_resamples):
        sums[start : start + len(piece)] = piece
    return sums


def pieces_of_resampled_sums(
    of_each: Any, *, seed: int, n_resamples: int = RESAMPLES
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the number of the first resample of each piece of resampled_sums(), and the piece.

    Args:
        of_each: as in resampled_sums(); it may have too many columns for the memory.
        seed: seed of the random number generator.
        n_resamples: number of resamples.
    """
    n = of_each.shape[0]
    for first, counts in _resamples(n, seed, n_resamples):
        for start, end in pieces(len(counts), n, IN_CACHE):
            yield first + start, counts[start:end].astype(np.float64) @ of_each


class _Last(local):
    """The resamples that this thread drew last: all scores of all models of a target use the same ones."""

    of: tuple[int, int, int] | None = None
    pieces: tuple[tuple[int, NDArray[np.uint8]], ...] = ()


_last = _Last()


def _resamples(n: int, seed: int, n_resamples: int) -> Iterable[tuple[int, NDArray[np.uint8]]]:
    """Return the first resample of each piece, and how often each resample has each of n subjects."""
    if n * n_resamples > _KEPT:
        return _drawn(n, seed, n_resamples)
    if _last.of != (n, seed, n_resamples):
        _last.of, _last.pieces = None, ()
        _last.pieces = tuple(_drawn(n, seed, n_resamples))
        _last.of = n, seed, n_resamples
    return _last.pieces


def _drawn(n: int, seed: int, n_resamples: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield what _resamples() returns."""
    rng = np.random.default_rng(seed)
    for start, end in pieces(n_resamples, n):
        counts = np.empty((end - start, n), np.uint8)  # no subject is drawn 256 times of n
        for first, last in pieces(end - start, n, IN_CACHE):
            for number, drawn in enumerate(rng.integers(0, n, (last - first, n)), first):
                counts[number] = np.bincount(drawn, minlength=n)
        yield start, counts


def interval(estimates: NDArray[np.float64]) -> Interval:
    """Return the percentile interval of the resampled values of a score, at LEVEL; NaN is left out.

    >>> interval(np.array([2.0, 2.0, np.nan, 2.0]))
    Interval(low=2.0, high=2.0)
    """
    low, high = np.nanquantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def exact_interval(share: float, n: float, doubt: float) -> Interval:
    """Return the exact interval of a share (Clopper & Pearson 1934); n need not be a whole number."""
    from scipy.special import betaincinv

    hits = share * n
    low = float(betaincinv(hits, n - hits + 1, doubt / 2)) if share > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - doubt / 2)) if share < 1 else 1.0
    return Interval(low, high)


def pieces(n: int, width: int, at_once: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each piece of n rows of this width; each piece fits into memory."""
    size = max((at_once or _AT_ONCE) // max(width, 1), 1)
    yield from ((start, min(start + size, n)) for start in range(0, n, size))


def faces_of_others(folds: NDArray[np.intp], subjects: NDArray[Any]) -> dict[int, NDArray[np.bool_]]:
    """Return, for the number of each fold, which faces belong to subjects without a face in the fold."""
    return {fold: ~np.isin(subjects, subjects[folds == fold]) for fold in np.unique(folds).tolist()}


def on_others(
    read: NDArray[np.float64],
    y: NDArray[Any],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    fit: Callable[[NDArray[np.float64], NDArray[Any], NDArray[Any]], Fitted],
    answer: Callable[[Fitted, NDArray[np.float64]], NDArray[Answer]],
    into: NDArray[Answer],
) -> tuple[NDArray[Answer], dict[int, Fitted]]:
    """Fit a calibration for each fold on the faces of other subjects, and apply it to the faces of the fold.

    A calibration must be fitted on predictions for faces that the model had not seen, and tested on other
    subjects. So for the faces of a fold, it is fitted on the predictions for the other folds. The models that
    made these predictions have seen the faces of this fold in training, which is a small influence of a fold
    on its own calibration. To avoid it, every model would have to be trained again without the fold.

    Args:
        read: predictions by models that had not seen the subject of the face, shape (n, ...).
        y: the true values, shape (n,).
        folds: number of the fold in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,). If folds share subjects, all faces of the subjects in a
            fold are left out of its fit.
        fit: function of (predictions, true values, subjects) that returns a fitted calibration.
        answer: function of (fitted calibration, predictions) that returns the results, shape (m, ...).
        into: array in which the results are written, shape (n, ...).

    Returns:
        The results, and the fitted calibration of each fold.

    Raises:
        ValueError: a fold contains all subjects.
    """
    check_lengths(read, y, folds, subjects)
    fitted = {}
    for fold, others in faces_of_others(folds, subjects).items():
        if not others.any():
            raise ValueError(f"Fold {fold} contains all subjects, so none is left to fit on.")
        fitted[fold] = fit(read[others], y[others], subjects[others])
        into[folds == fold] = answer(fitted[fold], read[folds == fold])
    return into, fitted


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, NaN where whole is 0 or one of them is NaN; shapes are broadcast."""
    part, whole = np.broadcast_arrays(part, whole)
    found = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
