"""Check and change an ONNX file before an engine reads it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from featurekit.errors import EngineError

# A weight nearer to 0 than this counts as 0. Weight decay leaves dead filters with weights that processors
# multiply by microcode, which made a network five times slower; engines could be told to flush them, but
# OpenVINO then does so for every computation of the thread that asked.
NO_WEIGHT = 1e-30


def with_outputs(model_bytes: bytes, outputs: Sequence[str]) -> bytes:
    """Return the network with exactly these tensors, inner ones too, as its outputs; see also NO_WEIGHT.

    Raises:
        EngineError: it has no tensor of that name, or parse_alone() refuses it.
    """
    import onnx

    model = parse_alone(model_bytes)
    graph = model.graph
    for tensor in graph.initializer:
        _without_specks(tensor)
    inner = {name for node in graph.node for name in node.output}
    if missing := [name for name in outputs if name not in inner]:
        raise EngineError(f"The ONNX file has no tensor '{missing[0]}'. Last ones: {sorted(inner)[-8:]}.")
    del graph.output[:]
    # No shape is declared: files have been seen to declare another one than they give.
    graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs
    )
    # Old exporters list weights among the inputs; only the image is one.
    stored = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.input if value.name in stored]:
        graph.input.remove(value)
    return bytes(model.SerializeToString())


def parse_alone(model_bytes: bytes) -> Any:
    """Return an ONNX model that is complete in these bytes and uses only ONNX's own operations.

    Engines would open the other files that a tensor names, wherever they are.

    Raises:
        EngineError: it is no ONNX model, keeps a tensor in another file, or brings operations of its own.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(model_bytes)
    except DecodeError as error:
        raise EngineError("The file is not an ONNX model.") from error
    strange = {function.name for function in model.functions}
    for graph in _graphs(model.graph):
        strange |= {node.op_type for node in graph.node if node.domain not in ("", "ai.onnx")}
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(graph)):
            raise EngineError(
                "The ONNX file stores its weights in other files. featurekit reads only single files."
            )
    if strange:
        raise EngineError(
            f"The ONNX file uses operations that are not part of ONNX: {', '.join(sorted(strange))}."
        )
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those inside its nodes: the branches of If, the body of Loop."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield the tensors of a graph, without those of the graphs inside its nodes."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    yield from graph.initializer
    yield from (tensor for attribute in attributes for tensor in (attribute.t, *attribute.tensors))
    sparse = [one for each in attributes for one in (each.sparse_tensor, *each.sparse_tensors)]
    for pair in (*graph.sparse_initializer, *sparse):
        yield from (pair.values, pair.indices)


def _without_specks(tensor: Any) -> None:
    """Set the weights of a tensor that are nearer to 0 than NO_WEIGHT to 0."""
    import onnx

    if tensor.data_type == onnx.TensorProto.FLOAT:
        weights = onnx.numpy_helper.to_array(tensor)
        speck = (np.abs(weights) < NO_WEIGHT) & (weights != 0)
        if speck.any():
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(np.where(speck, np.float32(0), weights), tensor.name)
            )
