"""Fit a calibration for each fold on the faces of subjects outside of the fold.

A calibration must be fitted on predictions for faces that the model had not seen, and
tested on other subjects. So for the faces of a fold, it is fitted on the predictions
for the other folds. The models that made these predictions have seen the faces of this
fold in training, which is a small influence of a fold on its own calibration. To avoid
it, every model would have to be trained again without the fold.
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
    """Fit a calibration for each fold on the faces of other subjects, and apply it to the faces of the fold.

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
    for fold in np.unique(folds).tolist():
        here = folds == fold
        others = ~np.isin(subjects, subjects[here])
        if not others.any():
            raise ValueError(f"Fold {fold} contains all subjects, so none is left to fit on.")
        fitted[fold] = fit(read[others], y[others], subjects[others])
        into[here] = answer(fitted[fold], read[here])
    return into, fitted
