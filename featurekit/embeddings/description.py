"""Describe the vectors that have been extracted: their norms, their effective rank, their closest pairs.

Every value is the same for any number of threads: matrix products are divided into the same pieces, and each
piece is computed by one thread.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import recipe_key
from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.closest_pairs import FEWEST_NUMBERS, closest_pairs
from featurekit.embeddings.index import Ledger, recipe_of
from featurekit.embeddings.plane import NEAR_CONSTANT
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.embeddings.vectors import (
    Vectors,
    check_extracted,
    faces_recipe,
    load_embeddings,
    row_statuses,
)
from featurekit.faces.face import STATUSES
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.threads import one_blas_thread

_ROWS_AT_ONCE, _COLUMNS_AT_ONCE = 2_048, 512
_NAN = math.nan
# The parts of a recipe's normalization that only an int8 recipe has.
_OF_INT8 = ("quantized", "calibrated_on")


@dataclass(frozen=True)
class ClosePair:
    """Two faces with similar vectors.

    Attributes:
        first, second: face_id of each face, in the order of the data set.
        similarity: cosine similarity of the two vectors, at most 1.
    """

    first: str
    second: str
    similarity: float


@dataclass(frozen=True)
class PrecisionError:
    """The difference between vectors and the fp32 vectors of the same faces.

    The relative error of a vector is the length of the difference divided by the length of the fp32 vector.

    Attributes:
        precision: precision of the vectors that are compared with fp32, "bf16" or "int8".
        n_faces: number of faces whose vectors were computed in both precisions.
        median: median of the relative errors.
        worst: largest relative error.
        worst_face: face_id of the face with the largest relative error.
    """

    precision: str
    n_faces: int
    median: float
    worst: float
    worst_face: str


@dataclass(frozen=True, kw_only=True)
class VectorFacts:
    """Facts about the vectors of one network's layer.

    Of the kept pixels of faces only the number, the length and the type are known; the other values are NaN.

    Attributes:
        feature: network and layer, such as "dlib_age:pooled".
        n_faces: number of vectors, one for each face that was found.
        length: number of values in a vector.
        dtype: type of the values, "float32" or, for kept pixels, "uint8".
        precision: precision in which the network was computed, "fp32", "bf16" or "int8".
        norm_min, norm_median, norm_max: smallest, median and largest length (Euclidean norm) of a vector.
        effective_rank: see effective_rank(); between 1 and the length, or 0 if all vectors are equal.
        n_near_constant: number of columns whose standard deviation is at most NEAR_CONSTANT times the largest
            standard deviation of a column.
        n_columns_90, n_columns_99: number of columns that have 90 % and 99 % of the variance of all columns,
            if the columns with the largest variance are taken first; 0 if all vectors are equal.
        closest: the pairs of different faces with the highest cosine similarity, most similar first. Empty
            for vectors with fewer than FEWEST_NUMBERS values, because there every face has close neighbours.
        errors: the differences from fp32 for each other precision in which the same vectors are in the cache.
    """

    feature: str
    n_faces: int
    length: int
    dtype: str
    precision: str
    norm_min: float = _NAN
    norm_median: float = _NAN
    norm_max: float = _NAN
    effective_rank: float = _NAN
    n_near_constant: float = _NAN
    n_columns_90: float = _NAN
    n_columns_99: float = _NAN
    closest: tuple[ClosePair, ...] = ()
    errors: tuple[PrecisionError, ...] = ()


def describe(
    manifest: Manifest,
    ledger: Ledger,
    store: Store,
    features: Sequence[str] | None = None,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> tuple[VectorFacts, ...]:
    """Return facts about extracted vectors, for each feature.

    Args:
        manifest: table of the images.
        ledger: the record of what has been extracted.
        store: the cache.
        features: the features to describe, each as "backbone" or "backbone:layer"; None for all that have
            been extracted.
        threads: number of threads, which does not change the values; 0 for one thread for each core.
        progress: called with (features done, features to do).

    Raises:
        UnknownNameError: there is no backbone or layer with one of the names.
        WorkspaceError: the vectors have not been extracted, or not of all faces.
    """
    names = list(ledger.recipes) if features is None else features
    recipes = list({(one := recipe_of(ledger, name)).feature: one for name in names}.values())
    keys = row_keys(manifest, ledger.settings)
    statuses = row_statuses(manifest, keys, store.shelf("faces", faces_recipe(ledger.settings, recipes)))
    for recipe in recipes:
        check_extracted(manifest, recipe, ledger.settings, statuses, store)
    facts = []
    with one_blas_thread():
        for number, recipe in enumerate(recipes):

            def told(share: float, done: int = number) -> None:
                if progress:
                    progress(done + share, len(recipes))

            told(0)
            found = keys[statuses == STATUSES.index("ok")]
            about = _about(recipe, found, store)
            if about.dtype.startswith("float"):
                loaded = load_embeddings(manifest, [recipe], ledger.settings, store)
                about = _measured(about, loaded, found, threads or usable_cores(), told)
                about = replace(about, errors=_errors(recipe, found, loaded.face_ids, store))
            facts.append(about)
            told(1)
    return tuple(facts)


def _about(recipe: Recipe, keys: NDArray[np.uint8], store: Store) -> VectorFacts:
    """Return what is known about vectors without reading them; keys has the key of each vector's row."""
    dtype, shape = store.shelf("embeddings", asdict(recipe)).columns()["vectors"]
    return VectorFacts(
        feature=recipe.feature,
        n_faces=len(keys),
        length=shape[0],
        dtype=dtype.name,
        precision=recipe.precision,
    )


