"""The small network of Levi & Hassner, a usual baseline for age and gender on Adience since 2015."""

from typing import TYPE_CHECKING

from featurekit.estimators import classifier
from featurekit.estimators._networks import cnn
from featurekit.estimators._networks.schedule import together

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.estimator import CNN

SIDE = 227
FEATURES = 512


def levi_hassner(cnn: "CNN") -> "torch.nn.Module":
    """Return the three-convolution network of Levi & Hassner 2015, up to its second dense layer.

    The layers are those of the paper. Three convolutions have 96 filters of 7 × 7 at every fourth pixel, 256
    of 5 × 5 and 384 of 3 × 3; a ReLU and a max pooling over 3 × 3 follow each, and a local response
    normalization follows the first two. Two dense layers have 512 outputs each. A dropout layer follows each
    dense layer; the one after the second belongs to the heads.

    The training differs from the paper. The authors leave pixels at their scale of 0 to 255 and draw every
    weight with a standard deviation of 0.01. Here pixels are scaled to a standard deviation of about 1, for
    which weights of 0.01 would give features of about 0.01, the same for every face. Weights are therefore
    drawn as in He et al. 2015, which keeps the standard deviation from layer to layer. AdamW with a learning
    rate that rises and falls replaces SGD with two learning rates.
    """
    import torch
    from torch import nn

    class LeviHassner(nn.Module):
        """Pixels (n, 3, side, side) from 0 to 255 → features (n, 512)."""

        def __init__(self) -> None:
            super().__init__()
            self.dim = FEATURES
            self.maps = nn.Sequential(
                nn.Conv2d(3, 96, 7, stride=4),
                nn.ReLU(),
                nn.MaxPool2d(3, 2, ceil_mode=True),
                _normalization(96),
                nn.Conv2d(96, 256, 5, padding=2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2, ceil_mode=True),
                _normalization(256),
                nn.Conv2d(256, 384, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(3, 2, ceil_mode=True),
                nn.Flatten(),
            )
            with torch.no_grad():
                n_numbers = self.maps(torch.zeros(1, 3, cnn.side, cnn.side)).shape[1]
            self.dense = nn.Sequential(
                nn.Linear(n_numbers, FEATURES),
                nn.ReLU(),
                nn.Dropout(cnn.dropout),
                nn.Linear(FEATURES, FEATURES),
                nn.ReLU(),
            )
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.dense(self.maps((pixels - 127.5) / 64))
            return features

    return LeviHassner()


def _normalization(channels: int) -> "torch.nn.Module":
    import torch

    class Normalization(torch.nn.Module):
        """Local response normalization over five channels, torch's formula.

        The sum over neighbouring channels is a 1 × 1 convolution, which is faster than torch's own pooling.
        """

        band: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            number = torch.arange(channels)
            band = ((number[:, None] - number).abs() <= 2).float() * (1e-4 / 5)
            self.register_buffer("band", band[:, :, None, None], persistent=False)

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            root = (torch.nn.functional.conv2d(maps * maps, self.band) + 1).rsqrt()
            return maps * root * root.sqrt()  # (1 + sum) to the power of -0.75

    return Normalization()


classifier(
    "levi_hassner",
    about=f"three convolutional and two dense layers, {SIDE}×{SIDE}, trained from scratch (Levi & Hassner"
    " 2015); --set views=10 averages ten crops of each face, as in the paper",
    reads="crops",
    uses_gpu=True,
    also=together,
)(
    cnn(
        make_body=levi_hassner,
        side=SIDE,
        views=1,  # the paper averages ten
        dropout=0.5,
        epochs=40,
        head_epochs=0,
        decay=1.0,
        # Without batch normalization, AdamW's usual 1e-3 is too high.
        learning_rate=3e-4,
        weight_decay=0.05,
    )
)
