"""The one pass over a photograph: decode it, find the chosen faces, and cut them out.

A large photograph is decoded only as large as the detector needs it. It is decoded
once more, larger, if the crop of a face would otherwise be enlarged.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from featurekit.faces import images
from featurekit.faces.align import CropKind, place, warp
from featurekit.faces.detectors import Detection, FaceFinder
from featurekit.faces.face import Face
from featurekit.faces.find import find_faces
from featurekit.faces.settings import FaceSettings
from featurekit.progress import Clock


@dataclass(frozen=True)
class Seen:
    """A face and what was cut out of its photograph for each kind of network.

    Attributes:
        face: where it is, or why there is none.
        crops: uint8, shape (side, side, 3); empty without a face.
        aligned_by: what they were cut out by, "landmarks" or "box", see align(); "" without a face.
    """

    face: Face
    crops: Mapping[CropKind, NDArray[np.uint8]] = field(default_factory=dict)
    aligned_by: str = ""


def see_faces(
    data: images.ImageData,
    finder: FaceFinder,
    settings: FaceSettings,
    kinds: Collection[CropKind],
    *,
    box: NDArray[np.float32] | None = None,
    known: Face | None = None,
    clock: Clock | None = None,
) -> tuple[list[Seen], tuple[int, int]]:
    """Decode a photograph, find the chosen faces, and cut them out for each kind of network.

    Args:
        data: the file's bytes, or upright RGB pixels, uint8, shape (h, w, 3).
        finder: the detector, from open_finder().
        settings: which faces are chosen.
        kinds: what to cut out.
        box: the manifest's box, for choose "box".
        known: the face, if an earlier pass has found it; the detector is not used then.
        clock: counts the seconds of "decode", "detect" and "align".

    Returns:
        At least one face, whose status says why if there is none, and the photograph's width and height,
        rounded up to a multiple of 2, 4 or 8 if it was decoded smaller.

    Raises:
        ImageError: it cannot be decoded.
    """
    factor = images.reduction(data)
    clock = clock or Clock()
    with clock("decode"):
        pixels = images.decode(data, factor=factor)
    size = (factor * pixels.shape[1], factor * pixels.shape[0])
    with clock("detect"):
        faces = [known] if known else find_faces(pixels, finder, settings, box, factor=factor)
    seen = []
    for face in faces:
        if face.status != "ok":
            seen.append(Seen(face))
            continue
        with clock("align"):
            aligned_by, placed = place(face.landmarks, face.box, {name for name, _ in kinds}, *size)
        wanted = min((_factor_for(placed[name][0] * side) for name, side in kinds), default=factor)
        if wanted < factor:
            with clock("decode"):
                pixels, factor = images.decode(data, factor=wanted), wanted
        crops = {}
        with clock("align"):
            for name, side in kinds:
                turn, shift = placed[name]
                crops[name, side] = warp(pixels, factor * turn * side, shift * side, side)
        seen.append(Seen(face, crops, aligned_by))
    return seen, size


def cut_out(data: images.ImageData, face: Face, kind: CropKind) -> NDArray[np.uint8]:
    """Cut a face that has been found out of its photograph, for one kind of network.

    Args:
        data: the photograph, as for see_faces().
        face: a face on it.
        kind: name of the template and side of the crop in pixels.

    Returns:
        uint8, shape (side, side, 3); the same as a cut for a single network gives.

    Raises:
        ImageError: the photograph cannot be decoded.
    """
    (one,), _ = see_faces(data, _no_finder, FaceSettings(), [kind], known=face)
    return one.crops[kind]


def _no_finder(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
    raise AssertionError("The face is known already, so no face is searched for.")


def in_reading_order(seen: Sequence[Seen]) -> list[Seen]:
    """Return the faces of a photograph from left to right, and those without a box last."""
    return sorted(seen, key=lambda one: float(one.face.box[0]) if one.face.status == "ok" else float("inf"))


def _factor_for(turn: complex) -> int:
    """Return how much smaller the photograph may be decoded before this crop would be enlarged."""
    return next((factor for factor in images.FACTORS if factor * abs(turn) <= 1), 1)
