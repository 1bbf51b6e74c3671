"""Augmentation: the random changes of the training faces, so that a network never sees the same image twice.

The changes of a face are drawn from a generator of their own, so that neither threads
nor other random numbers have an influence. torchvision changes the pixels, except for
rotations, which take OpenCV a fraction of the time (benchmarks/changing_faces.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors._frame import import_cv2

if TYPE_CHECKING:
    import torch


class Change(NamedTuple):
    """The changes of one face.

    Attributes:
        is_flipped: whether it is mirrored.
        angle: degrees of the rotation.
        box: top, left, height and width of the part that is kept, as shares of the side.
        light: factors of brightness, contrast and saturation.
        erased: top, left, height and width of the grey rectangle, as shares of the side; sizes of 0 for none.
    """

    is_flipped: bool
    angle: float
    box: tuple[float, float, float, float]
    light: tuple[float, float, float]
    erased: tuple[float, float, float, float]


NOTHING = Change(False, 0.0, (0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0))
# The views of a face whose predictions are averaged, by their number. Ten views are the four corners and the
# middle, cut out of the crop, and their mirror images.
_TEN_SIDE = 0.875
VIEWS: Mapping[int, Sequence[Change]] = {
    1: (NOTHING,),
    2: (NOTHING, NOTHING._replace(is_flipped=True)),
    10: tuple(
        NOTHING._replace(is_flipped=is_flipped, box=(top, left, _TEN_SIDE, _TEN_SIDE))
        for is_flipped in (False, True)
        for top, left in ((0.0, 0.0), (0.0, 0.125), (0.125, 0.0), (0.125, 0.125), (0.0625, 0.0625))
    ),
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The limits of the changes; 0 or False switches a change off.

    Attributes:
        flip: whether half of the faces are mirrored.
        rotation: the greatest rotation to either side, in degrees.
        zoom: the greatest share of the area that is cut away; the shape varies by a tenth.
        jitter: the greatest difference of the factors of brightness, contrast and saturation from 1.
        erasing: share of the faces that get a grey rectangle, which covers 2 to 20 % of the face.
    """

    flip: bool = True
    rotation: float = 10.0
    zoom: float = 0.3
    jitter: float = 0.2
    erasing: float = 0.25

    def draw(self, rng: np.random.Generator) -> Change:
        """Return the changes of one face."""
        numbers = rng.random(12)  # always 12, so that switching one change off leaves the others unchanged
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
    """Return a face as the input of a network, uint8, shape (3, side, side).

    Args:
        crop: shape (s, s, 3).
        change: the changes; NOTHING only resizes the face.
        side: side of the result, in pixels.
    """
    import torch
    from torchvision.transforms.v2 import functional

    own = len(crop)
    if change.is_flipped:
        crop = np.ascontiguousarray(crop[:, ::-1])
    if change.angle:
        cv2, middle = import_cv2(), (own - 1) / 2
        rotation = cv2.getRotationMatrix2D((middle, middle), change.angle, 1.0)
        crop = cv2.warpAffine(crop, rotation, (own, own), flags=cv2.INTER_LINEAR)
    face: torch.Tensor = torch.tensor(crop).permute(2, 0, 1)
    top, left, height, width = (round(own * part) for part in change.box)
    face = functional.resized_crop(
        face, top, left, max(height, 1), max(width, 1), [side, side], antialias=True
    )
    steps = functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation
    for adjust, factor in zip(steps, change.light, strict=True):
        if factor != 1:
            face = adjust(face, factor)
    top, left, height, width = (round(side * part) for part in change.erased)
    if height and width:
        grey = torch.full((3, height, width), 127, dtype=torch.uint8)
        face = functional.erase(face, top, left, height, width, grey)
    return face


def changed_together(crops: "torch.Tensor", changes: Sequence[Change], side: int) -> "torch.Tensor":
    """Return faces as changed() does, all at once, on their device.

    No channel differs by more than 4 of 255. A GPU would be slow with torchvision's steps, which change one
    face after another. The difference does not matter to the training, and the sums of a GPU vary anyway.

    Args:
        crops: uint8, shape (n, s, s, 3).
        changes: changes of each face, n of them.
        side: side of the result, in pixels.

    Returns:
        Whole numbers from 0 to 255 as float32, shape (n, 3, side, side), on the device of the crops.
    """
    import torch
    from torch.nn import functional

    own = crops.shape[1]
    numbers = np.array(
        [
            [
                change.is_flipped,
                np.deg2rad(change.angle),
                *(max(round(own * part), number // 2) for number, part in enumerate(change.box)),
                *change.light,
                *(round(side * part) for part in change.erased),
            ]
            for change in changes
        ],
        np.float32,
    )
    table = torch.from_numpy(numbers).to(crops.device, non_blocking=True)
    faces = crops.permute(0, 3, 1, 2).float()
    flipped, angle, *_ = columns = [column.view(-1, 1, 1, 1) for column in table.unbind(1)]
    if numbers[:, 0].any():
        faces = torch.where(flipped > 0, faces.flip(3), faces)
    if numbers[:, 1].any():
        sine, cosine = angle.flatten().sin(), angle.flatten().cos()
        zero = torch.zeros_like(sine)
        rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero], 1).view(-1, 2, 3)
        grid = functional.affine_grid(rotation, list(faces.shape), align_corners=False)
        faces = functional.grid_sample(faces, grid, align_corners=False).round()
    top, left, height, width = (column.view(-1, 1, 1) for column in columns[2:6])
    down, across = _shrinking(top, height, own, side), _shrinking(left, width, own, side)
    faces = (down[:, None] @ faces @ across[:, None].mT).round().clamp(0, 255)
    if (numbers[:, 6:9] != 1).any():
        brightness, contrast, saturation = columns[6:9]
        faces = (faces * brightness).clamp(0, 255).floor()
        mean = _grey(faces).mean((2, 3), keepdim=True)
        faces = (contrast * faces + (1 - contrast) * mean).clamp(0, 255).floor()
        faces = (saturation * faces + (1 - saturation) * _grey(faces)).clamp(0, 255).floor()
    if numbers[:, 11:].any():
        top, left, height, width = columns[9:]
        at = torch.arange(side, device=crops.device)
        rows, places = at.view(1, 1, -1, 1), at.view(1, 1, 1, -1)
        is_erased = (rows >= top) & (rows < top + height) & (places >= left) & (places < left + width)
        faces = torch.where(is_erased, 127.0, faces)
    return faces


def _shrinking(first: "torch.Tensor", length: "torch.Tensor", own: int, side: int) -> "torch.Tensor":
    """Return the weight of each old pixel in each new pixel along one side, shape (n, side, own): a triangle.

    Args:
        first: number of the first old pixel that is kept, shape (n, 1, 1).
        length: number of old pixels that are kept, same shape.
        own: number of old pixels.
        side: number of new pixels.
    """
    import torch

    old = torch.arange(own, device=first.device).view(1, 1, -1) - first
    new = torch.arange(side, device=first.device).view(1, -1, 1)
    scale = length / side
    triangle = (1 - (old + 0.5 - (new + 0.5) * scale).abs() / scale.clamp(min=1)).clamp(min=0)
    shares = triangle * ((old >= 0) & (old < length))
    return shares / shares.sum(2, keepdim=True)


def _grey(faces: "torch.Tensor") -> "torch.Tensor":
    red, green, blue = faces.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor()[:, None]
