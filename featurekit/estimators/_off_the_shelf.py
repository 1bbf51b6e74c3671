"""The heads of dlib's networks as an estimator that learns nothing."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, check_is_fitted

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, TARGETS, age_group_of
from featurekit.estimators._estimator import Estimator, most_probable, tags_of

# The ages of the outputs of dlib's age network, in years; the first is a child of some months.
YEARS = np.r_[0.25, np.arange(1.0, 81.0)]


@dataclass(eq=False, repr=False, kw_only=True)
class OffTheShelf(Estimator):
    """Predicts a target from the probabilities of dlib's heads; learns nothing.

    Attributes:
        target_name: "age", "age_group" or "gender".
    """

    target_name: str

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        return tags_of(super().__sklearn_tags__(), is_regression=self.target_name == AGE.name)

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Self:
        """Learn nothing; the training faces are not used."""
        if self.target_name != AGE.name:
            self.classes_ = np.arange(len(TARGETS[self.target_name].classes))
        self.summary_ = {"notes": ["Nothing was fitted: the classifier comes with the network."]}
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, n_classes)."""
        shares = self._check(X)
        if self.target_name == AGE_GROUP.name:
            groups = np.array([age_group_of(years) for years in YEARS])
            shares = np.stack([shares[:, groups == name].sum(axis=1) for name in AGE_GROUP.classes], axis=1)
        total: NDArray[np.float64] = shares.sum(axis=1, keepdims=True)
        # If all years lie between the groups, nothing is known about the groups.
        return np.divide(shares, total, out=np.full_like(shares, 1 / shares.shape[1]), where=total > 0)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class number, or the expected years, shape (n,)."""
        if self.target_name != AGE.name:
            return most_probable(self, X)
        shares = self._check(X)
        return np.asarray((shares * YEARS).sum(axis=1) / shares.sum(axis=1))

    def _check(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of a head, in double precision.

        Raises:
            ValueError: they are not as many as the head gives.
        """
        check_is_fitted(self)
        vectors = check_array(X, dtype=np.float32)
        expected = len(GENDER.classes) if self.target_name == GENDER.name else len(YEARS)
        if vectors.shape[1] != expected:
            raise ValueError(
                f"{self.target_name} is predicted from the {expected} probabilities of a dlib network, but"
                f" the vectors have {vectors.shape[1]} numbers."
            )
        return np.asarray(vectors, np.float64)
