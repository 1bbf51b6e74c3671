"""A face that was found on an image, or the reason why no face was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Every status a row can end in and what it means to a reader. The store keeps them
# as numbers: append, never reorder.
STATUS_MEANINGS: Mapping[str, str] = {
    "ok": "a face was found",
    "no_face": "no face was found",
    "many_faces": "several faces were found, but one was expected",
    "too_small": "the face is too small to be read",
    "missing_file": "the file does not exist",
    "unreadable": "there is no permission to read the file",
    "empty_file": "the file is empty",
    "undecodable": "the file is not an image, or is damaged",
    "truncated": "the file is incomplete: it ends before the image does",
    "too_large": "the image is larger than the limit",
    "unsupported_format": "the format of the image is not supported",
    "bad_path": "the path is not a valid file path",
    "not_extracted": "the image has not been read yet",
    "failed": "reading the image failed with an unexpected error",
}
STATUSES = tuple(STATUS_MEANINGS)
# The statuses of images that were read, and have no face that can be used.
NO_FACE = ("no_face", "many_faces", "too_small")
# The statuses of images that exist and cannot be read.
BROKEN = ("empty_file", "undecodable", "truncated", "too_large", "unsupported_format")


@dataclass(frozen=True)
class Face:
    """A face that was found on an image, or the reason why no face was found.

    Attributes:
        status: "ok", or the reason why there is no face, one of STATUSES.
        box: x1, y1, x2, y2 of the face in pixels from the upper left corner of the upright image, float32,
            shape (4,); NaN without a face. A box may extend beyond the image.
        landmarks: left eye, right eye, nose tip, left and right mouth corner (left and right as in the
            image), float32, shape (5, 2); NaN if there are no landmarks.
        confidence: confidence of the face detector, between 0 and 1; 0 without a face.
        n_found: number of faces that the detector found on the image.
        attempt: number of the attempt (see FaceSettings) that found the face, counted from 0; -1 without a
            face.
    """

    status: str
    box: NDArray[np.float32] = field(default_factory=lambda: np.full(4, np.nan, np.float32))
    landmarks: NDArray[np.float32] = field(default_factory=lambda: np.full((5, 2), np.nan, np.float32))
    confidence: float = 0.0
    n_found: int = 0
    attempt: int = -1


def middle_of(box: NDArray[np.floating[Any]]) -> complex:
    """Return the centre of a box as a complex number x + iy."""
    return complex(box[0] + box[2], box[1] + box[3]) / 2


def shorter_side(box: NDArray[np.floating[Any]]) -> float:
    """Return the length of the shorter side of a box."""
    return float((box[2:] - box[:2]).min())