def _measured(
    about: VectorFacts,
    loaded: Vectors,
    keys: NDArray[np.uint8],
    threads: int,
    told: Callable[[float], None],
) -> VectorFacts:
    """Return facts with the values that are computed from the vectors."""
    vectors, face_ids = loaded.vectors, loaded.face_ids
    norms = np.concatenate([_lengths(piece) for piece in _pieces(vectors)])
    variances = column_variances(vectors)
    pairs = (
        closest_pairs(vectors, keys.view("S32").ravel(), threads=threads, progress=told)
        if about.length >= FEWEST_NUMBERS
        else []
    )
    return replace(
        about,
        norm_min=float(norms.min()),
        norm_median=float(np.median(norms)),
        norm_max=float(norms.max()),
        effective_rank=effective_rank(vectors, threads=threads),
        n_near_constant=n_near_constant(variances),
        n_columns_90=n_columns_with(variances, 0.9),
        n_columns_99=n_columns_with(variances, 0.99),
        closest=tuple(
            ClosePair(str(face_ids[first]), str(face_ids[second]), similarity)
            for first, second, similarity in pairs
        ),
    )


def column_variances(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return the variance of each column, in double precision, shape (dim,).

    Args:
        vectors: finite numbers, shape (n_faces, dim).
    """
    mean = _means(vectors)
    squares = np.zeros(vectors.shape[1])
    for piece in _pieces(vectors):
        squares += np.square(piece - mean).sum(axis=0)
    return squares / len(vectors)


def effective_rank(vectors: NDArray[Any], *, threads: int = 1) -> float:
    """Return the effective rank of centred vectors: the number of directions that they really use.

    It is the exponential of the entropy of the singular values of the matrix of vectors, after the mean of
    each column has been subtracted and the singular values have been divided by their sum (O. Roy and
    M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007). It is the length
    of the vectors if they vary equally in all directions, and 1 if they vary in one direction only.

    The singular values are the roots of the eigenvalues of a product of the matrix with itself, so hundreds
    of thousands of vectors take no more memory than a few.

    Args:
        vectors: finite numbers, shape (n_faces, dim).
        threads: number of threads, which does not change the result.

    Returns:
        Number between 1 and dim; 0 if all vectors are equal.

    Example:
        >>> round(effective_rank(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])), 6)
        2.0
    """
    n_faces, length = vectors.shape
    mean = _means(vectors)
    with one_blas_thread():
        if n_faces < length:
            centred = vectors.astype(np.float64) - mean
            product = centred @ centred.T
        else:
            product = _cross_product(vectors, mean, threads)
        values = np.linalg.eigvalsh(product)
    # Smaller eigenvalues are rounding errors.
    values = values[values > max(vectors.shape) * np.finfo(np.float64).eps * max(values[-1], 0)]
    if not len(values):
        return 0.0
    shares = np.sqrt(values) / np.sqrt(values).sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _cross_product(vectors: NDArray[Any], mean: NDArray[np.float64], threads: int) -> NDArray[np.float64]:
    """Return the product of centred vectors, transposed, with themselves, shape (dim, dim).

    Only the lower triangle is computed, which is all that eigvalsh() reads.
    """
    length = vectors.shape[1]
    product = np.zeros((length, length))

    def compute(start: int) -> None:
        stop = min(start + _COLUMNS_AT_ONCE, length)
        for piece in _pieces(vectors):
            centred = piece[:, start:] - mean[start:]
            product[start:, start:stop] += centred.T @ centred[:, : stop - start]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(compute, range(0, length, _COLUMNS_AT_ONCE)))
    return product


def n_near_constant(variances: NDArray[np.float64]) -> int:
    """Return how many columns are nearly constant: see NEAR_CONSTANT.

    Args:
        variances: variance of each column, from column_variances().
    """
    return int((variances <= NEAR_CONSTANT**2 * variances.max()).sum())


def n_columns_with(variances: NDArray[np.float64], share: float) -> int:
    """Return how many columns, those with the largest variance first, have a share of the variance of all.

    Args:
        variances: variance of each column, from column_variances().
        share: share of the sum of the variances, between 0 and 1.

    Returns:
        Number of columns; 0 if no column varies.
    """
    reached = np.cumsum(np.sort(variances)[::-1])
    # The last bits of a sum must not make it miss a share that it reaches.
    return int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))) + 1 if reached[-1] else 0


def _means(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each column; that of a constant column is its value, to the last bit."""
    first = vectors[0].astype(np.float64)
    total = np.zeros(vectors.shape[1])
    for piece in _pieces(vectors):
        total += (piece - first).sum(axis=0)
    return np.asarray(first + total / len(vectors))


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _pieces(vectors: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield vectors in double precision, some rows at a time."""
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        yield vectors[start : start + _ROWS_AT_ONCE].astype(np.float64)


# ---------------------------------------------------------------- other precisions


def _errors(
    recipe: Recipe, keys: NDArray[np.uint8], face_ids: NDArray[np.str_], store: Store
) -> tuple[PrecisionError, ...]:
    """Return the differences between fp32 and the other precisions of the same vectors in the cache."""
    wanted = _but_precision(asdict(recipe))
    shelves: dict[str, list[Shelf]] = {}
    for info in store.shelves():
        if info.kind == "embeddings" and info.recipe and _but_precision(info.recipe) == wanted:
            precision = str(info.recipe["precision"])
            shelves.setdefault(precision, []).append(store.shelf("embeddings", info.recipe))
    if "fp32" not in shelves:
        return ()
    fp32 = shelves.pop("fp32")[0]
    found = [
        _error(precision, fp32, other, keys, face_ids)
        for precision, others in sorted(shelves.items())
        for other in others
    ]
    # A network may have been quantized twice; the vectors of more faces count.
    best: dict[str, PrecisionError] = {}
    for one in found:
        if one.n_faces > (best[one.precision].n_faces if one.precision in best else 0):
            best[one.precision] = one
    return tuple(best.values())


def _but_precision(recipe: Mapping[str, Any]) -> str:
    """Return a text that is equal for recipes that differ only in their precision."""
    pixels = recipe.get("normalization", {})
    kept = {name: value for name, value in pixels.items() if name not in _OF_INT8}
    return recipe_key({**recipe, "precision": "", "normalization": kept})


def _error(
    precision: str, fp32: Shelf, other: Shelf, keys: NDArray[np.uint8], face_ids: NDArray[np.str_]
) -> PrecisionError:
    """Return the difference between the vectors of two shelves, for the faces that are on both."""
    missing = np.union1d(fp32.missing(keys), other.missing(keys))
    rows = np.delete(np.arange(len(keys)), missing)
    errors = np.zeros(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        here = keys[rows[start : start + _ROWS_AT_ONCE]]
        one, two = (shelf.read(here, ["vectors"])["vectors"].astype(np.float64) for shelf in (fp32, other))
        errors[start : start + _ROWS_AT_ONCE] = relative_errors(one, two)
    if not len(rows):
        return PrecisionError(precision, 0, _NAN, _NAN, "")
    worst = int(np.argmax(errors))
    return PrecisionError(
        precision, len(rows), float(np.median(errors)), float(errors[worst]), str(face_ids[rows[worst]])
    )


def relative_errors(vectors: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Return the length of each difference of two vectors, divided by the length of the first.

    Args:
        vectors: finite numbers, shape (n_faces, dim).
        others: finite numbers, shape (n_faces, dim).

    Returns:
        Shape (n_faces,); 0 for two vectors of zeros, infinity if only the first has zeros only.

    Example:
        >>> relative_errors(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[3.0, 3.0], [0.0, 0.0]]))
        array([0.2, 0. ])
    """
    first = np.asarray(vectors, np.float64)
    apart, own = _lengths(first - np.asarray(others, np.float64)), _lengths(first)
    beside = np.where(apart > 0, np.inf, 0.0)
    return np.asarray(np.divide(apart, own, out=beside, where=own > 0))
