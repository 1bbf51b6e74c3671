"""VGG-Face: the VGG-16 that Parkhi, Vedaldi and Zisserman (2015) trained to recognize 2,622 people.

The weights are those of Samuel Albanie's conversion to torch, which has the authors' mean colour and channels
in the order RGB. The network was trained on faces that were cut out by a detector's box with some space
around them and were not aligned; the template "dlib_face" shows about as much of a face, turned upright.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization

if TYPE_CHECKING:
    import torch


def vgg_face(weights: bytes, layers: Sequence[str]) -> Network:
    """Return the face recognition network with the given layers as its outputs."""
    return Network(name="vgg_face", module=lambda: _build(weights, layers), outputs=tuple(layers))


def _build(weights: bytes, layers: Sequence[str]) -> "torch.nn.Module":
    from featurekit.networks.backbones._vgg_face_module import vgg_face_module

    return vgg_face_module("vgg_face", weights, layers)


BACKBONES.add(
    Backbone(
        name="vgg_face",
        group="faces",
        about="VGG-Face, VGG-16 trained to tell people apart on 2.6 million faces, 224×224; fc7: 4,096"
        " numbers, pooled: 512",
        layers={"fc7": 4096, "pooled": 512, "fc6": 4096},
        input_size=224,
        template="dlib_face",
        normalization=Normalization(
            (129.186279296875, 104.76238250732422, 93.59396362304688), (1.0, 1.0, 1.0)
        ),
        weights="vgg_face",
        recognizes=("fc7",),
        load=vgg_face,
    )
)
