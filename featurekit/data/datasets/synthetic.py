"""People who do not exist, for a first run that needs no download.

``make demo`` and the tests need faces whose licence allows everything. scikit-image
carries one portrait in the public domain (NASA's of Eileen Collins); this module
warps and paints it into made-up subjects of all ages and both genders and writes
them as Adience publishes its own: five fold files and a folder of coarse crops.

The labels can be learned, because age and gender decide the shape of the head,
hair, skin, brows and beard, and they cannot be learned perfectly, because every
subject looks older or younger than the label says and every picture has its own
pose, light, blur and compression. A score on these pictures says that the pipeline
works. It says nothing about any method on real faces.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets import RawRows, dataset
from featurekit.data.datasets.adience import LAYOUTS, N_FOLDS, adience
from featurekit.data.manifest import AGE_GROUP, GENDER
from featurekit.errors import ManifestError
from featurekit.files import sync_folder
from featurekit.progress import Progress

HEADER = [
    "user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy",
    "tilt_ang", "fiducial_yaw_angle", "fiducial_score",
]  # fmt: skip
# Beside the fold files: says that the pictures are made up, and from which numbers.
STAMP = "synthetic.json"
SIDE = 232  # pixels of a finished picture; the face fills about half of it, as in Adience's coarse crops

# Everything is painted on a square canvas on which the portrait stands upright at twice its size: eye
# centres at (212, 230) and (300, 230), x right, y down. All coordinates below are pixels of this canvas.
CANVAS = 512
# Eye centres in skimage.data.astronaut(), as centerface finds them at 512 pixels.
EYES = ((203.15, 101.68), (247.01, 104.51))

Floats = NDArray[np.float32]
Points = Sequence[tuple[float, float]]

# Outlines read off the upright portrait by eye.
FACE: Points = (
    (174, 200), (168, 222), (167, 250), (170, 275), (174, 295), (180, 322), (194, 350), (215, 368),
    (240, 378), (262, 380), (285, 374), (306, 361), (323, 345), (334, 322), (341, 295), (345, 265),
    (347, 240), (343, 216), (337, 203), (300, 198), (256, 192), (215, 193),
)  # fmt: skip
NECK: Points = (
    (210, 318), (192, 340), (187, 370), (184, 410), (168, 452), (256, 470), (346, 452), (328, 410),
    (324, 370), (322, 340), (302, 318),
)  # fmt: skip
# The part of the neck that the suit left bare.
BARE_NECK: Points = (
    (210, 330), (190, 348), (188, 372), (198, 387), (256, 395), (310, 388), (322, 374), (324, 345),
    (302, 330),
)  # fmt: skip
NECK_SHADOW: Points = ((170, 345), (256, 440), (340, 345), (340, 460), (170, 460))
EARS: Sequence[Points] = (
    ((172, 222), (158, 226), (151, 244), (153, 268), (162, 288), (174, 294)),
    ((342, 222), (357, 226), (364, 244), (362, 268), (354, 288), (343, 294)),
)
EAR_HOLLOWS: Sequence[Points] = (
    ((168, 236), (160, 240), (157, 250), (159, 262), (164, 272)),
    ((346, 236), (354, 240), (357, 250), (355, 262), (350, 272)),
)
BOB: Points = (
    (109, 165), (113, 150), (125, 136), (142, 120), (165, 106), (180, 97), (186, 85), (202, 76),
    (226, 65), (250, 56), (264, 54), (290, 58), (320, 66), (350, 79), (370, 94), (385, 118),
    (395, 140), (402, 165), (404, 190), (400, 215), (390, 238), (378, 254), (362, 268), (352, 276),
    (350, 255), (348, 235), (343, 212), (337, 199), (310, 194), (290, 187), (262, 181), (236, 181),
    (215, 188), (196, 187), (180, 180), (173, 190), (168, 222), (166, 250), (166, 262), (148, 260),
    (133, 247), (121, 234), (116, 215), (112, 195),
)  # fmt: skip
EYE_OPENINGS: Sequence[Points] = (
    ((188, 231), (200, 222), (213, 219), (226, 224), (233, 234), (220, 237), (203, 238)),
    ((276, 234), (286, 223), (299, 219), (314, 223), (325, 232), (310, 238), (292, 238)),
)
CHEEKS: Sequence[Points] = (
    ((176, 262), (200, 252), (222, 268), (206, 294), (184, 296)),
    ((292, 268), (314, 252), (338, 262), (330, 296), (308, 294)),
)
LIPS: Points = (
    (215, 304), (235, 302), (250, 301), (262, 301), (280, 301), (302, 301), (292, 319), (276, 330),
    (256, 334), (238, 330), (226, 319),
)  # fmt: skip
TEETH: Points = (
    (217, 306),
    (240, 308),
    (258, 309),
    (278, 307),
    (300, 303),
    (288, 317),
    (270, 322),
    (245, 322),
    (227, 316),
)
# Around the eyebrows of the portrait, to remove them, and the lines along which new ones grow.
BROW_AREAS: Sequence[Points] = (
    ((178, 212), (194, 202), (212, 202), (234, 209), (233, 214), (210, 210), (196, 210), (182, 217)),
    ((277, 209), (296, 204), (314, 202), (334, 211), (333, 217), (314, 210), (296, 211), (279, 214)),
)
BROWS: Sequence[Points] = (
    ((183, 212), (197, 205), (211, 206), (231, 211)),
    ((279, 211), (297, 207), (314, 206), (331, 213)),
)
# The folds that smiling draws beside the nose and under the eyes; children have none.
FOLD_AREAS: Sequence[Points] = (
    ((222, 268), (206, 282), (196, 300), (200, 314), (209, 298), (224, 284)),
    ((288, 266), (304, 280), (316, 296), (312, 310), (304, 294), (290, 282)),
    ((190, 246), (210, 248), (232, 246), (230, 256), (210, 258), (192, 254)),
    ((280, 246), (300, 248), (322, 246), (320, 254), (300, 258), (282, 256)),
)
BEARD: Points = (
    (172, 272), (184, 300), (200, 316), (212, 300), (228, 291), (256, 288), (284, 291), (302, 298),
    (318, 314), (334, 298), (344, 272), (346, 310), (334, 345), (310, 372), (262, 394), (214, 380),
    (184, 350), (174, 310),
)  # fmt: skip
CLOTHES: Points = (
    (180, 419), (194, 440), (222, 455), (256, 460), (290, 455), (318, 440), (332, 419), (350, 417),
    (400, 428), (470, 452), (540, 500), (560, 620), (-50, 620), (-30, 500), (42, 452), (112, 428),
    (162, 417),
)  # fmt: skip
CURTAINS: Sequence[Points] = (
    (
        (150, 130),
        (116, 200),
        (104, 290),
        (104, 380),
        (120, 446),
        (152, 470),
        (178, 440),
        (190, 380),
        (180, 290),
    ),
    (
        (360, 130),
        (398, 200),
        (410, 290),
        (410, 380),
        (394, 446),
        (362, 470),
        (336, 440),
        (324, 380),
        (336, 290),
    ),
)
# Lines that age draws, in the order in which they come; each is one stroke.
FURROWS: Sequence[Points] = (
    ((224, 272), (208, 290), (204, 312), (208, 326)),
    ((286, 272), (304, 290), (310, 310), (306, 324)),
    ((196, 246), (212, 252), (230, 247)),
    ((282, 247), (298, 252), (316, 246)),
    ((186, 166), (220, 160), (256, 164), (292, 160), (328, 168)),
    ((192, 184), (224, 178), (256, 182), (288, 178), (322, 185)),
    ((196, 148), (226, 143), (256, 146), (286, 143), (316, 149)),
    ((184, 228), (172, 222)),
    ((184, 233), (170, 234)),
    ((185, 238), (173, 246)),
    ((330, 228), (342, 222)),
    ((330, 233), (344, 234)),
    ((329, 238), (341, 246)),
    ((246, 196), (248, 212)),
    ((266, 196), (264, 212)),
    ((210, 330), (206, 350)),
    ((304, 328), (308, 348)),
    ((192, 254), (212, 262), (232, 256)),
    ((280, 256), (300, 262), (320, 254)),
)

# Points that carry the shape of the head: x, y and how far each lies before the plane of the ears, in pixels
# of the canvas. The ring of fixed points keeps the shoulders and the border where they are.
SHAPE = {
    "crown": (257, 58, 0), "skull_l": (158, 160, 0), "skull_r": (358, 160, 0), "temple_l": (167, 225, 4),
    "temple_r": (348, 225, 4), "cheek_l": (172, 280, 6), "cheek_r": (345, 280, 6), "jaw_l": (194, 350, 12),
    "jaw_r": (323, 345, 12), "chin": (258, 380, 34), "forehead": (257, 160, 26), "brow_l": (208, 205, 28),
    "brow_r": (304, 205, 28), "outer_l": (188, 231, 16), "upper_l": (213, 219, 24), "lower_l": (213, 239, 24),
    "inner_l": (233, 234, 26), "outer_r": (325, 231, 16), "upper_r": (299, 219, 24),
    "lower_r": (299, 239, 24),
    "inner_r": (276, 234, 26), "bridge": (256, 242, 38), "tip": (256, 276, 60), "wing_l": (234, 285, 40),
    "wing_r": (281, 284, 40), "corner_l": (213, 305, 30), "corner_r": (303, 302, 30), "lip": (257, 301, 40),
    "lower_lip": (257, 332, 38), "neck_l": (186, 400, 0), "neck_r": (326, 400, 0),
}  # fmt: skip
FIXED: Points = (
    (0, 0), (256, 0), (511, 0), (0, 256), (511, 256), (0, 511), (256, 511), (511, 511),
    (110, 430), (400, 430),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One made-up person.

    Attributes:
        number: from 0; the face_id of the fold files is one more.
        group: number of the age group, as in AGE_GROUP.classes.
        gender: number of the gender, as in GENDER.classes.
        looks: years the subject looks, which need not lie in the group.
        manly: 0..1, how much of a man's shape, brows and beard the subject has.
        skin: mean color of the skin, RGB, 0..1.
        hair: color of the hair before it turns grey, RGB, 0..1.
        style: "fuzz", "short", "bob" or "long".
        hairline: y of the middle of the hairline on the canvas.
        beard: 0..1, from shaven to full.
        glasses: whether the subject wears them.
        clothes: their color, RGB, 0..1.
        build: how this head differs from others of the same age and gender, shape (12,), -1.5..1.5.
    """

    number: int
    group: int
    gender: int
    looks: float
    manly: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    style: str
    hairline: float
    beard: float
    glasses: bool
    clothes: tuple[float, float, float]
    build: NDArray[np.float64]

    @property
    def childlike(self) -> float:
        """1 for a newborn, about 0.5 at 6 years, nearly 0 for an adult."""
        return float(np.exp(-max(self.looks, 0) / 9))

    @property
    def worn(self) -> float:
        """0 up to 24 years, 1 from 70: wrinkles, sagging, coarse skin."""
        return float(np.clip((self.looks - 24) / 46, 0, 1))

    @property
    def grey(self) -> float:
        """Share of grey in the hair, half at 52 years."""
        return float(1 / (1 + np.exp((52 - self.looks + 3 * self.build[0]) / 5)))


