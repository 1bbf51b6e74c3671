"""Faces as they might have been photographed: what a network that is trained sees, never the same twice.

What happens to a face is drawn from a generator of its own, so that neither
threads nor anything else that draws random numbers changes it; what is done to
the pixels is torchvision's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class Change(NamedTuple):
    """What is done to one face.

    Attributes:
        is_flipped: whether it is mirrored.
        angle: degrees that it is turned by.
        box: top, left, height and width of the part that is kept, in parts of the side.
        light: factors of brightness, contrast and saturation.
        erased: top, left, height and width of what is made grey, in parts of the side; sizes 0 for nothing.
    """

    is_flipped: bool
    angle: float
    box: tuple[float, float, float, float]
    light: tuple[float, float, float]
    erased: tuple[float, float, float, float]


NOTHING = Change(False, 0.0, (0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far a face may be changed; 0 or False switches a change off.

    Attributes:
        flip: whether half of the faces are mirrored.
        rotation: degrees, at most, to either side.
        zoom: part of the face's area that may be cut away at most; its shape varies by a tenth.
        jitter: how far brightness, contrast and saturation may be from 1.
        erasing: share of the faces of which a rectangle, 2 to 20 % of them, is made grey.
    """

    flip: bool = True
    rotation: float = 10.0
    zoom: float = 0.3
    jitter: float = 0.2
    erasing: float = 0.25

    def draw(self, rng: np.random.Generator) -> Change:
        """Return what to do to one face."""
        numbers = rng.random(12)  # always as many, so that switching one off leaves the others as they were
        return Change(
            self.flip and numbers[0] < 0.5,
            self.rotation * (2 * numbers[1] - 1),
            _part(1 - self.zoom * numbers[2], 0.1 * (2 * numbers[3] - 1), numbers[4], numbers[5])
            if self.zoom
            else NOTHING.box,
            tuple(1 + self.jitter * (2 * number - 1) for number in numbers[6:9]),
            _part(0.02 + 0.18 * (numbers[9] / self.erasing), 0.5, numbers[10], numbers[11])
            if numbers[9] < self.erasing
            else NOTHING.erased,
        )


def _part(area: float, stretch: float, down: float, right: float) -> tuple[float, float, float, float]:
    """Return top, left, height and width of a rectangle inside the unit square."""
    ratio = np.exp(stretch / 2)
    height, width = min(np.sqrt(area) * ratio, 1.0), min(np.sqrt(area) / ratio, 1.0)
    return float(down * (1 - height)), float(right * (1 - width)), float(height), float(width)


def changed(crop: NDArray[np.uint8], change: Change, side: int) -> "torch.Tensor":
    """Return a face as a network is given it, uint8, shape (3, side, side).

    Args:
        crop: shape (s, s, 3).
        change: what to do; NOTHING only brings it to the side.
        side: in pixels.
    """
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    face: torch.Tensor = torch.tensor(crop).permute(2, 0, 1)
    if change.is_flipped:
        face = functional.horizontal_flip(face)
    if change.angle:
        face = functional.rotate(face, change.angle, interpolation=InterpolationMode.BILINEAR)
    own = face.shape[-1]
    top, left, height, width = (round(own * part) for part in change.box)
    face = functional.resized_crop(
        face, top, left, max(height, 1), max(width, 1), [side, side], antialias=True
    )
    brightness, contrast, saturation = change.light
    if brightness != 1:
        face = functional.adjust_brightness(face, brightness)
    if contrast != 1:
        face = functional.adjust_contrast(face, contrast)
    if saturation != 1:
        face = functional.adjust_saturation(face, saturation)
    top, left, height, width = (round(side * part) for part in change.erased)
    if height and width:
        grey = torch.full((3, height, width), 127, dtype=torch.uint8)
        face = functional.erase(face, top, left, height, width, grey)
    return face
