"""YuNet, OpenCV's small face detector with five landmarks."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors import DETECTORS, Detection, Detector, FaceFinder
from featurekit.faces.detectors._frame import detections, fit_frame
from featurekit.networks.engines import Network, Normalization, Session, open_session

SETTINGS: Mapping[str, Any] = {"threshold": 0.6, "overlap": 0.3}

_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)


def yunet(session: Session, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
    """Return every face that YuNet finds on an image, the most confident face first.

    Args:
        session: the open network.
        pixels: upright RGB pixels, shape (h, w, 3).
        size: side of the square that the image is scaled to, in pixels.
    """
    frame, scale = fit_frame(pixels, size)
    outputs = dict(zip(_OUTPUTS, (output[0] for output in session(frame[None])), strict=True))
    boxes, landmarks, confidences = [], [], []
    for stride in _STRIDES:
        # Both are probabilities, but bf16 has been seen to leave 0..1 by a last bit.
        face, thing = (np.clip(outputs[f"{part}_{stride}"][:, 0], 0, 1) for part in ("cls", "obj"))
        confidence = np.sqrt(face * thing)
        cell = np.flatnonzero(confidence > SETTINGS["threshold"])
        # Cells are stored row by row; everything is measured from a cell's upper left corner, in strides.
        corner = np.stack([cell % (size // stride), cell // (size // stride)], axis=1)
        box = outputs[f"bbox_{stride}"][cell]
        middle, extent = (corner + box[:, :2]) * stride, np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([middle - extent / 2, middle + extent / 2], axis=1))
        landmarks.append((outputs[f"kps_{stride}"][cell].reshape(-1, 5, 2) + corner[:, None]) * stride)
        confidences.append(confidence[cell])
    return detections(
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(landmarks).astype(np.float32),
        np.concatenate(confidences).astype(np.float32),
        scale,
        overlap=SETTINGS["overlap"],
    )


def open_yunet(weights: bytes, device: str, precision: str, threads: int) -> FaceFinder:
    """Open YuNet.

    Args:
        weights: content of the ONNX file.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        threads: number of threads that run the network.

    Raises:
        EngineError: the device or the precision is not available.
    """
    network = Network(name="yunet", outputs=_OUTPUTS, normalization=Normalization(bgr=True), onnx=weights)
    return partial(yunet, open_session(network, device=device, precision=precision, threads=threads))


DETECTORS.add(
    Detector(
        "yunet",
        "OpenCV Zoo's small detector, five landmarks (Apache-2.0)",
        "yunet_n_dynamic",
        open_yunet,
        SETTINGS,
    )
)
