"""What the classifiers of this folder share: parameters, scaling, principal components, years.

They keep scikit-learn's manner without inheriting from it, so that listing them
does not import it. Everything they learn is a plain array, or an estimator of
scikit-learn: they can be saved without pickle.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, fields
from threading import Lock
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import ModelError


class Within(NamedTuple):
    """The least and the most that a parameter can be."""

    least: float
    most: float = 2**31

    def __str__(self) -> str:
        return f"from {self.least:g} to {self.most:g}" if self.most < 2**31 else f"of at least {self.least:g}"


# Parameter → the numbers, or the words, that it can be.
Allowed = Mapping[str, Within | tuple[Any, ...]]
# What a number can be of which nothing else is said.
_ANY = Within(0)


def check_parameter(name: str, value: Any, usual: Any, allowed: Within | tuple[Any, ...] = _ANY) -> None:
    """Refuse a value that a parameter cannot have.

    Args:
        name: of the parameter.
        value: that it is to have.
        usual: the value that it has, of whose kind the new one must be; any will do where this is None.
        allowed: the numbers, or the words, that it can be.

    Raises:
        ModelError: it cannot be that; the message says what it can be.
    """
    if usual is None:
        return
    number = int if isinstance(usual, int) else (int, float)
    wanted, fits = "of another kind", type(value) is type(usual)
    if isinstance(usual, bool):
        wanted = "true or false"
    elif not isinstance(allowed, Within):
        wanted, fits = f"one of {', '.join(map(str, allowed))}", fits and value in allowed
    elif isinstance(usual, int | float):
        kind = "a whole number" if isinstance(usual, int) else "a number"
        wanted = f"{kind} {allowed}"
        fits = isinstance(value, number) and not isinstance(value, bool)
        fits = fits and allowed.least <= value <= allowed.most
    if not fits:
        raise ModelError(f"{name} cannot be {str(value)[:40]}: it must be {wanted}.")


@dataclass(eq=False, kw_only=True)
class Estimator:
    """An estimator whose parameters are the fields of its dataclass; what it learns ends in "_".

    Attributes:
        seed: what chance comes from.
        threads: how many it may use; the result does not depend on them.
        feature_blocks: lengths of the parts of a joined vector, so that a long part does not drown a
            short one; None for a vector of one part.
        allowed: of some parameters, what they can be; of another number, whatever is not below 0.
    """

    allowed: ClassVar[Allowed] = {}

    seed: int = 0
    threads: int = 1
    feature_blocks: tuple[int, ...] | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what the constructor was given."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name.

        Raises:
            ModelError: one cannot have its value; nothing has changed then.
        """
        own = self.get_params()
        # numpy's numbers become Python's, which can be written down.
        plain = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in parameters.items()
        }
        for name, value in plain.items():
            if name not in own:
                raise ValueError(f"{type(self).__name__} has no parameter {name}.")
            check_parameter(name, value, own[name], self.allowed.get(name, _ANY))
        for name, value in plain.items():
            setattr(self, name, value)
        return self

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError where libraries would take what was learned on trust, and break on it.

        Args:
            unfitted: the same classifier as it is made here.
        """

    def learn_scaling(self, X: NDArray[np.float32], components: int | None = None) -> None:
        """Learn how to bring vectors to a mean variance of 1, and their principal components.

        Args:
            X: vectors, shape (n, dim).
            components: numbers that a longer vector is reduced to; None to keep them all.
        """
        from sklearn.decomposition import PCA

        unit = unit_lengths(X, self.feature_blocks)
        mean, factor = block_scaling(unit, self.feature_blocks)
        self.mean_ = mean.astype(np.float32)
        self.factor_ = (factor * np.sqrt(X.shape[1])).astype(np.float32)
        self.axes_ = np.zeros((0, X.shape[1]), np.float32)
        if components is not None and X.shape[1] > components:
            n_components = min(components, len(X))
            with one_blas_thread():
                pca = PCA(n_components, svd_solver="randomized", random_state=self.seed).fit(self.scaled(X))
            # Again a mean variance of 1; the components keep their proportions.
            spread = float(np.sqrt(pca.explained_variance_.mean())) or 1.0
            self.axes_ = (pca.components_ / spread).astype(np.float32)

    def scaled(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors as learn_scaling() learned it, shape (n, dim) or (n, components)."""
        scaled: NDArray[np.float32] = unit_lengths(X, self.feature_blocks)
        scaled -= self.mean_
        scaled *= self.factor_
        if not len(self.axes_):
            return scaled
        with one_blas_thread():
            reduced: NDArray[np.float32] = scaled @ self.axes_.T
        return reduced


