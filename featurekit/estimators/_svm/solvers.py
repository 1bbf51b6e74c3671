"""The solvers of support vector machines: numbers in, a Machine of plain arrays out.

A linear machine is solved here, for all outputs at once. A machine with a kernel is
solved by libsvm, or by cuML on a GPU; for classes there is one for each pair of them,
and the pairs vote.
"""

from itertools import combinations
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn import config_context
from sklearn.svm import SVC

from featurekit.errors import EngineError
from featurekit.estimators._scaling import consecutive_slices
from featurekit.estimators._svm.kernels import CACHE_MB

TOLERANCE = 1e-3  # at which cuML stops; libsvm's default

Solver = Literal["libsvm", "cuml"]

_gpu = Lock()  # the memory of a GPU is enough for one fit, so that threads take turns


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
    return Machine(
        np.asarray(svc.support_, np.intp), pair_weights(svc.dual_coef_, svc.n_support_), svc.intercept_
    )


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


def fit_pairs_on_gpu(
    features: NDArray[np.float64],
    labels: NDArray[Any],
    C: float,  # noqa: N803  # its name everywhere
    gamma: float | None,
) -> Machine:
    """Return the machine that fit_pairs() describes; the arguments are the same."""
    import cuml.svm

    classes, codes = np.unique(labels, return_inverse=True)
    pairs = list(combinations(range(len(classes)), 2))
    # cuML's decision is positive for the second class of a pair, as scikit-learn's for two classes. For more
    # classes, scikit-learn uses libsvm's pairs, which are positive for the first class (see votes).
    sign = 1.0 if len(classes) == 2 else -1.0
    weights, intercept = np.zeros((len(labels), len(pairs))), np.empty(len(pairs))
    for pair, (i, j) in enumerate(pairs):
        rows = np.flatnonzero((codes == i) | (codes == j))
        if len(rows) == len(features):
            own = features
        else:
            own = features[np.ix_(rows, rows)] if gamma is None else features[rows]
        svc = cuml.svm.SVC(
            C=C,
            kernel="precomputed" if gamma is None else "rbf",
            gamma=1.0 if gamma is None else gamma,  # not used for a kernel matrix
            tol=TOLERANCE,
        )
        support, dual, constant = solve_on_gpu(svc, own, (codes[rows] == j).astype(np.float64))
        weights[rows[support], pair] = sign * dual
        intercept[pair] = sign * constant
    support = np.flatnonzero(weights.any(axis=1))
    return Machine(support, weights[support], intercept)


def solve_on_gpu(
    machine: Any, features: NDArray[np.float64], targets: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64], float]:
    """Fit one of cuML's machines and copy what it learned from the GPU.

    Args:
        machine: an unfitted cuml.svm.SVC, for two classes, or SVR.
        features: the kernel matrix of the rows, shape (n, n), or their vectors; in double precision, so that
            cuML computes in double precision.
        targets: class or number of each row, shape (n,).

    Returns:
        Row numbers of the support vectors and their weights, both of shape (n_support,), and the constant.
        cuML's decision values are kernel(x, rows) @ weights + constant.
    """
    import cuml

    with _gpu, cuml.using_output_type("numpy"):
        machine.fit(features, targets)
        rows = np.asarray(machine.support_, np.intp).ravel()
        weights = np.asarray(machine.dual_coef_, np.float64).ravel()
        return rows, weights, float(np.ravel(machine.intercept_)[0])


def solver_facts(solver: str) -> dict[str, str]:
    """Return the name of a solver and the version of cuML for a summary, if the solver can be used here.

    Raises:
        EngineError: cuML cannot be imported, or finds no GPU.
    """
    if solver != "cuml":
        return {"solver": solver}
    try:
        import cuml.svm
        import cupy

        n_gpus = cupy.cuda.runtime.getDeviceCount()
    except (ImportError, OSError, RuntimeError) as error:  # not installed, or CUDA's libraries find no driver
        raise _no_cuml(str(error).partition("\n")[0]) from error
    if not n_gpus:
        raise _no_cuml("cuML finds no GPU")
    return {"solver": "cuml", "cuml": str(cuml.__version__)}


def _no_cuml(reason: str) -> EngineError:
    return EngineError(
        "svm_cuml needs cuML and an NVIDIA GPU: pip install 'featurekit[cuml]'. svm is the same model on"
        f" the CPU. (Here: {reason.rstrip('.')}.)"
    )
