"""The heads of dlib's networks as an estimator that learns nothing."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.validation import check_array, check_is_fitted

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, age_group_of
from featurekit.estimators._dlib_heads import HEADS, YEARS
from featurekit.estimators._estimator import Estimator


@dataclass(eq=False, repr=False, kw_only=True)
class OffTheShelf(Estimator):
    """Reads a target from the probabilities of dlib's heads; learns nothing.

    Attributes:
        target_name: "age", "age_group" or "gender".
    """

    target_name: str

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()
        if self.target_name == AGE.name:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        else:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Self:
        """Learn nothing; the training faces are not looked at."""
        if self.target_name != AGE.name:
            known = AGE_GROUP if self.target_name == AGE_GROUP.name else GENDER
            self.classes_ = np.arange(len(known.classes))
        self.summary_: dict[str, Any] = {
            "notes": ["Nothing was fitted: the classifier comes with the network."]
        }
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, n_classes)."""
        shares = self._check(X).astype(np.float64)
        if self.target_name == AGE_GROUP.name:
            groups = np.array([age_group_of(years) for years in YEARS])
            shares = np.stack([shares[:, groups == name].sum(axis=1) for name in AGE_GROUP.classes], axis=1)
        total = shares.sum(axis=1, keepdims=True)
        # All between the groups: nothing is known of the groups.
        probabilities: NDArray[np.float64] = np.divide(
            shares, total, out=np.full_like(shares, 1 / shares.shape[1]), where=total > 0
        )
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class number, or the expected years, shape (n,)."""
        if self.target_name == AGE.name:
            shares = self._check(X).astype(np.float64)
            years: NDArray[np.float64] = (shares * YEARS).sum(axis=1) / shares.sum(axis=1)
            return years
        best = self.predict_proba(X).argmax(axis=1)
        numbers: NDArray[np.intp] = self.classes_[best]
        return numbers

    def _check(self, X: Any) -> NDArray[np.float32]:
        check_is_fitted(self)
        vectors: NDArray[np.float32] = check_array(X, dtype=np.float32)
        expected = len(GENDER.classes) if self.target_name == GENDER.name else len(YEARS)
        if vectors.shape[1] != expected:
            raise ValueError(
                f"{self.target_name} is predicted from {expected} probabilities of"
                f" {HEADS[self.target_name]}, not from {vectors.shape[1]} numbers."
            )
        return vectors
