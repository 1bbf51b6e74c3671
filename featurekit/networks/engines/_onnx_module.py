"""An ONNX file as a torch module whose weights can be trained further.

It supports the operations of small convolutional networks. (The available converters
keep the constants of a graph as constants, and half of the weights of dlib's networks
are constants.)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch

from featurekit.errors import EngineError
from featurekit.networks.engines._onnx import with_outputs


def torch_module(model_bytes: bytes, outputs: Sequence[str]) -> torch.nn.Module:
    """Return a module that computes some tensors of an ONNX file: (n, 3, s, s) → a tuple of tensors.

    Weights are parameters, in the order in which they are used; numbers of a single value, and whole
    numbers, stay constants.

    Raises:
        EngineError: the file has no such tensor, or uses an operation that is not supported.
    """
    graph = onnx.load_model_from_string(with_outputs(model_bytes, outputs)).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = _needed(graph.node, outputs)
    if unknown := sorted({node.op_type for node in nodes} - set(_OPERATIONS)):
        raise EngineError(
            f"An ONNX file with the operation {', '.join(unknown)} cannot be trained; see _onnx_module.py."
        )
    steps = [
        (
            node.op_type,
            list(node.input),
            node.output[0],
            {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute},
        )
        for node in nodes
    ]
    image = graph.input[0].name

    class Graph(torch.nn.Module):
        """The nodes of an ONNX file, one after the other."""

        def __init__(self) -> None:
            super().__init__()
            self.constants: dict[str, Any] = {}
            for _, names, _, _ in steps:
                for name in names:
                    value = values.get(name)
                    if value is None or _key(name) in self._parameters or name in self.constants:
                        continue
                    if value.dtype.kind == "f" and value.size > 1:
                        weight = torch.nn.Parameter(torch.tensor(np.array(value, np.float32)))
                        self.register_parameter(_key(name), weight)
                    else:
                        self.constants[name] = value
            # What a node computes goes through a module, so that hooks see it.
            self.results = torch.nn.ModuleList(torch.nn.Identity() for _ in steps)

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            learned = {
                name: self._parameters[_key(name)] for name in values if _key(name) in self._parameters
            }
            found: dict[str, Any] = {image: pixels, **self.constants, **learned}
            for (operation, names, output, facts), result in zip(steps, self.results, strict=True):
                given = (found[name] for name in names if name)
                found[output] = result(_OPERATIONS[operation](facts, *given))
            return tuple(found[name] for name in outputs)

    return Graph()


def _key(name: str) -> str:
    """Return the name of a tensor as that of a parameter, which cannot contain a dot."""
    return name.replace(".", "/")


def _needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Return the nodes that the outputs depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _padding(facts: dict[str, Any]) -> list[int]:
    pads = facts.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:] or facts.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise EngineError("An ONNX file that pads one side more than the other cannot be trained.")
    return list(pads[:2])


def _convolve(facts: dict[str, Any], x: Any, weight: Any, bias: Any = None) -> Any:
    return torch.nn.functional.conv2d(
        x,
        weight,
        bias,
        stride=facts.get("strides", [1, 1]),
        padding=_padding(facts),
        dilation=facts.get("dilations", [1, 1]),
        groups=facts.get("group", 1),
    )


def _pool(facts: dict[str, Any], x: Any, *, largest: bool) -> Any:
    size, stride, padding = facts["kernel_shape"], facts.get("strides", [1, 1]), _padding(facts)
    ceil = bool(facts.get("ceil_mode", 0))
    if largest:
        return torch.nn.functional.max_pool2d(x, size, stride, padding, ceil_mode=ceil)
    return torch.nn.functional.avg_pool2d(
        x, size, stride, padding, ceil, count_include_pad=bool(facts.get("count_include_pad", 0))
    )


def _pad(facts: dict[str, Any], x: Any, pads: Any, value: Any = 0.0) -> Any:
    if facts.get("mode", b"constant") != b"constant":
        raise EngineError("An ONNX file that pads with anything but a constant cannot be trained.")
    half = len(pads) // 2
    # torch wants the last axis first, and both ends of it together.
    ends = [int(one) for axis in reversed(range(half)) for one in (pads[axis], pads[axis + half])]
    return torch.nn.functional.pad(x, ends, value=float(np.asarray(value)))


def _dense(facts: dict[str, Any], x: Any, weight: Any, bias: Any = None) -> Any:
    if facts.get("transA", 0) or facts.get("alpha", 1.0) != 1.0 or facts.get("beta", 1.0) != 1.0:
        raise EngineError("An ONNX file with a scaled product of matrices cannot be trained.")
    return torch.nn.functional.linear(x, weight if facts.get("transB", 0) else weight.t(), bias)


def _plain(value: Any) -> Any:
    return float(value.reshape(-1)[0]) if isinstance(value, np.ndarray) else value


_OPERATIONS: dict[str, Any] = {
    "Add": lambda facts, a, b: _plain(a) + _plain(b),
    "AveragePool": lambda facts, x: _pool(facts, x, largest=False),
    "Conv": _convolve,
    "Flatten": lambda facts, x: x.flatten(1),
    "Gemm": _dense,
    "GlobalAveragePool": lambda facts, x: x.mean(dim=(2, 3), keepdim=True),
    "MaxPool": lambda facts, x: _pool(facts, x, largest=True),
    "Mul": lambda facts, a, b: _plain(a) * _plain(b),
    "Pad": _pad,
    "Relu": lambda facts, x: x.relu(),
    "Softmax": lambda facts, x: x.softmax(facts.get("axis", -1)),
}
