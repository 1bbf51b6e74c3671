"""onnx:FILE: a network in an ONNX file, at any of its tensors."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurekit.errors import EngineError, WeightsError
from featurekit.networks.backbones.references import SCHEMES, Given, Scheme, bytes_of
from featurekit.networks.backbones.references._added import AddedNetwork, Layer, Preprocessing, parsed
from featurekit.networks.engines import Network
from featurekit.networks.engines._onnx import parse_alone, with_outputs


def read(name: str, path: Path) -> Given:
    """Return what an ONNX file states: the size of its input, if that is fixed.

    Raises:
        WeightsError: the file cannot be read, or takes no image.
    """
    if path.is_dir():
        raise WeightsError(f"{path} is a folder. Give an ONNX file.")
    size = _input_size(bytes_of(path), path.name)
    return Given(weights=path, preprocessing=Preprocessing(input_size=size), is_size_fixed=size is not None)


def _input_size(data: bytes, file: str) -> int | None:
    """Return the side of the square input of an ONNX file; None if it takes any size.

    Raises:
        WeightsError: the file is no ONNX file, or takes something else than an image with its channels first.
    """
    try:
        model = parse_alone(data)
    except EngineError as error:
        raise WeightsError(f"{file} cannot be used: {error}") from error
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    sides = [one.dim_value for one in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    if len(sides) != 4 or sides[1] not in (0, 3) or sides[2] != sides[3]:
        raise WeightsError(
            f"{file} does not take one square image of the shape (n, 3, side, side), with the channels before"
            " the rows, so it cannot be used. Export it with such an input."
        )
    return sides[2] or None


def where(name: str) -> str:
    """Return how a file is added."""
    return (
        f"Add it, with the numbers that it was trained with, for pixels from 0 to 1: featurekit weights add"
        f" onnx:{name} FILE --mean RED,GREEN,BLUE --std RED,GREEN,BLUE"
    )


def load(added: AddedNetwork, data: bytes, layers: Sequence[str]) -> Network:
    """Return the network with the given layers as its outputs."""
    outputs = [_tensor(added, layer) for layer in layers]
    return Network(name=added.name, onnx=_with_layers(added, data, layers), outputs=tuple(outputs))


def _tensor(added: AddedNetwork, layer: str) -> str:
    """Return the name of the tensor that has the vector of a layer."""
    known, _ = parsed(added, layer)
    assert known is not None
    return known.source if known.kind == "vector" else layer


def _with_layers(added: AddedNetwork, data: bytes, layers: Sequence[str]) -> bytes:
    """Return the ONNX file with further tensors, which have the names of the layers and are vectors."""
    import onnx

    model = onnx.load_model_from_string(data)
    for layer in layers:
        known, pools = parsed(added, layer)
        assert known is not None
        model.graph.node.extend(_pooling(known, pools, layer))
        if pools and "cls" in pools:
            model.graph.initializer.append(onnx.numpy_helper.from_array(_first(), f"first of {layer}"))
    return bytes(model.SerializeToString())


def _first() -> Any:
    import numpy as np

    return np.array(0, np.int64)


def _pooling(layer: Layer, pools: Sequence[str], name: str) -> list[Any]:
    """Return the nodes that turn a tensor into the vector of a layer."""
    from onnx.helper import make_node

    if layer.kind == "vector":
        return []
    nodes, found = [], layer.source
    if layer.kind != "map":  # the channels before the places
        order = [0, 3, 1, 2] if layer.kind == "map_last" else [0, 2, 1]
        nodes.append(make_node("Transpose", [found], [f"turned {name}"], perm=order))
        found = f"turned {name}"
    parts = []
    for pool in pools or ("mean",):
        part = f"{pool} of {name}"
        if pool == "cls":
            nodes.append(make_node("Gather", [layer.source, f"first of {name}"], [part], axis=1))
        else:
            kind = "GlobalAveragePool" if pool == "mean" else "GlobalMaxPool"
            nodes.append(make_node(kind, [found], [f"square {part}"]))
            nodes.append(make_node("Flatten", [f"square {part}"], [part]))
        parts.append(part)
    return [*nodes, make_node("Concat", parts, [name], axis=1)]


def probe(added: AddedNetwork, data: bytes) -> Mapping[str, Layer]:
    """Return all tensors of the network that can be read, its first output before the others.

    Raises:
        WeightsError: OpenVINO cannot read the file.
    """
    import onnx

    from featurekit.networks.engines.openvino import import_openvino

    openvino, size = import_openvino(), added.preprocessing.input_size
    graph = onnx.load_model_from_string(data).graph
    names = [name for node in graph.node for name in node.output if name]
    try:
        model = openvino.Core().read_model(with_outputs(data, names))
        model.reshape({model.input(0): [1, 3, size, size]})
    except (RuntimeError, EngineError) as error:
        raise WeightsError(
            f"OpenVINO cannot read {added.name}: {str(error).strip().splitlines()[-1].strip()}"
        ) from error
    shapes = {
        name: tuple(one.partial_shape.to_shape()) if one.partial_shape.is_static else ()
        for one in model.outputs
        for name in one.names
    }
    first = graph.output[0].name
    found = {}
    for source in sorted(names, key=lambda name: name != first):
        layer = Layer.of_shape(shapes.get(source, ()))
        if layer is not None:
            found[_plain(source)] = Layer(layer.kind, layer.length, layer.n_prefix, source)
    if _plain(first) not in found:
        raise WeightsError(f"The output of {added.name} is neither a vector nor a feature map.")
    return found


def _plain(tensor: str) -> str:
    """Return the name of a tensor with letters, digits, dots, _ and - only.

    >>> _plain("/layer4/conv/Conv_output_0")
    'layer4.conv.Conv_output_0'
    """
    return re.sub(r"[^\w.-]+", ".", tensor).strip(".")


SCHEMES.add(
    Scheme(
        name="onnx",
        about="an ONNX file that you have",
        library="",
        read=read,
        load=load,
        probe=probe,
        where=where,
    )
)
