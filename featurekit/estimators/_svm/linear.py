"""Linear machines with squared losses, all outputs at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize


class Machine(NamedTuple):
    """A fitted machine: decision values are kernel(x, rows) @ weights + intercept.

    Attributes:
        rows: row numbers of the support vectors, shape (n_support,); None for a linear machine, whose
            decision values are x @ weights + intercept.
        weights: shape (n_support, n_outputs) or (dim, n_outputs).
        intercept: shape (n_outputs,).
    """

    rows: NDArray[np.intp] | None
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]


def class_signs(codes: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return 1 for the class of a row and -1 for the others, shape (n, n_classes); (n, 1) for two classes."""
    signs = np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    return signs[:, -1:] if n_classes == 2 else signs


def fit_linear(
    scaled: NDArray[np.float64], targets: NDArray[np.float64], cost: float, *, epsilon: float | None = None
) -> Machine:
    """Fit one linear machine per output, all at once: minimize |w|² / 2 + cost · sum of squared losses.

    The problems are those of scikit-learn's LinearSVC and LinearSVR with squared losses. They are solved by
    L-BFGS with matrix products, because liblinear copies dense vectors into a sparse form and takes far
    longer.

    Args:
        scaled: scaled vectors, shape (n, dim).
        targets: signs ±1, or numbers, shape (n, n_outputs).
        cost: cost of an error.
        epsilon: for numbers, the error that costs nothing; None for signs (hinge loss).
    """
    n_outputs, dim = targets.shape[1], scaled.shape[1]

    def loss_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(dim + 1, n_outputs)
        decisions = scaled @ weights[:-1] + weights[-1]
        if epsilon is None:
            error = -targets * np.maximum(1 - targets * decisions, 0)
        else:
            off = decisions - targets
            error = np.sign(off) * np.maximum(np.abs(off) - epsilon, 0)
        slope = np.vstack([weights[:-1] + 2 * cost * (scaled.T @ error), 2 * cost * error.sum(axis=0)])
        return float(0.5 * (weights[:-1] ** 2).sum() + cost * (error**2).sum()), slope.ravel()

    found = minimize(
        loss_and_slope,
        np.zeros((dim + 1) * n_outputs),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "gtol": 1e-4},
    )
    weights = found.x.reshape(dim + 1, n_outputs)
    return Machine(None, weights[:-1].copy(), weights[-1].copy())
