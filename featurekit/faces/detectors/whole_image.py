"""A detector that does not search: it takes the whole image as the face, for images that are face crops."""

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors import DETECTORS, Detection, Detector


def whole_image(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
    """Return the whole image as one face without landmarks, whatever the size."""
    box = np.array([0, 0, pixels.shape[1], pixels.shape[0]], np.float32)
    return [Detection(box, np.full((5, 2), np.nan, np.float32), 1.0)]


DETECTORS.add(
    Detector(
        "whole_image",
        "no detection: the image is the face; no landmarks",
        None,
        lambda weights, device, precision, threads: whole_image,
        searches=False,
        gives_landmarks=False,
    )
)
