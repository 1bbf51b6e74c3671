"""Gradient-boosted trees.

Boosting is very slow on thousands of numbers per face. Long vectors are therefore
reduced to their principal components first, which are learned in the training part. The
number of rounds is chosen on held-out subjects of the training part.
"""

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


@classifier(
    "xgboost",
    about="gradient-boosted trees on 128 principal components, rounds chosen on held-out subjects",
    # The trees worth trying, shallow ones first. Their number is not searched; each fit chooses it.
    grid=lambda target: {"max_depth": (3, 5), "column_share": (0.25, 0.5)},
    uses_gpu=True,
    trusted_types=(
        "featurekit.estimators._boosting.XGBoostClassifier",
        "featurekit.estimators._boosting.XGBoostRegressor",
    ),
)
def make_xgboost(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return gradient-boosted trees."""
    from featurekit.estimators._boosting import XGBoostClassifier, XGBoostRegressor

    kind = XGBoostRegressor if target.is_regression else XGBoostClassifier
    return kind(random_state=random_state, n_jobs=n_jobs)