@dataset(
    "synthetic",
    about="made-up portraits in Adience's layout, drawn on the spot: a trial of the pipeline, no measurement",
    licence="synthetic: drawn from a NASA portrait in the public domain; no restrictions",
)
def synthetic(
    path: Path,
    *,
    n_subjects: int | str = 60,
    n_pictures: int | str = 6,
    seed: int | str = 0,
    progress: Progress | None = None,
) -> RawRows:
    """Return every row of the made-up data set, after writing it where it is not yet there.

    Args:
        path: its folder; new, empty, or written by this data set before.
        n_subjects: see write_synthetic(); the command line gives the three numbers as text.
        n_pictures: see write_synthetic().
        seed: see write_synthetic().
        progress: see write_synthetic().

    Raises:
        ManifestError: the folder holds something else, or pictures made from other numbers.
    """
    given = {"n_subjects": n_subjects, "n_pictures": n_pictures, "seed": seed}
    numbers = {option: _whole_number(option, value) for option, value in given.items()}
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        write_synthetic(
            path,
            n_subjects=numbers["n_subjects"],
            n_pictures=numbers["n_pictures"],
            seed=numbers["seed"],
            progress=progress,
        )
    # Real photographs must never be read under this name: every title would call them made up.
    try:
        stamp = json.loads((path / STAMP).read_text())
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{path} is in use and not by synthetic pictures ({STAMP} is not there). Name a new folder."
        ) from error
    if stamp != {"synthetic": True, **numbers}:
        raise ManifestError(
            f"{path} holds synthetic pictures made from {stamp}, not from {numbers}. Name a new folder."
        )
    raw = adience.read(path, layout="faces")
    return replace(raw, info={**raw.info, "synthetic": True})


