"""Find the pairs of faces with the most similar vectors, as a comparison of all pairs would find them.

There may be 500,000 faces, and the vectors may be long. So each vector is projected onto a few directions
that contain most of all vectors. The projections of two vectors, and the lengths of what the projections
leave out, give an upper bound of their cosine similarity (by the inequality of Cauchy and Schwarz). Only
pairs whose bound reaches the similarity of the best pairs so far are compared in full. The faces are sorted
along one direction, so that many blocks of faces are too far apart to contain such a pair.

The similarities are computed in double precision and without a library for matrix products, so the number of
threads does not change the result.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

# If vectors have only a few numbers, every face has close neighbours.
FEWEST_NUMBERS = 64
N_PAIRS = 5  # pairs that are looked for
_DIRECTIONS = 48  # directions onto which vectors are projected
_SAMPLE = 1_000  # vectors that the directions are chosen on
_FACES_AT_ONCE = 1_024
_NUMBERS_AT_ONCE = 2_000_000  # numbers of the vectors that are compared in full at once
# More than the rounding errors of a bound, which is a product of _DIRECTIONS + 1 numbers in single precision.
_ROUNDING = 2e-5
_FEW = 0.02  # share of the pairs of two blocks that may be compared one by one


def closest_pairs(
    vectors: NDArray[Any],
    images: NDArray[Any],
    n_pairs: int = N_PAIRS,
    *,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> list[tuple[int, int, float]]:
    """Return the pairs of faces with the highest cosine similarity, the most similar pair first.

    Args:
        vectors: finite vectors of the faces, shape (n_faces, dim). A vector of zeros is in no pair.
        images: key of the face of each row, shape (n_faces,). Rows with the same key, which have identical
            image files, count as one face.
        n_pairs: number of pairs to return.
        threads: number of threads, which does not change the result.
        progress: called with the share that is done.

    Returns:
        Row of the first face, row of the second face, and their similarity; fewer than n_pairs if there are
        not enough faces. Equally similar pairs are in the order of their rows.
    """
    rows = np.sort(np.unique(images, return_index=True)[1])
    rows = rows[vectors[rows].any(axis=1)]
    identical = list(islice(_identical(vectors, rows), n_pairs))
    if len(identical) == n_pairs or len(rows) < 2:
        return [(first, second, 1.0) for first, second in identical]
    search = _Search(vectors, rows, n_pairs)
    blocks = range(len(search.starts))
    # Blocks that are close to each other come first: the better the best pairs, the less is left to compare.
    tasks = [(one, one + step) for step in blocks for one in blocks[: len(blocks) - step]]
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(search.compare, tasks), start=1):
            if progress:
                progress(done / len(tasks))
    return [(first, second, -negative) for negative, first, second in search.best]


def _identical(vectors: NDArray[Any], rows: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of rows whose vectors are the same to the last bit, in the order of the rows."""
    groups: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(blake2b(vectors[row].tobytes(), digest_size=16).digest(), []).append(row)
    several = [group for group in groups.values() if len(group) > 1]
    later = {row: group[place + 1 :] for group in several for place, row in enumerate(group)}
    yield from ((row, other) for row in sorted(later) for other in later[row])


