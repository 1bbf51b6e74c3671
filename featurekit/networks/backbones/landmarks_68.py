"""68 landmarks of the eyes, eyebrows, nose, mouth and jaw, found by dlib's shape predictor.

The predictor is an ensemble of regression trees, which starts from a rectangle around the face. On an aligned
crop, this rectangle is always the same. One layer has the positions of the points, the other one their
geometry: the distances of all pairs, and the angles along the lines that the points draw. Neither depends on
the position, the size, or the rotation of the face in the plane of the image. Source: Kazemi and Sullivan
2014, "One millisecond face alignment with an ensemble of regression trees".
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import WeightsError
from featurekit.networks.backbones import BACKBONES, Backbone

SIDE, POINTS = 224, 68
# The rectangle, x1, y1, x2, y2 in pixels, where dlib's own face detector finds faces on such crops.
FACE = (28, 34, 187, 193)
# The points around the eye that is on the left side of the image, and around the other one.
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
# The lines that the points draw: the first point, the one after the last, and whether the line is closed.
LINES = (
    (0, 17, False),  # the jaw
    (17, 22, False),  # the eyebrows
    (22, 27, False),
    (27, 31, False),  # the bridge of the nose, and the nostrils
    (31, 36, False),
    (36, 42, True),  # the eyes
    (42, 48, True),
    (48, 60, True),  # the lips, outside and inside
    (60, 68, True),
)


def _corners(first: int, stop: int, is_closed: bool) -> list[tuple[int, int, int]]:
    """Return each point of a line that has two neighbours on it, between these."""
    line = range(first, stop)
    inner = range(len(line)) if is_closed else range(1, len(line) - 1)
    return [(line[i - 1], line[i], line[(i + 1) % len(line)]) for i in inner]


_ONE, _OTHER = np.array(list(combinations(range(POINTS), 2))).T
_BEFORE, _CORNER, _AFTER = np.array([corner for line in LINES for corner in _corners(*line)]).T
N_DISTANCES, N_ANGLES = len(_ONE), len(_CORNER)


def landmarks_68(
    weights: bytes, layers: Sequence[str]
) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Return a function that finds the 68 landmarks on each crop, and describes them for each layer.

    Raises:
        WeightsError: the bytes are not a shape predictor, or one of other landmarks.
    """
    import dlib

    # The bytes are those whose hash was checked; dlib's constructor would read the file again.
    predictor: Any = dlib.shape_predictor.__new__(dlib.shape_predictor)
    face = dlib.rectangle(*FACE)
    try:
        predictor.__setstate__((weights,))
        n_points = predictor(np.zeros((SIDE, SIDE, 3), np.uint8), face).num_parts
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0].rstrip(".")
        raise WeightsError(f"The weight file of landmarks_68 cannot be read: {said}.") from error
    if n_points != POINTS:
        raise WeightsError(f"The weight file does not fit landmarks_68: it finds {n_points} landmarks.")

    def find(crops: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        found = [predictor(np.ascontiguousarray(crop), face).parts() for crop in crops]
        points = np.array([[(point.x, point.y) for point in one] for one in found], np.float64)
        upright = [_upright(one) for one in points]
        return [np.array([_DESCRIBED[layer](one) for one in upright], np.float32) for layer in layers]

    return find


def _upright(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return the points, shape (POINTS, 2), as x + iy without position, size and rotation, shape (POINTS,).

    The middle of the points is at 0, their root mean square distance from it is 1, and the line between the
    eyes is horizontal.
    """
    at: NDArray[np.complex128] = points[:, 0] + 1j * points[:, 1]
    at -= at.mean()
    eyes = at[RIGHT_EYE].mean() - at[LEFT_EYE].mean()
    size = np.sqrt((at.real**2 + at.imag**2).mean())
    if eyes and size:
        at *= abs(eyes) / eyes / size
    return at


def _positions(at: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return x and y of each point, shape (2 · POINTS,)."""
    return np.stack([at.real, at.imag], axis=1).ravel()


def _geometry(at: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the distances of all pairs of points, then the angles of the lines, from 0 to pi."""
    distances = np.abs(at[_ONE] - at[_OTHER])
    angles = np.abs(np.angle((at[_BEFORE] - at[_CORNER]) * (at[_AFTER] - at[_CORNER]).conj()))
    return np.concatenate([distances, angles])


_DESCRIBED = {"sixty_eight": _positions, "geometry": _geometry}

BACKBONES.add(
    Backbone(
        name="landmarks_68",
        about=f"positions of {POINTS} landmarks that dlib finds on the crop: {2 * POINTS} numbers; geometry:"
        f" their {N_DISTANCES:,} distances and {N_ANGLES} angles",
        layers={"sixty_eight": 2 * POINTS, "geometry": N_DISTANCES + N_ANGLES},
        input_size=SIDE,
        template="imagenet",
        group="hand-crafted",
        weights="landmarks_68",
        prepare=landmarks_68,
        needs="dlib",
        extra="landmarks",
    )
)
