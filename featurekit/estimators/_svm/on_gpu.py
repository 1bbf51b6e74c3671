"""Machines that cuML solves on a GPU, returned as plain arrays."""

from itertools import combinations
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.estimators._svm.linear import Machine

TOLERANCE = 1e-3  # at which a solver stops; libsvm's default

Solver = Literal["libsvm", "cuml"]

_gpu = Lock()  # the memory of a GPU is enough for one fit, so that threads take turns


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
    if solver == "libsvm":
        return {"solver": "libsvm"}
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
