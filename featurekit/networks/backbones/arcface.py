"""ArcFace networks from insightface's model packs, which were trained to recognize people."""

from collections.abc import Sequence

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization


def arcface(weights: bytes, layers: Sequence[str]) -> Network:
    """Return the face recognition network, whose only layer is its output."""
    import onnx

    # The output's name differs from pack to pack.
    output = str(onnx.load_model_from_string(weights).graph.output[0].name)
    return Network(name="arcface", onnx=weights, outputs=(output,) * len(layers))


BACKBONES.add(
    Backbone(
        name="arcface",
        about="ArcFace ResNet-50 of insightface's buffalo_l (w600k_r50), 112×112: 512 numbers",
        layers={"embedding": 512},
        input_size=112,
        template="arcface",
        group="faces",
        normalization=Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        weights="arcface",
        recognizes=("embedding",),
        load=arcface,
    )
)
