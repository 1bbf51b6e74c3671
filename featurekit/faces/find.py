"""Find the face that is meant, turn it upright, cut it out.

Every picture ends in one status. Finding is the same for all detectors: the
picture gets a border, because detectors miss faces that fill their frame; a
small frame is tried first, because it is several times quicker and crops of
faces need no more; a larger one follows where nothing was found, or only a face
that is small in its frame. A large photograph is decoded no larger than that
takes, and once more, larger, only where the face found would be enlarged.

Alignment is a similarity transform of five landmarks onto a template, by least
squares. Landmarks that cannot be a face seen upright are not used: the box is
cut out instead, and the face is marked with "box".
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.faces import images
from featurekit.faces.detectors import DETECTORS, Detection, FaceFinder
from featurekit.faces.detectors._frame import by_blocks, fit_frame, import_cv2, intersection_over_union
from featurekit.networks import weights
from featurekit.progress import Clock
from featurekit.registry import unknown

# Raise whenever this module starts to find other faces or to cut them out differently.
FACES_VERSION = 3

# Every status a row can end in and what it means to a reader. The store keeps them
# as numbers: append, never reorder.
STATUS_MEANINGS: Mapping[str, str] = {
    "ok": "a face was found",
    "no_face": "no face was found",
    "many_faces": "several faces were found where one was expected",
    "too_small": "the face is too small to read anything from",
    "missing_file": "the file is not there",
    "unreadable": "the file may not be read",
    "empty_file": "the file is empty",
    "undecodable": "the file is no picture, or a broken one",
    "truncated": "the file ends before its picture does",
    "too_large": "the picture is larger than the limit",
    "unsupported_format": "the picture is of a kind that is not read",
    "bad_path": "the path cannot be a file's",
    "not_extracted": "nobody has looked at the picture yet",
    "failed": "reading the picture raised an error that featurekit does not know",
}
STATUSES = tuple(STATUS_MEANINGS)
# Those of pictures that are there and cannot be read.
BROKEN = ("empty_file", "undecodable", "truncated", "too_large", "unsupported_format")

CHOICES = ("center", "largest", "box", "only", "all")

# (side of the frame in pixels, border on each side as a part of the picture's longer side)
ATTEMPTS = ((96, 0.1), (320, 0.25), (640, 0.1), (640, 0.5))
# Shorter side of a face in its frame, in pixels, from which on no larger frame is tried.
_LARGE = 24
# Of what a manifest's box and the face have together; boxes drawn by hand are loose.
_MIN_BOX_OVERLAP = 0.2
# A block of pixels that is averaged is at most this part of a crop's pixel; so the reduction left to bilinear
# sampling is less than by 2.7.
_LEFT_TO_SAMPLING = 0.75
# How far around a manifest's box a face is looked for, in box sides.
_BOX_SURROUNDINGS = 1.0

# What the landmarks of a face can be, with room to spare around what three detectors gave on WIDER FACE
# and UTKFace: their root mean square distance from their middle (0.08 to 0.29 of the box's longer side),
_SPREAD = (0.06, 0.4)
# their likeness to a face's (0.66 in profile to 1; mirrored ones have 0.23),
_MIN_LIKENESS = 0.6
# and the variance across them, of that along them (0 for points on a line).
_MIN_WIDTH = 0.01

# Eye centres, nose tip and mouth corners on dlib's face chip before padding.
_DLIB = np.array([[0.2273, 0.2214], [0.7528, 0.2212], [0.490, 0.521], [0.277, 0.829], [0.703, 0.829]])
# Where a detector's box lies there (medians): its longer side and its middle.
_BOX_SIDE, _BOX_MIDDLE = 1.55, 0.49 + 0.43j
# The same points on insightface's 112 × 112 crops.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def _padded(padding: float) -> NDArray[np.float64]:
    return (_DLIB + padding) / (1 + 2 * padding)


# Where each template puts the five landmarks, 0..1 of the crop from its upper left corner.
TEMPLATES: Mapping[str, NDArray[np.float64]] = {
    "dlib": _padded(0.2),
    "dlib_face": _padded(0.25),
    "arcface": _ARCFACE / 112,
    "imagenet": _padded(0.4),  # hair, ears and chin too, which a network for things can use
}


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """Everything that decides which face comes out of a picture.

    Attributes:
        detector: a name of DETECTORS.
        weights_sha256: hash of the detector's weight file; "" where it has none.
        attempts: (side of the frame in pixels, border on each side as a part of the picture's longer
            side), in the order tried.
        choose: which of several faces: "center" is the one nearest to the picture's middle, "largest",
            "box" the one that the manifest's box shows, "only" none (many_faces), "all" every one.
        min_face: shorter side of the smallest box that is used, in pixels of the picture.
    """

    detector: str = "centerface"
    weights_sha256: str = ""
    attempts: tuple[tuple[int, float], ...] = ATTEMPTS
    choose: str = "center"
    min_face: int = 16

    def __post_init__(self) -> None:
        if self.choose not in CHOICES:
            raise UnknownNameError(unknown("way to choose a face", self.choose, list(CHOICES)))
        if not self.attempts or any(size < 32 or size % 32 or border < 0 for size, border in self.attempts):
            raise ValueError(
                f"attempts must be (multiple of 32, border ≥ 0) each. Got {self.attempts} instead."
            )

    def recipe(self) -> dict[str, Any]:
        """Return everything that decides which face and landmarks come out, as plain JSON values."""
        return {
            "decoding": dict(images.DECODING),
            "detector": self.detector,
            "detector_settings": dict(DETECTORS[self.detector].settings),
            "detector_weights": self.weights_sha256,
            "attempts": [list(attempt) for attempt in self.attempts],
            "choose": self.choose,
            "min_face": self.min_face,
            "faces_version": FACES_VERSION,
        }


def _nowhere() -> NDArray[np.float32]:
    return np.full(4, np.nan, np.float32)


def _no_landmarks() -> NDArray[np.float32]:
    return np.full((5, 2), np.nan, np.float32)


@dataclass(frozen=True)
class Face:
    """What became of one picture, or of one face on it.

    Attributes:
        status: one of STATUSES.
        box: x1, y1, x2, y2 in pixels of the upright picture, its upper left corner at (0, 0); float32,
            shape (4,); NaN without a face; may reach beyond the picture.
        landmarks: left eye, right eye, nose tip, left and right mouth corner as seen; float32, shape
            (5, 2); NaN where there are none.
        confidence: the detector's, between 0 and 1; 0 without a face.
        n_found: faces that the detector found on the picture.
        attempt: number of the attempt that found it, or -1.
    """

    status: str
    box: NDArray[np.float32] = field(default_factory=_nowhere)
    landmarks: NDArray[np.float32] = field(default_factory=_no_landmarks)
    confidence: float = 0.0
    n_found: int = 0
    attempt: int = -1


def default_settings(
    detector: str = "centerface", choose: str = "center", detector_weights: str | Path | None = None
) -> FaceSettings:
    """Return the settings to use a detector with, its weight file's hash filled in.

    Args:
        detector: a name of DETECTORS.
        choose: which of several faces.
        detector_weights: another file for the detector: a name of the table of weights, or a file of the
            user's, which is copied into featurekit's home; None for the detector's own.

    Raises:
        UnknownNameError: no such detector, or no such way to choose.
        WeightsError: the detector has no use for weights, or the file cannot be read.
    """
    own = DETECTORS[detector].weights
    if own is None:  # nothing is looked for, so nothing is gained by looking again
        if detector_weights:
            raise WeightsError(f"The detector {detector} has no weights to choose.")
        return FaceSettings(detector=detector, choose=choose, attempts=((32, 0.0),))
    name = str(detector_weights or own)
    sha256 = weights.sha256_of(name) if name in weights.WEIGHTS else weights.adopt(Path(name))
    return FaceSettings(detector=detector, choose=choose, weights_sha256=sha256)


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
    return _shorter_side(face.box) / max(width, height) * size / (1 + 2 * border) >= _LARGE


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
        middle = _middle(box)
        # A face whose middle lies in the border is none.
        if 0 <= middle.real <= pixels.shape[1] and 0 <= middle.imag <= pixels.shape[0]:
            found.append(Detection(factor * box, factor * landmarks, one.confidence))
    return found


def _chosen(
    found: list[Detection], attempt: int, settings: FaceSettings, width: int, height: int
) -> list[Face]:
    """Return the faces that are meant among those found, which are at least one."""
    # Specks count only where there is nothing else.
    large = [one for one in found if _shorter_side(one.box) >= settings.min_face]
    if settings.choose == "only" and len(large) > 1:
        return [Face("many_faces", n_found=len(found), attempt=attempt)]
    candidates = large or found
    if settings.choose == "all":
        meant = found
    elif settings.choose == "largest":
        meant = [max(candidates, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))]
    else:
        meant = [min(candidates, key=lambda one: abs(_middle(one.box) - complex(width, height) / 2))]
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
    status = "ok" if _shorter_side(one.box) >= settings.min_face else "too_small"
    return Face(status, one.box, one.landmarks, one.confidence, n_found, attempt)


def _middle(box: NDArray[np.floating[Any]]) -> complex:
    return complex(box[0] + box[2], box[1] + box[3]) / 2


def _shorter_side(box: NDArray[np.floating[Any]]) -> float:
    return float((box[2:] - box[:2]).min())


# What a network wants cut out: the name of a template and the side of the crop in pixels.
CropKind = tuple[str, int]


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
    data: bytes,
    finder: FaceFinder,
    settings: FaceSettings,
    kinds: Collection[CropKind],
    *,
    box: NDArray[np.float32] | None = None,
    known: Face | None = None,
    clock: Clock | None = None,
) -> tuple[list[Seen], tuple[int, int]]:
    """Decode a photograph, find the faces that are meant, and cut them out for each kind of network.

    Args:
        data: the file's bytes.
        finder: the detector, from open_finder().
        settings: which faces are meant.
        kinds: what to cut out.
        box: the manifest's box, for choose "box".
        known: the face, where an earlier look has found it; nothing is looked for then.
        clock: told what is done: "decode", "detect", "align".

    Returns:
        At least one face, if only to say why there is none, and the photograph's width and height, rounded
        up to a multiple of 2, 4 or 8 where it was decoded smaller.

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
            aligned_by, placed = _placed(face.landmarks, face.box, {name for name, _ in kinds}, *size)
        wanted = min((_factor_for(placed[name][0] * side) for name, side in kinds), default=factor)
        if wanted < factor:
            with clock("decode"):
                pixels, factor = images.decode(data, factor=wanted), wanted
        crops = {}
        with clock("align"):
            for name, side in kinds:
                turn, shift = placed[name]
                crops[name, side] = _warp(pixels, factor * turn * side, shift * side, side)
        seen.append(Seen(face, crops, aligned_by))
    return seen, size


