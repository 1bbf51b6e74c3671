"""What the estimators of this folder share: scikit-learn's contract, scaling, principal components.

Everything they learn is a plain array, or an estimator of scikit-learn: they can be
saved without pickle. A constructor only stores; what is learned ends in "_".
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from featurekit.errors import ModelError, TargetError
from featurekit.estimators import Resources
from featurekit.estimators._parameters import ANY, SHOWN_AS, Allowed, Within, check_parameter, plain
from featurekit.estimators._scaling import block_scaling, unit_lengths
from featurekit.estimators._threads import one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Estimator(BaseEstimator):
    """An estimator whose parameters are the fields of its dataclass.

    Attributes:
        random_state: the seed: a whole number, numpy's RandomState, or None for numpy's own.
        n_jobs: how many threads it may use, -1 for one a core; the result does not depend on them.
        feature_blocks: lengths of the parts of a joined vector, so that a long part does not drown a
            short one; None for a vector of one part.
        is_regression: whether it gives years.
        least_classes: that a classifier must be given.
        allowed: of some parameters, what they can be; of another number, whatever is not below 0.
        n_features_in_: length of the vectors learned from.
        classes_: labels seen in training, increasing; absent for years.
        summary_: what a reader should know of the fit; plain JSON values.
    """

    is_regression: ClassVar[bool] = False
    least_classes: ClassVar[int] = 2
    allowed: ClassVar[Allowed] = {}

    random_state: int | RandomState | None = 0
    n_jobs: int | None = 1
    feature_blocks: tuple[int, ...] | None = None

    # ---------------------------------------------------------------- parameters

    def validate(self) -> None:
        """Raise ModelError unless every parameter can have its value; nothing is learned."""
        chance, n_jobs = plain(self.random_state), plain(self.n_jobs)
        if not (chance is None or isinstance(chance, RandomState)):
            check_parameter("random_state", chance, 0, Within(0, 2**32 - 1))
        if n_jobs is not None:
            check_parameter("n_jobs", n_jobs, 1, Within(-(2**31)))
            if n_jobs == 0:
                raise ModelError(
                    "n_jobs must not be 0. It must be a number of threads, or -1 for one per core."
                )
        for field in fields(self):
            if field.name in self._checked_here():
                value, usual = getattr(self, field.name), field.default
                check_parameter(field.name, value, usual, self.allowed.get(field.name, ANY))

    def _checked_here(self) -> set[str]:
        """Return the parameters whose values are compared with what is allowed."""
        return {one.name for one in fields(self) if one.default is not MISSING and one.name not in SHOWN_AS}

    def shown_parameters(self) -> dict[str, Any]:
        """Return what a report shows of the parameters, under the names that runs have always had."""
        shown = {
            SHOWN_AS.get(field.name, field.name): plain(getattr(self, field.name)) for field in fields(self)
        }
        common = {name: shown.pop(name) for name in ("seed", "threads", "feature_blocks")}
        return {**common, **self._shown_facts(), **shown}

    def _shown_facts(self) -> dict[str, Any]:
        """Return what a report shows beside the parameters."""
        return {}

    # ---------------------------------------------------------------- what it may use

    def use(self, resources: Resources) -> Self:
        """Take what may be used, and return the estimator; what it learns does not depend on it."""
        self.n_jobs = resources.threads
        return self

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return how much memory matrices of a fit, or a search, on so many rows take at once."""
        return 0

    @property
    def _threads(self) -> int:
        return max(int(effective_n_jobs(self.n_jobs)), 1)

    def _draw_seed(self) -> int:
        """Return the whole number that all chance of a fit comes from, and keep it for that fit."""
        chance = plain(self.random_state)
        if not isinstance(chance, int):
            chance = int(check_random_state(chance).randint(2**31 - 1))
        self._seed = chance
        return chance

    # ---------------------------------------------------------------- what it is given

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()
        # The square root of years is what is learned.
        tags.target_tags.positive_only = self.is_regression
        return tags

    def _refuse(self, more: Mapping[str, Any]) -> None:
        """Raise TypeError where fit() was given what no estimator here takes.

        Its signature has no sample_weight, because scikit-learn reads there that one would be taken.
        """
        for name in more:
            if name == "sample_weight":
                raise TypeError(
                    f"{type(self).__name__} does not support sample_weight. All rows have the same weight."
                    " Leave it out."
                )
            raise TypeError(f"{type(self).__name__}.fit() got an unexpected keyword argument '{name}'")

    def _begin(self, X: Any, y: Any, groups: Any) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
        """Return vectors, labels and persons of a fit as arrays; decide seed and classes.

        Raises:
            ValueError: something is missing, not finite, of another length, or there is nothing to tell
                apart.
        """
        self.validate()
        X, y = validate_data(self, X, y, dtype=np.float32, order="C", y_numeric=self.is_regression)
        if self.is_regression:
            y = y.astype(np.float64, copy=False)
            if len(y) and y.min() < 0:
                raise TargetError(
                    f"{type(self).__name__} predicts years, which must not be negative. Got {y.min():g}."
                )
        else:
            if y.dtype.kind == "f":
                check_classification_targets(y)
            self.classes_ = np.unique(y)
            if len(self.classes_) < self.least_classes:
                raise TargetError(
                    f"y contains only one class, {self.classes_[0]}, but {type(self).__name__} needs at"
                    " least two."
                )
        groups = np.arange(len(X)) if groups is None else np.asarray(groups)
        check_consistent_length(X, groups)
        self._draw_seed()
        return X, y, groups

    def _search_inputs(self, X: Any, y: Any) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return vectors and numbers of a search as arrays; the estimator stays as it was."""
        self.validate()
        X = check_array(X, dtype=np.float32)
        y = np.asarray(y, np.float64) if self.is_regression else np.unique(y, return_inverse=True)[1]
        return X, y

    def _asked(self, X: Any) -> NDArray[np.float32]:
        """Return vectors to be read as an array.

        Raises:
            NotFittedError: nothing has been learned.
            ValueError: they are of another length than those learned from, or not finite.
        """
        check_is_fitted(self)
        vectors: NDArray[np.float32] = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return vectors

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError where libraries would take what was learned on trust, and break on it.

        Args:
            unfitted: the same classifier as it is made here.
        """

    # ---------------------------------------------------------------- scaling

    def learn_scaling(self, X: NDArray[np.float32], components: int | None = None) -> None:
        """Learn how to bring vectors to a mean variance of 1, and their principal components.

        Args:
            X: vectors, shape (n, dim).
            components: numbers that a longer vector is reduced to; None to keep them all.
        """
        unit = unit_lengths(X, self.feature_blocks)
        mean, factor = block_scaling(unit, self.feature_blocks)
        self.mean_ = mean.astype(np.float32)
        self.factor_ = (factor * np.sqrt(X.shape[1])).astype(np.float32)
        self.axes_ = np.zeros((0, X.shape[1]), np.float32)
        if components is not None and X.shape[1] > components:
            n_components = min(components, len(X))
            with one_blas_thread():
                pca = PCA(n_components, svd_solver="randomized", random_state=self._seed).fit(self.scaled(X))
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
