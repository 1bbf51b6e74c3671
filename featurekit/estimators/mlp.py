"""A small neural network with one hidden layer on principal components.

The number of epochs is fixed, because scikit-learn's early stopping would hold out faces
of subjects whose other faces are trained on.
"""

from featurekit.estimators import classifier, either

classifier(
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
)(either("MLPClassifier", "MLPRegressor"))
