"""Run a network on a device in a precision, and report the device and precision that were really used.

A network is ONNX bytes or a torch module, with its input size, normalization and layers. An engine is a
library that runs networks: torch, OpenVINO or ONNX Runtime. It turns a network into a session, which is a
function of uint8 pixels that returns a float32 array for each layer.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.networks.precisions import fastest_precision
from featurekit.registry import Registry

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "int8")


@dataclass(frozen=True)
class Normalization:
    """Normalization of RGB values from 0 to 255: (rgb - mean) / scale, channel by channel.

    Attributes:
        mean: value to subtract from each channel, in the order red, green, blue.
        scale: value to divide each channel by, in the same order.
        bgr: whether the network takes the channels in the order blue, green, red.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


AS_IT_IS = Normalization()


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, before an engine makes it ready to run.

    Attributes:
        name: name of the backbone or detector, for messages.
        outputs: names of the outputs to return, in this order: names of ONNX tensors, also inside the
            network, or one name for each array that the torch module returns.
        normalization: normalization of the pixels before the first layer.
        onnx: the network as the bytes of an ONNX file; None if module is given.
        module: function that returns the network as a torch module, which takes pixels of shape (n, 3, s, s)
            and returns a tuple with one array for each output; None if onnx is given.
        input_size: side of the square input in pixels; None if the network takes any multiple of 32.
        identity: text that changes if the network changes, e.g. the hash of its weights and its layers. An
            engine may store the converted network under this name; "" to store nothing.
        quantized: sha256 of the network in int8, which OpenVINO reads from the folder of the weights instead
            of onnx and module; its outputs have the names of outputs. "" if the network is not in int8.
    """

    name: str
    outputs: tuple[str, ...]
    normalization: Normalization = AS_IT_IS
    onnx: bytes | None = None
    module: "Callable[[], torch.nn.Module] | None" = None
    input_size: int | None = None
    identity: str = ""
    quantized: str = ""

    def __post_init__(self) -> None:
        if (self.onnx is None) == (self.module is None):
            raise ValueError(f"{self.name} must be either ONNX bytes or a torch module.")


@dataclass(frozen=True)
class Achieved:
    """The engine, device and precision that a session really uses, as the engine reports them.

    Attributes:
        engine: name and version of the engine, e.g. "openvino 2026.4".
        device: name of the device, e.g. "cpu" or "cuda: NVIDIA H200".
        precision: "fp32", "bf16" or "int8".
    """

    engine: str
    device: str
    precision: str


class Session(Protocol):
    """A network ready to run.

    Attributes:
        achieved: engine, device and precision that the session uses.
        batch: recommended number of images per call; 1 if each thread should make calls of its own.
    """

    achieved: Achieved
    batch: int

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array for each layer, given RGB pixels of shape (n, s, s, 3).

        On a CPU, the result for an image does not depend on the batch, the order or the number of threads.
        """


@dataclass(frozen=True)
class Engine:
    """A library that runs networks.

    Attributes:
        name: name of the engine for users.
        open: function of (network, device, precision, threads) that returns a session or raises EngineError.
    """

    name: str
    open: Callable[[Network, str, str, int], Session]


ENGINES: Registry[Engine] = Registry("engine", "featurekit.networks.engines", Engine)


def open_session(
    network: Network, *, device: str = "auto", precision: str = "auto", engine: str = "auto", threads: int = 0
) -> Session:
    """Return a session, which is a network that is ready to run on a device.

    Args:
        network: the network to run.
        device: "cpu", "cuda", or "auto" for a GPU if torch can use one.
        precision: "fp32", "bf16", "int8", or "auto" for the choice that resolve() documents.
        engine: a name in ENGINES, or "auto" for OpenVINO on a CPU, and on a GPU for torch, or ONNX Runtime if
            the network is an ONNX file.
        threads: number of threads; 0 for one per core.

    Raises:
        EngineError: the device or the precision is not available. No other one is used instead.
    """
    device, precision = resolve(device, precision)
    if (precision == "int8") != bool(network.quantized):
        raise EngineError(
            f"{network.name} is quantized to int8 and runs in no other precision."
            if network.quantized
            else f"{network.name} has not been quantized to int8. Use another precision."
        )
    if engine == "auto":
        engine = "openvino" if device == "cpu" else "torch" if network.module else "onnxruntime"
    return ENGINES[engine].open(network, device, precision, threads)


def resolve(device: str, precision: str) -> tuple[str, str]:
    """Return the device and the precision to use, with "auto" replaced by the choice for this machine.

    The precision is bf16 on a GPU, and on a processor the faster one by featurekit.networks.precisions. In
    benchmarks/precision.py, bf16 changed no score by more than 0.002. "auto" is never int8.

    Raises:
        EngineError: the device or the precision has an unknown name, "cuda" was requested and cannot be used,
            or int8 was requested on a GPU.
    """
    for name, value, allowed in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in allowed:
            raise EngineError(f"{name} must be one of {', '.join(allowed)}. Got '{value}' instead.")
    if device == "auto":
        device = "cuda" if cuda_is_usable() else "cpu"
    elif device == "cuda" and not cuda_is_usable():
        raise EngineError(
            "cuda was requested, but torch finds no GPU that it can use. See `featurekit doctor`, or use"
            " --device cpu."
        )
    if precision == "auto":
        precision = fastest_precision() if device == "cpu" else "bf16"
    if precision == "int8" and device != "cpu":
        raise EngineError("int8 runs on the CPU only. Use --device cpu, or another precision.")
    return device, precision


def cuda_is_usable() -> bool:
    """Whether torch can use a GPU on this machine."""
    if not Path("/dev/nvidiactl").exists() and shutil.which("nvidia-smi") is None:
        return False  # no driver: spare the seconds that importing torch takes
    import torch

    return bool(torch.cuda.is_available())


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Return the amount of free memory in bytes that can be used without swapping."""
    return _amount("/proc/meminfo", "MemAvailable") or (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    )


def watch_memory() -> Callable[[], int | None]:
    """Start measuring memory, and return a function that returns the peak in bytes, or None if not known.

    This resets the peak memory that Linux records for this process.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return lambda: None
    return lambda: _amount("/proc/self/status", "VmHWM")


def _amount(path: str, name: str) -> int | None:
    """Return an amount of memory in bytes from a file of Linux that lists amounts; None if it has none."""
    file = Path(path)
    found = re.search(rf"^{name}:\s*(\d+) kB", file.read_text() if file.is_file() else "", re.M)
    return int(found[1]) * 1024 if found else None


def stack_rows(rows: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[np.float32]]:
    """Convert a list of outputs for each row to one array for each output."""
    return [np.stack(column).astype(np.float32, copy=False) for column in zip(*rows, strict=True)]
