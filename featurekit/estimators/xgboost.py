"""Gradient-boosted trees.

Thousands of numbers a face are the slowest there is for boosting, so that long
vectors are first reduced to their principal components, learned in the training
part. The number of rounds is chosen on held-out subjects of the training part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the trees worth trying, shallow ones first; their number is not searched but found."""
    return {"max_depth": (3, 5), "column_share": (0.25, 0.5)}


@classifier(
    "xgboost",
    about="gradient-boosted trees on 128 principal components, rounds chosen on held-out subjects",
    grid=grid,
    uses_gpu=True,
    trusted_types=(
        "featurekit.estimators._boosting.XGBoostClassifier",
        "featurekit.estimators._boosting.XGBoostRegressor",
    ),
)
def make_xgboost(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return gradient-boosted trees."""
    from featurekit.estimators._boosting import XGBoostClassifier, XGBoostRegressor

    boosting: Any = XGBoostRegressor if target.is_regression else XGBoostClassifier
    made: Classifier = boosting(random_state=random_state, n_jobs=n_jobs)
    return made
