"""SCRFD, the face detector of the package insightface, in any of its sizes.

insightface runs the network; featurekit scales the image, as for every detector. insightface's own class
app.FaceAnalysis is not used, because it searches for model packs in the home folder, downloads a missing
pack, prints, and runs two sizes if no size is given.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError, WeightsError
from featurekit.faces.detectors import DETECTORS, Detection, Detector
from featurekit.faces.detectors._frame import detections, fit_frame
from featurekit.networks.engines import cuda_is_usable
from featurekit.networks.engines._onnx import parse_alone

SETTINGS: Mapping[str, Any] = {"threshold": 0.5, "overlap": 0.4}

# Of a detector inside a pack; insightface's largest has 17 MB.
MAX_BYTES = 256 * 2**20

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class InsightFaceSCRFD:
    """An SCRFD network, opened by insightface from the bytes of its ONNX file or of a pack's zip file.

    On a CPU the network runs on one thread, so that its results do not depend on the number of threads.

    Args:
        weights: content of the ONNX file or of the zip file.
        device: "auto", "cpu" or "cuda".
        precision: "auto" or "fp32".
        threads: not used.

    Raises:
        WeightsError: the bytes are not an SCRFD network, or parse_alone() refuses them.
        EngineError: the device or the precision is not available.
    """

    def __init__(self, weights: bytes, device: str, precision: str, threads: int) -> None:
        import onnxruntime
        from insightface.model_zoo import get_model
        from onnxruntime.capi.onnxruntime_pybind11_state import (
            Fail,
            InvalidArgument,
            InvalidGraph,
            InvalidProtobuf,
        )

        if device == "auto":
            device = "cuda" if cuda_is_usable() else "cpu"
        if precision == "bf16":
            raise EngineError("insightface runs SCRFD in fp32 only. Use --precision fp32.")
        network = detection_network(weights)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        with TemporaryDirectory() as folder:
            # get_model() reads a file and decides by its ending; it goes nowhere else for a path that exists.
            file = Path(folder) / "scrfd.onnx"
            file.write_bytes(network)
            try:
                parse_alone(network)
                self._model = get_model(
                    str(file),
                    providers=[_PROVIDERS[device]],
                    sess_options=options,
                    static_shape_sessions=False,  # else it reads the file again for every size
                )
            except (
                EngineError,
                Fail,
                InvalidArgument,
                InvalidGraph,
                InvalidProtobuf,
                RuntimeError,
                ValueError,
            ) as error:
                raise WeightsError(
                    f"insightface cannot open the SCRFD file: {str(error).splitlines()[0]}"
                ) from error
            if getattr(self._model, "taskname", "") != "detection":
                raise WeightsError(
                    "The file is not an SCRFD network. Give a det_*.onnx or scrfd_*.onnx file of insightface."
                )
            got = self._model.session.get_providers()[0]
            if got != _PROVIDERS[device]:
                raise EngineError(
                    f"{device} was requested, but ONNX Runtime uses {got}. See `featurekit doctor`."
                )
            # Not -1 for a CPU: that would open the session once more, with every provider there is.
            self._model.prepare(0, det_thresh=SETTINGS["threshold"], nms_thresh=SETTINGS["overlap"])

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return every face on an image, the most confident face first; see FaceFinder."""
        frame, scale = fit_frame(pixels, size)
        # A square frame of the very size is what insightface leaves as it is.
        boxes, landmarks = self._model.detect(
            np.ascontiguousarray(frame[:, :, ::-1]), input_size=(size, size)
        )
        if landmarks is None:  # files without "_kps" give boxes only
            landmarks = np.full((len(boxes), 5, 2), np.nan, np.float32)
        return detections(
            boxes[:, :4],
            landmarks,
            boxes[:, 4],
            scale,
            overlap=1.0,  # insightface has done it
        )


def detection_network(data: bytes) -> bytes:
    """Return the bytes of the detector's ONNX file.

    Args:
        data: content of the ONNX file, or of the zip file of an insightface model pack that contains it.

    Raises:
        WeightsError: the zip file contains no detector or several detectors, or cannot be unpacked.
    """
    if not data.startswith(b"PK"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as pack:
            found = sorted(
                name
                for name in pack.namelist()
                if Path(name).match("det_*.onnx") or Path(name).match("scrfd_*.onnx")
            )
            if len(found) != 1:
                raise WeightsError(
                    "The insightface pack must contain one det_*.onnx or scrfd_*.onnx file, but it contains"
                    f" {found or 'none'}. Give the ONNX file of the detector itself."
                )
            member = pack.getinfo(found[0])
            if member.file_size > MAX_BYTES:
                raise WeightsError(
                    f"{member.filename} in the insightface pack unpacks to {member.file_size:,} bytes, but"
                    f" at most {MAX_BYTES:,} are read."
                )
            return pack.read(member)
    # A RuntimeError says that it has a password.
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
        raise WeightsError(f"The insightface pack cannot be unpacked: {error}.") from error


DETECTORS.add(
    Detector(
        "insightface_scrfd",
        "SCRFD through insightface, five landmarks; its files are for non-commercial research",
        "scrfd_500m_bnkps",
        InsightFaceSCRFD,
        SETTINGS,
    )
)
