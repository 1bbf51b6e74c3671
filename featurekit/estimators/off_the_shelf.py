"""The heads that came with dlib's networks: what a user gets without any training of ours.

The age network gives the probability of each year; a group's is the sum over its
years. Years between the groups are left out and the rest is scaled to 1, because
a face that is scored is known to be in one of the groups.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target, age_group_of
from featurekit.errors import TargetError
from featurekit.estimators import Classifier, classifier
from featurekit.estimators._estimator import Estimator

# What the outputs of dlib's age network stand for; the first is a child of some months.
YEARS = np.r_[0.25, np.arange(1.0, 81.0)]
HEADS = {
    AGE.name: "dlib_age:probabilities",
    AGE_GROUP.name: "dlib_age:probabilities",
    GENDER.name: "dlib_gender:probabilities",
}


def head_of(target: Target) -> str | None:
    """Return the feature that a target is read from; None where no head gives it."""
    return HEADS.get(target.name)


@dataclass(eq=False, kw_only=True)
class OffTheShelf(Estimator):
    """Reads a target from the probabilities of dlib's heads; learns nothing.

    Attributes:
        target_name: "age", "age_group" or "gender".
    """

    target_name: str

    def fit(self, X: NDArray[np.float32], y: NDArray[Any], *, groups: NDArray[np.str_]) -> Self:
        """Learn nothing; the training faces are not looked at."""
        if self.target_name != AGE.name:
            known = AGE_GROUP if self.target_name == AGE_GROUP.name else GENDER
            self.classes_ = np.arange(len(known.classes))
        self.summary_: dict[str, Any] = {"notes": ["Nothing was fitted: the head came with the network."]}
        return self

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class, shape (n, n_classes)."""
        self._check(X)
        shares = X.astype(np.float64)
        if self.target_name == AGE_GROUP.name:
            groups = np.array([age_group_of(years) for years in YEARS])
            shares = np.stack([shares[:, groups == name].sum(axis=1) for name in AGE_GROUP.classes], axis=1)
        total = shares.sum(axis=1, keepdims=True)
        # All between the groups: nothing is known of the groups.
        probabilities: NDArray[np.float64] = np.divide(
            shares, total, out=np.full_like(shares, 1 / shares.shape[1]), where=total > 0
        )
        return probabilities

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return the most probable class number, or the expected years, shape (n,)."""
        if self.target_name == AGE.name:
            self._check(X)
            shares = X.astype(np.float64)
            years: NDArray[np.float64] = (shares * YEARS).sum(axis=1) / shares.sum(axis=1)
            return years
        numbers: NDArray[np.intp] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return numbers

    def _check(self, X: NDArray[np.float32]) -> None:
        expected = len(GENDER.classes) if self.target_name == GENDER.name else len(YEARS)
        if X.shape[1] != expected:
            raise ValueError(
                f"{self.target_name} is read from {expected} probabilities of {HEADS[self.target_name]},"
                f" not from {X.shape[1]} numbers."
            )


@classifier(
    "off_the_shelf",
    about="the heads that come with dlib_age and dlib_gender; no training",
    features=head_of,
    is_baseline=True,
)
def make_off_the_shelf(target: Target, seed: int, threads: int) -> Classifier:
    """Return the head that gives the target.

    Raises:
        TargetError: there is no such head.
    """
    if head_of(target) is None:
        raise TargetError(
            f"off_the_shelf cannot read {target.name}: dlib's networks give {', '.join(HEADS)}."
            " Choose another model for it."
        )
    return OffTheShelf(target_name=target.name, seed=seed, threads=threads)
