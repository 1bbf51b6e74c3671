"""OpenVINO, the engine for CPUs.

Every image is computed separately, by a single thread. Therefore the vector of a face does not depend on the
batch, the order or the number of threads. Each thread has its own compiled copy of the network, because
threads that share one wait for each other: with two threads, this took 1.5 times as long. A large network is
compiled only once for all threads, because the waiting is a small part of its time.
"""

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError, WorkspaceError
from featurekit.files import whole_file
from featurekit.networks.engines import (
    ENGINES,
    Achieved,
    Engine,
    Network,
    Normalization,
    stack_rows,
    usable_cores,
)
from featurekit.networks.engines._onnx import NO_WEIGHT, with_outputs
from featurekit.networks.weights import home

# In an int8 network, what is not quantized is computed in fp32.
_PRECISION = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
_INT8 = {"u8", "i8"}
# Raise whenever a torch module is converted differently: files of earlier versions are then not used.
_KEPT_VERSION = "1"
_KEPT_BYTES = 256 * 2**20
# Weights, in bytes, up to which each thread has a compiled network of its own.
_SMALL = 64 * 2**20


def import_openvino() -> Any:
    """Import openvino without letting it report the import to an analytics service, and return the module."""
    # openvino asks for this module and goes on without it; the real one opens a
    # socket and writes below HOME.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "do not import"
    import openvino

    return openvino


class OpenVINOSession:
    """A network that is compiled for the CPU; it is compiled again for each new size of its input.

    Raises:
        EngineError: another device was requested, bf16 on a processor without bf16, or an int8 network that
            is not in the folder of the weights.
    """

    batch = 1

    def __init__(self, network: Network, device: str, precision: str, threads: int) -> None:
        if device != "cpu":
            raise EngineError(f"The engine openvino runs on the cpu only. Got '{device}' instead.")
        self._openvino = import_openvino()
        self._network = network
        self._precision = precision
        self._threads = threads or usable_cores()
        self._model = read_model(self._openvino, network)
        weights = (node for node in self._model.get_ops() if node.get_type_name() == "Constant")
        self._is_small = sum(node.get_data().nbytes for node in weights) <= _SMALL
        self._sizes: dict[tuple[int, int], Any] = {}
        self._spare: dict[tuple[int, int], Any] = {}
        self._own = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._compiling = threading.Lock()
        side = network.input_size or 64
        first = self._spare[side, side] = self._compiled((side, side))
        got = _precision_of(first)
        if got != precision:
            raise EngineError(
                f"This processor cannot run {network.name} in {precision}: OpenVINO chose {got}."
                f" Use --precision {got}."
            )
        self.achieved = Achieved(
            f"openvino {self._openvino.__version__.split('-')[0]}",
            "+".join(map(str, first.get_property("EXECUTION_DEVICES"))).lower(),
            got,
        )

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array for each output; several threads may call this at once."""
        if len(pixels) == 1 or self._threads == 1:
            return stack_rows([self._one(image) for image in pixels])
        with self._compiling:
            self._pool = self._pool or ThreadPoolExecutor(self._threads)
        return stack_rows(list(self._pool.map(self._one, pixels)))

    def _one(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run one image, in the caller's thread."""
        requests: dict[tuple[int, int], Any] = self._own.__dict__.setdefault("requests", {})
        size = (image.shape[0], image.shape[1])
        if size not in requests:
            requests[size] = self._model_for(size).create_infer_request()
        request = requests[size]
        request.infer({0: np.ascontiguousarray(image[None])}, share_inputs=True, share_outputs=True)
        return [
            np.array(request.get_output_tensor(number).data[0], dtype=np.float32)
            for number in range(len(request.model_outputs))
        ]

    def _model_for(self, size: tuple[int, int]) -> Any:
        """Return a compiled network for a thread that has none of this size yet."""
        with self._compiling:
            if size not in self._spare:
                self._spare[size] = self._compiled(size)
            # All threads share a large network.
            return self._spare.pop(size) if self._is_small else self._spare[size]

    def _compiled(self, size: tuple[int, int]) -> Any:
        if size not in self._sizes:
            self._sizes[size] = _prepared(self._openvino, self._model, self._network.normalization, size)
        streams = "1" if self._is_small else str(self._threads)
        options = {
            "INFERENCE_PRECISION_HINT": _PRECISION[self._precision],
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "ENABLE_CPU_PINNING": False,
        }
        return self._openvino.Core().compile_model(self._sizes[size], "CPU", options)


def _precision_of(compiled: Any) -> str:
    """Return the precision in which OpenVINO runs a compiled network, by its operations where it is int8."""
    runs = (node.get_rt_info() for node in compiled.get_runtime_model().get_ops())
    if any(
        one["layerType"].value == "Convolution" and one["runtimePrecision"].value in _INT8 for one in runs
    ):
        return "int8"
    kind = str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
    return next((ours for ours, theirs in _PRECISION.items() if theirs == kind), kind)


