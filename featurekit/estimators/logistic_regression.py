"""A linear classifier on scaled vectors, which shows how much a network's features alone say of a target."""

from featurekit.estimators import classifier, either

classifier(
    "logistic_regression",
    about="multinomial logistic regression; ridge regression for a regression target",
    # The penalties worth trying, strong ones first.
    grid=lambda target: {
        "penalty": (10.0, 3.0, 1.0, 0.3, 0.1) if target.is_regression else (1.2, 0.4, 0.12, 0.04, 0.012)
    },
    trusted_types=(
        "featurekit.estimators._linear.LinearClassifier",
        "featurekit.estimators._linear.LinearRegressor",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._ridge.Ridge",
    ),
)(either("LinearClassifier", "LinearRegressor"))
