"""Kernel matrices, and how one matrix of squared distances serves a whole search.

An RBF kernel of any width is exp(-gamma · distance), so that the costly part, the
distances, is computed once by matrix products and kept; every width and every fold
takes its kernel from there into a buffer that is used again. libsvm then learns
from the finished kernel, and the held-out faces are read by one matrix product.
The scores are those of scikit-learn's GridSearchCV(SVC()), to the last bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.errors import EngineError
from featurekit.estimators._estimator import one_blas_thread

TILE = 2048  # rows and columns of one matrix product; fixed, so that the bits do not depend on the threads
ROWS = 64  # rows of a kernel that are filled at once: what is worked on stays near the processor
CACHE_MB = 500  # of kernel rows that libsvm keeps, in single precision
TOLERANCE = 1e-3  # at which a solver stops: libsvm's own

Solver = Literal["libsvm", "cuml"]

_gpu = Lock()  # its memory is one fit's: threads that fit side by side take turns


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


class Distances:
    """Squared distances of all rows of a matrix, kept for kernels of any width and of any of the rows.

    Attributes:
        parts: for each part of the vectors a matrix (n, n); the whole's distances are their sum.
    """

    def __init__(
        self, scaled: NDArray[np.float64], parts: tuple[int, ...] | None = None, *, threads: int = 1
    ) -> None:
        n = len(scaled)
        columns_of = _columns_of(scaled, parts)
        norms = _norms(scaled, columns_of)
        self.parts = [np.empty((n, n)) for _ in columns_of]

        def fill(corner: tuple[int, int]) -> None:
            rows, columns = _tile(corner)
            tiles = _tile_distances(scaled, scaled, norms, norms, columns_of, rows, columns)
            for matrix, tile in zip(self.parts, tiles, strict=True):
                matrix[rows, columns] = tile
                matrix[columns, rows] = tile.T

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, [(i, j) for i in range(0, n, TILE) for j in range(i, n, TILE)]))
        for matrix in self.parts:
            np.fill_diagonal(matrix, 0)

    def kernel(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        gamma: float,
        out: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Fill out, shape (n_rows, n_columns), with the kernel of some rows and some columns; return it."""
        n_parts = len(self.parts)
        for start in range(0, len(rows), ROWS):
            block = out[start : start + ROWS]
            _gather(self.parts[0], rows[start : start + ROWS], columns, block)
            if n_parts > 1:
                own = np.exp(block * (-gamma * n_parts))
                part = np.empty_like(block)
                for matrix in self.parts[1:]:
                    _gather(matrix, rows[start : start + ROWS], columns, part)
                    block += part
                    part *= -gamma * n_parts
                    own += np.exp(part, out=part)
            block *= -gamma
            np.exp(block, out=block)
            if n_parts > 1:
                own /= n_parts
                block += own
                block /= 2
        return out


def _gather(
    matrix: NDArray[np.float64],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    out: NDArray[np.float64],
) -> None:
    for row, line in zip(rows, out, strict=True):
        # mode: without one, numpy buffers the line to be able to raise.
        np.take(matrix[row], columns, out=line, mode="clip")