def read_model(openvino: Any, network: Network) -> Any:
    """Return the network as an OpenVINO model with exactly the outputs wanted.

    Raises:
        EngineError: OpenVINO cannot read it, or an int8 network is not in the folder of the weights.
    """
    if network.quantized:
        return _quantized(openvino, network)
    if network.onnx is not None:
        try:
            return openvino.Core().read_model(with_outputs(network.onnx, network.outputs))
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot read {network.name}: {str(error).strip().splitlines()[-1].strip()}"
            ) from error
    if not network.identity:
        return _converted(openvino, network)
    versions = [metadata.version(name) for name in ("openvino", "torch", "torchvision")]
    key = "\n".join([_KEPT_VERSION, network.identity, str(network.input_size), *versions])
    path = home() / "networks" / f"{network.name}-{sha256(key.encode()).hexdigest()[:32]}.safetensors"
    model = _kept(openvino, path)
    if model is None:
        model = _converted(openvino, network)
        _keep(openvino, model, path)
    return model


def _converted(openvino: Any, network: Network) -> Any:
    """Return a torch module as an OpenVINO model."""
    import torch

    assert network.module is not None
    side = network.input_size or 64
    with warnings.catch_warnings():
        # convert_model traces; torch has announced that tracing will go, OpenVINO has no other way yet.
        warnings.simplefilter("ignore")
        module = network.module()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter[parameter.abs() < NO_WEIGHT] = 0
        return openvino.convert_model(module, example_input=torch.zeros(1, 3, side, side))


def quantized_path(name: str, digest: str) -> Path:
    """Return the path of a network in int8 in the folder of the weights, by its sha256."""
    return home() / "networks" / f"{name}-int8-{digest[:32]}.safetensors"


def _quantized(openvino: Any, network: Network) -> Any:
    """Return an int8 network from the folder of the weights, with exactly the outputs wanted."""
    path = quantized_path(network.name, network.quantized)
    data = path.read_bytes() if path.is_file() else b""
    if sha256(data).hexdigest() != network.quantized:
        raise EngineError(
            f"The int8 network {network.name} with the hash {network.quantized[:8]} is"
            f" {'damaged' if data else 'not on this machine'}: {path}. Copy the file from the machine where"
            " it was made, or extract again."
        )
    model = _unpacked(openvino, data)
    by_name = {result.get_friendly_name(): result for result in model.get_results()}
    return openvino.Model([by_name[name] for name in network.outputs], model.get_parameters(), network.name)


def _kept(openvino: Any, path: Path) -> Any | None:
    """Return a torch module that _keep() wrote; None if there is no file, or it is damaged."""
    data = path.read_bytes() if path.is_file() else b""
    return _unpacked(openvino, data[:-32]) if sha256(data[:-32]).digest() == data[-32:] else None


def _unpacked(openvino: Any, data: bytes) -> Any:
    """Return the model of which packed() returned these bytes."""
    from safetensors.numpy import load

    parts = load(data)
    return openvino.Core().read_model(
        parts["structure"].tobytes(), openvino.Tensor(np.ascontiguousarray(parts["weights"]))
    )


def packed(openvino: Any, model: Any) -> bytes:
    """Return a model as the bytes of a safetensors file, which holds OpenVINO's two files."""
    from safetensors.numpy import save

    with TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / "network.xml", compress_to_fp16=False)
        return save(
            {
                "structure": np.fromfile(Path(folder) / "network.xml", np.uint8),
                "weights": np.fromfile(Path(folder) / "network.bin", np.uint8),
            }
        )


def _keep(openvino: Any, model: Any, path: Path) -> None:
    """Write a converted torch module, so that reading it again spares torch and the conversion.

    A large one is not written: copying it would cost more seconds than it spares.
    """
    data = packed(openvino, model)
    # A home that cannot be written costs time, not the extraction.
    with suppress(WorkspaceError):
        if len(data) <= _KEPT_BYTES:
            with whole_file(path) as file:
                file.write(data + sha256(data).digest())


def _prepared(openvino: Any, model: Any, normalization: Normalization, size: tuple[int, int]) -> Any:
    """Return a copy for one image of uint8 RGB pixels, its normalization built in."""
    model = model.clone()
    model.reshape({model.input(0): [1, 3, *size]})
    steps = openvino.preprocess.PrePostProcessor(model)
    layout, element = openvino.Layout, openvino.Type
    colors = openvino.preprocess.ColorFormat
    pixels = steps.input(0)
    pixels.tensor().set_element_type(element.u8).set_layout(layout("NHWC")).set_color_format(colors.RGB)
    pixels.model().set_layout(layout("NCHW"))
    pixels.preprocess().convert_element_type(element.f32)
    if normalization.bgr:
        pixels.preprocess().convert_color(colors.BGR)
    step = -1 if normalization.bgr else 1  # in the order of the channels
    pixels.preprocess().mean(list(normalization.mean[::step])).scale(list(normalization.scale[::step]))
    return steps.build()


ENGINES.add(Engine("openvino", OpenVINOSession))
