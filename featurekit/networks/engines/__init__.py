"""Run a network on a device at a precision, and report the device and precision that were achieved.

A *network* is data: bytes or a torch module with its input size, normalization
and layers. An *engine* turns it into a session, a function from uint8 pixels to
one float32 array a layer. Nothing of torch, OpenVINO or ONNX Runtime leaks out.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.registry import Registry

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Normalization:
    """What a network wants done to RGB values of 0 to 255: (rgb - mean) / scale, channel by channel.

    Attributes:
        mean: taken away, in the order red, green, blue.
        scale: divided by, in the same order.
        bgr: whether the network wants blue first.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


AS_IT_IS = Normalization()


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network as data.

    Attributes:
        name: name of the backbone or detector, for messages.
        outputs: what to read, in this order: names of ONNX tensors (inner ones too), or one name
            for each array the torch module returns.
        normalization: what it wants done to the pixels first.
        onnx: the network as an ONNX file's bytes, or
        module: a function that makes it as a torch module: (n, 3, s, s) → a tuple with one array for
            each output.
        input_size: side of its square input in pixels; None if it takes any multiple of 32.
        identity: everything that decides the network, e.g. the hash of its weights and its layers. An engine
            may keep the converted network under this name; "" to keep nothing.
    """

    name: str
    outputs: tuple[str, ...]
    normalization: Normalization = AS_IT_IS
    onnx: bytes | None = None
    module: "Callable[[], torch.nn.Module] | None" = None
    input_size: int | None = None
    identity: str = ""

    def __post_init__(self) -> None:
        if (self.onnx is None) == (self.module is None):
            raise ValueError(f"{self.name} must be either ONNX bytes or a torch module.")


@dataclass(frozen=True)
class Achieved:
    """What a session runs on, read back from the engine, never from what was asked for.

    Attributes:
        engine: its name and version, e.g. "openvino 2026.4".
        device: e.g. "cpu" or "cuda: NVIDIA H200".
        precision: "fp32" or "bf16".
    """

    engine: str
    device: str
    precision: str


class Session(Protocol):
    """A network ready to run.

    Attributes:
        achieved: what it runs on.
        batch: how many images a call should contain; 1 if each thread should make its own calls.
    """

    achieved: Achieved
    batch: int

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array for each layer, from pixels of shape (n, s, s, 3), red first.

        On a CPU a row depends on its own pixels alone: not on the batch, the order or the threads.
        """


@dataclass(frozen=True)
class Engine:
    """One way to run networks.

    Attributes:
        name: what users call it.
        open: (network, device, precision, threads) → session; raises EngineError.
    """

    name: str
    open: Callable[[Network, str, str, int], Session]


ENGINES: Registry[Engine] = Registry("engine", "featurekit.networks.engines", Engine)


def open_session(
    network: Network, *, device: str = "auto", precision: str = "auto", engine: str = "auto", threads: int = 0
) -> Session:
    """Make a network ready to run.

    Args:
        network: what to run.
        device: "cpu", "cuda", or "auto" for a GPU if torch can use one.
        precision: "fp32", "bf16", or "auto": see resolve().
        engine: a name of ENGINES, or "auto": OpenVINO on a CPU; on a GPU torch, or ONNX
            Runtime for ONNX files.
        threads: how many to use; 0 for one per core.

    Raises:
        EngineError: the device or the precision is not available; nothing else is used in its place.
    """
    device, precision = resolve(device, precision)
    if engine == "auto":
        engine = "openvino" if device == "cpu" else "torch" if network.module else "onnxruntime"
    return ENGINES[engine].open(network, device, precision, threads)


def resolve(device: str, precision: str) -> tuple[str, str]:
    """Return the device and the precision that "auto" stands for here, before anything is loaded.

    The precision is bf16 on a GPU and on a processor with AMX, else fp32: with AVX-512's bf16 alone, where
    benchmarks/precision.py saw no score move by more than 0.002, the networks take longer than in fp32.

    Raises:
        EngineError: a word that is no device or no precision, or a GPU is asked for and cannot be used.
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
        precision = "fp32" if device == "cpu" and not has_amx() else "bf16"
    return device, precision


def has_amx() -> bool:
    """Whether the processor multiplies matrices of bf16 as a whole (AMX)."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and "amx_bf16" in info.read_text().split()


def cuda_is_usable() -> bool:
    """Whether torch can run something on a GPU here."""
    if not Path("/dev/nvidiactl").exists() and shutil.which("nvidia-smi") is None:
        return False  # no driver: spare the seconds that importing torch takes
    import torch

    return bool(torch.cuda.is_available())


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Return how many bytes could be used now without anything being swapped out."""
    info = Path("/proc/meminfo")
    if info.is_file():
        facts = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        if "MemAvailable" in facts:
            return int(facts["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def watch_memory() -> Callable[[], int | None]:
    """Return a function for the peak memory of this process since this call, in bytes; None if not known.

    Linux keeps the highest count until it is reset.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return lambda: None

    def most() -> int | None:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)

    return most


def stack_rows(rows: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[np.float32]]:
    """Turn a list of outputs for each row into an array for each output."""
    return [np.stack(column).astype(np.float32, copy=False) for column in zip(*rows, strict=True)]
