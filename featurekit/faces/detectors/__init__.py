"""The face detectors, which find all faces on an image.

Each detector is one module of this package. A detector takes upright RGB pixels and a size: it scales the
image to a square of this size before it searches for faces. Its boxes and landmarks are in pixels of the
given image.
For all detectors, featurekit.faces.find adds a border to the image, tries further sizes and chooses the face.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurekit.registry import Registry


@dataclass(frozen=True)
class Detection:
    """One face on an image, in pixels from the upper left corner: x to the right, y down.

    Attributes:
        box: x1, y1, x2, y2 of the face, float32, shape (4,); a box may extend beyond the image.
        landmarks: left eye, right eye, nose tip, left and right mouth corner (left and right as in the
            image), float32, shape (5, 2); NaN if the detector gives no landmarks.
        confidence: confidence of the detector, between 0 and 1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidence: float


class FaceFinder(Protocol):
    """A detector that is ready to run."""

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return every face on an image, the most confident face first.

        Args:
            pixels: upright RGB pixels, shape (h, w, 3).
            size: side of the square that the image is scaled to before it is searched, in pixels.
        """


@dataclass(frozen=True)
class Detector:
    """A face detector by name, which can be opened to find faces.

    Attributes:
        name: name that users choose the detector by.
        about: one line for `featurekit list detectors`.
        weights: name of its entry in the table of weights; None for a detector without weights.
        settings: everything else that decides which faces it finds (threshold, overlap, ...); part of the
            recipe of every vector.
        open: (bytes of the weight file or b"", device, precision, threads) → a detector ready to run.
        searches: whether it searches for faces, so that images of several sizes are tried; False for a
            detector that takes every image as one face.
        gives_landmarks: whether its faces have landmarks. Features that are computed from landmarks are
            refused with a detector that gives none.
        version: version of the detector's code, if it does not come with featurekit; vectors of another
            version are computed again. "" for the version of its package.
    """

    name: str
    about: str
    weights: str | None
    open: Callable[[bytes, str, str, int], FaceFinder]
    settings: Mapping[str, Any] = field(default_factory=dict)
    searches: bool = True
    gives_landmarks: bool = True
    version: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Settings of the detector and, if it does not come with featurekit, the version of its code."""
        code = DETECTORS.code_of(self.name, self.version)
        return {**self.settings, "code": code} if code else dict(self.settings)


DETECTORS: Registry[Detector] = Registry(
    "detector", "featurekit.faces.detectors", Detector, "featurekit.detectors"
)
