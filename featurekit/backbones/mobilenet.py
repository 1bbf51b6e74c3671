"""MobileNet V2 pretrained on ImageNet, its classifier removed (torchvision)."""

from collections.abc import Sequence

from featurekit.backbones import backbone
from featurekit.backbones._torchvision import IMAGENET, torchvision_network
from featurekit.engines import Network


@backbone(
    "mobilenet_v2",
    about="MobileNet V2, ImageNet, pooled: 1,280 numbers",
    layers={"pooled": 1280},
    input_size=224,
    template="imagenet",
    normalization=IMAGENET,
    weights="mobilenet_v2",
)
def mobilenet_v2(weights: bytes, layers: Sequence[str]) -> Network:
    """Return MobileNet V2 without its ImageNet head."""
    return torchvision_network("mobilenet_v2", weights, {"pooled": "flatten"}, layers)
