"""YuNet, OpenCV's small face detector with five landmarks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors import DETECTORS, Detection, Detector
from featurekit.faces.detectors._frame import detections, fit_frame
from featurekit.networks.engines import Network, Normalization, Session, open_session

SETTINGS: Mapping[str, Any] = {"threshold": 0.6, "overlap": 0.3}

_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)


class YuNet:
    """YuNet, ready to run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return every face, most confident first, in pixels of the image."""
        frame, scale = fit_frame(pixels, size)
        outputs = dict(zip(_OUTPUTS, (output[0] for output in self._session(frame[None])), strict=True))
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


def open_yunet(weights: bytes, device: str, precision: str, threads: int) -> YuNet:
    """Make YuNet ready to run.

    Raises:
        EngineError: the device or the precision is not available.
    """
    network = Network(name="yunet", outputs=_OUTPUTS, normalization=Normalization(bgr=True), onnx=weights)
    return YuNet(open_session(network, device=device, precision=precision, threads=threads))


DETECTORS.add(
    Detector(
        "yunet",
        "OpenCV Zoo's small detector, five landmarks (Apache-2.0)",
        "yunet_n_dynamic",
        open_yunet,
        SETTINGS,
    )
)
