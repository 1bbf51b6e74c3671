"""A small neural network of scikit-learn whose number of epochs is fixed."""

from dataclasses import dataclass
from typing import Any

from featurekit.estimators._scikit import Scikit

EPOCHS = 20
BATCH = 128
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
