"""Find the face of an image that the settings choose.

The procedure is the same for all detectors. The image gets a border, because detectors
miss faces that fill their frame. A small frame is tried first, because it is several
times faster and is enough for crops of faces. A larger frame follows if no face was
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
# Least intersection over union of a manifest's box and the face; boxes drawn by hand are not exact.
_MIN_BOX_OVERLAP = 0.2
# How far around a manifest's box a face is searched for, in box sides.
_BOX_SURROUNDINGS = 1.0


def open_finder(settings: FaceSettings, *, threads: int = 1) -> FaceFinder:
    """Make the detector ready to run; it may be called from several threads at once.

    It runs on the CPU in fp32, so that a GPU does not move a face.

    Raises:
        WeightsError: its weight file is missing or damaged, or the detector cannot read it.
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
    """Return the chosen face of an image, or with choose "all" every face.

    At least one Face is returned; without a face its status says why. With "all" and "only", which count
    every face, the largest frame is used at once; with "all" the most confident face is first.

    Args:
        pixels: upright RGB, shape (h, w, 3).
        finder: the detector, from open_finder().
        settings: which face is chosen.
        box: the manifest's box, x1, y1, x2, y2 in pixels; needed for choose "box".
        factor: how much smaller than the photograph the pixels are; the box, and the boxes and landmarks
            that are returned, are in pixels of the photograph.
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
            in_frame = shorter_side(chosen[0].box) / max(width, height) * size / (1 + 2 * border)
            # A face that is large in its frame would look the same in a larger frame.
            if settings.choose in ("all", "only") or in_frame >= _LARGE:
                break
    return chosen


def _look(
    pixels: NDArray[np.uint8], finder: FaceFinder, size: int, border: float, factor: int
) -> list[Detection]:
    """Return the faces on an image with a border around it, in pixels of the photograph."""
    inner = round(size / (1 + 2 * border))
    if inner == size:
        return [
            Detection(factor * one.box, factor * one.landmarks, one.confidence)
            for one in finder(pixels, size)
        ]
    # Scaled before it is framed, so that a large photograph is not copied for its border.
    margin = (size - inner) // 2
    framed = np.zeros((size, size, 3), np.uint8)
    framed[margin : margin + inner, margin : margin + inner], scale = fit_frame(pixels, inner)
    found = []
    for one in finder(framed, size):
        box = ((one.box - margin) / np.tile(scale, 2)).astype(np.float32)
        landmarks = ((one.landmarks - margin) / scale).astype(np.float32)
        middle = middle_of(box)
        # A face whose middle is in the border is not on the image.
        if 0 <= middle.real <= pixels.shape[1] and 0 <= middle.imag <= pixels.shape[0]:
            found.append(Detection(factor * box, factor * landmarks, one.confidence))
    return found


def _chosen(
    found: list[Detection], attempt: int, settings: FaceSettings, width: int, height: int
) -> list[Face]:
    """Return the chosen faces among those found, of which there is at least one."""
    # Tiny faces count only if there is no larger one.
    large = [one for one in found if shorter_side(one.box) >= settings.min_face]
    if settings.choose == "only" and len(large) > 1:
        return [Face("many_faces", n_found=len(found), attempt=attempt)]
    meant = large or found
    if settings.choose == "all":
        meant = found
    elif settings.choose == "largest":
        meant = [max(meant, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))]
    else:
        meant = [min(meant, key=lambda one: abs(middle_of(one.box) - complex(width, height) / 2))]
    return [_face(one, len(found), attempt, settings) for one in meant]


def _find_in_box(
    pixels: NDArray[np.uint8],
    finder: FaceFinder,
    settings: FaceSettings,
    box: NDArray[np.float32],
    factor: int,
) -> Face:
    """Return the face that overlaps most with a box, searched for around the box."""
    # A small frame of a whole large photograph does not show a small face; a frame of its surroundings does.
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
