"""A linear classifier on scaled vectors: what a network's features give by themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import Target
from featurekit.estimators import Classifier, classifier


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the penalties worth trying, strong ones first."""
    return {"penalty": (10.0, 3.0, 1.0, 0.3, 0.1) if target.is_regression else (1.2, 0.4, 0.12, 0.04, 0.012)}


@classifier(
    "logistic_regression", about="multinomial logistic regression; ridge regression for years", grid=grid
)
def make_logistic_regression(target: Target, seed: int, threads: int) -> Classifier:
    """Return a logistic regression, or for years a ridge regression."""
    from sklearn.linear_model import LogisticRegression, Ridge

    from featurekit.estimators._linear import Linear

    # Strong penalties: a joined vector is as long as there are faces to learn from.
    if target.is_regression:
        return Linear(model=Ridge(), is_regression=True, penalty=1.0, seed=seed, threads=threads)
    return Linear(model=LogisticRegression(max_iter=500), penalty=0.04, seed=seed, threads=threads)
