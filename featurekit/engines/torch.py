"""PyTorch, the engine for torch modules on a GPU."""

import numpy as np
from numpy.typing import NDArray

from featurekit.engines import ENGINES, Achieved, Engine, Network, cuda_is_usable
from featurekit.errors import EngineError


class TorchSession:
    """A torch module in evaluation mode; on a CPU one picture a call: a row depends on its own pixels."""

    def __init__(self, network: Network, device: str, precision: str) -> None:
        import torch

        assert network.module is not None
        self._device = torch.device(device)
        self._bf16 = precision == "bf16"
        self._batch = 1 if device == "cpu" else 64
        # eval() freezes dropout and batch-norm statistics.
        self._module = network.module().eval().to(self._device)
        self._module.to(memory_format=torch.channels_last)
        self._normalization = network.normalization

    @property
    def achieved(self) -> Achieved:
        """What it runs on, read back from where the parameters are."""
        import torch

        device = next(self._module.parameters()).device
        name = f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
        return Achieved(f"torch {torch.__version__}", name, "bf16" if self._bf16 else "fp32")

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array an output."""
        import torch

        mean = torch.tensor(self._normalization.mean, device=self._device)
        scale = torch.tensor(self._normalization.scale, device=self._device)
        parts = []
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)
        with torch.inference_mode(), autocast:
            for start in range(0, len(pixels), self._batch):
                batch = torch.tensor(pixels[start : start + self._batch], device=self._device)
                values = ((batch.float() - mean) / scale).permute(0, 3, 1, 2)
                if self._normalization.bgr:
                    values = values[:, [2, 1, 0]]
                outputs = self._module(values.contiguous(memory_format=torch.channels_last))
                parts.append([output.float().cpu().numpy() for output in outputs])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def open_torch(network: Network, device: str, precision: str, threads: int) -> TorchSession:
    """Move a torch module to a device.

    Raises:
        EngineError: no GPU can be used though one was asked for, or the network is an ONNX file.
    """
    if network.module is None:
        raise EngineError(f"The engine torch runs torch modules; {network.name} is an ONNX file.")
    if device == "cuda" and not cuda_is_usable():
        raise EngineError(
            "Asked for cuda, but torch finds no GPU it can use."
            " Look at `featurekit doctor`, or use --device cpu."
        )
    return TorchSession(network, device, precision)


ENGINES.add(Engine("torch", open_torch))
