"""A small neural network with one hidden layer on principal components.

How long it learns is fixed: scikit-learn's early stopping would hold out faces
of people that it also learns from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the penalties worth trying, strong ones first."""
    return {"alpha": (100.0, 30.0, 10.0, 3.0)}


@classifier(
    "mlp",
    about="neural network with one hidden layer on 256 principal components",
    grid=grid,
    trusted_types=(
        "featurekit.estimators._mlp.MLPClassifier",
        "featurekit.estimators._mlp.MLPRegressor",
        "numpy.random.mtrand.RandomState",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPRegressor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.preprocessing._label.LabelBinarizer",
    ),
)
def make_mlp(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return a network with one hidden layer."""
    from featurekit.estimators._mlp import MLPClassifier, MLPRegressor

    network: Any = MLPRegressor if target.is_regression else MLPClassifier
    made: Classifier = network(random_state=random_state, n_jobs=n_jobs)
    return made
