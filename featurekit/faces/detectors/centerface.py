"""CenterFace, the builtin face detector: a small network that gives five landmarks and needs no anchors."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError
from featurekit.faces.detectors import DETECTORS, Detection, Detector, FaceFinder
from featurekit.faces.detectors._frame import detections, fit_frame
from featurekit.networks.engines import Network, Session, open_session
from featurekit.networks.engines._onnx import parse_alone

# threshold: least confidence of a face; overlap: of two boxes that share more, one is dropped.
SETTINGS: Mapping[str, Any] = {"threshold": 0.35, "overlap": 0.3}

# heat map (1), log size (2: height, width), offset (2: y, x), landmarks (10: y, x in turn); a cell of all
# of them covers 4 × 4 pixels.
_OUTPUTS = ("537", "538", "539", "540")
_STRIDE = 4


def centerface(session: Session, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
    """Return every face that CenterFace finds on an image, the most confident face first.

    Args:
        session: the open network.
        pixels: upright RGB pixels, shape (h, w, 3).
        size: side of the square that the image is scaled to, in pixels.
    """
    frame, scale = fit_frame(pixels, size)
    heat, extent, offset, points = (output[0] for output in session(frame[None]))
    row, column = np.nonzero(heat[0] > SETTINGS["threshold"])
    height, width = np.exp(extent[:, row, column]) * _STRIDE
    x = (column + offset[1, row, column] + 0.5) * _STRIDE - width / 2
    y = (row + offset[0, row, column] + 0.5) * _STRIDE - height / 2
    # Landmarks are measured from the box's corner, in box sizes.
    marks = points[:, row, column].reshape(5, 2, -1)
    landmarks = np.stack([marks[:, 1] * width + x, marks[:, 0] * height + y], axis=-1)
    return detections(
        np.stack([x, y, x + width, y + height], axis=1).astype(np.float32),
        landmarks.transpose(1, 0, 2).astype(np.float32),
        heat[0, row, column],
        scale,
        overlap=SETTINGS["overlap"],
    )


def any_size(model_bytes: bytes) -> bytes:
    """Return the ONNX network without the input size and the output shapes that its file declares.

    The file declares an input of 10 × 3 × 32 × 32, and outputs that do not fit this input. But the network is
    fully convolutional, and takes images whose sides are any multiple of 32.

    Args:
        model_bytes: content of the ONNX file.

    Raises:
        EngineError: the network does not take images as input, or parse_alone() refuses the file.
    """
    model = parse_alone(model_bytes)
    stored = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in stored:
            sides = value.type.tensor_type.shape.dim
            if len(sides) != 4:
                raise EngineError("The ONNX file has no input for images; it is not a CenterFace file.")
            for axis, free in ((0, "n"), (2, "height"), (3, "width")):
                sides[axis].dim_param = free
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return bytes(model.SerializeToString())


def open_centerface(weights: bytes, device: str, precision: str, threads: int) -> FaceFinder:
    """Open CenterFace.

    Args:
        weights: content of the ONNX file.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        threads: number of threads that run the network.

    Raises:
        EngineError: the device or the precision is not available.
    """
    network = Network(name="centerface", outputs=_OUTPUTS, onnx=any_size(weights))
    return partial(centerface, open_session(network, device=device, precision=precision, threads=threads))


DETECTORS.add(
    Detector(
        "centerface",
        "built in: small, free and fast, five landmarks (MIT)",
        "centerface",
        open_centerface,
        SETTINGS,
    )
)
