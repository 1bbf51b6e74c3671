"""The two small networks of dlib's model collection, trained on faces labelled with age and gender."""

from collections.abc import Mapping, Sequence
from functools import partial

from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization

_NORMALIZATION = Normalization((122.782, 117.001, 104.298), (256.0, 256.0, 256.0))
_AGE_TENSORS = {"pooled": "layer_1_flatten", "middle": "middle", "probabilities": "probabilities"}
_GENDER_TENSORS = {"pooled": "layer_4_flatten", "hidden": "layer_3_relu", "probabilities": "probabilities"}


def _network(name: str, tensors: Mapping[str, str], weights: bytes, layers: Sequence[str]) -> Network:
    """Return one of the networks with the given layers as its outputs."""
    return Network(
        name=name,
        # 7 × 7 cells; squares of 3 that overlap by one.
        onnx=_with_squares(weights, "layer_22_relu", "middle", size=3, stride=2)
        if "middle" in layers
        else weights,
        outputs=tuple(tensors[layer] for layer in layers),
    )


def _with_squares(model_bytes: bytes, tensor: str, name: str, *, size: int, stride: int) -> bytes:
    """Return the network with a further tensor: the means of squares of a feature map, as a vector."""
    import onnx

    model = onnx.load_model_from_string(model_bytes)
    squares = onnx.helper.make_node(
        "AveragePool", [tensor], [f"{name}_squares"], kernel_shape=[size, size], strides=[stride, stride]
    )
    model.graph.node.extend([squares, onnx.helper.make_node("Flatten", [f"{name}_squares"], [name])])
    return bytes(model.SerializeToString())


BACKBONES.add(
    Backbone(
        name="dlib_age",
        about="ResNet-10 trained for age on 110,000 faces, 64×64; middle: 3 × 3 cells of its third block; its"
        " classifier predicts 81 ages",
        layers={"pooled": 256, "middle": 1152, "probabilities": 81},
        heads=("probabilities",),
        input_size=64,
        template="dlib",
        group="faces",
        normalization=_NORMALIZATION,
        weights="dlib_age",
        load=partial(_network, "dlib_age", _AGE_TENSORS),
    )
)
BACKBONES.add(
    Backbone(
        name="dlib_gender",
        about="plain CNN trained for gender, 32×32; its classifier predicts two probabilities",
        layers={"pooled": 4096, "hidden": 16, "probabilities": 2},
        heads=("probabilities",),
        input_size=32,
        template="dlib",
        group="faces",
        normalization=_NORMALIZATION,
        weights="dlib_gender",
        load=partial(_network, "dlib_gender", _GENDER_TENSORS),
    )
)