def _factor_for(turn: complex) -> int:
    """Return how much smaller than the photograph the pixels may be that a crop is taken from."""
    return next((factor for factor in images.FACTORS if factor * abs(turn) <= 1), 1)


def align(
    pixels: NDArray[np.uint8],
    landmarks: NDArray[np.floating[Any]],
    box: NDArray[np.floating[Any]],
    template: str,
    size: int,
) -> tuple[NDArray[np.uint8], str]:
    """Cut a face out, upright.

    Args:
        pixels: upright RGB, shape (h, w, 3).
        landmarks: as in Face; NaN where there are none.
        box: as in Face.
        template: a name of TEMPLATES.
        size: side of the crop in pixels.

    Returns:
        The crop, uint8, shape (size, size, 3), black where the picture ends; and what it was cut out
        by: "landmarks", or "box" where the landmarks cannot be those of a face seen upright.

    Raises:
        UnknownNameError: no such template.
    """
    if template not in TEMPLATES:
        raise UnknownNameError(unknown("template", template, list(TEMPLATES)))
    aligned_by, placed = _placed(landmarks, box, [template], pixels.shape[1], pixels.shape[0])
    turn, shift = placed[template]
    return _warp(pixels, turn * size, shift * size, size), aligned_by


def _placed(
    landmarks: NDArray[np.floating[Any]],
    box: NDArray[np.floating[Any]],
    templates: Iterable[str],
    width: int,
    height: int,
) -> tuple[str, dict[str, tuple[complex, complex]]]:
    """Return by what a face is placed, and the turn and shift that bring it onto each template."""
    if _is_a_face(landmarks, box, width, height):
        return "landmarks", {name: similarity(landmarks, TEMPLATES[name]) for name in templates}
    return "box", {name: _from_box(box, TEMPLATES[name]) for name in templates}


