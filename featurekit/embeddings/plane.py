"""Two dimensions of vectors, for a map of the faces: principal components, or UMAP.

The vectors are read some at a time, so that 500,000 vectors of 4,096 numbers take no more memory than the
few thousand that the components are fitted on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.vectors import VectorReader
from featurekit.errors import EmbeddingError, EngineError, UnknownNameError, WorkspaceError
from featurekit.progress import Progress
from featurekit.registry import unknown
from featurekit.threads import one_blas_thread

METHODS = ("pca", "umap")
MOST_FITTED = 10_000  # vectors that the principal components are fitted on
MOST_UMAP = 20_000  # vectors that UMAP places; it cannot place others later without fitting them
FEWEST_UMAP = 16  # vectors; UMAP looks at the 15 nearest neighbours of each
# A column is nearly constant if its standard deviation is at most this share of the largest one.
NEAR_CONSTANT = 1e-6
N_FOR_UMAP = 50  # principal components that UMAP starts from
_NUMBERS_FITTED = 50_000_000  # in the vectors that the components are fitted on, 400 MB
_NUMBERS_AT_ONCE = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The place of each face on a map.

    Attributes:
        method: "pca" or "umap".
        rows: row number of each face in the manifest, shape (n_faces,), increasing.
        places: two coordinates of each face, shape (n_faces, 2).
        shares: share of the variance of each of the two principal components; None for UMAP.
        n_fitted: number of vectors that the principal components were fitted on.
        n_all: number of all vectors; more than the places if UMAP has a sample.
        length: number of values in a vector.
        is_random: whether the places depend on the seed.
    """

    method: str
    rows: NDArray[np.intp]
    places: NDArray[np.float64]
    shares: tuple[float, float] | None
    n_fitted: int
    n_all: int
    length: int
    is_random: bool


def check_method(method: str) -> None:
    """Raise an error if there is no such method, or if UMAP is not installed.

    Raises:
        UnknownNameError: there is no such method.
        EngineError: UMAP is not installed.
    """
    if method not in METHODS:
        raise UnknownNameError(unknown("method", method, list(METHODS)))
    if method == "umap":
        _umap()


def refuse_unused_seed(plane: Plane, seed: int | None) -> None:
    """Raise an error if a seed was given for a map that does not depend on it.

    Raises:
        WorkspaceError: it was.
    """
    if seed is not None and not plane.is_random:
        raise WorkspaceError(
            f"--seed {seed} has no effect: --method pca draws no random numbers for these"
            f" {plane.n_all:,} vectors. Leave it out."
        )


