"""Find the faces of an image, choose among them, and cut them out for the networks.

The procedure is the same for all detectors. The image gets a border, because detectors miss faces that fill
the whole image. The image is scaled to a small size first, because that is several times faster and is enough
for images that show little more than a face. A larger size is tried if no face was found, or only a face that
is small. A face that was found says how large that size has to be.

see_faces() does all steps for an image: it decodes the image only as large as the detector needs, finds the
faces, and cuts them out. It decodes the image once more, in a larger size, if the crop of a face would
otherwise be enlarged.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.faces import images
from featurekit.faces.align import LANDMARKS, CropKind, place, warp
from featurekit.faces.detectors import DETECTORS, Detection, FaceFinder
from featurekit.faces.detectors._frame import fit_frame, intersection_over_union
from featurekit.faces.face import Face, middle_of, shorter_side
from featurekit.faces.settings import FaceSettings, refuse_landmarks
from featurekit.networks import weights
from featurekit.progress import Clock

# Shorter side of a face in its frame, in pixels, from which on no larger frame is tried.
_LARGE = 24
# Shorter side, in pixels, that a face should have in the frame that is tried after one in which it is small.
_WANTED = 30
# The sides of frames are multiples of this number of pixels, because detectors halve them five times.
_STEP = 32
# Least intersection over union of a manifest's box and the face; boxes drawn by hand are not exact.
_MIN_BOX_OVERLAP = 0.2
# How far around a manifest's box a face is searched for, in box sides.
_BOX_SURROUNDINGS = 1.0


def open_finder(settings: FaceSettings, *, threads: int = 1) -> FaceFinder:
    """Open the face detector, which several threads may use at once.

    The detector runs on the CPU in fp32, so that the faces are the same with and without a GPU.

    Args:
        settings: name and weights of the detector.
        threads: number of threads that run the detector.

    Raises:
        WeightsError: the weight file is missing or damaged, or the detector cannot read it.
    """
    data = weights.read_by_hash(settings.weights_sha256) if settings.weights_sha256 else b""
    return DETECTORS[settings.detector].open(data, "cpu", "fp32", threads)


def find_faces(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    box: NDArray[np.float32] | None = None,
    *,
    factor: int = 1,
) -> list[Face]:
    """Return the chosen face of an image, or every face if settings.choose is "all".

    The list contains at least one Face: if no face was found, its status says why. For "all" and "only",
    which count all faces, the largest size of the image is searched first. For "all" the faces are sorted by
    confidence, the highest first. The image is not enlarged: that shows nothing more, and takes longer.

    Args:
        pixels: upright RGB pixels, shape (h, w, 3).
        finder: the face detector, from open_finder().
        settings: how the face is chosen.
        box: for choose "box", the box of the face in the manifest, x1, y1, x2, y2 in pixels.
        factor: factor by which the image was decoded smaller than the original image. All boxes and
            landmarks, also the returned ones, are in pixels of the original image.
    """
    height, width = (factor * side for side in pixels.shape[:2])
    if settings.choose != "box":
        return _search(
            pixels,
            finder,
            settings,
            _frames(settings, max(pixels.shape[:2])),
            lambda found, attempt: _chosen(found, attempt, settings, width, height),
            factor,
        )
    if box is None or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        return [Face("no_face")]
    # A small frame of a whole large photograph does not show a small face; a frame of its surroundings does.
    reach = _BOX_SURROUNDINGS * float((box[2:] - box[:2]).max())
    limit = np.array([pixels.shape[1], pixels.shape[0]])
    x1, y1 = np.clip(np.floor((box[:2] - reach) / factor), 0, limit).astype(int)
    x2, y2 = np.clip(np.ceil((box[2:] + reach) / factor), 0, limit).astype(int)
    if x2 <= x1 or y2 <= y1:
        return [Face("no_face")]
    corner = factor * np.array([x1, y1], np.float32)
    longer = int(max(x2 - x1, y2 - y1))
    first, *others = _frames(settings, longer)
    return _search(
        pixels[y1:y2, x1:x2],
        finder,
        settings,
        [_closer(first, shorter_side(box) / factor, longer) or first, *others],
        lambda found, attempt: _in_box(found, attempt, settings, box, corner),
        factor,
    )


@dataclass(frozen=True)
class _Frame:
    """A square into which an image is scaled.

    Attributes:
        attempt: number of the attempt of the settings that it belongs to.
        size: side of the square, in pixels.
        inner: longer side of the image in the square, in pixels; the rest is border.
    """

    attempt: int
    size: int
    inner: int


def _frames(settings: FaceSettings, longer: int) -> list[_Frame]:
    """Return the frames of the attempts for an image with this longer side, in their order."""
    attempts = list(enumerate(settings.attempts))
    if settings.choose in ("all", "only"):
        attempts.sort(key=lambda attempt: -attempt[1][0])  # stable: of equal sizes the earlier one
    # In a small image, several attempts may end in the same frame.
    frames: dict[tuple[int, int], _Frame] = {}
    for number, (size, border) in attempts:
        inner = round(size / (1 + 2 * border))
        # No larger than the image and its border, so that few pixels are searched in vain.
        with_border = int(longer * (1 + 2 * border)) // _STEP * _STEP
        enough = max(with_border, _STEP * math.ceil(longer / _STEP))
        if enough <= size and longer < inner:
            size, inner = enough, longer
        frames.setdefault((size, inner), _Frame(number, size, inner))
    return list(frames.values())


def _closer(frame: _Frame, side: float, longer: int) -> _Frame | None:
    """Return a larger frame in which a face has the side _WANTED, or None if this frame is large enough.

    Args:
        frame: the frame that the new one has the attempt and the border of.
        side: shorter side of the face, in pixels of the image.
        longer: longer side of the image, in pixels.
    """
    inner = longer * min(_WANTED / side, 1.0)
    if inner <= frame.inner:
        return None
    size = _STEP * math.ceil(frame.size * inner / frame.inner / _STEP)
    return replace(frame, size=size, inner=min(size * frame.inner // frame.size, longer))


def _search(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    frames: Sequence[_Frame],
    choose: Callable[[list[Detection], int], list[Face]],
    factor: int,
) -> list[Face]:
    """Return the chosen faces from the first frame in which they are large, else from the last with a face.

    Args:
        pixels: pixels of the image.
        finder: the face detector.
        settings: how the face is chosen.
        frames: the frames, in the order in which they are tried.
        choose: returns the chosen faces among those found in an attempt, one entry at least.
        factor: factor by which the image was decoded smaller than the original image.
    """
    longer = max(pixels.shape[:2])
    chosen, n_found, waiting = [Face("no_face")], 0, list(frames)
    while waiting:
        frame = waiting.pop(0)
        found = _look(pixels, finder, frame, factor)
        if not found:
            continue
        n_found = max(n_found, len(found))
        faces = choose(found, frame.attempt)
        if faces[0].status == "no_face":
            continue
        chosen = faces
        side = shorter_side(chosen[0].box) / factor
        # A face that is large in its frame would look the same in a larger frame.
        if settings.choose in ("all", "only") or side * frame.inner / longer >= _LARGE:
            break
        # Only frames that show it larger are worth a further look, and first the smallest that is enough.
        waiting = [other for other in waiting if other.inner > frame.inner]
        closer = _closer(frame, side, longer)
        if waiting and closer and closer.size < waiting[0].size:
            waiting.insert(0, replace(closer, attempt=waiting[0].attempt))
    return chosen if chosen[0].status != "no_face" else [Face("no_face", n_found=n_found)]


def _look(pixels: NDArray[np.uint8], finder: FaceFinder, frame: _Frame, factor: int) -> list[Detection]:
    """Return the faces on an image with a border around it, in pixels of the photograph."""
    margin = (frame.size - frame.inner) // 2
    if not margin:
        return [
            Detection(factor * one.box, factor * one.landmarks, one.confidence)
            for one in finder(pixels, frame.size)
        ]
    height, width = pixels.shape[:2]
    # Scaled before it is framed, so that a large photograph is not copied for its border.
    framed, scale = fit_frame(pixels, frame.size, frame.inner)
    seen = finder(framed, frame.size)
    if not seen:
        return []
    boxes = ((np.stack([one.box for one in seen]) - margin) / np.tile(scale, 2)).astype(np.float32)
    landmarks = ((np.stack([one.landmarks for one in seen]) - margin) / scale).astype(np.float32)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    # A face whose middle is in the border is not on the image.
    inside = np.flatnonzero(np.all((middles >= 0) & (middles <= (width, height)), axis=1))
    return [Detection(factor * boxes[i], factor * landmarks[i], seen[i].confidence) for i in inside]


def _chosen(
    found: list[Detection], attempt: int, settings: FaceSettings, width: int, height: int
) -> list[Face]:
    """Return the chosen faces among those found, of which there is at least one."""
    # Tiny faces count only if there is no larger one.
    large = [one for one in found if shorter_side(one.box) >= settings.min_face]
    if settings.choose == "only" and len(large) > 1:
        return [Face("many_faces", n_found=len(found), attempt=attempt)]
    if settings.choose == "all":
        meant = found
    elif settings.choose == "largest":
        meant = [max(large or found, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))]
    else:
        meant = [min(large or found, key=lambda one: abs(middle_of(one.box) - complex(width, height) / 2))]
    return [_face(one, len(found), attempt, settings) for one in meant]


def _in_box(
    found: list[Detection],
    attempt: int,
    settings: FaceSettings,
    box: NDArray[np.float32],
    corner: NDArray[np.float32],
) -> list[Face]:
    """Return the face that overlaps most with a box, if one overlaps enough.

    Args:
        found: faces on the surroundings of the box, in pixels of the photograph from their corner.
        attempt: number of the attempt.
        settings: how the face is chosen.
        box: the box, in pixels of the photograph.
        corner: upper left corner of the surroundings, x and y, in pixels of the photograph.
    """
    moved = [
        replace(one, box=one.box + np.tile(corner, 2), landmarks=one.landmarks + corner) for one in found
    ]
    overlaps = intersection_over_union(box, np.stack([one.box for one in moved]))
    if overlaps.max() < _MIN_BOX_OVERLAP:
        return [Face("no_face", n_found=len(found))]
    return [_face(moved[int(overlaps.argmax())], len(found), attempt, settings)]


def _face(one: Detection, n_found: int, attempt: int, settings: FaceSettings) -> Face:
    return Face(
        status="ok" if shorter_side(one.box) >= settings.min_face else "too_small",
        box=one.box,
        landmarks=one.landmarks,
        confidence=one.confidence,
        n_found=n_found,
        attempt=attempt,
    )


@dataclass(frozen=True)
class Seen:
    """A face on an image, and its crops for the networks.

    Attributes:
        face: the face, or the reason why there is no face.
        crops: (template, side in pixels) → the crop, uint8, shape (side, side, 3); LANDMARKS → the landmarks,
            float32, shape (5, 2), NaN if the crops are aligned by the box. Empty without a face.
        aligned_by: "landmarks" or "box", the one that the crops were aligned by, see
            featurekit.faces.align.place(); "" without a face.
    """

    face: Face
    crops: Mapping[CropKind, NDArray[Any]] = field(default_factory=dict)
    aligned_by: str = ""


def see_faces(
    data: images.ImageData,
    finder: FaceFinder,
    settings: FaceSettings,
    kinds: Collection[CropKind],
    *,
    box: NDArray[np.float32] | None = None,
    known: Sequence[Face] = (),
    clock: Clock | None = None,
) -> tuple[list[Seen], tuple[int, int]]:
    """Decode an image, find the chosen faces, and cut each face out for the networks.

    Args:
        data: bytes of the image file, or upright RGB pixels, uint8, shape (h, w, 3).
        finder: the face detector, from open_finder().
        settings: how the faces are chosen.
        kinds: template and side in pixels of each crop to cut out; LANDMARKS for the landmarks.
        box: for choose "box", the box of the face in the manifest, x1, y1, x2, y2 in pixels.
        known: the faces, if they are known already: then the detector is not run.
        clock: adds up the seconds that "decode", "detect" and "align" take; None if they are not needed.

    Returns:
        A list with the chosen faces, and the width and height of the image. If no face was found, the list
        has one entry whose status says why. Width and height are rounded up to a multiple of 2, 4 or 8 if
        the image was decoded in a smaller size.

    Raises:
        ImageError: the image cannot be decoded.
        EmbeddingError: landmarks are wanted, and the detector gives none.
    """
    factor = images.reduction(data)
    clock = clock or Clock()
    with clock("decode"):
        pixels = images.decode(data, factor=factor)
    size = (factor * pixels.shape[1], factor * pixels.shape[0])
    with clock("detect"):
        faces = list(known) or find_faces(pixels, finder, settings, box, factor=factor)
    cut = [kind for kind in kinds if kind != LANDMARKS]
    found = [face for face in faces if face.status == "ok"]
    with clock("align"):
        placed = [place(face.landmarks, face.box, {name for name, _ in cut}, *size) for face in found]
    # Decoded once more for all faces, so that the crop of a face does not depend on the order of the others.
    wanted = (_factor_for(where[name][0] * side) for _, where in placed for name, side in cut)
    if (smallest := min(wanted, default=factor)) < factor:
        with clock("decode"):
            pixels, factor = images.decode(data, factor=smallest), smallest
    cuts = iter(placed)
    seen = []
    for face in faces:
        if face.status != "ok":
            seen.append(Seen(face))
            continue
        aligned_by, where = next(cuts)
        with clock("align"):
            crops = _crops_of(pixels, factor, where, cut)
        if LANDMARKS in kinds:
            crops[LANDMARKS] = _usable_landmarks(face, aligned_by, settings)
        seen.append(Seen(face, crops, aligned_by))
    return seen, size


def _crops_of(
    pixels: NDArray[np.uint8],
    factor: int,
    where: Mapping[str, tuple[complex, complex]],
    kinds: Collection[CropKind],
) -> dict[CropKind, NDArray[Any]]:
    """Return the crops of a face, given the transform of each template, from place()."""
    return {
        (name, side): warp(pixels, factor * turn * side, shift * side, side)
        for name, side in kinds
        for turn, shift in [where[name]]
    }


def _usable_landmarks(face: Face, aligned_by: str, settings: FaceSettings) -> NDArray[np.float32]:
    """Return the landmarks of a face, or NaN if they cannot be right for an upright face.

    Raises:
        EmbeddingError: the detector gives no landmarks.
    """
    if not np.isfinite(face.landmarks).all():
        refuse_landmarks(settings.detector)
    return face.landmarks if aligned_by == "landmarks" else np.full_like(face.landmarks, np.nan)


def cut_out(data: images.ImageData, face: Face, kind: CropKind) -> NDArray[np.uint8]:
    """Return the crop of a face that has been found on an image.

    Args:
        data: bytes of the image file, or upright RGB pixels, uint8, shape (h, w, 3).
        face: the face.
        kind: name of the template and side of the crop in pixels.

    Returns:
        The crop, uint8, shape (side, side, 3).

    Raises:
        ImageError: the image cannot be decoded.
    """
    # The face is known, so the detector is not called.
    (one,), _ = see_faces(data, lambda *_: [], FaceSettings(), [kind], known=[face])
    return one.crops[kind]


def in_reading_order(seen: Sequence[Seen]) -> list[Seen]:
    """Return the faces of an image sorted from left to right; entries without a face come last."""
    return sorted(seen, key=lambda one: float(one.face.box[0]) if one.face.status == "ok" else float("inf"))


def _factor_for(turn: complex) -> int:
    """Return how much smaller the photograph may be decoded before this crop would be enlarged."""
    return next((factor for factor in images.FACTORS if factor * abs(turn) <= 1), 1)
