"""A small neural network with one hidden layer on principal components.

The number of epochs is fixed, because scikit-learn's early stopping would hold out faces
of subjects that are also in the training part.
"""

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


@classifier(
    "mlp",
    about="neural network with one hidden layer on 256 principal components",
    # The penalties worth trying, strong ones first.
    grid=lambda target: {"alpha": (100.0, 30.0, 10.0, 3.0)},
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

    kind = MLPRegressor if target.is_regression else MLPClassifier
    return kind(random_state=random_state, n_jobs=n_jobs)
