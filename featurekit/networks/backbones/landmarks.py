"""The geometry of a face's five landmarks: distances, angles and ratios that ignore where the face is.

The landmarks are those of the face detector, in pixels of the image. They are not taken from the crop,
because alignment moves them onto a template and so removes a part of their geometry. The numbers do not
depend on the position, the size, or the rotation of the face in the plane of the image.

A face whose landmarks cannot be right, so that it is cut out by its box (featurekit.faces.align.place()),
gets the geometry of an average face, and 0 instead of 1 as its last number. Ratios of distances between
landmarks were introduced for age by Kwon and da Vitoria Lobo 1999, "Age classification from facial images".
"""

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from featurekit.networks.backbones import BACKBONES, Backbone

# The order of the landmarks, see featurekit.faces.face.Face.
_LEFT_EYE, _RIGHT_EYE, _NOSE, _LEFT_MOUTH, _RIGHT_MOUTH = range(5)
# Their position on an average face, the one of the template "dlib".
AVERAGE = ((0.2273, 0.2214), (0.7528, 0.2212), (0.490, 0.521), (0.277, 0.829), (0.703, 0.829))

_PAIRS = tuple(combinations(range(5), 2))
_TRIANGLES = tuple(combinations(range(5), 3))
N_RATIOS = 6
DIM = len(_PAIRS) + 3 * len(_TRIANGLES) + N_RATIOS + 1


def landmarks(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the geometry of the landmarks of n faces.

    Args:
        points: left eye, right eye, nose tip, left and right mouth corner of each face, in pixels, shape (n,
            5, 2); NaN for a face without landmarks that can be used.

    Returns:
        Shape (n, DIM): the distances of all ten pairs of points, in units of the root mean square distance of
        the points from their middle; the three angles of all ten triangles, in radians; six ratios, which are
        described in _ratios(); and 1 if the landmarks were used, or 0.
    """
    return np.array([_geometry(face.astype(np.float64)) for face in points], np.float32)


def _geometry(points: NDArray[np.float64]) -> list[float]:
    """Return the numbers of one face, given its points, shape (5, 2)."""
    is_used = bool(np.isfinite(points).all())
    # Complex numbers x + iy of Python, because numpy may round differently inside a longer array.
    at = [complex(x, y) for x, y in (points.tolist() if is_used else AVERAGE)]
    middle = sum(at) / 5
    size = math.sqrt(sum(abs(one - middle) ** 2 for one in at) / 5) or 1.0
    distances = [abs(at[i] - at[j]) / size for i, j in _PAIRS]
    angles = [
        _angle(at[i], at[j], at[k])
        for corners in _TRIANGLES
        for i, j, k in (corners, corners[1:] + corners[:1], corners[2:] + corners[:2])
    ]
    return [*distances, *angles, *_ratios(at), float(is_used)]


def _ratios(at: list[complex]) -> list[float]:
    """Return six ratios of a face.

    Three are shares of the distance between the middles of the eyes and of the mouth, which is called the
    height: eye distance / (eye distance + height), mouth width / (mouth width + height), and the height of
    the nose tip above the mouth / height. One is the share of the left side in the distances of the nose tip
    from both eyes, and one in those from both corners of the mouth; they say to which side a face is turned.
    The last one is the angle between the lines of the eyes and of the mouth, in radians.
    """
    eyes, mouth = at[_RIGHT_EYE] - at[_LEFT_EYE], at[_RIGHT_MOUTH] - at[_LEFT_MOUTH]
    upright = (at[_LEFT_EYE] + at[_RIGHT_EYE]) / 2 - (at[_LEFT_MOUTH] + at[_RIGHT_MOUTH]) / 2
    nose = at[_NOSE] - (at[_LEFT_MOUTH] + at[_RIGHT_MOUTH]) / 2
    height = abs(upright)
    along = (nose * upright.conjugate()).real / height**2 if height else 0.5
    turn = mouth * eyes.conjugate()
    return [
        _share(abs(eyes), height),
        _share(abs(mouth), height),
        along,
        _share(abs(at[_NOSE] - at[_LEFT_EYE]), abs(at[_NOSE] - at[_RIGHT_EYE])),
        _share(abs(at[_NOSE] - at[_LEFT_MOUTH]), abs(at[_NOSE] - at[_RIGHT_MOUTH])),
        math.atan2(turn.imag, turn.real),
    ]


def _share(one: float, other: float) -> float:
    """Return the share of one length in the sum of two."""
    return one / (one + other) if one + other else 0.5


def _angle(corner: complex, one: complex, other: complex) -> float:
    """Return the angle at a corner of a triangle, from 0 to pi."""
    turn = (one - corner) * (other - corner).conjugate()
    return abs(math.atan2(turn.imag, turn.real))


BACKBONES.add(
    Backbone(
        name="landmarks",
        about=f"geometry of the eyes, nose and mouth corners on the image, not of the crop: {DIM} distances,"
        " angles and ratios",
        layers={"five": DIM},
        input_size=5,
        template="landmarks",
        group="hand-crafted",
        compute=landmarks,
    )
)
