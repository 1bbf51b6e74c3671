"""The areas under ROC and precision–recall curves, and their values on resampled subjects.

A curve is given by counts: the number of positive and of negative faces at each threshold, the
highest threshold first. Counts of a resample are sums over its subjects, so the areas of many
resamples are computed at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import RESAMPLES, check_lengths, pieces_of_resampled_sums, ratio

# Thresholds of a resample; with more distinct scores, neighbouring scores share a threshold.
_MOST_THRESHOLDS = 1_000


def roc_areas(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return areas under ROC curves; NaN without a positive or a negative face.

    An area is the share of pairs of a positive and a negative face in which the positive one has the higher
    score, where equal scores count half.

    >>> float(roc_areas(np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])))
    0.875

    Args:
        positives: number of positive faces at each threshold, the highest first, shape (..., k).
        negatives: number of negative faces at each threshold, shape (..., k).
    """
    below = negatives.sum(axis=-1, keepdims=True) - negatives.cumsum(axis=-1)
    won = (positives * (below + negatives / 2)).sum(axis=-1)
    return ratio(won, positives.sum(axis=-1) * negatives.sum(axis=-1))


def average_precisions(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average precisions: the precision at each threshold, weighted by the recall that it adds.

    They are NaN without a positive face.

    >>> round(float(average_precisions(np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]))), 4)
    0.8333

    Args:
        positives: number of positive faces at each threshold, the highest first, shape (..., k).
        negatives: number of negative faces at each threshold, shape (..., k).
    """
    found = positives.cumsum(axis=-1)
    precision = ratio(found, found + negatives.cumsum(axis=-1))
    return ratio((positives * np.nan_to_num(precision)).sum(axis=-1), found[..., -1])


@dataclass(frozen=True, kw_only=True)
class ScoredClass:
    """The scores of all faces for one class.

    Attributes:
        scores: score of each face, e.g. its probability of the class, shape (n,).
        is_positive: whether each face has the class, shape (n,).
        roc_auc: area under the ROC curve of all faces.
        average_precision: average precision of all faces.
    """

    scores: NDArray[np.float64]
    is_positive: NDArray[np.bool_]
    roc_auc: float
    average_precision: float


def resampled_areas(
    classes: Sequence[ScoredClass], subjects: NDArray[np.str_], *, seed: int
) -> NDArray[np.float64]:
    """Return the ROC-AUC and the average precision of resampled subjects for each of several classes.

    If there are more than 1,000 distinct scores, neighbouring scores count as equal in the resamples: the
    thresholds are quantiles of the scores of the positive and of the negative faces. The resampled values are
    shifted by what this changes on all faces, so that they are centred at the areas of all faces.

    Args:
        classes: scores of the same faces for each class.
        subjects: subject of each face, shape (n,).
        seed: seed of the random number generator.

    Returns:
        Shape (n_classes, n_resamples, 2), with the ROC-AUC first.
    """
    from scipy.sparse import csr_array

    check_lengths(subjects, *(one.scores for one in classes), *(one.is_positive for one in classes))
    codes = np.unique(subjects, return_inverse=True)[1]
    columns, ends = [], [0]
    for one in classes:
        places, n_thresholds = _thresholds(one.scores, one.is_positive)
        columns.append(ends[-1] + places + np.where(one.is_positive, 0, n_thresholds))
        ends.append(ends[-1] + 2 * n_thresholds)
    # Most subjects have one face, which is at one of many thresholds.
    rows, places = np.tile(codes, len(classes)), np.concatenate(columns)
    of_each = csr_array((np.ones(len(rows)), (rows, places)), shape=(int(codes.max()) + 1, ends[-1]))

    def areas(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        of_classes = (np.split(sums[:, start:end], 2, axis=1) for start, end in pairwise(ends))
        return np.stack(
            [np.stack([roc_areas(*two), average_precisions(*two)], axis=-1) for two in of_classes]
        )

    known = np.array([[[one.roc_auc, one.average_precision]] for one in classes])
    shift = known - areas(np.asarray(of_each.sum(axis=0))[None])
    found = np.empty((len(classes), RESAMPLES, 2))
    for start, sums in pieces_of_resampled_sums(of_each, seed=seed):
        found[:, start : start + len(sums)] = areas(sums) + shift
    return found


def _thresholds(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Return the number of the threshold of each face, the highest score first, and how many there are."""
    edges = np.unique(scores)
    if len(edges) > _MOST_THRESHOLDS:
        edges = np.unique(
            [
                value
                for chosen in (is_positive, ~is_positive)
                for value in np.quantile(
                    scores[chosen], np.linspace(0, 1, _MOST_THRESHOLDS // 2), method="nearest"
                )
            ]
        )
    places = len(edges) - np.searchsorted(edges, scores, side="right")
    return places.astype(np.intp), len(edges) + 1
