"""A small neural network of scikit-learn whose number of epochs is fixed."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn import neural_network

from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor

EPOCHS = 20
BATCH = 128
LEAST_STEPS = 600  # with few faces, 20 epochs have too few steps to learn anything


@dataclass(eq=False, repr=False, kw_only=True)
class MLP(Scikit):
    """A neural network whose number of epochs depends only on the number of faces.

    Attributes:
        components: principal components that a longer vector is reduced to.
        hidden_layer_sizes: neurons of each hidden layer.
        alpha: weight of the squared coefficients.
        learning_rate_init: length of Adam's steps.
    """

    of_model: ClassVar[tuple[str, ...]] = ("hidden_layer_sizes", "alpha", "learning_rate_init")

    components: int | None = 256
    hidden_layer_sizes: Any = (128,)
    alpha: float = 10.0
    learning_rate_init: float = 3e-4

    def make_model(self) -> Any:
        """Return the unfitted network, with scikit-learn's number of epochs."""
        return super().make_model().set_params(random_state=getattr(self, "_seed", self.random_state))

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted network that trains for a fixed number of epochs."""
        epochs = max(EPOCHS, -(-LEAST_STEPS * BATCH // n_faces))
        self.summary_ |= {"epochs": epochs}
        self.summary_["notes"].append(
            f"{epochs} epochs. The number is fixed, because early stopping would need held-out subjects"
            " of its own."
        )
        return self.make_model().set_params(
            max_iter=epochs, n_iter_no_change=epochs, batch_size=min(BATCH, n_faces)
        )


class MLPClassifier(MLP, ScikitClassifier):
    """A neural network of classes."""

    model_type: ClassVar[Any] = neural_network.MLPClassifier


class MLPRegressor(MLP, ScikitRegressor):
    """A neural network of years."""

    model_type: ClassVar[Any] = neural_network.MLPRegressor
