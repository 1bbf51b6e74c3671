"""What every engine that reads ONNX files needs done to them first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurekit.errors import EngineError

# A weight nearer to 0 than this counts as 0. Weight decay leaves dead filters with weights that processors
# multiply by microcode, which made a network five times slower; engines could be told to flush them, but
# OpenVINO then does so for every computation of the thread that asked.
NO_WEIGHT = 1e-30


def with_outputs(model_bytes: bytes, outputs: Sequence[str]) -> bytes:
    """Return the network with exactly these tensors, inner ones too, as its outputs; see NO_WEIGHT too.

    Raises:
        EngineError: it has no tensor of that name, or stores weights outside the file.
    """
    import onnx

    model = onnx.load_model_from_string(model_bytes)
    graph = model.graph
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        raise EngineError("The ONNX file keeps weights in other files; featurekit reads single files only.")
    for tensor in graph.initializer:
        _without_specks(tensor)
    inner = {name for node in graph.node for name in node.output}
    wanted = []
    for name in outputs:
        if name not in inner:
            raise EngineError(f"The ONNX file has no tensor '{name}'. Last ones: {sorted(inner)[-8:]}.")
        # No shape is declared: files have been seen to declare another one than they give.
        wanted.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    del graph.output[:]
    graph.output.extend(wanted)
    # Old exporters list weights among the inputs; only the picture is one.
    stored = {tensor.name for tensor in graph.initializer}
    pictures = [value for value in graph.input if value.name not in stored]
    del graph.input[:]
    graph.input.extend(pictures)
    return bytes(model.SerializeToString())


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
