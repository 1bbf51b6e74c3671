"""Make probabilities calibrated with one number, and without changing a single answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes
from featurekit.uncertainty.cross_fitting import on_others

TEMPERATURES = (0.05, 1000.0)  # between which one is looked for
_LEAST = 1e-12  # what a probability of 0 counts as, where its logarithm is taken


def fit_temperature(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """Return the temperature that gives the faces' own classes the most (Guo et al. 2017).

    >>> round(fit_temperature(np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])), 6)
    2.0

    Above 1 for a model that is too sure of itself, below 1 for one that is not sure enough. A temperature
    outside of TEMPERATURES is not looked for: a model that is right on all of these faces would otherwise be
    made as sure as can be.

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).

    Returns:
        The temperature of the least log loss; 1 where no other is better.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    check_classes(probabilities, y)
    logs = np.log(np.clip(probabilities, _LEAST, 1.0))
    own = logs[np.arange(len(y)), y]

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float((logsumexp(logs * sharpness, axis=1) - own * sharpness).mean())

    # Convex in 1 / temperature, so that there is no second valley to fall into.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x)) if found.fun < loss(0.0) - _LEAST else 1.0


def apply_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities at a temperature; which class is likeliest does not change.

    >>> apply_temperature(np.array([[0.9, 0.1]]), 2.0)
    array([[0.75, 0.25]])

    Args:
        probabilities: of each class, shape (n, n_classes); 0 counts as one in 10¹².
        temperature: what their logarithms are divided by.
    """
    from scipy.special import softmax

    cooled: NDArray[np.float64] = softmax(np.log(np.clip(probabilities, _LEAST, 1.0)) / temperature, axis=1)
    return cooled


def cross_fitted(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
) -> tuple[NDArray[np.float64], dict[int, float]]:
    """Return what the models would have said at a temperature that was fitted on other persons.

    See cross_fitting.py for what little of a fold reaches its own temperature.

    Args:
        probabilities: of each class, by a model that had not seen the person, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).

    Returns:
        The probabilities at their fold's temperature, and the temperature of each fold.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    return on_others(
        probabilities,
        y,
        folds,
        subjects,
        fit=lambda said, y, _: fit_temperature(said, y),
        answer=lambda temperature, said: apply_temperature(said, temperature),
        into=np.full(probabilities.shape, np.nan),
    )