def rbf_kernel(
    first: NDArray[np.float64],
    second: NDArray[np.float64] | None,
    gamma: float,
    parts: tuple[int, ...] | None = None,
    *,
    threads: int = 1,
) -> NDArray[np.float64]:
    """Return the kernel of all rows of two matrices, shape (n_a, n_b).

    Tiles of a fixed size, each computed on one thread: the bits do not depend on the threads.

    Args:
        first: scaled vectors, shape (n_a, dim).
        second: the same, shape (n_b, dim); None stands for the first.
        gamma: width of exp(-gamma · |a - b|²).
        parts: lengths of the parts of the vectors. With several, the kernel is the mean of that of the
            whole vectors and of the parts' mean, where a part's distances count as if they were the whole's.
        threads: how many tiles at once.
    """
    same = second is None
    second = first if second is None else second
    kernel = np.empty((len(first), len(second)))
    columns_of = _columns_of(first, parts)
    norms_a, norms_b = (_norms(matrix, columns_of) for matrix in (first, second))

    def fill(corner: tuple[int, int]) -> None:
        rows, columns = _tile(corner)
        distance = own = np.zeros(1)
        for tile in _tile_distances(first, second, norms_a, norms_b, columns_of, rows, columns):
            distance = distance + tile
            if len(columns_of) > 1:
                tile *= -gamma * len(columns_of)
                own = own + np.exp(tile, out=tile)
        distance *= -gamma
        tile = np.exp(distance, out=distance)
        if len(columns_of) > 1:
            tile = (tile + own / len(columns_of)) / 2
        kernel[rows, columns] = tile
        if same:
            kernel[columns, rows] = tile.T

    corners = [
        (i, j) for i in range(0, len(first), TILE) for j in range(0, len(second), TILE) if not same or j >= i
    ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, corners))
    if same:
        np.fill_diagonal(kernel, 1.0)
    return kernel


def _columns_of(matrix: NDArray[np.float64], parts: tuple[int, ...] | None) -> list[slice]:
    lengths = parts or (matrix.shape[1],)
    return [slice(end - length, end) for end, length in zip(np.cumsum(lengths), lengths, strict=True)]


def _norms(matrix: NDArray[np.float64], columns_of: Sequence[slice]) -> NDArray[np.float64]:
    return np.stack([np.einsum("ij,ij->i", matrix[:, part], matrix[:, part]) for part in columns_of])


def _tile(corner: tuple[int, int]) -> tuple[slice, slice]:
    return slice(corner[0], corner[0] + TILE), slice(corner[1], corner[1] + TILE)


def _tile_distances(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    norms_a: NDArray[np.float64],
    norms_b: NDArray[np.float64],
    columns_of: Sequence[slice],
    rows: slice,
    columns: slice,
) -> Iterator[NDArray[np.float64]]:
    """Yield the squared distances of one tile, part by part."""
    for number, part in enumerate(columns_of):
        tile = first[rows, part] @ second[columns, part].T
        tile *= -2
        tile += norms_a[number, rows, None]
        tile += norms_b[number, None, columns]
        np.maximum(tile, 0, out=tile)  # rounding can make a distance of 0 negative
        yield tile


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
        return _fit_pairs_on_gpu(features, labels, C, gamma, class_weight)
    from sklearn import config_context
    from sklearn.svm import SVC

    svc = SVC(C=C, kernel="precomputed", class_weight=class_weight, cache_size=CACHE_MB)
    if gamma is not None:
        svc.set_params(kernel="rbf", gamma=gamma)
    # A finite kernel need not be searched for what is not, once for every candidate.
    with config_context(assume_finite=True):
        svc.fit(features, labels)
    weights = pair_weights(svc.dual_coef_, svc.n_support_)
    return Pairs(np.asarray(svc.support_, np.intp), weights, svc.intercept_, svc.classes_)


def _fit_pairs_on_gpu(
    features: NDArray[np.float64],
    labels: NDArray[Any],
    C: float,  # noqa: N803  # its name everywhere
    gamma: float | None,
    class_weight: Mapping[Any, float] | str | None,
) -> Pairs:
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
    return Pairs(support, weights[support], intercept, classes)


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
        "svm_cuml needs cuML and an NVIDIA GPU: pip install 'featurekit[cuml]'. svm is the same machine on"
        f" the CPU. (Here: {reason.rstrip('.')}.)"
    )


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


