"""FaceNet: Inception-ResNet-v1, trained to recognize people, with the weights of facenet-pytorch.

The network is that of David Sandberg's facenet, as Tim Esler's facenet-pytorch has converted it, and its
files are read without that package. It was trained on faces that were cut out by the box of the detector
MTCNN with a border, and stretched to a square. featurekit does not stretch a face: the template "facenet"
puts the eyes, nose and mouth as near as a turn, a shift and a change of size allow to where they are on
facenet-pytorch's crops with a border of 14 of 160 pixels.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization

if TYPE_CHECKING:
    import torch


def facenet(name: str, weights: bytes, layers: Sequence[str]) -> Network:
    """Return the face recognition network with the given layers as its outputs."""
    return Network(name=name, module=lambda: _build(name, weights, layers), outputs=tuple(layers))


def _build(name: str, weights: bytes, layers: Sequence[str]) -> "torch.nn.Module":
    from featurekit.networks.backbones._facenet_module import facenet_module

    return facenet_module(name, weights, layers)


for _name, _faces in (
    ("facenet", "VGGFace2 (3.3 million faces)"),
    ("facenet_casia", "CASIA-WebFace (0.5 million faces)"),
):
    BACKBONES.add(
        Backbone(
            name=_name,
            group="faces",
            about=f"FaceNet, Inception-ResNet-v1 trained to tell people apart on {_faces}, 160×160;"
            " embedding: the 512 numbers with which it compares people",
            # As of dlib_face, classifiers read the layer before the one that compares people.
            layers={"pooled": 1792, "embedding": 512},
            input_size=160,
            template="facenet",
            normalization=Normalization((127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
            weights=_name,
            recognizes=("embedding", "pooled"),
            load=partial(facenet, _name),
        )
    )
