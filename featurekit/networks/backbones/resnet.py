"""ResNets from torchvision, pretrained on ImageNet, without their classifiers."""

from functools import partial

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._torchvision import IMAGENET, torchvision_network

for _depth, _dim in ((18, 512), (34, 512), (50, 2048), (101, 2048), (152, 2048)):
    BACKBONES.add(
        Backbone(
            name=f"resnet{_depth}",
            about=f"ResNet-{_depth}, ImageNet, pooled: {_dim} numbers",
            layers={"pooled": _dim},
            input_size=224,
            template="imagenet",
            group="ImageNet",
            normalization=IMAGENET,
            weights=f"resnet{_depth}",
            load=partial(torchvision_network, f"resnet{_depth}", {"pooled": "avgpool"}),
        )
    )