class _Search:
    """The vectors in the order in which they are compared, and the best pairs so far.

    Args:
        vectors: vectors of the faces, shape (n_faces, dim).
        rows: increasing rows of the vectors that are compared; none of them is zero.
        n_pairs: number of pairs to find.

    Attributes:
        best: the best pairs so far, the most similar first: the negative of the similarity, for sorting, and
            the two rows.
        starts: position of the first face of each block.
    """

    def __init__(self, vectors: NDArray[Any], rows: NDArray[np.intp], n_pairs: int) -> None:
        self.best: list[tuple[float, int, int]] = []
        self._vectors, self._n_pairs, self._lock = vectors, n_pairs, Lock()
        self.starts = range(0, len(rows), _FACES_AT_ONCE)
        directions = _directions(_unit(vectors[rows[:: -(-len(rows) // _SAMPLE)]]))
        bounds = np.empty((len(rows), directions.shape[1] + 1), np.float32)
        for start in self.starts:
            bounds[start : start + _FACES_AT_ONCE] = _bounds(
                _unit(vectors[rows[start : start + _FACES_AT_ONCE]]), directions
            )
        axis = bounds[:, np.argmax(bounds[:, :-1].std(axis=0))]
        order = np.argsort(axis, kind="stable")
        self._rows, self._bounds, self._axis = rows[order], bounds[order], axis[order]

    def compare(self, blocks: tuple[int, int]) -> None:
        """Compare the faces of two blocks, or of one block with each other, and update the best pairs."""
        start, other = (self.starts[block] for block in blocks)
        one, two = slice(start, start + _FACES_AT_ONCE), slice(other, other + _FACES_AT_ONCE)
        least = -self.best[-1][0] if len(self.best) == self._n_pairs else -math.inf
        # Vectors of length 1 with this similarity are not farther apart than this, in any direction.
        reach = math.sqrt(2 - 2 * max(least - _ROUNDING, -1))
        if self._axis[two][0] - self._axis[one][-1] > reach:
            return
        is_possible = self._bounds[one] @ self._bounds[two].T >= least - _ROUNDING
        if start == other:
            is_possible = np.triu(is_possible, 1)
        n_possible = np.count_nonzero(is_possible)
        if not n_possible:
            return
        if n_possible > _FEW * is_possible.size:
            is_possible = self._compared(is_possible, one, two, least)
        first, second = np.divmod(np.flatnonzero(is_possible), is_possible.shape[1])
        at_once = max(_NUMBERS_AT_ONCE // self._vectors.shape[1], 1)
        for piece in range(0, len(first), at_once):
            pairs = slice(piece, piece + at_once)
            self._add(self._rows[one][first[pairs]], self._rows[two][second[pairs]])

    def _compared(
        self, is_possible: NDArray[np.bool_], one: slice, two: slice, least: float
    ) -> NDArray[np.bool_]:
        """Return which pairs of two blocks may be among the best, by their products in single precision."""
        unit, others = (_unit(self._vectors[self._rows[of]]).astype(np.float32) for of in (one, two))
        similarity = np.where(is_possible, unit @ others.T, -np.inf)
        rounding = _ROUNDING + self._vectors.shape[1] * float(np.finfo(np.float32).eps)
        if similarity.size > self._n_pairs:  # pairs that are worse than enough others are not among the best
            highest = np.partition(similarity, similarity.size - self._n_pairs, axis=None)[-self._n_pairs]
            least = max(least, float(highest) - rounding)
        return np.asarray(is_possible & (similarity >= least - rounding))

    def _add(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> None:
        """Compute the similarities of pairs of rows, and add the best pairs to those so far."""
        one, two = (self._vectors[rows].astype(np.float64) for rows in (first, second))
        squares = np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", two, two)
        similarity = np.minimum(np.einsum("ij,ij->i", one, two) / np.sqrt(squares), 1)
        low, high = np.minimum(first, second), np.maximum(first, second)
        kept = np.lexsort((high, low, -similarity))[: self._n_pairs]
        found = [(-float(similarity[at]), int(low[at]), int(high[at])) for at in kept]
        with self._lock:
            self.best = sorted([*self.best, *found])[: self._n_pairs]


def _unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return vectors, none of which is zero, divided by their lengths, in double precision."""
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, None])


def _directions(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal directions that contain most of some vectors, shape (dim, n_directions)."""
    values, directions = np.linalg.eigh(unit.T @ unit if len(unit) >= unit.shape[1] else unit @ unit.T)
    kept = np.flatnonzero(values > 1e-9 * values[-1])[-_DIRECTIONS:]
    found = directions[:, kept]
    return found if len(unit) >= unit.shape[1] else np.linalg.qr(unit.T @ found)[0]


def _bounds(unit: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors whose products are upper bounds of those of unit vectors: projections and what is left.

    Args:
        unit: vectors of length 1, shape (n, dim).
        directions: orthonormal directions, shape (dim, n_directions).
    """
    inside = unit @ directions
    left = np.sqrt(np.maximum(1 - np.einsum("ij,ij->i", inside, inside), 0))
    return np.column_stack([inside, left])
