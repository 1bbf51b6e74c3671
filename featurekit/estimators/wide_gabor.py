"""A wide, shallow network that receives the responses of Gabor filters beside the pixels.

The filters respond to wrinkles, which are lines of known width. The filters are fixed, because
a network that is trained from scratch has too few faces to learn them from.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators import classifier
from featurekit.estimators._networks import cnn
from featurekit.estimators._networks.schedule import together

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.estimator import CNN

SIDE = 96
WAVELENGTHS = (4.0, 6.0, 8.0)  # pixels, across the stripes
ORIENTATIONS = 6
PHASES = (0.0, np.pi / 2)  # lines, and edges
WIDTH = 0.5  # standard deviation across the stripes, in wavelengths
ASPECT = 0.5  # of the standard deviation across the stripes to that along them
KERNEL = 17  # pixels
FEATURES = 256


def gabor_kernels() -> NDArray[np.float32]:
    """Return the Gabor filters, each with a sum of 0 and a norm of 1.

    Returns:
        Shape (n_filters, KERNEL, KERNEL); the phases change fastest, then the orientations. The stripes
        of the first orientation are upright; each next orientation is rotated by 180° / ORIENTATIONS.

    >>> gabor_kernels().shape
    (36, 17, 17)
    """
    down, right = np.mgrid[:KERNEL, :KERNEL] - KERNEL // 2
    kernels = []
    for wavelength in WAVELENGTHS:
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            across = right * np.cos(angle) + down * np.sin(angle)
            along = down * np.cos(angle) - right * np.sin(angle)
            window = np.exp(-(across**2 + (ASPECT * along) ** 2) / (2 * (WIDTH * wavelength) ** 2))
            for phase in PHASES:
                kernel = window * np.cos(2 * np.pi * across / wavelength + phase)
                # The response to evenly lit skin is 0.
                kernel -= window * (kernel.sum() / window.sum())
                kernels.append(kernel / np.linalg.norm(kernel))
    return np.array(kernels, np.float32)


def wide_gabor(cnn: "CNN") -> "torch.nn.Module":
    """Return wide convolutions on the pixels and on Gabor responses, joined before a dense layer.

    The design follows Hosseini et al. 2018, "Age and gender classification using wide convolutional neural
    network and Gabor filter": fixed filters whose responses the network learns to weigh, and few layers of
    many channels.

    Three things differ from the paper, which has twelve filters of one wavelength, 2 pixels, in six
    orientations, and feeds their responses to the network as its input. Here the filters have three longer
    wavelengths, because resized crops contain little at 2 pixels. Each wavelength has filters for lines and
    for edges; the paper's phases, 0 and π, are a filter and its negative, which a convolution learns itself.
    Pixels and responses have convolutions of their own before they are joined. Batch normalization makes
    training from scratch possible.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    def convolution(n_inputs: int, n_outputs: int, size: int) -> nn.Sequential:
        layer = nn.Conv2d(n_inputs, n_outputs, size, stride=2, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return nn.Sequential(layer, nn.BatchNorm2d(n_outputs), nn.ReLU())

    class WideGabor(nn.Module):
        """Pixels (n, 3, side, side) from 0 to 255 → features (n, 256)."""

        kernels: torch.Tensor
        grey: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.dim = FEATURES
            kernels = torch.tensor(gabor_kernels())
            self.register_buffer("kernels", kernels[:, None])
            self.register_buffer("grey", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))
            self.of_pixels = nn.Sequential(
                convolution(3, 64, 5), nn.MaxPool2d(3, 2, padding=1), convolution(64, 160, 3)
            )
            self.of_responses = nn.Sequential(
                nn.BatchNorm2d(len(kernels)), convolution(len(kernels), 64, 3), convolution(64, 160, 3)
            )
            # The place on a face matters; hence the means of nine parts instead of one.
            self.parts = nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(cnn.dropout))
            self.dense = nn.Sequential(nn.Linear(9 * 2 * 160, FEATURES), nn.ReLU())

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            pixels = (pixels - 127.5) / 64
            responses = functional.conv2d(
                (pixels * self.grey).sum(1, keepdim=True), self.kernels, stride=2, padding=KERNEL // 2
            )
            maps = torch.cat([self.of_pixels(pixels), self.of_responses(responses)], dim=1)
            features: torch.Tensor = self.dense(self.parts(maps))
            return features

    return WideGabor()


classifier(
    "wide_gabor",
    about=f"wide, shallow network on pixels and Gabor responses, {SIDE}×{SIDE}, trained from scratch (after"
    " Hosseini et al. 2018)",
    reads="crops",
    uses_gpu=True,
    also=together,
)(
    cnn(
        make_body=wide_gabor,
        side=SIDE,
        dropout=0.3,
        epochs=40,
        head_epochs=0,
        decay=1.0,
        learning_rate=1e-3,
        weight_decay=0.05,
    )
)