def similarity(
    source: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]]
) -> tuple[complex, complex]:
    """Return the turn a and shift b that bring a · source + b nearest to target, by least squares.

    Points are complex numbers x + iy: a product turns and scales, and cannot mirror. So the closed form
    is one division, and equals Umeyama's with the reflection left out.

    Args:
        source: shape (n, 2), not all at one place.
        target: shape (n, 2).
    """
    z, w = _complex(source), _complex(target)
    z_middle, w_middle = z.sum() / len(z), w.sum() / len(w)
    dz = z - z_middle
    turn = np.vdot(dz, w - w_middle) / np.vdot(dz, dz).real
    return complex(turn), complex(w_middle - turn * z_middle)


def _complex(points: NDArray[np.floating[Any]]) -> NDArray[np.complex128]:
    return points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)


def _is_a_face(
    landmarks: NDArray[np.floating[Any]], box: NDArray[np.floating[Any]], width: int, height: int
) -> bool:
    """Whether five landmarks can be those of a face seen upright, from the front or from the side."""
    if not np.isfinite(landmarks).all():
        return False
    z, w = _complex(landmarks), _complex(_DLIB)
    middle = complex(z.sum() / len(z))
    dz, dw = z - middle, w - w.sum() / len(w)
    spread, model = np.vdot(dz, dz).real, np.vdot(dw, dw).real
    side = float((box[2:] - box[:2]).max())
    if not _SPREAD[0] * side <= float(np.sqrt(spread / 5)) <= _SPREAD[1] * side:
        return False  # all at one place, or far apart
    lengthwise = abs((dz**2).sum())
    if spread - lengthwise < _MIN_WIDTH * (spread + lengthwise):
        return False  # on a line
    product = np.vdot(dz, dw)
    if abs(product) < _MIN_LIKENESS * np.sqrt(spread * model):
        return False  # mirrored, or thrown about
    if product.real <= 0:
        return False  # the eyes below the mouth
    return 0 <= middle.real <= width and 0 <= middle.imag <= height


