"""OpenVINO, the engine for CPUs.

Every picture is a request of its own on a stream of one thread. So a vector
depends on its own pixels alone, whatever the batch, the order or the number of
threads. Each thread that asks has a compiled network of its own, because streams
that share one wait for each other: two threads took half as long again. Only a
large network, where that is lost in the time it takes, is compiled once for all.
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
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

_PRECISION = {"fp32": "f32", "bf16": "bf16"}
# Raise whenever a torch module is converted differently: what was kept then goes unused.
_KEPT_VERSION = "1"
_KEPT_BYTES = 256 * 2**20
# Weights, in bytes, up to which each thread has a compiled network of its own.
_SMALL = 64 * 2**20


def import_openvino() -> Any:
    """Return the module openvino, kept from reporting its import to an analytics service."""
    # openvino asks for this module and goes on without it; the real one opens a
    # socket and writes below HOME.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "do not import"
    import openvino

    return openvino


class OpenVINOSession:
    """A network compiled for the CPU; an input of another size is compiled when it first occurs."""

    batch = 1

    def __init__(self, network: Network, precision: str, threads: int) -> None:
        self._openvino = import_openvino()
        self._network = network
        self._precision = precision
        self._threads = threads or usable_cores()
        self._model = _read(self._openvino, network)
        n_bytes = sum(node.get_data().nbytes for node in self._model.get_ops() if _is_constant(node))
        self._is_small = n_bytes <= _SMALL
        self._sizes: dict[tuple[int, int], Any] = {}
        self._spare: dict[tuple[int, int], Any] = {}
        self._own = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._compiling = threading.Lock()
        side = network.input_size or 64
        self._first = self._compiled((side, side))
        self._spare[side, side] = self._first

    @property
    def achieved(self) -> Achieved:
        """What it runs on, read back from the compiled network."""
        kind = self._first.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        precision = next((ours for ours, theirs in _PRECISION.items() if theirs == kind), kind)
        devices = self._first.get_property("EXECUTION_DEVICES")
        version = self._openvino.__version__.split("-")[0]
        return Achieved(f"openvino {version}", "+".join(map(str, devices)).lower(), precision)

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array an output; may be called from several threads at once."""
        if len(pixels) == 1 or self._threads == 1:
            return stack_rows([self._one(picture) for picture in pixels])
        with self._compiling:
            self._pool = self._pool or ThreadPoolExecutor(self._threads)
        return stack_rows(list(self._pool.map(self._one, pixels)))

    def _one(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run one picture, in the caller's thread."""
        requests: dict[tuple[int, int], Any] = self._own.__dict__.setdefault("requests", {})
        size = (picture.shape[0], picture.shape[1])
        if size not in requests:
            requests[size] = self._model_for(size).create_infer_request()
        request = requests[size]
        request.infer({0: np.ascontiguousarray(picture[None])}, share_inputs=True, share_outputs=True)
        outputs = range(len(request.model_outputs))
        return [np.array(request.get_output_tensor(i).data[0], dtype=np.float32) for i in outputs]

    def _model_for(self, size: tuple[int, int]) -> Any:
        """Return a compiled network for a thread that has none of this size yet."""
        with self._compiling:
            if not self._is_small:  # one for all threads
                if size not in self._spare:
                    self._spare[size] = self._compiled(size)
                return self._spare[size]
            return self._spare.pop(size, None) or self._compiled(size)

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


def _is_constant(node: Any) -> bool:
    return bool(node.get_type_name() == "Constant")


def _read(openvino: Any, network: Network) -> Any:
    """Return the network as an OpenVINO model with exactly the outputs wanted."""
    if network.onnx is not None:
        try:
            return openvino.Core().read_model(with_outputs(network.onnx, network.outputs))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise EngineError(f"OpenVINO cannot read {network.name}: {reason}") from error
    kept = _Kept(network)
    model = kept.read(openvino)
    if model is None:
        model = _converted(openvino, network)
        kept.write(openvino, model)
    return model


def _converted(openvino: Any, network: Network) -> Any:
    """Return a torch module as an OpenVINO model."""
    import warnings

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


class _Kept:
    """A converted torch module in featurekit's home: reading it again spares torch and the conversion.

    FEATUREKIT_HOME/networks/<key>.safetensors, the key being what decides the conversion. What is
    damaged is converted anew.
    """

    def __init__(self, network: Network) -> None:
        versions = [metadata.version(name) for name in ("openvino", "torch", "torchvision")]
        key = "\n".join([_KEPT_VERSION, network.identity, str(network.input_size), *versions])
        name = f"{network.name}-{sha256(key.encode()).hexdigest()[:32]}.safetensors"
        self._path = home() / "networks" / name if network.identity else None

    def read(self, openvino: Any) -> Any | None:
        """Return the model, or None where it has not been kept."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if self._path is None or not self._path.is_file():
            return None
        data = self._path.read_bytes()
        if sha256(data[:-32]).digest() != data[-32:]:
            return None
        try:
            parts = load(data[:-32])
        except SafetensorError:
            return None
        return openvino.Core().read_model(
            parts["structure"].tobytes(), openvino.Tensor(np.ascontiguousarray(parts["weights"]))
        )

    def write(self, openvino: Any, model: Any) -> None:
        """Keep the model, unless it is so large that its copy is dearer than the seconds it spares."""
        from safetensors.numpy import save

        if self._path is None:
            return
        with TemporaryDirectory() as folder:
            openvino.save_model(model, Path(folder) / "network.xml", compress_to_fp16=False)
            parts = {
                "structure": np.fromfile(Path(folder) / "network.xml", np.uint8),
                "weights": np.fromfile(Path(folder) / "network.bin", np.uint8),
            }
        data = save(parts)
        if len(data) > _KEPT_BYTES:
            return
        try:
            with whole_file(self._path) as file:
                file.write(data + sha256(data).digest())
        except WorkspaceError:
            return  # a home that cannot be written costs time, not the extraction


def _prepared(openvino: Any, model: Any, normalization: Normalization, size: tuple[int, int]) -> Any:
    """Return a copy for one picture of uint8 RGB pixels, its normalization built in."""
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
    mean, scale = list(normalization.mean), list(normalization.scale)
    if normalization.bgr:
        mean.reverse()
        scale.reverse()
    pixels.preprocess().mean(mean).scale(scale)
    return steps.build()


def open_openvino(network: Network, device: str, precision: str, threads: int) -> OpenVINOSession:
    """Compile a network for the CPU.

    Raises:
        EngineError: another device is asked for, or bf16 on a processor without it.
    """
    if device != "cpu":
        raise EngineError(f"The engine openvino runs on the cpu only. Got '{device}' instead.")
    session = OpenVINOSession(network, precision, threads)
    if session.achieved.precision != precision:
        raise EngineError(
            f"This processor cannot run {network.name} in {precision}: OpenVINO chose"
            f" {session.achieved.precision}. Use --precision {session.achieved.precision}."
        )
    return session


ENGINES.add(Engine("openvino", open_openvino))
