"""Functions that paint soft areas, lines, strands and noise on the canvas."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets._painting.outlines import CANVAS, Floats, Points


def area(outlines: Sequence[Points], softness: float) -> Floats:
    """Return a mask 0..1 of the canvas: 1 inside smooth closed outlines, soft at the edge.

    Args:
        outlines: corners of each area; the curve through them is rounded.
        softness: sigma of the edge, in pixels.
    """
    import cv2

    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for outline in outlines:
        # One call for each area, because overlapping outlines of one call would cancel each other.
        cv2.fillPoly(mask, [curve_through(outline, closed=True)], 255, shift=4, lineType=cv2.LINE_AA)
    return blurred(mask, softness)


def blurred(mask: NDArray[np.uint8], sigma: float) -> Floats:
    """Return a mask as 0..1 with soft edges."""
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma))


def curve_through(points: Points | NDArray[np.float64], *, closed: bool) -> NDArray[np.int32]:
    """Return a Catmull-Rom curve through the points, in sixteenths of a pixel as OpenCV draws them."""
    corners = np.asarray(points, np.float64)
    ends = (corners[-1:], corners[:2]) if closed else (corners[:1], corners[-1:])
    before, here, after, next_ = (
        np.concatenate([ends[0], corners, ends[1]])[k : k + len(corners) - (not closed)] for k in range(4)
    )
    t = np.linspace(0, 1, 9)[:-1, None, None]
    curve = 0.5 * (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - next_) * t**2
        + (3 * here - before - 3 * after + next_) * t**3
    )
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    if not closed:
        flat = np.concatenate([flat, corners[-1:]])
    return np.asarray(np.round(flat * 16), np.int32)


def strokes(
    lines: Sequence[NDArray[np.float64]], depths: NDArray[np.float64], width: int, softness: float
) -> Floats:
    """Return a mask of soft lines on the canvas; each has its own depth, 0..1, and is shallow at its ends."""
    import cv2

    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for line, depth in zip(lines, depths, strict=True):
        curve = curve_through(line, closed=False)
        for place in range(len(curve) - 1):
            ends = np.sin(np.pi * (place + 0.7) / (len(curve) + 0.4)) ** 0.7
            cv2.line(mask, curve[place], curve[place + 1], float(255 * depth * ends), width, cv2.LINE_AA, 4)
    return blurred(mask, softness)


def fill(image: Floats, known: Floats, reach: float) -> Floats:
    """Continue the known part of an image smoothly over the rest of the canvas.

    Args:
        image: shape (CANVAS, CANVAS, 3).
        known: 0..1, where the image is known, shape (CANVAS, CANVAS).
        reach: sigma of the widest averaging, in pixels.
    """
    import cv2

    far = np.zeros_like(image)
    weight = np.zeros_like(known)
    # Near pixels count far more than distant ones, which matter only where no near pixel is known.
    for sigma, trust in ((reach, 1e-4), (reach / 3, 1e-2), (reach / 9, 1.0)):
        far += trust * cv2.GaussianBlur(image * known[..., None], (0, 0), sigma)
        weight += trust * cv2.GaussianBlur(known, (0, 0), sigma)
    far /= np.maximum(weight, 1e-9)[..., None]
    return np.asarray(far + (image - far) * known[..., None])


def noise(rng: np.random.Generator, across: float, down: float) -> Floats:
    """Return noise of standard deviation 1 on the canvas, smooth over so many pixels in each direction."""
    import cv2

    # Coarse noise is made on a small canvas and enlarged, because a wide blur of the whole canvas takes long.
    reduction = 1 << int(max(min(across, down) // 4, 1)).bit_length() - 1
    raw = rng.standard_normal((CANVAS // reduction,) * 2, dtype=np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), sigmaX=across / reduction, sigmaY=down / reduction)
    return np.asarray(cv2.resize(smooth / smooth.std(), (CANVAS, CANVAS)))


def ragged(mask: Floats, noise: Floats) -> Floats:
    """Turn the soft edge of a mask into one that looks like strands of hair."""
    edge = np.clip((mask + 0.13 * noise * (mask > 0.02) * (mask < 0.98) - 0.3) / 0.4, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float32)
