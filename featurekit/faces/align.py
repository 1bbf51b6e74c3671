"""Turn a face upright and cut it out.

Alignment maps the five landmarks of a face onto a template by a similarity transform, fitted by least
squares. Landmarks that cannot be right for an upright face are not used: then the face is cut out by its
box, and the result is marked with "box".
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors._frame import by_blocks, import_cv2
from featurekit.faces.face import middle_of

# A block of pixels that is averaged is at most this part of a crop's pixel, so that bilinear sampling reduces
# by less than 2.7.
_LEFT_TO_SAMPLING = 0.75

# Limits for the landmarks of a face, wider than what three detectors gave on WIDER FACE and UTKFace.
# Their root mean square distance from their middle (0.08 to 0.29 of the box's longer side):
_DISTANCE = (0.06, 0.4)
# their similarity to the template (0.66 in profile to 1; 0.23 for mirrored ones):
_MIN_LIKENESS = 0.6
# and the variance across them as a part of the variance along them (0 for points on a line):
_MIN_WIDTH = 0.01

# Eye centres, nose tip and mouth corners on dlib's face chip before padding.
_DLIB = np.array([[0.2273, 0.2214], [0.7528, 0.2212], [0.490, 0.521], [0.277, 0.829], [0.703, 0.829]])
# Where a detector's box is there (medians): its longer side and its middle.
_BOX_SIDE, _BOX_MIDDLE = 1.55, 0.49 + 0.43j
# The same points on insightface's 112 × 112 crops.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)

# Where MTCNN finds them on the crops that facenet-pytorch cuts out by MTCNN's box with a border of 14 of 160
# pixels (medians over 469 faces of UTKFace, Adience and WIDER FACE). The crops are stretched to a square: the
# box is 0.77 times as wide as high.
_FACENET = np.array([[0.302, 0.400], [0.724, 0.400], [0.513, 0.588], [0.322, 0.730], [0.704, 0.730]])


def _padded(padding: float) -> NDArray[np.float64]:
    return (_DLIB + padding) / (1 + 2 * padding)


# Where each template puts the five landmarks, 0..1 of the crop from its upper left corner.
TEMPLATES: Mapping[str, NDArray[np.float64]] = {
    "dlib": _padded(0.2),
    "dlib_face": _padded(0.25),
    "arcface": _ARCFACE / 112,
    "facenet": _FACENET,
    "imagenet": _padded(0.4),  # hair, ears and chin too, which a network for things can use
}

# What a network wants cut out: the name of a template and the side of the crop in pixels.
CropKind = tuple[str, int]
# Instead of a crop, the five landmarks themselves: float32, shape (5, 2), in pixels of the image.
LANDMARKS: CropKind = ("landmarks", 5)
# The landmarks of a mirrored face: its left eye is the right one of the face.
_MIRRORED = [1, 0, 2, 4, 3]


def place(
    landmarks: NDArray[np.floating[Any]],
    box: NDArray[np.floating[Any]],
    templates: Iterable[str],
    width: int,
    height: int,
) -> tuple[str, dict[str, tuple[complex, complex]]]:
    """Return how a face is aligned, and the transform that maps it onto each template.

    Args:
        landmarks: the five landmarks of the face, see Face; NaN if there are no landmarks.
        box: the box of the face, see Face.
        templates: names of TEMPLATES.
        width: width of the image, in pixels.
        height: height of the image, in pixels.

    Returns:
        "landmarks", or "box" if the landmarks cannot be right for an upright face; and a mapping from each
        template to two complex numbers, a scaled rotation and a shift. They map the image to a crop with
        sides of length 1.
    """
    if _is_a_face(landmarks, box, width, height):
        return "landmarks", {name: similarity(landmarks, TEMPLATES[name]) for name in templates}
    return "box", {name: _from_box(box, TEMPLATES[name]) for name in templates}


def similarity(
    source: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]]
) -> tuple[complex, complex]:
    """Return the scaled rotation a and the shift b for which a · source + b is nearest to target.

    The fit is by least squares. Points are complex numbers x + iy, so a multiplication rotates and scales a
    point and cannot mirror it. The solution is one division, and equals Umeyama's without a reflection.

    Args:
        source: points to map, shape (n, 2); they must not all be equal.
        target: points to map to, shape (n, 2).
    """
    z, w = _complex(source), _complex(target)
    z_middle, w_middle = z.sum() / len(z), w.sum() / len(w)
    dz = z - z_middle
    turn = np.vdot(dz, w - w_middle) / np.vdot(dz, dz).real
    return complex(turn), complex(w_middle - turn * z_middle)


def mirrored_landmarks(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the landmarks of mirrored faces, for faces at any position.

    Args:
        landmarks: the landmarks of n faces, shape (n, 5, 2).

    Returns:
        The landmarks of the same faces, mirrored at the left border of the image, in the order of Face.
    """
    return landmarks[:, _MIRRORED] * np.array([-1, 1], np.float32)


