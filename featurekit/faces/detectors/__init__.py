"""Find faces on an image.

A detector is one file here. It takes upright RGB pixels and the side of the
square frame in which it should search them, and returns boxes and landmarks in
pixels of the image it was given. featurekit.faces.find chooses the face, adds a
border and makes further attempts, for all detectors alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurekit.registry import Registry


@dataclass(frozen=True)
class Detection:
    """One face on an image; pixels, x to the right, y down, origin in the upper left corner.

    Attributes:
        box: x1, y1, x2, y2; float32, shape (4,); may reach beyond the image.
        landmarks: left eye, right eye, nose tip, left and right mouth corner as seen by the reader
            of the image; float32, shape (5, 2); NaN where the detector gives none.
        confidence: between 0 and 1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidence: float


class FaceFinder(Protocol):
    """A detector that is ready to run."""

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return every face on pixels (h, w, 3), most confident first, searching size × size pixels."""


@dataclass(frozen=True)
class Detector:
    """One way to find faces.

    Attributes:
        name: what users call it.
        about: one line for `featurekit list detectors`.
        weights: its entry in the table of weights, or None if it needs none.
        settings: everything else that decides what it finds (threshold, overlap, ...); part of the Recipe.
        open: (weights file's bytes or b"", device, precision, threads) → a detector ready to run.
        searches: whether it searches for faces, so that it gets frames of several sizes; False for one that
            takes every image for a face.
        version: version of the code that finds faces, for a detector that is not featurekit's own; another
            version is another recipe. "" for the version of its package.
    """

    name: str
    about: str
    weights: str | None
    open: Callable[[bytes, str, str, int], FaceFinder]
    settings: Mapping[str, Any] = field(default_factory=dict)
    searches: bool = True
    version: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """What a recipe states of it: its settings, and the version of code that is not featurekit's own."""
        code = DETECTORS.code_of(self.name, self.version)
        return {**self.settings, "code": code} if code else dict(self.settings)


DETECTORS: Registry[Detector] = Registry(
    "detector", "featurekit.faces.detectors", Detector, "featurekit.detectors"
)
