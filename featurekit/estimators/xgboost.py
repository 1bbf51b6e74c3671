"""Gradient-boosted trees on principal components.

Boosting is very slow on thousands of features. Long vectors are therefore reduced to
their principal components first, which are learned from the training part. The number of
rounds is chosen on held-out subjects of the training part.
"""

from featurekit.estimators import classifier, either

classifier(
    "xgboost",
    about="gradient-boosted trees on 128 principal components, rounds chosen on held-out subjects",
    # The trees worth trying, shallow ones first. Their number is not searched; each fit chooses it.
    grid=lambda target: {"max_depth": (3, 5), "column_share": (0.25, 0.5)},
    uses_gpu=True,
    trusted_types=(
        "featurekit.estimators._boosting.XGBoostClassifier",
        "featurekit.estimators._boosting.XGBoostRegressor",
    ),
)(either("XGBoostClassifier", "XGBoostRegressor"))
