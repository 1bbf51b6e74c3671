"""What knows the labels and looks at no vector."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.utils.validation import check_is_fitted

from featurekit.estimators._scikit import ScikitClassifier, ScikitRegressor


class _LooksAtNone:
    """Takes vectors of any length, also of another than it was fitted with: it looks at none.

    A comparison fits it with a zero for a vector, however long those of the others are.
    """

    def _asked(self, X: Any) -> Any:
        check_is_fitted(self)
        return X

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.no_validation = True
        for own in (tags.classifier_tags, tags.regressor_tags):
            if own is not None:
                own.poor_score = True
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class MajorityClassifier(_LooksAtNone, ScikitClassifier):
    """Always the commonest class, as probable as it was in training."""

    least_classes: ClassVar[int] = 1

    is_scaled: bool = False

    def make_model(self) -> DummyClassifier:
        """Return the unfitted classifier."""
        return DummyClassifier(strategy="prior")


@dataclass(eq=False, repr=False, kw_only=True)
class MedianRegressor(_LooksAtNone, ScikitRegressor):
    """Always the median years.

    Attributes:
        is_scaled: whether vectors and years are scaled first.
        strategy: "median", or another that scikit-learn knows.
    """

    of_model: ClassVar[tuple[str, ...]] = ("strategy",)

    is_scaled: bool = False
    strategy: str = "median"

    def make_model(self) -> DummyRegressor:
        """Return the unfitted regressor."""
        return DummyRegressor(strategy=self.strategy)
