"""Find the face that is meant.

Finding is the same for all detectors: the picture gets a border, because detectors
miss faces that fill their frame; a small frame is tried first, because it is several
times quicker and crops of faces need no more; a larger one follows where nothing was
found, or only a face that is small in its frame.
"""

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors import DETECTORS, Detection, FaceFinder
from featurekit.faces.detectors._frame import fit_frame, intersection_over_union
from featurekit.faces.face import Face, middle_of, shorter_side
from featurekit.faces.settings import FaceSettings
from featurekit.networks import weights

# Shorter side of a face in its frame, in pixels, from which on no larger frame is tried.
_LARGE = 24
# Of what a manifest's box and the face have together; boxes drawn by hand are loose.
_MIN_BOX_OVERLAP = 0.2
# How far around a manifest's box a face is looked for, in box sides.
_BOX_SURROUNDINGS = 1.0


def open_finder(
    settings: FaceSettings, *, device: str = "cpu", precision: str = "fp32", threads: int = 1
) -> FaceFinder:
    """Make the detector ready to run; it may be called from several threads at once.

    It runs on the CPU in fp32 unless told otherwise, so that a GPU does not move a face.

    Raises:
        WeightsError: its weight file is missing, is damaged or is none that the detector can read.
        EngineError: the device or the precision cannot be had.
    """
    data = weights.read_by_hash(settings.weights_sha256) if settings.weights_sha256 else b""
    return DETECTORS[settings.detector].open(data, device, precision, threads)


def find_face(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    box: NDArray[np.float32] | None = None,
    *,
    factor: int = 1,
) -> Face:
    """Return the one face that is meant on a picture, or why there is none; see find_faces().

    Choose must not be "all".
    """
    if settings.choose == "all":
        raise ValueError("find_face() gives one face; find_faces() gives all.")
    return find_faces(pixels, finder, settings, box, factor=factor)[0]


def find_faces(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    box: NDArray[np.float32] | None = None,
    *,
    factor: int = 1,
) -> list[Face]:
    """Return the faces that are meant on a picture: one, or with choose "all" every one.

    At least one Face comes back, if only to say why there is none. Where every face counts ("all",
    "only") the largest frame is used at once; of "all" the most confident face is first.

    Args:
        pixels: upright RGB, shape (h, w, 3).
        finder: the detector, from open_finder().
        settings: which face is meant.
        box: the manifest's box, x1, y1, x2, y2 in pixels; needed for choose "box".
        factor: how much smaller than the photograph the pixels are; boxes and landmarks, of box and of
            what comes back, are those of the photograph.
    """
    if settings.choose == "box":
        if box is None or not np.isfinite(box).all():
            return [Face("no_face")]
        return [_find_in_box(pixels, finder, settings, box, factor)]
    attempts = list(enumerate(settings.attempts))
    if settings.choose in ("all", "only"):
        attempts.sort(key=lambda attempt: -attempt[1][0])  # stable: of equal sizes the earlier one
    chosen = [Face("no_face")]
    for attempt, (size, border) in attempts:
        found = _look(pixels, finder, size, border, factor)
        if found:
            height, width = (factor * side for side in pixels.shape[:2])
            chosen = _chosen(found, attempt, settings, width, height)
            if settings.choose in ("all", "only") or _is_large_in_frame(
                chosen[0], width, height, size, border
            ):
                break
    return chosen


def _is_large_in_frame(face: Face, width: int, height: int, size: int, border: float) -> bool:
    """Whether so much of a face was seen that a larger frame would show nothing else."""
    return shorter_side(face.box) / max(width, height) * size / (1 + 2 * border) >= _LARGE


def _look(
    pixels: NDArray[np.uint8], finder: FaceFinder, size: int, border: float, factor: int
) -> list[Detection]:
    """Return the faces on a picture with a border around it, in pixels of the photograph."""
    inner = round(size / (1 + 2 * border))
    if inner == size:
        return [
            Detection(factor * one.box, factor * one.landmarks, one.confidence)
            for one in finder(pixels, size)
        ]
    # Scaled first and framed then, so that a large photograph is not copied for its border.
    margin = (size - inner) // 2
    framed = np.zeros((size, size, 3), np.uint8)
    framed[margin : margin + inner, margin : margin + inner], scale = fit_frame(pixels, inner)
    found = []
    for one in finder(framed, size):
        box = ((one.box - margin) / np.tile(scale, 2)).astype(np.float32)
        landmarks = ((one.landmarks - margin) / scale).astype(np.float32)
        middle = middle_of(box)
        # A face whose middle lies in the border is none.
        if 0 <= middle.real <= pixels.shape[1] and 0 <= middle.imag <= pixels.shape[0]:
            found.append(Detection(factor * box, factor * landmarks, one.confidence))
    return found


def _chosen(
    found: list[Detection], attempt: int, settings: FaceSettings, width: int, height: int
) -> list[Face]:
    """Return the faces that are meant among those found, which are at least one."""
    # Specks count only where there is nothing else.
    large = [one for one in found if shorter_side(one.box) >= settings.min_face]
    if settings.choose == "only" and len(large) > 1:
        return [Face("many_faces", n_found=len(found), attempt=attempt)]
    candidates = large or found
    if settings.choose == "all":
        meant = found
    elif settings.choose == "largest":
        meant = [max(candidates, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))]
    else:
        meant = [min(candidates, key=lambda one: abs(middle_of(one.box) - complex(width, height) / 2))]
    return [_face(one, len(found), attempt, settings) for one in meant]


def _find_in_box(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    box: NDArray[np.float32],
    factor: int,
) -> Face:
    """Return the face that overlaps best with a box, looked for in the box's surroundings."""
    # A face that is small on a large photograph is lost in a small frame; its surroundings are not.
    reach = _BOX_SURROUNDINGS * float((box[2:] - box[:2]).max())
    limit = np.array([pixels.shape[1], pixels.shape[0]])
    x1, y1 = np.clip(np.floor((box[:2] - reach) / factor), 0, limit).astype(int)
    x2, y2 = np.clip(np.ceil((box[2:] + reach) / factor), 0, limit).astype(int)
    if x2 <= x1 or y2 <= y1 or (box[2:] <= box[:2]).any():
        return Face("no_face")
    corner = factor * np.array([x1, y1], np.float32)
    n_found = 0
    for attempt, (size, border) in enumerate(settings.attempts):
        found = [
            Detection(one.box + np.tile(corner, 2), one.landmarks + corner, one.confidence)
            for one in _look(pixels[y1:y2, x1:x2], finder, size, border, factor)
        ]
        n_found = max(n_found, len(found))
        if found:
            overlaps = intersection_over_union(box, np.stack([one.box for one in found]))
            if overlaps.max() >= _MIN_BOX_OVERLAP:
                return _face(found[int(overlaps.argmax())], len(found), attempt, settings)
    return Face("no_face", n_found=n_found)


def _face(one: Detection, n_found: int, attempt: int, settings: FaceSettings) -> Face:
    status = "ok" if shorter_side(one.box) >= settings.min_face else "too_small"
    return Face(status, one.box, one.landmarks, one.confidence, n_found, attempt)
