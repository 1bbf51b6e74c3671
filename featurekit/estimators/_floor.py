"""What knows the labels and looks at no vector."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.dummy import DummyClassifier, DummyRegressor

from featurekit.estimators._scikit import ScikitClassifier, ScikitRegressor


@dataclass(eq=False, repr=False, kw_only=True)
class MajorityClassifier(ScikitClassifier):
    """Always the commonest class, as probable as it was in training."""

    least_classes: ClassVar[int] = 1

    is_scaled: bool = False

    def make_model(self) -> DummyClassifier:
        """Return the unfitted classifier."""
        return DummyClassifier(strategy="prior")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class MedianRegressor(ScikitRegressor):
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

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags
