"""dlib's face recognition network, which was trained on three million faces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization

if TYPE_CHECKING:
    import torch


def dlib_face(weights: bytes, layers: Sequence[str]) -> Network:
    """Return the face recognition network with the given layers as its outputs."""
    return Network(name="dlib_face", module=lambda: _build(weights, layers), outputs=tuple(layers))


def _build(weights: bytes, layers: Sequence[str]) -> "torch.nn.Module":
    from featurekit.networks.backbones._dlib_face_module import Recognition

    return Recognition(weights, layers).eval()


BACKBONES.add(
    Backbone(
        name="dlib_face",
        about="ResNet-29 trained to tell people apart on 3 million faces, 150×150; embedding: the 128 numbers"
        " with which it compares people",
        layers={"pooled": 256, "embedding": 128},
        input_size=150,
        template="dlib_face",
        group="faces",
        normalization=Normalization((122.782, 117.001, 104.298), (256.0, 256.0, 256.0)),
        weights="dlib_face",
        recognizes=("embedding", "pooled"),
        load=dlib_face,
    )
)
