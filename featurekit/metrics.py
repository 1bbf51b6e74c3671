"""What a score means.

Every score is a small pure function of what is true and what was said, as class
numbers in natural order or as years. A class that no tested face has is left out
of averages over classes; it cannot be found again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.manifest import Target

# What a classifier is said to have answered for a face that nobody found.
NO_FACE = -1


def score(
    target: Target, y_true: NDArray[Any], y_pred: NDArray[Any], proba: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """Return the scores that fit a target: "exact", "one_off", "mae_years", ...

    Args:
        target: what the numbers mean.
        y_true: class numbers or years, shape (n,).
        y_pred: the same, as predicted.
        proba: probability of each class of the target, shape (n, n_classes); gives "log_loss".

    Raises:
        ValueError: there is nothing to score, or a prediction is missing.
    """
    if not len(y_true) or len(y_true) != len(y_pred):
        raise ValueError(f"{len(y_pred)} predictions for {len(y_true)} faces.")
    if target.is_regression:
        if not np.isfinite(y_pred).all():
            raise ValueError(f"Row {np.flatnonzero(~np.isfinite(y_pred))[0]} has no predicted years.")
        return {"mae_years": mean_absolute_error(y_true, y_pred)}
    if (y_pred < 0).any():
        raise ValueError(f"Row {np.flatnonzero(y_pred < 0)[0]} has no predicted class.")
    n_classes = len(target.classes)
    scores = {"exact": exact_accuracy(y_true, y_pred)}
    if target.ordered:
        scores["one_off"] = one_off_accuracy(y_true, y_pred)
    scores["balanced_accuracy"] = balanced_accuracy(y_true, y_pred, n_classes)
    scores["macro_f1"] = macro_f1(y_true, y_pred, n_classes)
    if target.ordered:
        scores["mae_groups"] = mean_absolute_error(y_true, y_pred)
    if proba is not None:
        scores["log_loss"] = log_loss(y_true, proba)
    return scores


def score_all_rows(target: Target, y_true: NDArray[np.intp], y_pred: NDArray[np.intp]) -> dict[str, float]:
    """Return the scores of every labelled row, where a face that was not found is a wrong answer.

    How far off such an answer is cannot be said, so nothing is given in groups, and nothing for years.

    >>> from featurekit.manifest import AGE_GROUP
    >>> score_all_rows(AGE_GROUP, np.array([0, 0, 1]), np.array([NO_FACE, 0, 1]))["one_off"]
    0.6666666666666666

    Args:
        target: what the numbers mean.
        y_true: class numbers, shape (n,).
        y_pred: the same, as predicted; NO_FACE where no face was found.

    Raises:
        ValueError: there is nothing to score.
    """
    if target.is_regression:
        return {}
    found = y_pred != NO_FACE
    # Outside of the classes, and more than one off from each of them.
    wrong = np.where(found, y_pred, len(target.classes) + 1)
    scores = score(target, y_true, wrong)
    scores.pop("mae_groups", None)
    return scores


def summarize(per_fold: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Return mean, spread (standard deviation over the folds) and the folds' values of every score.

    >>> summarize([{"exact": 0.5}, {"exact": 0.7}])["exact"]["mean"]
    0.6

    Args:
        per_fold: the scores of each fold.

    Returns:
        score → {"mean", "spread", "folds"}; None stands for a fold that lacks the score or has NaN.
    """
    summary: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for scores in per_fold for name in scores):
        values = [float(scores.get(name, np.nan)) for scores in per_fold]
        known = [value for value in values if np.isfinite(value)]
        summary[name] = {
            "mean": float(np.mean(known)) if known else None,
            "spread": float(np.std(known)) if known else None,
            "folds": [value if np.isfinite(value) else None for value in values],
        }
    return summary


def exact_accuracy(y_true: NDArray[np.intp], y_pred: NDArray[np.intp]) -> float:
    """Return the share of faces given their own class.

    >>> exact_accuracy(np.array([0, 1, 5, 2]), np.array([1, 1, 3, 2]))
    0.5
    """
    return float(np.mean(y_true == y_pred))


def one_off_accuracy(y_true: NDArray[np.intp], y_pred: NDArray[np.intp]) -> float:
    """Return the share of faces given their own age group or a neighbouring one.

    >>> one_off_accuracy(np.array([0, 1, 5]), np.array([1, 1, 3]))
    0.6666666666666666
    """
    return float(np.mean(np.abs(y_true - y_pred) <= 1))


def mean_absolute_error(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
    """Return how far off the answers are on average: years for years, groups for group numbers.

    >>> mean_absolute_error(np.array([20.0, 30.0]), np.array([22.0, 25.0]))
    3.5
    """
    return float(np.mean(np.abs(y_true - y_pred)))


def confusion_matrix(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int) -> NDArray[np.intp]:
    """Return counts of true × predicted classes, shape (n_classes, n_classes).

    A row predicted as none of the classes is counted nowhere.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    inside = (y_pred >= 0) & (y_pred < n_classes)
    cells = y_true[inside] * n_classes + y_pred[inside]
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes).astype(np.intp)


def recall_per_class(
    y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int
) -> NDArray[np.float64]:
    """Return the share of each class that was found again, shape (n_classes,); NaN where no face has it.

    >>> recall_per_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    array([0.5, 1. , nan])
    """
    faces = np.bincount(y_true, minlength=n_classes)
    hits = np.bincount(y_true[y_true == y_pred], minlength=n_classes)
    recall = np.full(n_classes, np.nan)
    recall[faces > 0] = hits[faces > 0] / faces[faces > 0]
    return recall


def balanced_accuracy(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int) -> float:
    """Return the mean recall of the classes that the faces have.

    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2)
    0.5
    """
    return float(np.nanmean(recall_per_class(y_true, y_pred, n_classes)))


def macro_f1(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int) -> float:
    """Return the mean F1 of the classes that the faces have or were given.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    0.6666666666666666
    """
    hits = np.bincount(y_true[y_true == y_pred], minlength=n_classes)[:n_classes]
    true = np.bincount(y_true, minlength=n_classes)[:n_classes]
    said = np.bincount(y_pred, minlength=n_classes)[:n_classes]
    occurs = true + said > 0
    return float(np.mean(2 * hits[occurs] / (true + said)[occurs]))


def log_loss(y_true: NDArray[np.intp], proba: NDArray[np.float64]) -> float:
    """Return the mean of −log of the probability that each face's own class was given, in nats.

    A probability of 0 counts as one in a million: one sure mistake must not outweigh all other faces.

    >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 3)
    1.04
    """
    own = proba[np.arange(len(y_true)), y_true]
    return float(-np.mean(np.log(np.clip(own, 1e-6, 1))))
