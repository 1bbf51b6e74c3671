"""MobileNet V2 from torchvision, pretrained on ImageNet, without its classifier."""

from collections.abc import Sequence

from featurekit.networks.backbones import backbone
from featurekit.networks.backbones._torchvision import IMAGENET, torchvision_network
from featurekit.networks.engines import Network


@backbone(
    "mobilenet_v2",
    about="MobileNet V2, ImageNet, pooled: 1,280 numbers; middle: 3 × 3 cells of its 13th block, 864",
    layers={"pooled": 1280, "middle": 864},
    input_size=224,
    template="imagenet",
    normalization=IMAGENET,
    weights="mobilenet_v2",
)
def mobilenet_v2(weights: bytes, layers: Sequence[str]) -> Network:
    """Return MobileNet V2 without its classifier."""
    # The middle layer still knows where something is, and less of what ImageNet's classes need.
    nodes = {"pooled": "flatten", "middle": "features.13:6/4"}
    return torchvision_network("mobilenet_v2", nodes, weights, layers)
