"""Find faces on a picture.

A detector is one file here. It takes upright RGB pixels and the side of the
square it should look at them in, and returns boxes and landmarks in pixels of
the picture it was given. Which face is meant, padding and second attempts are
not its business: featurekit.faces.find does that for all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurekit.registry import Registry


@dataclass(frozen=True)
class Detection:
    """One face on a picture; pixels, x to the right, y down, origin in the upper left corner.

    Attributes:
        box: x1, y1, x2, y2; float32, shape (4,); may reach beyond the picture.
        landmarks: left eye, right eye, nose tip, left and right mouth corner as seen by the reader
            of the picture; float32, shape (5, 2); NaN where the detector gives none.
        confidence: between 0 and 1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidence: float


class FaceFinder(Protocol):
    """A detector that is ready to run."""

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return every face on pixels (h, w, 3), most confident first, looking at size × size pixels."""


@dataclass(frozen=True)
class Detector:
    """One way to find faces.

    Attributes:
        name: what users call it.
        about: one line for `featurekit list detectors`.
        weights: its entry in the table of weights, or None where it needs none.
        settings: everything else that decides what it finds (threshold, overlap, ...); part of the Recipe.
        open: (weights file's bytes or b"", device, precision, threads) → a detector ready to run.
        searches: whether it looks for faces, so that it is shown frames of several sizes; False for one that
            takes every picture for a face.
        version: of the code that finds faces, for a detector that is not featurekit's own; another version
            is another recipe. "" for the version of its package.
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
        """What a recipe holds of it: its settings, and the version of code that is not featurekit's own."""
        code = DETECTORS.code_of(self.name, self.version)
        return {**self.settings, "code": code} if code else dict(self.settings)


DETECTORS: Registry[Detector] = Registry(
    "detector", "featurekit.faces.detectors", Detector, "featurekit.detectors"
)
