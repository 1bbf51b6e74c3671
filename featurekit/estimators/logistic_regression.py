"""A linear classifier on scaled vectors: it shows what the features of a network contain by themselves."""

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


@classifier(
    "logistic_regression",
    about="multinomial logistic regression; ridge regression for years",
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
)
def make_logistic_regression(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return a logistic regression, or for years a ridge regression."""
    from featurekit.estimators._linear import LinearClassifier, LinearRegressor

    kind = LinearRegressor if target.is_regression else LinearClassifier
    return kind(random_state=random_state, n_jobs=n_jobs)