def _whole_number(option: str, value: int | str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ManifestError(f"{option} must be a whole number. Got '{value}'.") from None


def write_synthetic(
    path: Path,
    *,
    n_subjects: int = 60,
    n_pictures: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write made-up subjects in Adience's layout, the whole data set or nothing.

    Args:
        path: folder that is to hold fold_0_data.txt … fold_4_data.txt and faces/; it must not
            exist yet, or be empty.
        n_subjects: persons, at least 16, so that two of each age group are in different folds.
        n_pictures: portraits of each person.
        seed: decides everything; the same seed gives the same bytes.
        progress: called with the pictures written so far and the pictures in all.

    Raises:
        ManifestError: the folder is in use or cannot be written, or the numbers are too small.
    """
    if n_subjects < 2 * len(AGE_GROUP.classes):
        raise ManifestError(
            f"{n_subjects} synthetic subjects are too few: two of each age group, "
            f"{2 * len(AGE_GROUP.classes)} in all, are the least."
        )
    if n_pictures < 1:
        raise ManifestError(f"{n_pictures} pictures a subject are too few: ask for at least 1.")
    if seed < 0:
        raise ManifestError(f"The seed must not be negative. Got {seed}.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ManifestError(f"{path} is in use. Name a new folder for the synthetic pictures.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir(parents=True)
        rows: list[list[list[str]]] = [[] for _ in range(N_FOLDS)]
        # Subjects of one age group follow each other here: dealing them out in turn puts the group in
        # as many folds as it has subjects for.
        dealt = sorted(range(n_subjects), key=lambda number: (_labels(number), number))
        fold_of = {number: place % N_FOLDS for place, number in enumerate(dealt)}
        for number in range(n_subjects):
            subject = _subject(seed, number)
            painting = _paint(subject, np.random.default_rng([seed, number, 1]))
            for picture in range(n_pictures):
                rng = np.random.default_rng([seed, number, 2 + picture])
                jpeg, box, yaw = _photograph(painting, subject, rng)
                user, original = f"synthetic{number:04d}", f"s{number:04d}_{picture}.jpg"
                names = {"user_id": user, "face_id": number + 1, "original_image": original}
                _write(unfinished / LAYOUTS["faces"].format_map(names), jpeg)
                years = "({}, {})".format(*AGE_GROUP.years[subject.group])
                row = [
                    user,
                    original,
                    number + 1,
                    years,
                    GENDER.classes[subject.gender][0],
                    *box,
                    0,
                    yaw,
                    100,
                ]
                rows[fold_of[number]].append([str(value) for value in row])
                if progress is not None:
                    progress(number * n_pictures + picture + 1, n_subjects * n_pictures)
        for fold, lines in enumerate(rows):
            text = "".join("\t".join(line) + "\n" for line in [HEADER, *lines])
            _write(unfinished / f"fold_{fold}_data.txt", text.encode())
        stamp = {"synthetic": True, "n_subjects": n_subjects, "n_pictures": n_pictures, "seed": seed}
        _write(unfinished / STAMP, json.dumps(stamp).encode())
        sync_folder(unfinished)
        unfinished.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ManifestError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    """Write a file of the unfinished folder through to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _labels(number: int) -> tuple[int, int]:
    """Age group and gender of a subject: each pair comes once in sixteen."""
    return (number // 2) % len(AGE_GROUP.classes), number % 2


def _subject(seed: int, number: int) -> Subject:
    """Draw the person with this number."""
    rng = np.random.default_rng([seed, number, 0])
    group, gender = _labels(number)
    first, last = AGE_GROUP.years[group]
    years = rng.uniform(first, min(last, 82) + 1)
    # People look older or younger than they are, by more years the older they are.
    looks = years + rng.normal(0, 0.3 + 0.04 * min(years, 50))
    grown = 1 - np.exp(-max(looks, 0) / 9)
    manly = float(np.clip((0.4 + 0.6 * grown) * gender + rng.normal(0, 0.1), 0, 1))

    tones = np.array(
        [(0.93, 0.78, 0.69), (0.86, 0.68, 0.57), (0.76, 0.57, 0.44), (0.6, 0.42, 0.31), (0.46, 0.31, 0.23)]
    )
    darkness = rng.uniform(0, 3.3)
    skin = _between(tones, darkness) * rng.normal(1, 0.02, 3)
    dark, light = (
        np.array([(0.11, 0.08, 0.07), (0.28, 0.19, 0.12)]),
        np.array([(0.62, 0.48, 0.28), (0.5, 0.27, 0.15)]),
    )
    palette = np.concatenate([dark, light]) if darkness < 1.6 else dark
    hair = palette[rng.integers(len(palette))] * rng.uniform(0.85, 1.15)

    woman = rng.random() < (0.04 if gender else 0.95)
    style = ("long" if rng.random() < (0.6 if looks < 45 else 0.2) else "bob") if woman else "short"
    if looks < 2.5 and rng.random() < (0.85 if gender else 0.15):
        style = "fuzz"
    hairline = rng.uniform(138, 182)
    if gender and looks > 30:  # receding
        hairline -= rng.uniform(0, 1) * min(looks - 30, 35) * 2.4
    beard = 0.0
    if gender and looks > 17:
        beard = float(rng.choice([0.06, 0.25, 0.5, 0.9], p=[0.3, 0.3, 0.2, 0.2])) * min((looks - 15) / 12, 1)
    return Subject(
        number=number,
        group=group,
        gender=gender,
        looks=float(looks),
        manly=manly,
        skin=_color(skin),
        hair=_color(hair),
        style=style,
        hairline=float(hairline),
        beard=beard,
        glasses=bool(rng.random() < (0.04 if looks < 8 else 0.12 if looks < 40 else 0.35)),
        clothes=_color(rng.uniform(0.15, 0.75) + rng.normal(0, 0.12, 3)),
        build=np.clip(rng.normal(0, 0.7, 12), -1.5, 1.5),
    )


def _color(values: NDArray[Any]) -> tuple[float, float, float]:
    red, green, blue = np.clip(values, 0, 1)
    return float(red), float(green), float(blue)


def _between(colors: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """Return the color at a broken place in a row of colors."""
    low = min(int(place), len(colors) - 2)
    return np.asarray(colors[low] + (place - low) * (colors[low + 1] - colors[low]))


def _area(outlines: Sequence[Points], softness: float) -> Floats:
    """Return a mask 0..1 of the canvas: 1 inside smooth closed outlines, soft at the edge.

    Args:
        outlines: corners of each area; the curve through them is rounded.
        softness: sigma of the edge, in pixels.
    """
    import cv2

    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for outline in outlines:
        # An area of its own, because overlapping outlines of one fillPoly cancel each other.
        cv2.fillPoly(mask, [_curve(outline, closed=True)], 255, shift=4, lineType=cv2.LINE_AA)
    return _blurred(mask, softness)


def _blurred(mask: NDArray[np.uint8], sigma: float) -> Floats:
    """Return a mask as 0..1 with soft edges."""
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma))


def _curve(points: Points | NDArray[np.float64], *, closed: bool) -> NDArray[np.int32]:
    """Return a Catmull-Rom curve through the points, in sixteenths of a pixel as OpenCV draws them."""
    corners = np.asarray(points, np.float64)
    ends = (corners[-1:], corners[:2]) if closed else (corners[:1], corners[-1:])
    before, here, after, next_ = (
        np.concatenate([ends[0], corners, ends[1]])[k : k + len(corners) - (not closed)] for k in range(4)
    )
    t = np.linspace(0, 1, 9)[:-1, None, None]
    curve = 0.5 * (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - next_) * t**2
        + (3 * here - before - 3 * after + next_) * t**3
    )
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    if not closed:
        flat = np.concatenate([flat, corners[-1:]])
    return np.asarray(np.round(flat * 16), np.int32)


def _strokes(
    lines: Sequence[NDArray[np.float64]], depths: NDArray[np.float64], width: int, softness: float
) -> Floats:
    """Return a mask of soft lines on the canvas, each 0..1 as deep as it is told and shallow at its ends."""
    import cv2

    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for line, depth in zip(lines, depths, strict=True):
        curve = _curve(line, closed=False)
        for place in range(len(curve) - 1):
            ends = np.sin(np.pi * (place + 0.7) / (len(curve) + 0.4)) ** 0.7
            cv2.line(mask, curve[place], curve[place + 1], float(255 * depth * ends), width, cv2.LINE_AA, 4)
    return _blurred(mask, softness)


def _fill(picture: Floats, known: Floats, reach: float) -> Floats:
    """Continue what is known smoothly over the rest of the canvas.

    Args:
        picture: shape (CANVAS, CANVAS, 3).
        known: 0..1, shape (CANVAS, CANVAS).
        reach: sigma of the widest averaging, in pixels.
    """
    import cv2

    far = np.zeros_like(picture)
    weight = np.zeros_like(known)
    # Near pixels count far more than distant ones, which only have a say where nothing near is known.
    for sigma, trust in ((reach, 1e-4), (reach / 3, 1e-2), (reach / 9, 1.0)):
        far += trust * cv2.GaussianBlur(picture * known[..., None], (0, 0), sigma)
        weight += trust * cv2.GaussianBlur(known, (0, 0), sigma)
    far /= np.maximum(weight, 1e-9)[..., None]
    return np.asarray(far + (picture - far) * known[..., None])


@dataclass(frozen=True)
class Portrait:
    """What the public-domain portrait gives to every subject.

    Attributes:
        skin: RGB over the mean color of the skin, so about 1; a bald head, shape (CANVAS, CANVAS, 3).
        features: the same, before eyebrows were removed.
        plump: the same as skin, without the folds beside the mouth and under the eyes.
        eyes: RGB of the eyes and teeth as photographed, same shape.
        hair: brightness of the hair over its mean, shape (CANVAS, CANVAS).
    """

    skin: Floats
    features: Floats
    plump: Floats
    eyes: Floats
    hair: Floats


@cache
def _portrait() -> Portrait:
    """Take the portrait apart: skin, eyes and hair, each continued where something else lay over it."""
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

    face = _area([FACE, BARE_NECK], 2.5)
    face = np.clip(2 * face - 1, 0, 1)  # nothing of the hair or the suit at the edge
    mean = upright[face > 0.9].mean(axis=0)
    features = _fill(upright / mean, face, 60)
    bare = _fill(features, 1 - np.clip(1.6 * _area(BROW_AREAS, 2.0), 0, 1), 18)
    plump = _fill(bare, 1 - np.clip(1.6 * _area(FOLD_AREAS, 3.0), 0, 1), 24)
    rows, columns = np.mgrid[:CANVAS, :CANVAS].astype(np.float32)
    # The filled forehead is lit from the front: it darkens towards the edge of the skull.
    distance = ((columns - 257) / 104) ** 2 + ((rows - 215) / 165) ** 2
    shade = 1 - 0.3 * np.clip(distance, 0, 1.2) ** 3 * (1 - face) * np.clip((235 - rows) / 60, 0, 1)
    grain = cv2.GaussianBlur(
        0.05 * np.random.default_rng(0).standard_normal((CANVAS, CANVAS), np.float32), (0, 0), 1.2
    ) * (1 - face)
    overlay = (shade + grain)[..., None]

    hair_known = np.clip(2 * _area([BOB], 2.5) - 1, 0, 1)
    brightness = upright.mean(axis=2)
    level = brightness[hair_known > 0.9].mean()
    hair = _fill(np.repeat(brightness[..., None] / level, 3, axis=2), hair_known, 40)[..., 0]
    return Portrait(
        skin=bare * overlay,
        features=features * overlay,
        plump=plump * overlay,
        eyes=upright,
        hair=np.clip(hair, 0.25, 2) ** 0.8,
    )


def _paint(subject: Subject, rng: np.random.Generator) -> Floats:
    """Paint the subject on the upright canvas, before the head gets its shape.

    Returns:
        RGB times opacity, and opacity, 0..1, shape (CANVAS, CANVAS, 4).
    """
    import cv2

    # The hair of children is lighter than what it becomes; that of the old turns grey.
    hair_tone = np.array(subject.hair, np.float32)
    lighter = np.array((0.36, 0.28, 0.19), np.float32) + hair_tone / 2
    grey = np.array((0.7, 0.69, 0.67), np.float32)
    hair_tone += np.float32(0.5 * subject.childlike) * (lighter - hair_tone)
    hair_tone += np.float32(subject.grey) * (grey - hair_tone)
    skin = _paint_skin(subject, hair_tone, rng)

    # Layers from back to front; each is laid over what is already there.
    canvas = np.zeros((CANVAS, CANVAS, 4), np.float32)

    def lay(color: NDArray[Any], opacity: Floats) -> None:
        canvas[..., :3] += (np.clip(color, 0, 1) - canvas[..., :3]) * opacity[..., None]
        canvas[..., 3] += (1 - canvas[..., 3]) * opacity

    strands = np.clip(1 + 0.22 * _noise(rng, 1.6, 22), 0.3, 1.8)
    photographed = np.clip(2 * _area([BOB], 4) - 1, 0, 1)
    brightness = _portrait().hair * photographed + strands * (1 - photographed)
    hair = hair_tone * (brightness ** np.float32(1.1 - 0.35 * subject.grey))[..., None]
    lay(skin, _area([NECK], 1.5))
    folds = 1 + 0.1 * _noise(rng, 26, 60) + 0.015 * _noise(rng, 1, 1)
    lay(np.array(subject.clothes, np.float32) * folds[..., None], _area([CLOTHES], 1.2))
    if subject.style == "long":
        under_the_chin = _area([((168, 280), (256, 300), (346, 280), (340, 460), (174, 460))], 12)
        lay(hair * (1 - 0.45 * under_the_chin)[..., None], _ragged(_area(CURTAINS, 4), _noise(rng, 1.5, 10)))
    head = [*_skull(1), (350, 240), (344, 260), (172, 260), (163, 240)]
    lay(skin, _area([FACE, *EARS, head], 1.5))
    density = np.float32(0.55 + 0.15 * np.tanh(subject.build[2]) if subject.style == "fuzz" else 1)
    lay(hair, density * _ragged(_area([_hair_outline(subject)], 4), _noise(rng, 1.4, 5)))
    if subject.glasses:
        frames = np.zeros((CANVAS, CANVAS), np.uint8)
        for x in (211, 301):
            cv2.ellipse(frames, (x * 16, 233 * 16), (33 * 16, 25 * 16), 0, 0, 360, 255, 4, cv2.LINE_AA, 4)
        for start, end in (((243, 230), (269, 230)), ((178, 228), (160, 222)), ((334, 228), (352, 222))):
            cv2.line(frames, start, end, 255, 4, cv2.LINE_AA)
        metal = np.array((0.12, 0.1, 0.1), np.float32) + np.float32(0.25 * max(subject.build[3], 0))
        lay(metal, _blurred(frames, 0.8))
    return canvas


def _paint_skin(subject: Subject, hair_tone: Floats, rng: np.random.Generator) -> Floats:
    """Paint head and neck, bald, with all that grows on the face; RGB, shape (CANVAS, CANVAS, 3)."""
    import cv2

    portrait = _portrait()
    grown, worn, manly = 1 - subject.childlike, subject.worn, subject.manly
    tone = np.array(subject.skin, np.float32)

    def tint(red: float, green: float, blue: float) -> Floats:
        return np.array((red, green, blue), np.float32)

    # Smooth and rosy in children, of stronger contrast and blotchy in the old.
    own_brows = (1 - manly) * grown * (1 - 0.6 * subject.grey)
    skin = portrait.skin + own_brows * (portrait.features - portrait.skin)
    skin += min(1.5 * subject.childlike, 1) * (portrait.plump - portrait.skin)
    low = cv2.GaussianBlur(skin, (0, 0), 5)
    lips = _area([LIPS], 2.5)[..., None]
    detail = 0.3 + 0.65 * grown + 0.45 * worn
    skin = low + (skin - low) * (detail + (1 - detail) * lips)
    skin += (worn * 0.035 * _noise(rng, 3, 3) + 0.012 * _noise(rng, 1, 1))[..., None]
    skin = tone * np.clip(skin, 0, 2) ** np.float32(1.15 - 0.3 * manly * grown)
    # A blush shows less on dark skin.
    skin *= 1 + _area(CHEEKS, 9)[..., None] * tint(0.1, -0.14, -0.12) * np.float32(
        subject.childlike * tone[0]
    )
    redness = np.float32(0.3 + 1.5 * (1 - manly) * grown - 0.8 * worn)
    skin *= 1 + lips * tint(0.06, -0.1, -0.08) * redness
    # The head throws a shadow on the neck, and the ears lie back.
    skin *= (1 - 0.22 * _area([NECK_SHADOW], 14) * _area([NECK], 3))[..., None]
    skin *= (1 - (0.25 * _area(EARS, 2) - 0.05 * _area(EAR_HOLLOWS, 3)) * (1 - _area([FACE], 2)))[..., None]
    if worn > 0:
        # The lines come one after the other, and each deepens.
        late = 0.7 * np.arange(len(FURROWS)) / len(FURROWS)
        depths = np.clip(1.4 * worn - late + rng.normal(0, 0.12, len(FURROWS)), 0, 1)
        lines = [np.asarray(line) + rng.normal(0, 1.5, (len(line), 2)) for line in FURROWS]
        dark = _strokes(lines, depths, 2, 1.5)
        bright = _strokes([line + np.array((0, 4)) for line in lines], depths, 2, 2)
        skin *= (1 - 0.5 * dark + 0.16 * bright)[..., None]

    # Eyes and teeth keep their own colors; who has no teeth yet shows the tongue.
    skin += (portrait.eyes * (0.85 + 0.15 * tone.mean()) - skin) * _area(EYE_OPENINGS, 1.2)[..., None]
    circle = [(9 * float(np.cos(angle)), 9 * float(np.sin(angle))) for angle in np.arange(0, 6.2, 0.8)]
    iris = _area([[(x + dx, 229 + dy) for dx, dy in circle] for x in (212, 299)], 2)[..., None]
    skin *= 1 + iris * tint(-0.2, 0.02, 0.25) * np.float32(max(subject.build[1], 0))
    if subject.looks < 1.5:
        mouth = portrait.eyes.mean(axis=2, keepdims=True) * tint(0.8, 0.4, 0.4)
    else:
        mouth = portrait.eyes * tint(1, 1 - 0.08 * worn, 1 - 0.2 * worn)
    skin += (mouth - skin) * _area([TEETH], 1.5)[..., None]

    # Beard and brows.
    speckle = 1 + 0.25 * _noise(rng, 0.9, 2.2)
    beard = np.clip(_area([BEARD], 5) - 1.3 * _area([LIPS], 2.5), 0, 1) * speckle * 0.85 * subject.beard
    skin += (hair_tone * 0.75 - skin) * np.clip(beard, 0, 0.92)[..., None]
    hairs = [np.asarray(brow, float) for brow in BROWS]
    brows = np.clip(1.1 * _strokes(hairs, np.ones(2), round(3 + 9 * manly * grown), 1.8), 0, 1) * speckle
    brows *= min(0.15 + 0.85 * manly * grown + 0.2 * worn, 1)
    skin += (hair_tone * 0.65 - skin) * np.clip(brows, 0, 0.9)[..., None]
    return np.asarray(skin, np.float32)


def _noise(rng: np.random.Generator, across: float, down: float) -> Floats:
    """Return noise of deviation 1 on the canvas, smooth over so many pixels."""
    import cv2

    # Coarse noise is made small and enlarged: a wide blur of the whole canvas takes long.
    reduction = 1 << int(max(min(across, down) // 4, 1)).bit_length() - 1
    raw = rng.standard_normal((CANVAS // reduction,) * 2, dtype=np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), sigmaX=across / reduction, sigmaY=down / reduction)
    return np.asarray(cv2.resize(smooth / smooth.std(), (CANVAS, CANVAS)))


def _hair_outline(subject: Subject) -> Points:
    """Return the area that the hair covers from the front."""
    y = subject.hairline
    if subject.style in ("bob", "long"):
        fringe = ((334, y + 16), (300, y + 4), (256, y - 3), (212, y + 4), (182, y + 14), (172, 205))
        return (*BOB[:24], (350, 255), (345, 225), (341, 200), *fringe, *BOB[-8:])
    size, ends = 1.07, 240.0
    if subject.style == "fuzz":
        size, ends, y = 1.01, 212.0, 118.0
    fringe = ((338, y + 22), (300, y + 2), (256, y - 4), (212, y + 2), (176, y + 22), (171, 205))
    return ((158, ends), *_skull(size), (356, ends), (348, ends - 6), (344, 205), *fringe, (166, ends - 6))


def _skull(size: float) -> Points:
    """Return the upper half of the outline of a bald head, or of one larger by size, from left to right."""
    angles = np.linspace(np.pi, 2 * np.pi, 15)
    # An ellipse of exponent 2.5 is fuller at the sides than the usual one, as heads are.
    x = 257 + 98 * size * np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.8
    y = 205 - 132 * size * np.abs(np.sin(angles)) ** 0.8
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def _ragged(mask: Floats, noise: Floats) -> Floats:
    """Turn a soft edge into one of strands."""
    edge = np.clip((mask + 0.13 * noise * (mask > 0.02) * (mask < 0.98) - 0.3) / 0.4, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float32)


def _shape(subject: Subject, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Decide where the points of SHAPE lie on this picture.

    Returns:
        Canvas pixels, shape (len(SHAPE), 2), and the yaw in degrees.
    """
    at = {name: np.array(place[:2], float) for name, place in SHAPE.items()}
    child, worn, build = subject.childlike, subject.worn, subject.build
    man = subject.manly * (1 - 0.7 * child)

    def move(names: str, x: float = 0, y: float = 0) -> None:
        """Move points; those of the left side (of the picture) mirror the x of the right."""
        for name in names.split():
            for side, sign in (("_l", -1), ("_r", 1)):
                if name + side in at:
                    at[name + side] += (sign * x, y)
            if name in at:
                at[name] += (0, y)

    # A child's face is short and broad below a high skull, with big eyes, a small nose and a small mouth.
    move("crown skull", x=16 * child, y=-4 * child)
    move("brow", y=-3 * child - 3 * build[4] + 6 * man)
    move("upper", y=-7 * child + 2.5 * worn + 1.5 * man + 0.8 * build[5])
    move("lower", y=5 * child + 1 * worn)
    move("outer", x=6 * child - 2 * man + build[5], y=1.5 * worn)
    move("inner", x=2 * child)
    move("brow upper lower outer inner bridge", x=2.5 * build[6], y=11 * child)
    move("tip", y=-11 * child + 4 * worn + 3 * man + 2.5 * build[7])
    move(
        "wing",
        x=-8 * child + 3 * man + 2 * worn + 2 * build[8],
        y=-11 * child + 3 * worn + 2 * man + 2.5 * build[7],
    )
    move("corner lip lower_lip", y=-22 * child + 2 * worn + 4 * man + 2 * build[9])
    move("corner", x=-12 * child + 2 * man + 2.5 * build[10])
    move("lip", y=2.5 * worn + 1.5 * man)
    move("lower_lip", y=-2 * worn - 1.5 * man)
    move("chin", y=-42 * child + 13 * man + 4 * build[9])
    move("jaw", x=5 * child + 10 * man + 3 * worn + 3 * build[11], y=-26 * child + 10 * man + 5 * worn)
    move("cheek", x=6 * child + 1 * man - 3 * worn + 2.5 * build[11], y=-6 * child)
    move("temple", x=8 * child)
    move("temple skull", x=2 * build[3])
    move("neck", x=-10 * child + 15 * man, y=-22 * child)

    # Mouth and brows of the moment.
    smile = rng.normal(0, 1)
    move("corner", x=2.5 * smile, y=-2.5 * smile)
    move("lip", y=1.5 * rng.normal())
    move("lower_lip", y=2.5 * rng.normal())
    move("brow", y=1.8 * rng.normal())

    # Turning the head moves what lies further in front further.
    yaw, pitch = np.clip(rng.normal(0, (10, 5)), -22, 15)
    places = np.array([at[name] for name in SHAPE])
    depth = np.array([place[2] for place in SHAPE.values()])
    places[:, 0] += depth * np.sin(np.radians(yaw))
    places[:, 1] += depth * np.sin(np.radians(pitch))
    return places, float(yaw)


def _photograph(
    painting: Floats, subject: Subject, rng: np.random.Generator
) -> tuple[bytes, tuple[int, int, int, int], int]:
    """Take one picture of a painted subject.

    Returns:
        The JPEG file, the face's box (x, y, width, height) on it in pixels, and the yaw as Adience
        gives it: degrees in steps of 15.
    """
    import cv2

    places, yaw = _shape(subject, rng)
    fixed = np.array(FIXED, float)
    source = np.concatenate([np.array([place[:2] for place in SHAPE.values()], float), fixed])
    target = np.concatenate([places, fixed])

    # Output pixel → shaped canvas: turn, scale, shift.
    roll, size = np.radians(rng.normal(0, 6)), rng.uniform(0.46, 0.6)
    turn = np.array([(np.cos(roll), -np.sin(roll)), (np.sin(roll), np.cos(roll))]) / size
    # Adience's crops put the face in the middle, as far as its detector knew.
    middle = (places[list(SHAPE).index("bridge")] + places[list(SHAPE).index("tip")]) / 2 + rng.normal(
        0, 9, 2
    )
    step = 4
    ticks = (np.arange(SIDE // step) + 0.5) * step - 0.5 - SIDE / 2
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2) @ turn.T + middle
    sources = _thin_plate(target, source, grid).reshape(len(ticks), len(ticks), 2).astype(np.float32)
    flow = cv2.resize(sources, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    person = cv2.remap(
        painting, flow[..., 0], flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )

    picture = person[..., :3] + _background(rng) * (1 - person[..., 3:])
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
    picture *= (
        1 + np.float32(strength) * (np.float32(np.cos(angle)) * columns + np.float32(np.sin(angle)) * rows)
    )[..., None]
    picture *= (rng.uniform(0.82, 1.12) * (1 + np.array((1, 0, -1)) * rng.normal(0, 0.06))).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * np.float32(
        rng.choice([0.05, 0.75, 0.9, 1.0, 1.1], p=[0.05, 0.2, 0.25, 0.3, 0.2])
    )
    picture = np.clip(picture, 0, 1) ** np.float32(rng.uniform(0.8, 1.3))
    blur = abs(rng.normal(0, 0.75))
    if blur > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    picture += np.float32(rng.uniform(0.005, 0.035)) * rng.standard_normal(picture.shape, np.float32)
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    quality = int(rng.integers(45, 96))
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])

    on_face = [
        k for k, name in enumerate(SHAPE) if name[:5] in ("templ", "cheek", "jaw_l", "jaw_r", "chin", "brow_")
    ]
    seen = (places[on_face] - middle) @ np.linalg.inv(turn).T + SIDE / 2
    x, y = np.floor(seen.min(axis=0)).astype(int).clip(0, SIDE)
    right, bottom = np.ceil(seen.max(axis=0)).astype(int).clip(0, SIDE)
    return jpeg.tobytes(), (int(x), int(y), int(right - x), int(bottom - y)), int(15 * np.round(yaw / 15))


def _background(rng: np.random.Generator) -> Floats:
    """Return something out of focus, RGB 0..1, shape (SIDE, SIDE, 3)."""
    import cv2

    base = rng.uniform(0.15, 0.85) + rng.normal(0, 0.07, 3)
    coarse = base + rng.uniform(0.02, 0.2) * rng.standard_normal((5, 5, 1)) + rng.normal(0, 0.03, (5, 5, 3))
    picture = cv2.resize(np.clip(coarse, 0.02, 0.98), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 4)):
        corner, far = rng.integers(-40, SIDE + 40, (2, 2))
        color = [float(value) for value in rng.uniform(0.1, 0.9) + rng.normal(0, 0.1, 3)]
        cv2.rectangle(picture, [int(v) for v in corner], [int(v) for v in far], color, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), rng.uniform(2, 9)), 0, 1), np.float32)


def _thin_plate(
    nodes: NDArray[np.float64], values: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the smoothest map that takes nodes to values, at some places; all of shape (n, 2)."""

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        return np.asarray(squared * np.log(np.maximum(squared, 1e-9)))

    n = len(nodes)
    affine = np.c_[np.ones(n), nodes]
    system = np.zeros((n + 3, n + 3))
    system[:n, :n], system[:n, n:], system[n:, :n] = kernel(nodes, nodes), affine, affine.T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    return np.asarray(kernel(places, nodes) @ weights[:n] + np.c_[np.ones(len(places)), places] @ weights[n:])
