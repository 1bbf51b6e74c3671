"""A small residual network with attention, which can be drawn as a map over the image."""

from typing import TYPE_CHECKING, Any

from featurekit.estimators import classifier
from featurekit.estimators._networks import cnn
from featurekit.estimators._networks.schedule import together

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.estimator import CNN

SIDE = 96
STEM = 32
WIDTHS = (32, 64, 128)  # channels of the stages; each but the first halves the side
BLOCKS = 2  # in each stage
SQUEEZED = 8  # the channel attention has an eighth of the channels inside


def residual_attention(cnn: "CNN") -> "torch.nn.Module":
    """Return residual blocks with channel and spatial attention, as in CBAM (Woo et al. 2018).

    In each block, the maps that are added to the shortcut are first weighted by channel (a small network on
    the mean and maximum of each channel over the places) and then by place (a 7 × 7 convolution on the mean
    and maximum of each place over the channels).

    Three things differ from the paper. There are six blocks of 32 to 128 channels, instead of ResNet-50's
    sixteen blocks, for images of 96 × 96 pixels; one face takes 61 million multiplications. The channel
    attention reduces the channels to an eighth, because a sixteenth of 32 channels would be two. The spatial
    attention has no batch normalization of its own.
    """
    import torch
    from torch import nn

    class ResidualAttention(nn.Module):
        """Pixels (n, 3, side, side) from 0 to 255 → features (n, 128)."""

        def __init__(self) -> None:
            super().__init__()
            self.dim = WIDTHS[-1]
            self.stem = _convolution(3, STEM, 3, stride=2)
            self.pool = nn.MaxPool2d(3, 2, padding=1)
            self.stages: Any = nn.ModuleList()
            n_inputs = STEM
            for number, width in enumerate(WIDTHS):
                blocks = nn.ModuleList()
                for place in range(BLOCKS):
                    blocks.append(_block(n_inputs, width, 2 if number and not place else 1))
                    n_inputs = width
                self.stages.append(blocks)

        def _read(self, pixels: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
            maps = self.pool(self.stem((pixels - 127.5) / 64).relu())
            looked = []
            for blocks in self.stages:
                for block in blocks:
                    maps, places = block(maps)
                looked.append(places)
            return maps.mean((2, 3)), looked

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self._read(pixels)[0]

        def attention(self, pixels: torch.Tensor) -> list[torch.Tensor]:
            """Return the spatial attention (0 to 1) of each stage's last block, each of shape (n, h, w)."""
            was_training = self.training
            self.eval()
            with torch.no_grad():
                looked = self._read(pixels)[1]
            self.train(was_training)
            return looked

    return ResidualAttention()


def _block(n_inputs: int, n_outputs: int, stride: int) -> "torch.nn.Module":
    import torch
    from torch import nn

    class Block(nn.Module):
        """Two convolutions and two attentions beside a shortcut."""

        def __init__(self) -> None:
            super().__init__()
            self.first = _convolution(n_inputs, n_outputs, 3, stride)
            self.second = _convolution(n_outputs, n_outputs, 3)
            self.channels = nn.Sequential(
                nn.Linear(n_outputs, n_outputs // SQUEEZED),
                nn.ReLU(),
                nn.Linear(n_outputs // SQUEEZED, n_outputs),
            )
            self.places = nn.Conv2d(2, 1, 7, padding=3)
            is_same = n_inputs == n_outputs and stride == 1
            self.shortcut = nn.Identity() if is_same else _convolution(n_inputs, n_outputs, 1, stride)

        def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Return the block's maps, (n, n_outputs, h, w), and the weight of each place, (n, h, w)."""
            own = self.second(self.first(maps).relu())
            weights = self.channels(own.mean((2, 3))) + self.channels(own.amax((2, 3)))
            own = own * weights.sigmoid()[:, :, None, None]
            both = torch.cat([own.mean(1, keepdim=True), own.amax(1, keepdim=True)], dim=1)
            places = self.places(both).sigmoid()
            return (self.shortcut(maps) + own * places).relu(), places[:, 0]

    return Block()


def _convolution(n_inputs: int, n_outputs: int, size: int, stride: int = 1) -> "torch.nn.Sequential":
    from torch import nn

    layer = nn.Conv2d(n_inputs, n_outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(n_outputs))


classifier(
    "residual_attention",
    about=f"small residual network with channel and spatial attention (CBAM), {SIDE}×{SIDE}, trained from"
    " scratch; its attention can be drawn",
    reads="crops",
    uses_gpu=True,
    also=together,
)(
    cnn(
        make_body=residual_attention,
        side=SIDE,
        epochs=40,
        head_epochs=0,
        decay=1.0,
        learning_rate=2e-3,
        weight_decay=0.05,
    )
)
