"""Which face is chosen and how it is searched for: everything that decides which faces are found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval, Len

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.faces import images
from featurekit.faces.detectors import DETECTORS
from featurekit.networks import weights
from featurekit.records import Hash, Word
from featurekit.registry import unknown

# Raise whenever featurekit.faces starts to find other faces or to cut them out differently.
FACES_VERSION = 3

CHOICES = ("center", "largest", "box", "only", "all")

# (side of the frame in pixels, border on each side as a part of the image's longer side)
ATTEMPTS = ((96, 0.1), (320, 0.25), (640, 0.1), (640, 0.5))

_Side = Annotated[int, Interval(ge=0, le=4096)]
_Border = Annotated[float, Interval(ge=0, le=4096)]


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """Everything that decides which face of an image is found.

    Attributes:
        detector: a name of DETECTORS.
        weights_sha256: hash of the detector's weight file; "" if it has none.
        attempts: (side of the frame in pixels, border on each side as a part of the image's longer
            side), in the order tried.
        choose: which of several faces is used. "center": the one nearest to the image's middle. "largest":
            the largest one. "box": the one in the manifest's box. "only": none of them (the image gets the
            status many_faces). "all": every face.
        min_face: shorter side of the smallest box that is used, in pixels of the image.
    """

    detector: Word = "centerface"
    weights_sha256: Hash = ""
    attempts: Annotated[tuple[tuple[_Side, _Border], ...], Len(1, 16)] = ATTEMPTS
    choose: Word = "center"
    min_face: _Side = 16

    def __post_init__(self) -> None:
        if self.choose not in CHOICES:
            raise UnknownNameError(unknown("way to choose a face", self.choose, list(CHOICES)))
        if not self.attempts or any(size < 32 or size % 32 or border < 0 for size, border in self.attempts):
            raise ValueError(
                f"attempts must be pairs (a multiple of 32, a border ≥ 0). Got {self.attempts} instead."
            )

    def recipe(self) -> dict[str, Any]:
        """Return everything that decides which face and landmarks are found, as plain JSON values."""
        return {
            "decoding": dict(images.DECODING),
            "detector": self.detector,
            "detector_settings": DETECTORS[self.detector].facts,
            "detector_weights": self.weights_sha256,
            "attempts": [list(attempt) for attempt in self.attempts],
            "choose": self.choose,
            "min_face": self.min_face,
            "faces_version": FACES_VERSION,
        }


def default_settings(
    detector: str = "centerface", choose: str = "center", detector_weights: str | Path | None = None
) -> FaceSettings:
    """Return the settings to use a detector with, its weight file's hash filled in.

    Args:
        detector: a name of DETECTORS.
        choose: which of several faces.
        detector_weights: another file for the detector: a name of the table of weights, or a file of the
            user's, which is copied into featurekit's home; None for the detector's own.

    Raises:
        UnknownNameError: no such detector, or no such way to choose.
        WeightsError: the detector has no use for weights, or the file cannot be read.
    """
    own = DETECTORS[detector].weights
    if own is None and detector_weights:
        raise WeightsError(f"The detector {detector} has no weights to choose.")
    if not DETECTORS[detector].searches:  # it finds the same in every frame, so one attempt is enough
        return FaceSettings(detector=detector, choose=choose, attempts=((32, 0.0),))
    if own is None:
        return FaceSettings(detector=detector, choose=choose)
    name = str(detector_weights or own)
    sha256 = weights.sha256_of(name) if name in weights.WEIGHTS else weights.adopt(Path(name))
    return FaceSettings(detector=detector, choose=choose, weights_sha256=sha256)
