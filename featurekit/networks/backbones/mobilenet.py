"""MobileNet V2 from torchvision, pretrained on ImageNet, without its classifier."""

from functools import partial

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._torchvision import IMAGENET, torchvision_network

BACKBONES.add(
    Backbone(
        name="mobilenet_v2",
        about="MobileNet V2, ImageNet, pooled: 1,280 numbers; middle: 3 × 3 cells of its 13th block, 864",
        layers={"pooled": 1280, "middle": 864},
        input_size=224,
        template="imagenet",
        group="ImageNet",
        normalization=IMAGENET,
        weights="mobilenet_v2",
        # The middle layer still knows where something is, and less of what ImageNet's classes need.
        load=partial(torchvision_network, "mobilenet_v2", {"pooled": "flatten", "middle": "features.13:6/4"}),
    )
)
