"""ResNets pretrained on ImageNet, their classifier removed (torchvision)."""

from collections.abc import Callable, Sequence

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._torchvision import IMAGENET, torchvision_network
from featurekit.networks.engines import Network


def _loader(name: str) -> Callable[[bytes, Sequence[str]], Network]:
    def load(weights: bytes, layers: Sequence[str]) -> Network:
        return torchvision_network(name, weights, {"pooled": "avgpool"}, layers)

    return load


for _depth, _dim in ((18, 512), (34, 512), (50, 2048), (101, 2048), (152, 2048)):
    BACKBONES.add(
        Backbone(
            name=f"resnet{_depth}",
            about=f"ResNet-{_depth}, ImageNet, pooled: {_dim} numbers",
            layers={"pooled": _dim},
            input_size=224,
            template="imagenet",
            normalization=IMAGENET,
            weights=f"resnet{_depth}",
            load=_loader(f"resnet{_depth}"),
        )
    )
