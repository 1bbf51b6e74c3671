"""What every engine that reads ONNX files needs done to them first."""

from collections.abc import Sequence

from featurekit.errors import EngineError


def with_outputs(model_bytes: bytes, outputs: Sequence[str]) -> bytes:
    """Return the network with exactly these tensors, inner ones too, as its outputs.

    Raises:
        EngineError: it has no tensor of that name, or stores weights outside the file.
    """
    import onnx

    model = onnx.load_model_from_string(model_bytes)
    graph = model.graph
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        raise EngineError("The ONNX file keeps weights in other files; featurekit reads single files only.")
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
