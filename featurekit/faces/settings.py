"""The settings that decide how faces are searched for, and which face of an image is used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

from annotated_types import Interval, Len

from featurekit.errors import EmbeddingError, UnknownNameError, WeightsError
from featurekit.faces import images
from featurekit.faces.detectors import DETECTORS
from featurekit.networks import weights
from featurekit.records import Hash, Word
from featurekit.registry import unknown

# Raise both whenever faces are cut out differently, and the first whenever other faces are found.
FACES_VERSION = 4
_WHOLE_IMAGE_VERSION = 3  # of detectors that do not search, and so find what they always found

CHOICES = ("center", "largest", "box", "only", "all")

# (side of the frame in pixels, border on each side as a part of the image's longer side)
# Detectors miss faces that fill the image, and find them small, with a wide border.
ATTEMPTS = ((96, 0.1), (128, 0.5), (320, 0.25), (640, 0.1), (640, 0.5))

_Side = Annotated[int, Interval(ge=0, le=4096)]
_Border = Annotated[float, Interval(ge=0, le=4096)]


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """All settings that decide which face of an image is used.

    Attributes:
        detector: name of the face detector, one of DETECTORS.
        weights_sha256: sha256 of the detector's weight file; "" if it has no weight file.
        attempts: pairs of (size, border), in the order in which they are tried. Size is the side in pixels of
            the square that the image is scaled to; border is the width of the border around the image, as a
            fraction of the image's longer side. An image that is smaller is not enlarged, and gets a
            smaller square. After an attempt with a small face, a square between two sizes may be tried.
        choose: which of several faces is used. "center" uses the face nearest to the middle of the image,
            "largest" the largest face, "box" the face in the box that the manifest gives, and "all" every
            face. "only" uses no face of an image with several faces: the image gets the status many_faces.
        min_face: smallest shorter side of a face's box, in pixels of the image; smaller faces are not used.
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
                "attempts must be pairs of a size that is a multiple of 32, and a border that is at least 0."
                f" Got {self.attempts} instead."
            )

    def recipe(self) -> dict[str, Any]:
        """Return all settings that decide which face and landmarks are found, as plain JSON values."""
        detector = DETECTORS[self.detector]
        return {
            "decoding": dict(images.DECODING),
            "detector": self.detector,
            "detector_settings": detector.facts,
            "detector_weights": self.weights_sha256,
            "attempts": [list(attempt) for attempt in self.attempts],
            "choose": self.choose,
            "min_face": self.min_face,
            "faces_version": FACES_VERSION if detector.searches else _WHOLE_IMAGE_VERSION,
        }


def default_settings(
    detector: str = "centerface", choose: str = "center", detector_weights: str | Path | None = None
) -> FaceSettings:
    """Return the settings for a detector, with the hash of its weight file.

    Args:
        detector: name of the face detector, one of DETECTORS.
        choose: which of several faces is used, see FaceSettings.
        detector_weights: other weights for the detector: a name in the table of weights, or the path of a
            file, which is copied into featurekit's home folder. None for the detector's own weights.

    Raises:
        UnknownNameError: there is no such detector, or no such way to choose a face.
        WeightsError: the detector does not use weights, or the file cannot be read.
    """
    own = DETECTORS[detector].weights
    if own is None and detector_weights:
        raise WeightsError(f"The detector {detector} does not use weights, so none can be chosen.")
    if not DETECTORS[detector].searches:  # it finds the same in every frame, so one attempt is enough
        return FaceSettings(detector=detector, choose=choose, attempts=((32, 0.0),))
    if own is None:
        return FaceSettings(detector=detector, choose=choose)
    name = str(detector_weights or own)
    sha256 = weights.sha256_of(name) if name in weights.WEIGHTS else weights.adopt(Path(name))
    return FaceSettings(detector=detector, choose=choose, weights_sha256=sha256)


def refuse_landmarks(detector: str) -> NoReturn:
    """Raise EmbeddingError, because landmarks are needed and a detector gives none.

    Args:
        detector: name of the face detector.
    """
    raise EmbeddingError(
        f"The detector {detector} gives no landmarks, so nothing can be computed from them. Use another one,"
        " such as --detector centerface, or leave out the features that are computed from landmarks."
    )