def _from_box(box: NDArray[np.floating[Any]], target: NDArray[np.float64]) -> tuple[complex, complex]:
    """Return the turn and shift that show about what the landmarks would show."""
    # Through the place that a detector's box has on dlib's chip before padding.
    turn, shift = similarity(_DLIB, target)
    scale = _BOX_SIDE / max(float((box[2:] - box[:2]).max()), 1e-6)
    return turn.real * scale, turn.real * (_BOX_MIDDLE - scale * _middle(box)) + shift


def _warp(pixels: NDArray[np.uint8], turn: complex, shift: complex, size: int) -> NDArray[np.uint8]:
    """Return the square that turn and shift bring to (0, 0)..(size, size)."""
    cv2 = import_cv2()
    turn, shift = complex(turn), complex(shift)
    # Only the part of the picture that is seen is touched: a photograph may be a hundred times larger.
    corners = (np.array([0, size, size * 1j, size * (1 + 1j)]) - shift) / turn
    margin = 2 + 2 / abs(turn)  # what smoothing and sampling reach
    x1, y1 = (int(max(part.min() - margin, 0)) for part in (corners.real, corners.imag))
    x2 = int(min(corners.real.max() + margin, pixels.shape[1]))
    y2 = int(min(corners.imag.max() + margin, pixels.shape[0]))
    if x2 <= x1 or y2 <= y1:
        return np.zeros((size, size, 3), np.uint8)
    part = pixels[y1:y2, x1:x2]
    shift += turn * complex(x1, y1)
    # Bilinear sampling alone would skip pixels in a strong reduction: whole blocks are averaged first.
    # Smoothing instead would take longer and blur what the networks read.
    block = max(int(_LEFT_TO_SAMPLING / abs(turn)), 1)
    part = by_blocks(part, block)
    turn *= block
    # OpenCV counts from the middle of the first pixel, featurekit from its corner.
    shift += turn * (0.5 + 0.5j) - (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop: NDArray[np.uint8] = cv2.warpAffine(
        part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return crop
