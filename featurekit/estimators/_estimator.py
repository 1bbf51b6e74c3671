"""What the estimators of this folder share: scikit-learn's contract, scaling, principal components, search.

Everything they learn is a plain array, or an estimator of scikit-learn, so that they can
be saved without pickle. A constructor only stores; what is learned ends in "_".
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.utils import ClassifierTags, RegressorTags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from featurekit.data.splits import Fold
from featurekit.errors import ModelError, TargetError
from featurekit.estimators import Resources
from featurekit.estimators._parameters import ANY, SHOWN_AS, Allowed, Within, check_parameter, plain
from featurekit.estimators._scaling import block_scaling, unit_lengths
from featurekit.threads import one_blas_thread

# The names that a run shows first.
SHOWN_FIRST = ("seed", "threads", "feature_blocks")


@dataclass(eq=False, repr=False, kw_only=True)
class Estimator(BaseEstimator):
    """An estimator whose parameters are the fields of its dataclass.

    Attributes:
        random_state: the seed: a whole number, numpy's RandomState, or None for numpy's own.
        n_jobs: how many threads it may use, -1 for one per core; the result does not depend on them.
        feature_blocks: lengths of the parts of a joined vector, so that a long part does not outweigh a
            short one; None for a vector of one part.
        is_regression: whether it predicts years.
        least_classes: the least number of classes that a classifier needs.
        allowed: the values that some parameters can have; any other number must not be negative.
        of_model: parameters that the estimator inside checks itself.
        shown_facts: attributes that a report shows although they are no parameters.
        n_features_in_: length of the training vectors.
        classes_: labels seen in training, increasing; absent for a regression target.
        summary_: what a reader should know about the fit; plain JSON values.
    """

    is_regression: ClassVar[bool] = False
    least_classes: ClassVar[int] = 2
    allowed: ClassVar[Allowed] = {}
    of_model: ClassVar[tuple[str, ...]] = ()
    shown_facts: ClassVar[tuple[str, ...]] = ()

    random_state: int | RandomState | None = 0
    n_jobs: int | None = 1
    feature_blocks: tuple[int, ...] | None = None

    # ---------------------------------------------------------------- parameters

    def validate(self) -> None:
        """Raise ModelError unless every parameter has a valid value; nothing is learned."""
        seed, n_jobs = plain(self.random_state), plain(self.n_jobs)
        if not (seed is None or isinstance(seed, RandomState)):
            check_parameter("random_state", seed, 0, Within(0, 2**32 - 1))
        if n_jobs is not None:
            check_parameter("n_jobs", n_jobs, 1, Within(-(2**31)))
            if n_jobs == 0:
                raise ModelError(
                    "n_jobs must not be 0. It must be a number of threads, or -1 for one thread per core."
                )
        for field in fields(self):
            name = field.name
            if field.default is not MISSING and name not in SHOWN_AS and name not in self.of_model:
                check_parameter(name, getattr(self, name), field.default, self.allowed.get(name, ANY))

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters that a report shows, under the names that runs have always had."""
        return {
            **dict.fromkeys(SHOWN_FIRST),
            **{name: getattr(self, name) for name in self.shown_facts},
            **{
                SHOWN_AS.get(field.name, field.name): plain(getattr(self, field.name))
                for field in fields(self)
            },
        }

    # ---------------------------------------------------------------- what it may use

    def use(self, resources: Resources) -> Self:
        """Set threads and, where there are such parameters, device and memory; return the estimator.

        What it learns does not depend on them.
        """
        given = {"n_jobs": resources.threads, "device": resources.device, "memory_limit": resources.memory}
        for field in fields(self):
            if given.get(field.name) is not None:
                setattr(self, field.name, given[field.name])
        return self

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return the bytes that the matrices of a fit, or a search, on n_rows take at once."""
        return 0

    @property
    def _threads(self) -> int:
        return max(int(effective_n_jobs(self.n_jobs)), 1)

    def _draw_seed(self) -> int:
        """Return the seed of all random numbers of a fit, and keep it for that fit."""
        seed = plain(self.random_state)
        if not isinstance(seed, int):
            seed = int(check_random_state(seed).randint(2**31 - 1))
        self._seed = seed
        return seed

    # ---------------------------------------------------------------- inputs

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        tags = super().__sklearn_tags__()
        # The square root of years is learned.
        tags.target_tags.positive_only = self.is_regression
        return tags

    def _begin(
        self, X: Any, y: Any, groups: Any, unknown: Mapping[str, Any]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
        """Return vectors, labels and subjects of a fit as arrays; set the seed and the classes.

        Raises:
            TypeError: fit() received unknown arguments.
            ValueError: something is missing, not finite or of another length, or there is only one class.
        """
        for name in unknown:
            # fit() has no argument sample_weight, because scikit-learn would conclude that it is supported.
            raise TypeError(
                f"{type(self).__name__} does not support sample_weight. All rows have the same weight."
                " Leave it out."
                if name == "sample_weight"
                else f"{type(self).__name__}.fit() got an unexpected keyword argument '{name}'"
            )
        self.validate()
        X, y = validate_data(self, X, y, dtype=np.float32, order="C", y_numeric=self.is_regression)
        if self.is_regression:
            y = y.astype(np.float64, copy=False)
            if y.min() < 0:
                raise TargetError(
                    f"{type(self).__name__} cannot learn negative numbers, but y contains {y.min():g}."
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

    def _asked(self, X: Any) -> NDArray[np.float32]:
        """Return the vectors of a prediction as an array.

        Raises:
            NotFittedError: nothing has been learned.
            ValueError: the vectors are not finite, or not as long as those of the training.
        """
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float32, order="C", reset=False))

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError if a library would crash on what was learned, because it does not check it.

        Args:
            unfitted: the same classifier as it is made here.
        """

    # ---------------------------------------------------------------- scaling

    def learn_scaling(self, X: NDArray[np.float32], components: int | None = None) -> None:
        """Learn the scaling of vectors to a mean variance of 1, and their principal components.

        Args:
            X: vectors, shape (n, dim).
            components: number of components that a longer vector is reduced to; None to keep all numbers.
        """
        mean, factor = block_scaling(unit_lengths(X, self.feature_blocks), self.feature_blocks)
        self.mean_ = mean.astype(np.float32)
        self.factor_ = (factor * np.sqrt(X.shape[1])).astype(np.float32)
        self.axes_ = np.zeros((0, X.shape[1]), np.float32)
        if components is not None and X.shape[1] > components:
            with one_blas_thread():
                pca = PCA(min(components, len(X)), svd_solver="randomized", random_state=self._seed)
                pca.fit(self.scaled(X))
            # Again a mean variance of 1; the components keep their proportions.
            deviation = float(np.sqrt(pca.explained_variance_.mean())) or 1.0
            self.axes_ = (pca.components_ / deviation).astype(np.float32)

    def scaled(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors scaled as learn_scaling() learned it, shape (n, dim) or (n, components)."""
        scaled = unit_lengths(X, self.feature_blocks)
        scaled -= self.mean_
        scaled *= self.factor_
        if not len(self.axes_):
            return scaled
        with one_blas_thread():
            return scaled @ self.axes_.T


class FoldSearch(Estimator):
    """An estimator that scores many candidates on a fold faster than one fit each."""

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of every candidate on every fold; the candidates share what a fold has in common.

        Returns:
            Shape (n_candidates, n_folds); None if the candidates cannot share it.
        """
        self.validate()
        if not self._can_share(X, candidates):
            return None
        X = check_array(X, dtype=np.float32)
        y = np.asarray(y, np.float64) if self.is_regression else np.unique(y, return_inverse=True)[1]
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            one = copy(self)  # the estimator itself is not changed
            one._draw_seed()
            scores[:, number] = one._fold_scores(X, y, fold, candidates)
        return scores

    def _can_share(self, X: NDArray[np.float32], candidates: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether no candidate changes what scaling and principal components learn."""
        return not any({"components", "is_scaled", "feature_blocks"} & one.keys() for one in candidates)

    def _fold_scores(
        self, X: NDArray[np.float32], y: NDArray[Any], fold: Fold, candidates: Sequence[Mapping[str, Any]]
    ) -> Sequence[float]:
        """Return the score of every candidate on one fold; everything is learned from its training part."""
        raise NotImplementedError

    def _with(self, candidate: Mapping[str, Any]) -> Self:
        """Return a copy that has learned the same scaling, with other parameters."""
        one: Self = copy(self).set_params(**candidate)
        one.validate()
        return one


class LabelClassifier(ClassifierMixin):
    """A classifier that predicts the most probable class."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each row, shape (n,)."""
        return most_probable(self, X)


def most_probable(classifier: Any, X: Any) -> NDArray[Any]:
    """Return the label of each row that a classifier gives the highest probability, shape (n,)."""
    best = classifier.predict_proba(X).argmax(axis=1)
    return np.asarray(classifier.classes_[best])


def tags_of(tags: Any, *, is_regression: bool) -> Any:
    """Return scikit-learn's tags of an estimator that is a regressor or a classifier by its parameters."""
    if is_regression:
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
    else:
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
    return tags


def check_tree(left: NDArray[Any], right: NDArray[Any], features: NDArray[Any], n_inputs: int) -> None:
    """Raise ValueError unless every path of a decision tree ends in a leaf and uses existing features.

    Args:
        left: number of the left child of each node, shape (n_nodes,); -1 for a leaf, otherwise it must be
            higher than the node's own.
        right: number of the right child, likewise.
        features: number of the feature that each node compares, shape (n_nodes,).
        n_inputs: number of features.
    """
    inner = np.flatnonzero(left != -1)
    for following in (left[inner], right[inner]):
        if (following <= inner).any() or (following >= len(left)).any():
            raise ValueError("a node of a tree has a child that precedes it or does not exist.")
    if not len(left) or (features[inner] < 0).any() or (features[inner] >= n_inputs).any():
        raise ValueError("a tree is empty, or compares a feature that the vectors do not have.")
