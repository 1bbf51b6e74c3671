"""What every network that searches for faces needs: a square frame, and one box for each face.

Coordinates are continuous here: the image's upper left corner is (0, 0), the
middle of its first pixel (0.5, 0.5). So a point of a frame becomes a point of
the image by a division, and an image of twice the size has boxes of exactly
twice the size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors import Detection


def import_cv2() -> Any:
    """Return OpenCV, kept to one thread: featurekit runs one image a thread instead."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


def fit_frame(
    pixels: NDArray[np.uint8], size: int, inner: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Scale an image into a black square.

    Args:
        pixels: the image, shape (h, w, 3).
        size: side of the square in pixels. An image that is such a square is returned as it is.
        inner: what the longer side of the image becomes, in pixels; the rest is a border of equal width on
            the left and above, and at least that wide on the right and below. None for size.

    Returns:
        The frame (size, size, 3), and how many of its pixels one pixel of the image became, (x, y);
        the two differ by rounding only.
    """
    longer, margin = inner or size, (size - (inner or size)) // 2
    height, width = pixels.shape[:2]
    if height == width == longer == size:
        return pixels, np.ones(2, np.float32)
    cv2 = import_cv2()
    scale = longer / max(height, width)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    frame = np.zeros((size, size, 3), np.uint8)
    there = frame[margin : margin + fitted[1], margin : margin + fitted[0]]
    if fitted == (width, height):
        there[:] = pixels
    else:
        # Bilinear sampling drops pixels if it reduces by more than two, so whole blocks are averaged first.
        # (INTER_AREA does both in one step, and takes four times as long.)
        block = max(int(1 / scale), 1)
        x, y = block * fitted[0] / width, block * fitted[1] / height
        there[:] = cv2.warpAffine(
            by_blocks(pixels, block),
            np.array([[1 / x, 0, 0.5 / x - 0.5], [0, 1 / y, 0.5 / y - 0.5]]),
            fitted,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return frame, np.array([fitted[0] / width, fitted[1] / height], np.float32)


def by_blocks(pixels: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Return an image whose pixels are the means of blocks of pixels: no pixel is dropped or shifted.

    Blocks that reach beyond the image are filled with its edge.
    """
    cv2 = import_cv2()
    if block == 1:
        return np.ascontiguousarray(pixels)
    high, wide = -pixels.shape[0] % block, -pixels.shape[1] % block
    whole = cv2.copyMakeBorder(pixels, 0, high, 0, wide, cv2.BORDER_REPLICATE) if high or wide else pixels
    blocks = (whole.shape[1] // block, whole.shape[0] // block)
    return np.asarray(cv2.resize(np.ascontiguousarray(whole), blocks, interpolation=cv2.INTER_AREA))


def detections(
    boxes: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    confidences: NDArray[np.float32],
    scale: NDArray[np.float32],
    *,
    overlap: float,
) -> list[Detection]:
    """Return one detection a face, most confident first, in pixels of the image.

    Args:
        boxes: x1, y1, x2, y2 in the frame, shape (n, 4).
        landmarks: in the frame, shape (n, 5, 2).
        confidences: shape (n,).
        scale: what fit_frame() returned.
        overlap: of two boxes that share more than this part of their union, the less confident is dropped.
    """
    if not len(boxes):
        return []
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    # Of equal confidences the earlier one counts. A threshold of 0 keeps every box that is confident at all.
    kept = np.array(
        import_cv2().dnn.NMSBoxes(corners.tolist(), confidences.tolist(), 0.0, overlap), dtype=np.intp
    )
    boxes = (boxes[kept] / np.tile(scale, 2)).astype(np.float32)
    landmarks = (landmarks[kept] / scale).astype(np.float32)
    return [
        Detection(box, points, min(max(confidence, 0.0), 1.0))
        for box, points, confidence in zip(boxes, landmarks, confidences[kept].tolist(), strict=True)
    ]


def intersection_over_union(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what each of boxes (n, 4) shares with box (4,), as a part of their union.

    >>> intersection_over_union(np.float32([0, 0, 2, 2]), np.float32([[1, 0, 3, 2], [5, 5, 6, 6]]))
    array([0.33333333, 0.        ])
    """
    one, many = box.astype(np.float64), boxes.astype(np.float64)
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:], many[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    union = np.prod(one[2:] - one[:2]) + np.prod(many[:, 2:] - many[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))
