"""Machines for all pairs of classes, and the votes of the pairs."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.svm import SVC

from featurekit.estimators._svm.kernels import CACHE_MB
from featurekit.estimators._svm.on_gpu import Solver, fit_pairs_on_gpu


class Pairs(NamedTuple):
    """Machines for all pairs of classes: decision values are kernel(x, rows) @ weights + intercept.

    Attributes:
        rows: numbers of the support vectors among the rows learned from, shape (n_support,).
        weights: shape (n_support, n_pairs).
        intercept: shape (n_pairs,).
        classes: class numbers seen, increasing.
    """

    rows: NDArray[np.intp]
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]
    classes: NDArray[Any]


def fit_pairs(
    features: NDArray[np.float64],
    labels: NDArray[Any],
    *,
    C: float,  # noqa: N803  # its name everywhere
    gamma: float | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    solver: Solver = "libsvm",
) -> Pairs:
    """Fit one machine for each pair of classes.

    Args:
        features: the kernel matrix of the rows, shape (n, n), or, where gamma is given, their vectors.
        labels: class of each row, shape (n,).
        C: how much an error costs.
        gamma: for vectors, the width of the kernel that the solver then computes itself.
        class_weight: as scikit-learn's SVC takes it.
        solver: "cuml" solves each pair on a GPU; the decision values mean the same.
    """
    if solver == "cuml":
        return Pairs(*fit_pairs_on_gpu(features, labels, C, gamma, class_weight))
    svc = SVC(C=C, kernel="precomputed", class_weight=class_weight, cache_size=CACHE_MB)
    if gamma is not None:
        svc.set_params(kernel="rbf", gamma=gamma)
    # A finite kernel need not be searched for what is not, once for every candidate.
    with config_context(assume_finite=True):
        svc.fit(features, labels)
    weights = pair_weights(svc.dual_coef_, svc.n_support_)
    return Pairs(np.asarray(svc.support_, np.intp), weights, svc.intercept_, svc.classes_)


def pair_weights(dual: NDArray[np.float64], n_support: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return libsvm's dual coefficients as one column a pair of classes, shape (n_support, n_pairs).

    Args:
        dual: SVC.dual_coef_, shape (n_classes - 1, n_support): the support vectors stand class by
            class, and a vector of class i has its weight against class j in row j, or j - 1 for j > i.
        n_support: support vectors of each class, shape (n_classes,).
    """
    n_classes = len(n_support)
    if n_classes == 2:
        return dual.T.copy()
    ends = np.concatenate([[0], np.cumsum(n_support)])
    of_class = [slice(ends[i], ends[i + 1]) for i in range(n_classes)]
    weights = np.zeros((dual.shape[1], n_classes * (n_classes - 1) // 2))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        weights[of_class[i], pair] = dual[j - 1, of_class[i]]
        weights[of_class[j], pair] = dual[i, of_class[j]]
    return weights


def votes(decisions: NDArray[np.float64], n_classes: int) -> NDArray[np.intp]:
    """Return the class that wins most pairs, the first of several, shape (n,): what SVC.predict() says.

    Args:
        decisions: decision values, shape (n, n_pairs).
        n_classes: how many classes the pairs are of.
    """
    if n_classes == 2:  # scikit-learn turns the sign of a single pair around
        return (decisions[:, 0] >= 0).astype(np.intp)
    won = np.zeros((len(decisions), n_classes), np.intp)
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        first = decisions[:, pair] > 0
        won[:, i] += first
        won[:, j] += ~first
    first_best: NDArray[np.intp] = won.argmax(axis=1)
    return first_best