def _complex(points: NDArray[np.floating[Any]]) -> NDArray[np.complex128]:
    return points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)


def _is_a_face(
    landmarks: NDArray[np.floating[Any]], box: NDArray[np.floating[Any]], width: int, height: int
) -> bool:
    """Whether five landmarks can be those of a face seen upright, from the front or from the side."""
    if not np.isfinite(landmarks).all():
        return False
    z, w = _complex(landmarks), _complex(_DLIB)
    middle = complex(z.sum() / len(z))
    dz, dw = z - middle, w - w.sum() / len(w)
    variance, model = np.vdot(dz, dz).real, np.vdot(dw, dw).real
    side = float((box[2:] - box[:2]).max())
    lengthwise, product = abs((dz**2).sum()), np.vdot(dz, dw)
    return bool(
        # The points are neither all at one place nor far apart,
        _DISTANCE[0] * side <= np.sqrt(variance / 5) <= _DISTANCE[1] * side
        and variance - lengthwise >= _MIN_WIDTH * (variance + lengthwise)  # not on a line
        and abs(product) >= _MIN_LIKENESS * np.sqrt(variance * model)  # neither mirrored nor mixed up
        and product.real > 0  # the eyes are above the mouth
        and 0 <= middle.real <= width
        and 0 <= middle.imag <= height
    )


def _from_box(box: NDArray[np.floating[Any]], target: NDArray[np.float64]) -> tuple[complex, complex]:
    """Return the turn and shift that show roughly the same as landmarks would."""
    # The box is brought to its usual place on dlib's chip before padding.
    turn, shift = similarity(_DLIB, target)
    scale = _BOX_SIDE / max(float((box[2:] - box[:2]).max()), 1e-6)
    return turn.real * scale, turn.real * (_BOX_MIDDLE - scale * middle_of(box)) + shift


def warp(pixels: NDArray[np.uint8], turn: complex, shift: complex, size: int) -> NDArray[np.uint8]:
    """Return the square crop of an image for a scaled rotation and a shift.

    Args:
        pixels: RGB pixels of the image, shape (h, w, 3).
        turn: the scaled rotation, a complex number; turn · point + shift maps an image point to the crop.
        shift: the shift, a complex number.
        size: side of the crop in pixels.
    """
    cv2 = import_cv2()
    turn, shift = complex(turn), complex(shift)
    # Only the visible part of the image is processed: a photograph may be a hundred times larger.
    corners = (np.array([0, size, size * 1j, size * (1 + 1j)]) - shift) / turn
    margin = 2 + 2 / abs(turn)  # what smoothing and sampling reach
    x1, y1 = (int(max(part.min() - margin, 0)) for part in (corners.real, corners.imag))
    x2 = int(min(corners.real.max() + margin, pixels.shape[1]))
    y2 = int(min(corners.imag.max() + margin, pixels.shape[0]))
    if x2 <= x1 or y2 <= y1:
        return np.zeros((size, size, 3), np.uint8)
    shift += turn * complex(x1, y1)
    # Bilinear sampling alone would skip pixels in a strong reduction: whole blocks are averaged first.
    # Smoothing instead would take longer and blur what the networks read.
    block = max(int(_LEFT_TO_SAMPLING / abs(turn)), 1)
    part = by_blocks(pixels[y1:y2, x1:x2], block)
    turn *= block
    # OpenCV counts from the middle of the first pixel, featurekit from its corner.
    shift += turn * (0.5 + 0.5j) - (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return np.asarray(
        cv2.warpAffine(part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )
