"""PyTorch, the engine for torch modules on a GPU."""

import ctypes
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.networks.engines import ENGINES, Achieved, Engine, Network

if TYPE_CHECKING:
    import torch


GPU_BATCH = 256

# Numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_memory() -> None:
    """Let this process keep memory that it frees for later use; call this before threads are started.

    A training step frees as many large arrays as it allocates. By default, glibc returns their memory to the
    kernel, and has to request and clear new memory in the next step, which takes time. All threads share one
    heap, because a heap for each thread could not have arrays of more than 32 MB. With another C library than
    glibc this function does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        for option, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1)):
            mallopt(option, value)


class TorchSession:
    """A torch module in evaluation mode.

    On a CPU, each call runs a single image, so that results do not depend on the batch. On a GPU, the next
    images are sent while the last ones are computed. If a batch does not fit into the GPU's memory, the batch
    size is halved for all later calls.

    Raises:
        EngineError: the network is an ONNX file, or int8 was requested.
    """

    def __init__(self, network: Network, device: str, precision: str, threads: int) -> None:
        import torch

        if network.module is None:
            raise EngineError(f"The engine torch runs torch modules, but {network.name} is an ONNX file.")
        if precision == "int8":
            raise EngineError("The engine torch computes in fp32 and bf16 only. Use another precision.")
        self._device = torch.device(device)
        self._bf16 = precision == "bf16"
        self.batch = 1 if device == "cpu" else GPU_BATCH
        # eval() freezes dropout and batch-norm statistics.
        self._module = network.module().eval().to(self._device).to(memory_format=torch.channels_last)
        self._name, self._normalization = network.name, network.normalization
        got = next(self._module.parameters()).device
        name = f"cuda: {torch.cuda.get_device_name(got)}" if got.type == "cuda" else got.type
        self.achieved = Achieved(f"torch {torch.__version__}", name, precision)

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array for each output.

        Raises:
            EngineError: not even one image fits into the GPU's memory.
        """
        import torch

        parts: list[list[NDArray[np.float32]]] = []
        done, under_way = 0, None
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            while done < len(pixels):
                try:
                    started = self._start(pixels[done : done + self.batch])
                except torch.OutOfMemoryError as error:
                    if self.batch == 1:
                        raise EngineError(
                            f"{self._name} does not fit into the memory of the GPU. Close other programs"
                            " that use the GPU, or use --device cpu."
                        ) from error
                    self.batch //= 2
                    torch.cuda.empty_cache()
                    continue
                if under_way is not None:
                    parts.append([output.float().cpu().numpy() for output in under_way])
                under_way, done = started, done + self.batch
            if under_way is not None:
                parts.append([output.float().cpu().numpy() for output in under_way])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _start(self, pixels: NDArray[np.uint8]) -> "Sequence[torch.Tensor]":
        """Send images to the device and through the network; on a GPU, return before the result is there."""
        import torch

        batch = torch.tensor(pixels)
        if self._device.type == "cuda":
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        mean, scale = torch.tensor([self._normalization.mean, self._normalization.scale], device=self._device)
        values = ((batch.float() - mean) / scale).permute(0, 3, 1, 2)
        if self._normalization.bgr:
            values = values[:, [2, 1, 0]]
        outputs: Sequence[torch.Tensor] = self._module(values.contiguous(memory_format=torch.channels_last))
        return outputs


ENGINES.add(Engine("torch", TorchSession))
