"""Machines for all pairs of classes, and the votes of the pairs."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.svm import SVC

from featurekit.estimators._scaling import consecutive_slices
from featurekit.estimators._svm.kernels import CACHE_MB
from featurekit.estimators._svm.linear import Machine
from featurekit.estimators._svm.on_gpu import Solver, fit_pairs_on_gpu


def fit_pairs(
    features: NDArray[np.float64],
    labels: NDArray[Any],
    *,
    C: float,  # noqa: N803  # its name everywhere
    gamma: float | None = None,
    solver: Solver = "libsvm",
) -> Machine:
    """Fit one machine for each pair of classes; the pairs are the outputs.

    Args:
        features: the kernel matrix of the rows, shape (n, n), or, if gamma is given, their vectors.
        labels: class of each row, shape (n,).
        C: cost of an error.
        gamma: for vectors, the width of the kernel that the solver computes; None for a kernel matrix.
        solver: "cuml" solves each pair on a GPU; the decision values mean the same.
    """
    if solver == "cuml":
        return fit_pairs_on_gpu(features, labels, C, gamma)
    kind = {"kernel": "precomputed"} if gamma is None else {"kernel": "rbf", "gamma": gamma}
    svc = SVC(C=C, cache_size=CACHE_MB, **kind)
    # The kernel is finite; checking that again for every candidate would take time.
    with config_context(assume_finite=True):
        svc.fit(features, labels)
    weights = pair_weights(svc.dual_coef_, svc.n_support_)
    return Machine(np.asarray(svc.support_, np.intp), weights, svc.intercept_)


def pair_weights(dual: NDArray[np.float64], n_support: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return libsvm's dual coefficients with one column per pair of classes, shape (n_support, n_pairs).

    Args:
        dual: SVC.dual_coef_, shape (n_classes - 1, n_support). The support vectors are in the order of their
            classes, and a vector of class i has its weight against class j in row j, or j - 1 for j > i.
        n_support: support vectors of each class, shape (n_classes,).
    """
    n_classes = len(n_support)
    if n_classes == 2:
        return dual.T.copy()
    of_class = consecutive_slices(n_support)
    weights = np.zeros((dual.shape[1], n_classes * (n_classes - 1) // 2))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        weights[of_class[i], pair] = dual[j - 1, of_class[i]]
        weights[of_class[j], pair] = dual[i, of_class[j]]
    return weights


def votes(decisions: NDArray[np.float64], n_classes: int) -> NDArray[np.intp]:
    """Return the class that wins most pairs, the first of equal ones, as SVC.predict() does; shape (n,).

    Args:
        decisions: decision values, shape (n, n_pairs).
        n_classes: number of classes.
    """
    if n_classes == 2:  # scikit-learn reverses the sign of a single pair
        return (decisions[:, 0] >= 0).astype(np.intp)
    won = np.zeros((len(decisions), n_classes), np.intp)
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        first = decisions[:, pair] > 0
        won[:, i] += first
        won[:, j] += ~first
    return np.asarray(won.argmax(axis=1))
