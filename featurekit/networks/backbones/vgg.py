"""VGG-16 and VGG-19 from torchvision, pretrained on ImageNet, without their classifiers."""

from functools import partial

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._torchvision import IMAGENET, torchvision_network

# fc7 with its ReLU is what the literature calls "VGG features"; pooled is the mean of
# the last feature map's 7×7 cells.
_NODES = {"fc7": "classifier.4", "pooled": "avgpool", "fc6": "classifier.1"}


for _depth in (16, 19):
    BACKBONES.add(
        Backbone(
            name=f"vgg{_depth}",
            about=f"VGG-{_depth}, ImageNet; fc7: 4,096 numbers, pooled: 512",
            layers={"fc7": 4096, "pooled": 512, "fc6": 4096},
            input_size=224,
            template="imagenet",
            group="ImageNet",
            normalization=IMAGENET,
            weights=f"vgg{_depth}",
            load=partial(torchvision_network, f"vgg{_depth}", _NODES),
        )
    )
