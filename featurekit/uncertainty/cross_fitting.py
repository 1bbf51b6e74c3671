"""Fit something for each fold on the faces of other persons.

Whatever is fitted on predictions is fitted on those of faces that the model had not
seen, and is tried on other persons than it was fitted on: for the faces of a fold,
on the predictions of the other folds, which are that fold's training part. Those
were made by the other folds' models, which have seen this fold's faces in their own
training: the only way in which anything of this fold comes into the one number that
is fitted for it. To be rid of that, every model would have to be trained again
without the fold.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_lengths

Fitted = TypeVar("Fitted")
Answer = TypeVar("Answer", bound=np.generic)


class Round(NamedTuple):
    """On which faces something is fitted for one fold, and on which it is used.

    Attributes:
        fold: its number.
        here: whether each face is in it, shape (n,).
        others: whether each face may be learned from: in another fold, and of nobody who is in this one.
    """

    fold: int
    here: NDArray[np.bool_]
    others: NDArray[np.bool_]


def rounds(folds: NDArray[np.intp], subjects: NDArray[Any]) -> Iterator[Round]:
    """Yield for each fold the faces it has and those that something may be fitted on for it.

    Args:
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,). Nobody who is in a fold is learned from for it, also
            where a data set's own folds share somebody.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    check_lengths(folds, subjects)
    for fold in np.unique(folds):
        here = folds == fold
        others = ~np.isin(subjects, subjects[here])
        if not others.any():
            raise ValueError(f"Fold {fold} contains all subjects, so none is left to fit on.")
        yield Round(int(fold), here, others)


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
    """Fit something for each fold on the faces of others, and let it answer for the fold's own.

    Args:
        read: what models said that had not seen the person, shape (n, ...).
        y: the truth, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).
        fit: (what was said, the truth, the persons) → what is fitted.
        answer: (what was fitted, what was said) → an answer for each face, shape (m, ...).
        into: where the answers are written, shape (n, ...).

    Returns:
        The answers, and what was fitted for each fold.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    check_lengths(read, y, folds, subjects)
    fitted = {}
    for fold, here, others in rounds(folds, subjects):
        fitted[fold] = fit(read[others], y[others], subjects[others])
        into[here] = answer(fitted[fold], read[here])
    return into, fitted
