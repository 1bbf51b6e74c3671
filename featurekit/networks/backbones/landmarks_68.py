"""68 landmarks of the eyes, eyebrows, nose, mouth and jaw, found by dlib's shape predictor.

The predictor is an ensemble of regression trees, which starts from a rectangle around the face. On an aligned
crop, this rectangle is always the same. The positions do not depend on the position, the size, or the
rotation of the face in the plane of the image. Source: Kazemi and Sullivan 2014, "One millisecond face
alignment with an ensemble of regression trees".
"""

from collections.abc import Callable, Sequence
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


def landmarks_68(
    weights: bytes, layers: Sequence[str]
) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Return a function that finds the 68 landmarks on each crop, shape (n, 2 · POINTS), for each layer.

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
        return [np.array([_upright(one) for one in points], np.float32)] * len(layers)

    return find


def _upright(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x and y of each point, without position, size and rotation, shape (2 · POINTS,).

    The middle of the points is at 0, their root mean square distance from it is 1, and the line between the
    eyes is horizontal.
    """
    at = points[:, 0] + 1j * points[:, 1]
    at -= at.mean()
    eyes = at[RIGHT_EYE].mean() - at[LEFT_EYE].mean()
    size = np.sqrt((at.real**2 + at.imag**2).mean())
    if eyes and size:
        at *= abs(eyes) / eyes / size
    return np.stack([at.real, at.imag], axis=1).ravel()


BACKBONES.add(
    Backbone(
        name="landmarks_68",
        about=f"positions of {POINTS} landmarks that dlib finds on the crop: {2 * POINTS} numbers",
        layers={"sixty_eight": 2 * POINTS},
        input_size=SIDE,
        template="imagenet",
        group="hand-crafted",
        weights="landmarks_68",
        prepare=landmarks_68,
        needs="dlib",
        extra="landmarks",
    )
)
