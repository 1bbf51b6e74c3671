"""Kernel matrices, and how one matrix of squared distances serves a whole search.

An RBF kernel of any width is exp(-gamma · distance). The costly part, the distances, is
computed once by matrix products and kept. The kernel of each width is computed from it
into a buffer that is used again. libsvm then learns from the finished kernel, and the
held-out faces are predicted by one matrix product.
The scores are those of scikit-learn's GridSearchCV(SVC()), to the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.estimators._scaling import consecutive_slices

TILE = 2048  # rows and columns of one matrix product; fixed, so that the bits do not depend on the threads
ROWS = 64  # rows of a kernel that are filled at once, so that they fit into the processor's cache
CACHE_MB = 500  # size of libsvm's cache of kernel rows, which are in single precision


class Distances:
    """Squared distances of all rows of a matrix, from which kernels of any width and any rows are computed.

    Attributes:
        parts: a matrix (n, n) for each part of the vectors; the distances of whole vectors are their sum.
    """

    def __init__(
        self, scaled: NDArray[np.float64], parts: tuple[int, ...] | None = None, *, threads: int = 1
    ) -> None:
        n = len(scaled)
        columns_of = consecutive_slices(parts or (scaled.shape[1],))
        norms = _norms(scaled, columns_of)
        self.parts = [np.empty((n, n)) for _ in columns_of]

        def fill(place: tuple[slice, slice]) -> None:
            rows, columns = place
            tiles = _tile_distances(scaled, scaled, norms, norms, columns_of, rows, columns)
            for matrix, tile in zip(self.parts, tiles, strict=True):
                matrix[rows, columns] = tile
                matrix[columns, rows] = tile.T

        _each(fill, _tiles(n, n, is_symmetric=True), threads)
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
        # With the default mode, numpy buffers the line in order to raise on a wrong index.
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

    It consists of tiles of a fixed size, each computed on one thread, so that the bits do not depend on the
    number of threads.

    Args:
        first: scaled vectors, shape (n_a, dim).
        second: the same, shape (n_b, dim); None stands for the first.
        gamma: width of exp(-gamma · |a - b|²).
        parts: lengths of the parts of the vectors. With several parts, the kernel is the mean of two: the
            kernel of the whole vectors, and the mean of the kernels of the parts, each of which is computed
            as if it were the whole vector.
        threads: how many tiles at once.
    """
    same = second is None
    second = first if second is None else second
    kernel = np.empty((len(first), len(second)))
    columns_of = consecutive_slices(parts or (first.shape[1],))
    norms_a, norms_b = (_norms(matrix, columns_of) for matrix in (first, second))

    def fill(place: tuple[slice, slice]) -> None:
        rows, columns = place
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

    _each(fill, _tiles(len(first), len(second), is_symmetric=same), threads)
    if same:
        np.fill_diagonal(kernel, 1.0)
    return kernel


def _norms(matrix: NDArray[np.float64], columns_of: Sequence[slice]) -> NDArray[np.float64]:
    return np.stack([np.einsum("ij,ij->i", matrix[:, part], matrix[:, part]) for part in columns_of])


def _tiles(n_rows: int, n_columns: int, *, is_symmetric: bool) -> list[tuple[slice, slice]]:
    """Return the rows and columns of each tile; of a symmetric matrix, those on and above the diagonal."""
    return [
        (slice(i, i + TILE), slice(j, j + TILE))
        for i in range(0, n_rows, TILE)
        for j in range(i if is_symmetric else 0, n_columns, TILE)
    ]


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


def over_kernels(
    distances: Distances,
    fold: Fold,
    gammas: Sequence[float],
    learn: Callable[[float, NDArray[np.float64], NDArray[np.float64]], None],
    *,
    threads: int = 1,
) -> None:
    """Call learn for every width, with the kernels of the training rows and of the held-out rows of a fold.

    There are as many pairs of buffers for the kernels as threads, and each is used again and again.

    Args:
        distances: distances of all rows.
        fold: row numbers; the rows and columns of the kernels are in their order.
        gammas: different widths.
        learn: called with (gamma, kernel (n_train, n_train), kernel (n_test, n_train)); the kernels are
            overwritten afterwards.
        threads: number of calls at once.
    """
    n_train, n_test = len(fold.train), len(fold.test)
    n_workers = max(min(threads, len(gammas)), 1)
    buffers: SimpleQueue[tuple[NDArray[np.float64], NDArray[np.float64]]] = SimpleQueue()
    for _ in range(n_workers):
        buffers.put((np.empty((n_train, n_train)), np.empty((n_test, n_train))))

    def run(gamma: float) -> None:
        train, test = buffers.get()
        try:
            distances.kernel(fold.train, fold.train, gamma, train)
            distances.kernel(fold.test, fold.train, gamma, test)
            learn(gamma, train, test)
        finally:
            buffers.put((train, test))

    # Narrow kernels take the longest. They start first, so that no thread has to finish one alone.
    _each(run, sorted(gammas, reverse=True), n_workers)


def _each(work: Callable[[Any], None], tasks: Sequence[Any], threads: int) -> None:
    """Do every task, several at once; in threads, because the tasks write into shared arrays."""
    Parallel(n_jobs=threads, require="sharedmem")(delayed(work)(task) for task in tasks)


def matrix_bytes(n_rows: int) -> int:
    """Return the bytes of a kernel matrix of n_rows."""
    return n_rows * n_rows * 8


def libsvm_bytes(n_rows: int) -> int:
    """Return the bytes of libsvm's cache of kernel rows."""
    return min(n_rows * n_rows * 4, CACHE_MB << 20)