def over_kernels(
    distances: Distances,
    folds: Sequence[Fold],
    gammas: Sequence[float],
    learn: Callable[[int, int, NDArray[np.float64], NDArray[np.float64]], None],
    *,
    threads: int = 1,
) -> None:
    """Call learn for every fold and width, with the kernels of its training and its held-out rows.

    There are as many buffers as threads, each used again and again.

    Args:
        distances: of all rows.
        folds: row numbers; the kernels' rows and columns stand in their order.
        gammas: widths.
        learn: called with (number of the fold, number of the width, kernel (n_train, n_train), kernel
            (n_test, n_train)); what it is given is overwritten afterwards.
        threads: how many calls at once.
    """
    # Narrow kernels take the longest: begun first, they do not keep one thread busy when the others are done.
    tasks = [(f, g) for g in np.argsort(gammas)[::-1].tolist() for f in range(len(folds))]
    n_workers = max(min(threads, len(tasks)), 1)
    size = max((len(fold.train) * (len(fold.train) + len(fold.test)) for fold in folds), default=0)
    buffers: SimpleQueue[NDArray[np.float64]] = SimpleQueue()
    for _ in range(n_workers):
        buffers.put(np.empty(size))

    def run(task: tuple[int, int]) -> None:
        fold, gamma = folds[task[0]], gammas[task[1]]
        n_train, n_test = len(fold.train), len(fold.test)
        buffer = buffers.get()
        try:
            train = buffer[: n_train * n_train].reshape(n_train, n_train)
            test = buffer[n_train * n_train :][: n_test * n_train].reshape(n_test, n_train)
            distances.kernel(fold.train, fold.train, gamma, train)
            distances.kernel(fold.test, fold.train, gamma, test)
            learn(*task, train, test)
        finally:
            buffers.put(buffer)

    with ThreadPoolExecutor(n_workers) as pool:
        list(pool.map(run, tasks))


def matrix_bytes(n_rows: int) -> int:
    """Return how much memory a kernel matrix of so many rows takes, in bytes."""
    return n_rows * n_rows * 8


def search_bytes(n_rows: int, n_parts: int, threads: int) -> int:
    """Return how much memory a search over kernels of so many rows takes, in bytes."""
    return matrix_bytes(n_rows) * (n_parts + threads) + threads * libsvm_bytes(n_rows)


def libsvm_bytes(n_rows: int) -> int:
    """Return how much memory libsvm keeps kernel rows in, in bytes."""
    return min(n_rows * n_rows * 4, CACHE_MB << 20)


def grid_search_svc(
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    C: Sequence[float],  # noqa: N803  # its name everywhere
    gamma: Sequence[float],
    folds: Sequence[Fold],
    class_weight: Mapping[Any, float] | str | None = None,
    threads: int = 2,
) -> NDArray[np.float64]:
    """Return the accuracy of SVC(C, gamma) on every fold, shape (n_gamma, n_C, n_folds).

    The numbers are those of scikit-learn's GridSearchCV(SVC(), {"C": C, "gamma": gamma}, cv=folds).

    Args:
        X: vectors, shape (n, dim), as they are: nothing is scaled.
        y: class of each row, shape (n,).
        C: how much an error costs, each to be tried.
        gamma: widths of the kernel, each to be tried.
        folds: row numbers to learn from and to be scored on.
        class_weight: as SVC takes it.
        threads: how many fits at once; the scores do not depend on it.
    """
    scores = np.empty((len(gamma), len(C), len(folds)))
    # Class by class: libsvm reads the kernel in that order, and finds each pair's rows side by side.
    by_class = [Fold(fold.train[np.argsort(y[fold.train], kind="stable")], fold.test) for fold in folds]

    def learn(f: int, g: int, train: NDArray[np.float64], test: NDArray[np.float64]) -> None:
        for c, cost in enumerate(C):
            pairs = fit_pairs(train, y[by_class[f].train], C=cost, class_weight=class_weight)
            decisions = test[:, pairs.rows] @ pairs.weights + pairs.intercept
            said = pairs.classes[votes(decisions, len(pairs.classes))]
            scores[g, c, f] = (said == y[by_class[f].test]).mean()

    with one_blas_thread():
        distances = Distances(np.ascontiguousarray(X, np.float64), threads=threads)
        over_kernels(distances, by_class, gamma, learn, threads=threads)
    return scores