def check_tree(
    left: NDArray[Any], right: NDArray[Any], features: NDArray[Any], is_leaf: NDArray[np.bool_], n_inputs: int
) -> None:
    """Raise ValueError unless a decision tree leads from its root to a leaf, by numbers that a vector has.

    Args:
        left: number of the node that follows each where the answer is yes, shape (n_nodes,); a higher one.
        right: the same where it is no.
        features: number of the vector's that each node asks for, shape (n_nodes,).
        is_leaf: where nothing follows and nothing is asked, shape (n_nodes,).
        n_inputs: how many numbers a vector has.
    """
    inner = np.flatnonzero(~is_leaf)
    for following in (left[inner], right[inner]):
        if (following <= inner).any() or (following >= len(left)).any():
            raise ValueError("a tree leads back, or out of itself.")
    if not len(left) or (features[inner] < 0).any() or (features[inner] >= n_inputs).any():
        raise ValueError("a tree asks for numbers that a vector does not have.")


def block_scaling(
    X: NDArray[np.float32], blocks: tuple[int, ...] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and factor of each column, such that (X - mean) * factor has a total variance of 1.

    Columns of a block get equal variance, and so do the blocks: without that, 4,096 numbers of one
    network would drown 256 of another. A constant column gets the factor 0.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.

    Raises:
        ValueError: the blocks do not add up to the vectors' length.
    """
    lengths = blocks or (X.shape[1],)
    if sum(lengths) != X.shape[1]:
        raise ValueError(f"feature_blocks {lengths} must add up to {X.shape[1]}, the length of the vectors.")
    mean = X.mean(axis=0, dtype=np.float64)
    spread = X.std(axis=0, dtype=np.float64)
    varies = spread > 1e-6 * np.abs(mean)
    factor = np.zeros(len(mean))
    factor[varies] = 1 / spread[varies]
    start, used = 0, 0
    for length in lengths:
        columns = slice(start, start + length)
        n_varying = int(varies[columns].sum())
        factor[columns] /= np.sqrt(max(n_varying, 1))
        used += n_varying > 0
        start += length
    return mean, factor / np.sqrt(max(used, 1))


def unit_lengths(X: NDArray[np.float32], blocks: tuple[int, ...] | None) -> NDArray[np.float32]:
    """Return vectors each part of which has the length 1; a part of zeros stays one.

    Args:
        X: vectors, shape (n, dim).
        blocks: lengths of the parts of the vectors; None for one.
    """
    unit = np.array(X, dtype=np.float32)
    start = 0
    for length in blocks or (X.shape[1],):
        part = unit[:, start : start + length]
        norms = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
        part /= np.where(norms > 0, norms, 1)[:, None].astype(np.float32)
        start += length
    return unit


def learn_years(years: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """Return years as numbers around 0 with a variance of 1, and what turns them back: center and unit.

    They are scaled square roots: a child is guessed to a year, a grandmother to ten, and an error should
    mean the same for both.
    """
    roots = np.sqrt(np.asarray(years, np.float64))
    center, unit = float(roots.mean()), float(roots.std()) or 1.0
    return (roots - center) / unit, center, unit


def from_years(years: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return years as the numbers that learn_years() would have made of them."""
    numbers: NDArray[np.float64] = (np.sqrt(np.asarray(years, np.float64)) - center) / unit
    return numbers


def to_years(numbers: NDArray[Any], center: float, unit: float) -> NDArray[np.float64]:
    """Return the years that learn_years() made the numbers of.

    >>> numbers, center, unit = learn_years(np.array([1.0, 30.0]))
    >>> to_years(numbers, center, unit).round(6)
    array([ 1., 30.])
    """
    years: NDArray[np.float64] = np.maximum(np.asarray(numbers, np.float64) * unit + center, 0) ** 2
    return years


class _Shared:
    """A setting of the whole process that several threads want at once.

    The first thread in makes it and the last one out undoes it. Were each to undo what it made, the first
    to be done would undo it for those that still count on it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._made = ExitStack()

    @contextmanager
    def hold(
        self, make: Callable[[], AbstractContextManager[Any]], holds: Callable[[], bool]
    ) -> Iterator[None]:
        """Keep what make() makes while inside; where others hold it already, make it only if not holds()."""
        with self._lock:
            if not self._holders or not holds():
                self._made.enter_context(make())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._made.close()


_blas, _warnings = _Shared(), _Shared()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products use one thread: with more, their last bits depend on how many."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def holds() -> bool:
        # A library may have been loaded since.
        return all(one["num_threads"] == 1 for one in threadpool_info() if one["user_api"] == "blas")

    with _blas.hold(lambda: threadpool_limits(limits=1, user_api="blas"), holds):
        yield


@contextmanager
def no_convergence_warnings() -> Iterator[None]:
    """Let solvers stop before they are done: the number of steps is fixed on purpose."""
    from sklearn.exceptions import ConvergenceWarning

    @contextmanager
    def ignored() -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield

    with _warnings.hold(ignored, lambda: True):
        yield


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores of shape (n, k) as probabilities; each row adds up to 1."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares
