"""Augmentation: the random changes of the training faces, so that a network never sees the same image twice.

The changes of a face are drawn from a generator of their own, so that neither threads
nor other random numbers have an influence. OpenCV mirrors, rotates, crops and resizes a
face in one step and changes its colours in another, which takes a fraction of the time of
torchvision's steps (benchmarks/changing_faces.py).
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


# A crop whose side is more than _LARGE times as long as the wanted side is made smaller before it is warped,
# because a warp looks only at the four nearest pixels. Its side is then _MADE times as long.
_LARGE, _MADE = 1.5, 1.25
_GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # shares of red, green and blue in the brightness
_ERASED = 127


def changed(crop: NDArray[np.uint8], change: Change, side: int) -> NDArray[np.uint8]:
    """Return a face as the input of a network, shape (side, side, 3).

    Args:
        crop: shape (s, s, 3).
        change: the changes; NOTHING only resizes the face.
        side: side of the result, in pixels.
    """
    face = _warped(crop, change, side) if change.angle else _cut_out(crop, change, side)
    if change.light != NOTHING.light:
        cv2 = import_cv2()
        matrix, of_mean = _color_matrix(change.light)
        offset = of_mean * (_GREY @ cv2.mean(face)[:3])
        face = cv2.transform(face, np.column_stack([matrix, np.full(3, offset, np.float32)]))
    top, left, height, width = (round(side * part) for part in change.erased)
    if height and width:
        face[top : top + height, left : left + width] = _ERASED
    return face


def _cut_out(crop: NDArray[np.uint8], change: Change, side: int) -> NDArray[np.uint8]:
    """Return a part of a face that is not rotated, resized by torchvision, as when the network predicts."""
    import torch
    from torchvision.transforms.v2 import functional

    own = len(crop)
    if change.is_flipped:
        crop = np.ascontiguousarray(crop[:, ::-1])
    top, left, height, width = (round(own * part) for part in change.box)
    face: torch.Tensor = functional.resized_crop(
        torch.tensor(crop).permute(2, 0, 1),
        top,
        left,
        max(height, 1),
        max(width, 1),
        [side, side],
        antialias=True,
    )
    return np.ascontiguousarray(face.permute(1, 2, 0).numpy())


def _warped(crop: NDArray[np.uint8], change: Change, side: int) -> NDArray[np.uint8]:
    """Return a face that is mirrored, rotated, cropped and resized in one step."""
    cv2 = import_cv2()
    if len(crop) > _LARGE * side:
        less = round(_MADE * side)
        crop = cv2.resize(crop, (less, less), interpolation=cv2.INTER_AREA)
    # From coordinates between -1 and 1 to pixels, whose centers are at 0, 1, …
    own = len(crop)
    to_pixels = np.array([[own / 2, 0, (own - 1) / 2], [0, own / 2, (own - 1) / 2], [0, 0, 1]])
    from_result = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
    back = to_pixels @ np.array([*_back(change), (0, 0, 1)]) @ from_result
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped: NDArray[np.uint8] = cv2.warpAffine(crop, back[:2], (side, side), flags=flags)
    return warped


def _back(change: Change) -> list[tuple[float, float, float]]:
    """Return the matrix from a place in the result to its place in the face, both between -1 and 1."""
    top, left, height, width = change.box
    across, down = 2 * left + width - 1, 2 * top + height - 1
    cosine, sine = float(np.cos(np.deg2rad(change.angle))), float(np.sin(np.deg2rad(change.angle)))
    mirror = -1 if change.is_flipped else 1
    return [
        (mirror * cosine * width, -mirror * sine * height, mirror * (cosine * across - sine * down)),
        (sine * width, cosine * height, sine * across + cosine * down),
    ]


def _color_matrix(light: tuple[float, float, float]) -> tuple[NDArray[np.float32], float]:
    """Return a matrix of new from old colours, and the share of the mean brightness that is added to each."""
    brightness, contrast, saturation = light
    matrix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _GREY
    return np.float32(brightness * contrast) * matrix, (1 - contrast) * brightness


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

    own = crops.shape[1]
    numbers = np.array(
        [
            [
                change.is_flipped,
                *(max(round(own * part), number // 2) for number, part in enumerate(change.box)),
                *(round(side * part) for part in change.erased),
            ]
            for change in changes
        ],
        np.float32,
    )
    table = torch.from_numpy(numbers).to(crops.device, non_blocking=True)
    faces = crops.permute(0, 3, 1, 2).float()
    columns = [column.view(-1, 1, 1, 1) for column in table.unbind(1)]
    if any(change.angle for change in changes):
        faces = _warped_together(faces, changes, side)
    else:
        if numbers[:, 0].any():
            faces = torch.where(columns[0] > 0, faces.flip(3), faces)
        top, left, height, width = (column.view(-1, 1, 1) for column in columns[1:5])
        down, across = _shrinking(top, height, own, side), _shrinking(left, width, own, side)
        faces = (down[:, None] @ faces @ across[:, None].mT).round().clamp(0, 255)
    if any(change.light != NOTHING.light for change in changes):
        each = [_color_matrix(change.light) for change in changes]
        matrix, of_mean = (
            torch.from_numpy(np.array(one, np.float32)).to(crops.device, non_blocking=True)
            for one in zip(*each, strict=True)
        )
        grey = torch.from_numpy(_GREY).to(crops.device, non_blocking=True)
        offset = of_mean * (faces.mean((2, 3)) @ grey)
        colored = (matrix @ faces.flatten(2)).view_as(faces)
        faces = (colored + offset.view(-1, 1, 1, 1)).round().clamp(0, 255)
    if numbers[:, 7:].any():
        top, left, height, width = columns[5:]
        at = torch.arange(side, device=crops.device)
        rows, places = at.view(1, 1, -1, 1), at.view(1, 1, 1, -1)
        is_erased = (rows >= top) & (rows < top + height) & (places >= left) & (places < left + width)
        faces = torch.where(is_erased, float(_ERASED), faces)
    return faces


def _warped_together(faces: "torch.Tensor", changes: Sequence[Change], side: int) -> "torch.Tensor":
    """Return faces as _warped() does, all at once; shapes (n, 3, s, s) and (n, 3, side, side)."""
    import torch
    from torch.nn import functional

    own = faces.shape[2]
    if own > _LARGE * side:
        # The share of each old pixel in each new one.
        less = round(_MADE * side)
        edges = np.arange(less + 1) * (own / less)
        ends = np.minimum(edges[1:, None], np.arange(own) + 1)
        shares = np.clip(ends - np.maximum(edges[:-1, None], np.arange(own)), 0, 1) * (less / own)
        areas = torch.from_numpy(shares.astype(np.float32)).to(faces.device)
        faces = (areas @ faces @ areas.mT).round()
    matrices = torch.from_numpy(np.array([_back(change) for change in changes], np.float32))
    grid = functional.affine_grid(
        matrices.to(faces.device, non_blocking=True), [len(faces), 3, side, side], align_corners=False
    )
    return functional.grid_sample(faces, grid, align_corners=False).round()


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
