"""A small neural network with one hidden layer on principal components.

How long it learns is fixed: scikit-learn's early stopping would hold out faces
of people that it also learns from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import Target
from featurekit.estimators import Classifier, classifier

COMPONENTS = 256


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the penalties worth trying, strong ones first."""
    return {"alpha": (100.0, 30.0, 10.0, 3.0)}


@classifier(
    "mlp", about=f"neural network with one hidden layer on {COMPONENTS} principal components", grid=grid
)
def make_mlp(target: Target, seed: int, threads: int) -> Classifier:
    """Return a network with one hidden layer."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from featurekit.estimators._mlp import MLP

    kind = MLPRegressor if target.is_regression else MLPClassifier
    model = kind(hidden_layer_sizes=(128,), alpha=10.0, learning_rate_init=3e-4, random_state=seed)
    return MLP(
        model=model,
        is_regression=target.is_regression,
        components=COMPONENTS,
        seed=seed,
        threads=threads,
    )
