"""The layers of VGG-Face as a torch module, whose tensors are named as in its file for torch."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from featurekit.networks.state_dict import load_state

# Channels and number of the convolutions of each block; a block ends by halving the image.
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
# The classifier of the people in the training data.
_CLASSIFIER = ("fc8.weight", "fc8.bias")


def vgg_face_module(name: str, weights: bytes, layers: Sequence[str]) -> nn.Module:
    """Return the network with the tensors of a weight file, in evaluation mode.

    Args:
        name: name of the backbone, for messages.
        weights: bytes of a state dictionary. Its classifier is not used and may be absent.
        layers: "fc7", "pooled" or "fc6", in this order.

    Raises:
        WeightsError: the file is not a state dictionary, or its tensors are not those of this network.
    """
    with torch.device("meta"):
        network = VggFace(layers)
    load_state(network, name, weights, ignored=_CLASSIFIER)
    # Nothing would use, or train, matrices behind the last layer wanted.
    if "fc7" not in layers:
        del network.fc7
        if "fc6" not in layers:
            del network.fc6
    return network.eval()


class VggFace(nn.Module):
    """Normalized pixels (n, 3, 224, 224) → the layers wanted.

    Args:
        layers: "fc7", "pooled" or "fc6", in this order.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = layers
        width = 3
        for block, (n_outputs, depth) in enumerate(_BLOCKS, 1):
            for step in range(1, depth + 1):
                self.add_module(f"conv{block}_{step}", nn.Conv2d(width, n_outputs, 3, padding=1))
                width = n_outputs
        self.fc6 = nn.Linear(width * 7 * 7, 4096)
        self.fc7 = nn.Linear(4096, 4096)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = pixels
        for block, (_, depth) in enumerate(_BLOCKS, 1):
            for step in range(1, depth + 1):
                found = functional.relu(getattr(self, f"conv{block}_{step}")(found))
            found = functional.max_pool2d(found, 2)
        values = {"pooled": found.mean(dim=(2, 3))}
        if set(self.layers) & {"fc6", "fc7"}:
            values["fc6"] = functional.relu(self.fc6(found.flatten(1)))
        if "fc7" in self.layers:
            kept = functional.dropout(values["fc6"], 0.5, self.training)
            values["fc7"] = functional.relu(self.fc7(kept))
        return tuple(values[layer] for layer in self.layers)
