"""An estimator of scikit-learn as a classifier of featurekit."""

import warnings
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.classifiers._estimator import Estimator, learn_years, one_blas_thread, to_years


@dataclass(eq=False, kw_only=True)
class Scikit(Estimator):
    """An estimator of scikit-learn with its scaling.

    Attributes:
        model: the unfitted estimator.
        is_regression: whether it gives years.
        is_scaled: whether vectors, and years, are scaled first.
        components: principal components that a longer vector is reduced to; None to keep all numbers.
        notes: what a reader should know of it.
        model_: the fitted estimator.
        classes_: class numbers seen in training, increasing; absent for years.
    """

    model: Any
    is_regression: bool = False
    is_scaled: bool = True
    components: int | None = None
    notes: tuple[str, ...] = field(default=())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what the constructor was given; of the model, its own parameters that were chosen."""
        parameters = super().get_params(deep)
        if deep:
            plain = type(self.model)().get_params()
            own = self.model.get_params()
            parameters["model"] = type(self.model).__name__
            parameters |= {name: own[name] for name in sorted(own) if own[name] != plain[name]}
            # Already there as seed and threads.
            for name in ("random_state", "n_jobs"):
                parameters.pop(name, None)
        return parameters

    def fit(self, X: NDArray[np.float32], y: NDArray[Any], *, groups: NDArray[np.str_]) -> Self:
        """Learn from vectors and class numbers or years."""
        from sklearn.exceptions import ConvergenceWarning

        targets = y
        if self.is_scaled:
            self.learn_scaling(X, self.components)
            if self.is_regression:
                targets, self.center_, self.unit_ = learn_years(y)
        self.summary_: dict[str, Any] = {"notes": list(self.notes)}
        self.model_ = self.fresh_model(len(X))
        with one_blas_thread(), warnings.catch_warnings():
            # The number of epochs is fixed on purpose; a solver that is not done yet says so in the summary.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model_.fit(self.scaled(X) if self.is_scaled else X, targets)
        if "n_jobs" in self.model_.get_params():
            # Threads would add up the trees' answers in whatever order they come.
            self.model_.set_params(n_jobs=None)
        if not self.is_regression:
            self.classes_ = self.model_.classes_
        return self

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted copy of the model for so many faces to learn from."""
        from sklearn.base import clone

        return clone(self.model)

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        with one_blas_thread():
            shares = np.asarray(
                self.model_.predict_proba(self.scaled(X) if self.is_scaled else X), np.float64
            )
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return the most probable class number, or the years, of each row, shape (n,)."""
        if not self.is_regression:
            numbers: NDArray[np.intp] = self.classes_[self.predict_proba(X).argmax(axis=1)]
            return numbers
        with one_blas_thread():
            years: NDArray[np.float64] = self.model_.predict(self.scaled(X) if self.is_scaled else X)
        return to_years(years, self.center_, self.unit_) if self.is_scaled else years
