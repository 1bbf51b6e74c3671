"""What is installed, on a machine that may lack dependencies of featurekit, and what can run without them."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from _in_turn import Budget

if TYPE_CHECKING:
    from featurekit.faces.settings import FaceSettings

# Module → what pip installs, without which nothing runs, and for the network that is trained.
NEEDED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "pandas": "pandas",
    "simplejpeg": "simplejpeg",
    "annotated_types": "annotated-types",
    "platformdirs": "platformdirs",
    "safetensors": "safetensors",
    "skimage": "scikit-image",
}
NEEDED_BY_CNN = {"sklearn": "scikit-learn"}


def missing(needed: Mapping[str, str]) -> list[str]:
    """Return the packages that are not installed.

    >>> missing({"json": "json", "no_such_module": "no-such-package"})
    ['no-such-package']
    """
    return [package for module, package in needed.items() if find_spec(module) is None]


def face_settings(is_trained: Mapping[str, bool], budget: Budget) -> "FaceSettings":
    """Return the settings of the best detector that can run here; what is left out is told."""
    from featurekit.faces.settings import default_settings

    if "centerface" not in is_trained:
        budget.leave_out(
            "finding faces: CenterFace's weights are not in featurekit's home, so each picture counts as a"
            " face."
        )
        return default_settings("whole_image")
    if find_spec("openvino"):
        return default_settings("centerface")
    if missing({"onnx": "onnx", "onnxruntime": "onnxruntime"}):
        budget.leave_out(
            "finding faces: neither openvino nor onnx with onnxruntime is installed, so each picture"
            " counts as a face."
        )
        return default_settings("whole_image")
    budget.leave_out(
        "openvino, which is not installed: CenterFace runs in ONNX Runtime, in threads instead of"
        " helper processes."
    )
    return default_settings(centerface_in_onnxruntime())


def centerface_in_onnxruntime() -> str:
    """Register CenterFace in ONNX Runtime as a detector of this session, and return its name."""
    from unittest.mock import patch

    from featurekit.faces.detectors import DETECTORS, FaceFinder, centerface
    from featurekit.networks.engines import open_session

    def opened(data: bytes, device: str, precision: str, threads: int) -> FaceFinder:
        with patch.object(centerface, "open_session", partial(open_session, engine="onnxruntime")):
            return centerface.open_centerface(data, device, precision, 1)

    name = "centerface_in_onnxruntime"
    DETECTORS.add(replace(DETECTORS["centerface"], name=name, about="for a benchmark", open=opened))
    return name


def versions() -> dict[str, str]:
    """Return the versions that decide the speed, of what is installed."""
    from featurekit import __version__

    found = {"featurekit": __version__, "python": platform.python_version()}
    names = ("torch", "torchvision", "numpy", "pillow", "simplejpeg", "openvino", "onnxruntime")
    for name in (*names, "opencv-python", "opencv-python-headless"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
