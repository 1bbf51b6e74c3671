"""The parts of the portrait in the public domain that every subject is painted from."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from featurekit.data.datasets._painting.brushes import area, fill
from featurekit.data.datasets._painting.outlines import (
    BARE_NECK,
    BOB,
    BROW_AREAS,
    CANVAS,
    EYES,
    FACE,
    FOLD_AREAS,
    Floats,
)


@dataclass(frozen=True)
class Portrait:
    """The parts of the portrait.

    Attributes:
        skin: RGB over the mean color of the skin, so about 1; a bald head, shape (CANVAS, CANVAS, 3).
        features: the same, with the eyebrows, which are removed from skin.
        plump: the same as skin, without the folds beside the mouth and under the eyes.
        eyes: RGB of the portrait, for the eyes and teeth, same shape.
        hair: brightness of the hair over its mean, shape (CANVAS, CANVAS).
    """

    skin: Floats
    features: Floats
    plump: Floats
    eyes: Floats
    hair: Floats


@cache
def portrait_parts() -> Portrait:
    """Return skin, eyes and hair of the portrait, each continued where something else covered it."""
    import cv2
    from skimage import data

    left, right = np.array(EYES)
    across = right - left
    scale = 88 / np.hypot(*across)
    cosine, sine = across / np.hypot(*across) * scale
    turn = np.array([(cosine, sine), (-sine, cosine)])
    shift = np.array([256, 230]) - turn @ (left + right) / 2
    upright = cv2.warpAffine(
        np.asarray(data.astronaut()),  # type: ignore[no-untyped-call]
        np.c_[turn, shift],
        (CANVAS, CANVAS),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    ).astype(np.float32)
    upright /= 255

    # Without a margin, so that no hair and nothing of the suit is included.
    face = np.clip(2 * area([FACE, BARE_NECK], 2.5) - 1, 0, 1)
    features = fill(upright / upright[face > 0.9].mean(axis=0), face, 60)
    bare = fill(features, 1 - np.clip(1.6 * area(BROW_AREAS, 2.0), 0, 1), 18)
    plump = fill(bare, 1 - np.clip(1.6 * area(FOLD_AREAS, 3.0), 0, 1), 24)
    rows, columns = np.mgrid[:CANVAS, :CANVAS].astype(np.float32)
    # The forehead, which fill() made, is lit from the front: it gets darker towards the edge of the skull.
    distance = ((columns - 257) / 104) ** 2 + ((rows - 215) / 165) ** 2
    shade = 1 - 0.3 * np.clip(distance, 0, 1.2) ** 3 * (1 - face) * np.clip((235 - rows) / 60, 0, 1)
    grain = cv2.GaussianBlur(
        0.05 * np.random.default_rng(0).standard_normal((CANVAS, CANVAS), np.float32), (0, 0), 1.2
    ) * (1 - face)
    overlay = (shade + grain)[..., None]

    hair_known = np.clip(2 * area([BOB], 2.5) - 1, 0, 1)
    brightness = upright.mean(axis=2)
    brightness /= brightness[hair_known > 0.9].mean()
    hair = fill(np.repeat(brightness[..., None], 3, axis=2), hair_known, 40)[..., 0]
    return Portrait(
        skin=bare * overlay,
        features=features * overlay,
        plump=plump * overlay,
        eyes=upright,
        hair=np.clip(hair, 0.25, 2) ** 0.8,
    )
