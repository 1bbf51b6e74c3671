"""The baseline, which knows the labels and reads no vector."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.utils.validation import check_is_fitted

from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor


@dataclass(eq=False, repr=False, kw_only=True)
class _Baseline(Scikit):
    """Accepts vectors of any length, also of another length than in training, because it reads none.

    A comparison fits it on vectors of a single zero, however long the other vectors are.
    """

    is_scaled: bool = False

    def _asked(self, X: Any) -> Any:
        check_is_fitted(self)
        return X

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        for own in (tags.classifier_tags, tags.regressor_tags):
            if own is not None:
                own.poor_score = True
        return tags


class MajorityClassifier(_Baseline, ScikitClassifier):
    """Always predicts the most frequent class; the probabilities are the classes' shares in training."""

    least_classes: ClassVar[int] = 1
    model_type: ClassVar[Any] = DummyClassifier


@dataclass(eq=False, repr=False, kw_only=True)
class MedianRegressor(_Baseline, ScikitRegressor):
    """Always predicts the median age.

    Attributes:
        is_scaled: whether vectors and years are scaled first.
        strategy: "median", or another one of scikit-learn's strategies.
    """

    of_model: ClassVar[tuple[str, ...]] = ("strategy",)
    model_type: ClassVar[Any] = DummyRegressor

    strategy: str = "median"
