"""Machines that cuML solves on a GPU, brought back as plain arrays."""

from collections.abc import Mapping
from itertools import combinations
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError

TOLERANCE = 1e-3  # at which a solver stops: libsvm's own

Solver = Literal["libsvm", "cuml"]

_gpu = Lock()  # its memory is one fit's: threads that fit side by side take turns


def fit_pairs_on_gpu(
    features: NDArray[np.float64],
    labels: NDArray[Any],
    C: float,  # noqa: N803  # its name everywhere
    gamma: float | None,
    class_weight: Mapping[Any, float] | str | None,
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """Return the parts of Pairs, in their order; the arguments are those of fit_pairs()."""
    import cuml.svm
    from sklearn.utils.class_weight import compute_sample_weight

    classes, codes = np.unique(labels, return_inverse=True)
    # Over all classes: cuML, which sees two of them, would balance these alone.
    costs = None if class_weight is None else compute_sample_weight(class_weight, labels)
    pairs = list(combinations(range(len(classes)), 2))
    # cuML's decision is positive for the second class of a pair. So is scikit-learn's of two classes; of
    # several, its pairs are libsvm's own, positive for the first (see votes).
    sign = 1.0 if len(classes) == 2 else -1.0
    weights, intercept = np.zeros((len(labels), len(pairs))), np.empty(len(pairs))
    for pair, (i, j) in enumerate(pairs):
        rows = np.flatnonzero((codes == i) | (codes == j))
        own = features
        if gamma is not None:
            own = features[rows]
        elif len(rows) < len(features):
            own = features[np.ix_(rows, rows)]
        svc = cuml.svm.SVC(
            C=C,
            kernel="precomputed" if gamma is None else "rbf",
            gamma=1.0 if gamma is None else gamma,  # a finished kernel has its own
            tol=TOLERANCE,
        )
        is_second = (codes[rows] == j).astype(np.float64)
        support, dual, constant = solve_on_gpu(svc, own, is_second, None if costs is None else costs[rows])
        weights[rows[support], pair] = sign * dual
        intercept[pair] = sign * constant
    support = np.flatnonzero(weights.any(axis=1))
    return support, weights[support], intercept, classes


def solve_on_gpu(
    machine: Any,
    features: NDArray[np.float64],
    targets: NDArray[np.float64],
    costs: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64], float]:
    """Fit one of cuML's machines and bring what it learned back from the GPU.

    Args:
        machine: an unfitted cuml.svm.SVC, for two classes, or SVR.
        features: the kernel matrix of the rows, shape (n, n), or their vectors; in double precision, cuML
            computes in it.
        targets: class or number of each row, shape (n,).
        costs: factors of C for each row, shape (n,); None for 1.

    Returns:
        Row numbers of the support vectors and their weights, both of shape (n_support,), and the constant:
        cuML's decision values are kernel(x, rows) @ weights + constant.
    """
    import cuml

    with _gpu, cuml.using_output_type("numpy"):
        machine.fit(features, targets, sample_weight=costs)
        rows = np.asarray(machine.support_, np.intp).ravel()
        weights = np.asarray(machine.dual_coef_, np.float64).ravel()
        return rows, weights, float(np.ravel(machine.intercept_)[0])


def solver_facts(solver: str) -> dict[str, str]:
    """Return what a summary says of a solver, its name and cuML's version, if it can be used here.

    Raises:
        EngineError: cuML cannot be imported, or there is no GPU for it.
        ValueError: no solver is called so.
    """
    if solver == "libsvm":
        return {"solver": "libsvm"}
    if solver != "cuml":
        raise ValueError(f"solver must be 'libsvm' or 'cuml'. Got '{solver}' instead.")
    try:
        import cuml.svm
        import cupy

        n_gpus = cupy.cuda.runtime.getDeviceCount()
    except (ImportError, OSError, RuntimeError) as error:  # missing, or CUDA's libraries find no driver
        raise _no_cuml(str(error).partition("\n")[0]) from error
    if not n_gpus:
        raise _no_cuml("cuML finds no GPU")
    return {"solver": "cuml", "cuml": str(cuml.__version__)}


def _no_cuml(reason: str) -> EngineError:
    return EngineError(
        "svm_cuml needs cuML and an NVIDIA GPU: pip install 'featurekit[cuml]'. svm is the same model on"
        f" the CPU. (Here: {reason.rstrip('.')}.)"
    )
