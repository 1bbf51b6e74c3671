"""What the features of grey images share: OpenCV in one thread, and the conversion from colour to grey."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def import_cv2() -> Any:
    """Return OpenCV, limited to one thread: featurekit computes one image in each thread instead."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


def grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop in grey, 0.299 red + 0.587 green + 0.114 blue (OpenCV's COLOR_RGB2GRAY), shape (s, s)."""
    cv2 = import_cv2()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY), np.uint8)
