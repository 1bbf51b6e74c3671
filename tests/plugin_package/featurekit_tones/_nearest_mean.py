"""A classifier as anybody would write it for scikit-learn."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: TID253  # imported when one is made
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: TID253


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean vector is the nearest.

    Args:
        sharpness: how much surer a smaller distance makes it.
    """

    def __init__(self, sharpness: float = 4.0) -> None:
        self.sharpness = sharpness

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the mean vector of each class."""
        X, y = validate_data(self, X, y)
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        apart = np.linalg.norm(X[:, None] - self.means_, axis=2)
        likely = np.exp(-self.sharpness * apart)
        return np.asarray(likely / likely.sum(axis=1, keepdims=True), np.float64)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row, shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
