"""Quantize networks to int8, and keep the quantized networks beside the weights.

NNCF, Intel's library for OpenVINO, reads the ranges of all values in the network on a few hundred face crops
(post-training quantization). The ranges are those with the smallest squared error, and biases are corrected
in one layer after the other; together, this gives vectors that are nearer to those in fp32 than NNCF's
defaults. The result is a file in the folder of the weights that is named by its sha256. A note beside it says
which weights and crops it was made from, so that it is made only once. A quantized network is part of a
recipe by its sha256: other quantizations give other vectors.

Weights get only 7 of the 8 bits. Processors without VNNI add the products of two full values in 16 bits,
which overflow. With 7 bits all processors compute the same sums, so that the loss of accuracy that was
measured on one of them counts for all of them.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.files import read_plain, whole_file, write_text
from featurekit.networks import weights
from featurekit.networks.backbones import Backbone
from featurekit.networks.engines import Network, Normalization

# Raise whenever networks are quantized differently: networks that were quantized before are then not used.
_VERSION = 2
_LOG = logging.getLogger("featurekit")
_NOTE_BYTES = 10_000


def quantized_once(backbone: Backbone, calibrated_on: str, crops: Callable[[], NDArray[np.uint8]]) -> str:
    """Return the sha256 of a backbone in int8, which is quantized unless that has been done before.

    Args:
        backbone: a backbone with weights. All its layers are outputs of the quantized network.
        calibrated_on: what the crops are, in words; other crops need other words.
        crops: function that returns face crops, shape (n, input_size, input_size, 3).

    Raises:
        EngineError: NNCF is not installed.
        WeightsError: the weight file is missing, or has another hash than expected.
        WorkspaceError: the folder of the weights cannot be written.
    """
    from featurekit.networks.engines.openvino import quantized_path

    assert backbone.weights is not None
    said = {
        "backbone": backbone.name,
        "code": backbone.code,
        "weights": weights.sha256_of(backbone.weights),
        "layers": list(backbone.layers),
        "input": [backbone.template, backbone.input_size, asdict(backbone.normalization)],
        "calibrated_on": calibrated_on,
        "version": _VERSION,
    }
    key = sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    note = weights.home() / "networks" / f"{backbone.name}-int8-{key[:32]}.json"
    digest = _noted(note)
    path = quantized_path(backbone.name, digest)
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != digest:
        _LOG.warning(
            "%s is being quantized to int8, once on this machine. This takes a minute or two.",
            backbone.name,
            extra={"said_as": "note: "},
        )
        network = backbone.network(weights.read(backbone.weights), list(backbone.layers))
        data = quantize(network, list(backbone.layers), crops())
        digest = sha256(data).hexdigest()
        with whole_file(quantized_path(backbone.name, digest)) as file:
            file.write(data)
        write_text(note, json.dumps({**said, "sha256": digest}, indent=2) + "\n")
    return str(digest)


def _noted(note: Path) -> str:
    """Return the sha256 in a note; "" if there is no note, or it is damaged."""
    try:
        return str(json.loads(read_plain(note, _NOTE_BYTES))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def quantize(network: Network, names: list[str], crops: NDArray[np.uint8]) -> bytes:
    """Return a network in int8, as a file that the engine OpenVINO reads.

    The same network and crops give the same bytes on the same machine, with the same versions of NNCF and
    OpenVINO.

    Args:
        network: the network, with its input size.
        names: names of the outputs in the file, in the order of the network's outputs.
        crops: images for the calibration, shape (n, input_size, input_size, 3).

    Raises:
        EngineError: NNCF is not installed.
    """
    from featurekit.networks.engines.openvino import import_openvino, packed, read_model

    openvino = import_openvino()
    model = read_model(openvino, network)
    model.reshape({model.input(0): [1, 3, *crops.shape[1:3]]})
    values = _normalized(crops, network.normalization)
    with _quietly():
        nncf = _import_nncf()
        ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet
        model = nncf.quantize(
            model,
            nncf.Dataset([one[None] for one in values]),
            subset_size=len(values),
            target_device=nncf.TargetDevice.CPU,
            fast_bias_correction=False,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE,
                activations_range_estimator_params=ranges.HISTOGRAM,
            ),
        )
    # OpenVINO numbers operations by what the process has made before.
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
    for name, result in zip(names, model.get_results(), strict=True):
        result.set_friendly_name(name)
    return packed(openvino, model)


def _import_nncf() -> Any:
    try:
        import nncf
    except ImportError as error:
        raise EngineError(
            "int8 needs NNCF, which is not installed: pip install 'featurekit[int8]'."
        ) from error
    nncf.set_log_level(logging.ERROR)
    return nncf


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide NNCF's progress bars, and torch's warning that it could not compile code for a GPU."""
    log = logging.getLogger("torch.utils.cpp_extension")
    before, log.disabled = log.disabled, True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        log.disabled = before


def _normalized(crops: NDArray[np.uint8], normalization: Normalization) -> NDArray[np.float32]:
    """Return what the network computes with, float32, shape (n, 3, s, s)."""
    mean, scale = np.array([normalization.mean, normalization.scale], np.float32)
    values = (crops.astype(np.float32) - mean) / scale
    return np.ascontiguousarray((values[..., ::-1] if normalization.bgr else values).transpose(0, 3, 1, 2))
