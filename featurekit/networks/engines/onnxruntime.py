"""ONNX Runtime, the engine for ONNX files on a GPU; on a CPU, tests compare other engines with it."""

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.networks.engines import ENGINES, Achieved, Engine, Network, stack_rows
from featurekit.networks.engines._onnx import with_outputs
from featurekit.text import first_line

_REPAIR = "See `featurekit doctor`, or use --device cpu."
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntimeSession:
    """A network in ONNX Runtime, which runs one image at a time, so that results do not depend on the batch.

    Raises:
        EngineError: a GPU was requested and cannot be used, bf16 or int8 was requested on a CPU, or the
            network is a torch module.
    """

    batch = 1

    def __init__(self, network: Network, device: str, precision: str, threads: int) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        if network.onnx is None:
            raise EngineError(
                f"The engine onnxruntime runs ONNX files, but {network.name} is a torch module."
            )
        if precision != "fp32" and device == "cpu":
            raise EngineError("The engine onnxruntime computes in fp32 only. Use --precision fp32.")
        if _PROVIDERS[device] not in onnxruntime.get_available_providers():
            raise EngineError(f"{device} was requested, but this onnxruntime is built without it. {_REPAIR}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of what it places on the CPU by design
        options.intra_op_num_threads = 1 if device == "cpu" else threads
        if device == "cuda":
            # Without this a network runs on the CPU although CUDA was asked for.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                with_outputs(network.onnx, network.outputs), options, providers=[_PROVIDERS[device]]
            )
        except (
            errors.Fail,
            errors.EPFail,
            errors.InvalidGraph,
            errors.RuntimeException,
            ValueError,
        ) as error:
            raise EngineError(f"ONNX Runtime cannot use {device}: {first_line(error)}. {_REPAIR}") from error
        got = self._session.get_providers()[0]
        if got != _PROVIDERS[device]:
            raise EngineError(f"{device} was requested, but ONNX Runtime uses {got}. {_REPAIR}")
        self.achieved = Achieved(f"onnxruntime {onnxruntime.__version__}", device, "fp32")
        self._normalization = network.normalization
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return one array for each output."""
        mean, scale = np.array([self._normalization.mean, self._normalization.scale], np.float32)
        normalized = (pixels.astype(np.float32) - mean) / scale
        if self._normalization.bgr:
            normalized = normalized[..., ::-1]
        feeds = (
            {self._input: image[None]} for image in np.ascontiguousarray(normalized.transpose(0, 3, 1, 2))
        )
        return stack_rows([[output[0] for output in self._session.run(None, feed)] for feed in feeds])


ENGINES.add(Engine("onnxruntime", OnnxRuntimeSession))