def plane_of(
    reader: VectorReader, method: str = "pca", *, seed: int | None = None, progress: Progress | None = None
) -> Plane:
    """Return two dimensions of vectors.

    The columns are centred and standardized. If the vectors of several networks are joined, each network has
    the same total variance, as in the models. Columns that hardly vary are left out.

    The principal components are fitted on at most MOST_FITTED vectors, drawn at random, and all vectors are
    projected on them. UMAP starts from the first N_FOR_UMAP components of at most MOST_UMAP vectors.

    Args:
        reader: the vectors.
        method: "pca" or "umap".
        seed: seed of the random number generator; None for 0.
        progress: called with (vectors placed, vectors to place).

    Raises:
        UnknownNameError: there is no such method.
        EngineError: UMAP is not installed.
        EmbeddingError: there are too few vectors, they are too short, or all of them are equal.
    """
    check_method(method)
    n_all, length = len(reader), sum(reader.blocks)
    fewest = FEWEST_UMAP if method == "umap" else 3
    if n_all < fewest or length < 2:
        raise EmbeddingError(
            f"A map needs at least {fewest} faces and vectors of at least 2 numbers. There are {n_all} faces,"
            f" and the vectors have {length} numbers."
        )
    seed = seed or 0
    rng = np.random.default_rng(seed)
    most = max(min(MOST_FITTED, _NUMBERS_FITTED // length), 3)
    with one_blas_thread():
        components = _Components(reader.read(_some(rng, n_all, most)), reader.blocks, method, seed)
        drawn = _some(rng, n_all, MOST_UMAP if method == "umap" else n_all)
        pieces = []
        for piece in _pieces(drawn, length):
            pieces.append(components.of(reader.read(piece)))
            if progress:
                progress(sum(map(len, pieces)), len(drawn))
        places = np.concatenate(pieces)
        if method == "umap":
            places = _placed_by_umap(places, seed)
    return Plane(
        method=method,
        rows=reader.rows[drawn],
        places=places,
        shares=None if method == "umap" else components.shares,
        n_fitted=min(n_all, most),
        n_all=n_all,
        length=length,
        is_random=method == "umap" or n_all > most or components.is_random,
    )


class _Components:
    """The principal components of vectors whose columns are standardized.

    Args:
        vectors: those that they are fitted on, shape (n, dim); they are overwritten.
        blocks: lengths of the joined vectors.
        method: the method of the map, which decides how many components are needed.
        seed: seed of the random number generator.
    """

    def __init__(self, vectors: NDArray[np.float64], blocks: tuple[int, ...], method: str, seed: int) -> None:
        from sklearn.decomposition import PCA

        self._mean = vectors.mean(axis=0)
        deviations = vectors.std(axis=0)
        varies = deviations > NEAR_CONSTANT * deviations.max()
        if varies.sum() < 2:
            raise EmbeddingError("A map needs vectors that differ in at least two of their numbers.")
        self._factor = np.divide(1, deviations, out=np.zeros(len(deviations)), where=varies)
        # Each block has the mean variance of the blocks, whatever its length.
        starts = np.cumsum([0, *blocks[:-1]])
        sizes = np.add.reduceat(varies.astype(float), starts)
        share = sizes.sum() / max((sizes > 0).sum(), 1)
        weights = np.sqrt(np.divide(share, sizes, out=np.zeros(len(sizes)), where=sizes > 0))
        self._factor *= np.repeat(weights, blocks)
        n = 2 if method == "pca" else min(N_FOR_UMAP, *vectors.shape)
        # The solver is exact for short vectors, and randomized for long ones.
        self._pca: Any = PCA(n, svd_solver="auto", iterated_power=10, random_state=seed, copy=False)
        self._pca.fit(self._standardized(vectors))

    @property
    def is_random(self) -> bool:
        """Whether they depend on the seed."""
        return bool(self._pca._fit_svd_solver == "randomized")

    @property
    def shares(self) -> tuple[float, float]:
        first, second = map(float, self._pca.explained_variance_ratio_[:2])
        return first, second

    def of(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the components of vectors, which are overwritten, shape (n, n_components)."""
        return np.asarray(self._pca.transform(self._standardized(vectors)))

    def _standardized(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        vectors -= self._mean
        vectors *= self._factor
        return vectors


def _some(rng: np.random.Generator, n_all: int, most: int) -> NDArray[np.intp]:
    """Return the positions of at most so many of all vectors, increasing."""
    return np.arange(n_all) if n_all <= most else np.sort(rng.choice(n_all, most, replace=False))


def _pieces(positions: NDArray[np.intp], length: int) -> Iterator[NDArray[np.intp]]:
    size = max(_NUMBERS_AT_ONCE // length, 1)
    yield from (positions[start : start + size] for start in range(0, len(positions), size))


def _placed_by_umap(vectors: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the places that UMAP gives vectors; with a seed it uses one thread."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its libraries concern nobody here
        placed = _umap().UMAP(n_neighbors=15, min_dist=0.1, random_state=seed, n_jobs=1)
        return np.asarray(placed.fit_transform(vectors.astype(np.float32)), np.float64)


def _umap() -> Any:
    try:
        import umap
    except ImportError as error:
        raise EngineError(
            "--method umap needs umap-learn, which is not installed: pip install 'featurekit[umap]'."
            " --method pca needs nothing else."
        ) from error
    return umap
