"""Fit something for each fold on the faces of other subjects.

A calibration is fitted on predictions for faces that the model had not seen, and is
tested on other subjects than those it was fitted on: for the faces of a fold it is
fitted on the predictions of the other folds, which are that fold's training part.
The models of the other folds made these predictions and have seen the faces of this
fold in training: only in this way does a fold influence the one number that is fitted
for it. To avoid this, every model would have to be trained again without the fold.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_lengths

Fitted = TypeVar("Fitted")
Answer = TypeVar("Answer", bound=np.generic)


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
    """Fit something for each fold on the faces of other subjects, and apply it to the faces of the fold.

    Args:
        read: predictions of models that had not seen the subject, shape (n, ...).
        y: the true values, shape (n,).
        folds: number of the fold in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,). The folds of a data set may share subjects: those in a
            fold are left out of its fit.
        fit: (predictions, true values, subjects) → what is fitted.
        answer: (what is fitted, predictions) → an answer for each face, shape (m, ...).
        into: where the answers are written, shape (n, ...).

    Returns:
        The answers, and what was fitted for each fold.

    Raises:
        ValueError: a fold contains all subjects.
    """
    check_lengths(read, y, folds, subjects)
    fitted = {}
    for fold in np.unique(folds).tolist():
        here = folds == fold
        others = ~np.isin(subjects, subjects[here])
        if not others.any():
            raise ValueError(f"Fold {fold} contains all subjects, so none is left to fit on.")
        fitted[fold] = fit(read[others], y[others], subjects[others])
        into[here] = answer(fitted[fold], read[here])
    return into, fitted
