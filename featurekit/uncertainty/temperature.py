"""Calibrate probabilities with one number, without changing any predicted class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_classes
from featurekit.uncertainty.cross_fitting import on_others

TEMPERATURES = (0.05, 1000.0)  # bounds of the search
_LEAST = 1e-12  # replaces a probability of 0 before its logarithm is taken


def fit_temperature(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """Return the temperature that maximizes the likelihood of the true classes (Guo et al. 2017).

    >>> round(fit_temperature(np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])), 6)
    2.0

    It is above 1 for an overconfident model and below 1 for an underconfident one. The search is limited to
    TEMPERATURES: otherwise a model that is right on all of these faces would get extreme probabilities.

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).

    Returns:
        The temperature with the smallest log loss; 1 if no other is better.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    check_classes(probabilities, y)
    logs = np.log(np.clip(probabilities, _LEAST, 1.0))
    own = logs[np.arange(len(y)), y]

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float((logsumexp(logs * sharpness, axis=1) - own * sharpness).mean())

    # The loss is convex in 1 / temperature, so that there is only one minimum.
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

    return np.asarray(softmax(np.log(np.clip(probabilities, _LEAST, 1.0)) / temperature, axis=1))


def cross_fitted(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
) -> tuple[NDArray[np.float64], dict[int, float]]:
    """Return the probabilities at a temperature that was fitted on other subjects.

    See cross_fitting.py for the small influence of a fold on its own temperature.

    Args:
        probabilities: of each class, by a model that had not seen the subject, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).

    Returns:
        The probabilities at the temperature of their fold, and the temperature of each fold.

    Raises:
        ValueError: a fold contains all subjects.
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
