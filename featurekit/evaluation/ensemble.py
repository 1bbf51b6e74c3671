"""How much each of several models counts when what they say is averaged.

Weights are learned like everything else, on faces of other subjects than those they
are used for: on what the models said, out of fold, in the other folds. A model that
adds nothing gets a weight of 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEPS = 500
SMALLEST = 1e-12  # probability: below it a model would be forbidden for one sure mistake


def fold_weights(
    answers: Sequence[NDArray[np.float64]],
    y: NDArray[np.float64] | NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return what each model counts for in each fold, shape (n_folds, n_models); those of a fold add to 1.

    Args:
        answers: of each model, probabilities of shape (n, n_classes), or years of shape (n,).
        y: class numbers or years, shape (n,).
        folds: in which fold each face was tested, from 0, shape (n,).
        subjects: person on each face, shape (n,); one who is tested in a fold too teaches nothing for it.
    """
    found = []
    for number in range(int(folds.max()) + 1):
        here = folds == number
        others = ~here & ~np.isin(subjects, subjects[here])
        if not others.any():
            found.append(np.full(len(answers), 1 / len(answers)))
            continue
        said = np.stack([one[others] for one in answers])
        found.append(_of_years(said, y[others]) if said.ndim == 2 else _of_classes(said, y[others]))
    return np.array(found)


def _of_classes(said: NDArray[np.float64], y: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the weights under which the truth is most probable.

    They are the shares of a mixture, found by expectation and maximization, which never leaves the weights
    that are allowed.
    """
    likely = np.clip(said[:, np.arange(len(y)), y], SMALLEST, None)
    weights = np.full(len(said), 1 / len(said))
    for _ in range(STEPS):
        parts = weights[:, None] * likely
        weights = (parts / parts.sum(axis=0)).mean(axis=1)
    return weights


def _of_years(said: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights, none negative, under which the squared error is least."""
    from scipy.optimize import nnls

    # Weights that add to 1 mix errors as they mix years.
    errors = (said - y).T
    heavy = 1e3 * max(float(np.abs(errors).max()), 1.0) * np.sqrt(len(y))
    weights = nnls(np.vstack([errors, np.full((1, len(said)), heavy)]), np.append(np.zeros(len(y)), heavy))[0]
    total = float(weights.sum())
    return weights / total if total else np.full(len(said), 1 / len(said))
