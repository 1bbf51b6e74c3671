"""A small neural network with one hidden layer on principal components.

How long it learns is fixed: scikit-learn's early stopping would hold out faces
of people that it also learns from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier
from featurekit.estimators._scikit import Scikit

EPOCHS = 20
BATCH = 128
COMPONENTS = 256
LEAST_STEPS = 600  # of few faces, 20 epochs are too few steps to learn anything


@dataclass(eq=False, kw_only=True)
class MLP(Scikit):
    """A neural network whose number of epochs follows from the number of faces alone."""

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted network that never stops by itself."""
        epochs = max(EPOCHS, -(-LEAST_STEPS * BATCH // n_faces))
        self.summary_ |= {"epochs": epochs}
        self.summary_["notes"].append(
            f"{epochs} epochs, fixed: stopping early would need held-out subjects of its own."
        )
        network = super().fresh_model(n_faces)
        network.set_params(max_iter=epochs, n_iter_no_change=epochs, batch_size=min(BATCH, n_faces))
        return network


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the penalties worth trying, strong ones first."""
    return {"alpha": (100.0, 30.0, 10.0, 3.0)}


@classifier(
    "mlp", about=f"neural network with one hidden layer on {COMPONENTS} principal components", grid=grid
)
def make_mlp(target: Target, seed: int, threads: int) -> Classifier:
    """Return a network with one hidden layer."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if target.is_regression else MLPClassifier
    model = kind(hidden_layer_sizes=(128,), alpha=10.0, learning_rate_init=3e-4, random_state=seed)
    return MLP(
        model=model,
        is_regression=target.is_regression,
        components=COMPONENTS,
        seed=seed,
        threads=threads,
    )
