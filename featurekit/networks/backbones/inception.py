"""Inception v3 from torchvision, pretrained on ImageNet, without its classifier."""

from functools import partial

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones._torchvision import torchvision_network
from featurekit.networks.engines import Normalization

BACKBONES.add(
    Backbone(
        name="inception_v3",
        about="Inception v3, ImageNet, 299×299, pooled: 2,048 numbers",
        layers={"pooled": 2048},
        input_size=299,
        template="imagenet",
        group="ImageNet",
        # Google's file wants -1..1; torchvision's transform_input would turn ImageNet's into that.
        normalization=Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        weights="inception_v3",
        load=partial(
            torchvision_network,
            "inception_v3",
            {"pooled": "avgpool"},
            transform_input=False,
            init_weights=False,
        ),
    )
)
