"""Paint a subject upright on the canvas, before the head gets its shape.

paint() lays skin, clothes and hair over each other. They are made from the parts of the
portrait, which portrait_parts() cuts out, with the brushes at the end: soft areas and
curves, noise, and filling by continuation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets._painting.outlines import (
    BARE_NECK,
    BEARD,
    BOB,
    BROW_AREAS,
    BROWS,
    CANVAS,
    CHEEKS,
    CLOTHES,
    CURTAINS,
    EAR_HOLLOWS,
    EARS,
    EYE_OPENINGS,
    EYES,
    FACE,
    FOLD_AREAS,
    FURROWS,
    LIPS,
    NECK,
    NECK_SHADOW,
    TEETH,
    Floats,
    Points,
)
from featurekit.data.datasets._painting.subject import Subject


def paint(subject: Subject, rng: np.random.Generator) -> Floats:
    """Paint the subject on the upright canvas, before the head gets its shape.

    Returns:
        RGB times opacity, and opacity, 0..1, shape (CANVAS, CANVAS, 4).
    """
    # Children have lighter hair than they will have as adults; the hair of old subjects is grey.
    hair_tone = np.array(subject.hair, np.float32)
    lighter = np.array((0.36, 0.28, 0.19), np.float32) + hair_tone / 2
    grey = np.array((0.7, 0.69, 0.67), np.float32)
    hair_tone += np.float32(0.5 * subject.childlike) * (lighter - hair_tone)
    hair_tone += np.float32(subject.grey) * (grey - hair_tone)
    skin = _paint_skin(subject, hair_tone, rng)

    # Layers from back to front; each covers what is already there.
    canvas = np.zeros((CANVAS, CANVAS, 4), np.float32)

    def lay(color: NDArray[Any], opacity: Floats) -> None:
        canvas[..., :3] += (np.clip(color, 0, 1) - canvas[..., :3]) * opacity[..., None]
        canvas[..., 3] += (1 - canvas[..., 3]) * opacity

    strands = np.clip(1 + 0.22 * noise(rng, 1.6, 22), 0.3, 1.8)
    is_in_portrait = np.clip(2 * area([BOB], 4) - 1, 0, 1)
    brightness = portrait_parts().hair * is_in_portrait + strands * (1 - is_in_portrait)
    hair = hair_tone * (brightness ** np.float32(1.1 - 0.35 * subject.grey))[..., None]
    lay(skin, area([NECK], 1.5))
    folds = 1 + 0.1 * noise(rng, 26, 60) + 0.015 * noise(rng, 1, 1)
    lay(np.array(subject.clothes, np.float32) * folds[..., None], area([CLOTHES], 1.2))
    if subject.style == "long":
        under_the_chin = area([((168, 280), (256, 300), (346, 280), (340, 460), (174, 460))], 12)
        lay(hair * (1 - 0.45 * under_the_chin)[..., None], ragged(area(CURTAINS, 4), noise(rng, 1.5, 10)))
    lay(skin, area([FACE, *EARS, [*_skull(1), (350, 240), (344, 260), (172, 260), (163, 240)]], 1.5))
    density = np.float32(0.55 + 0.15 * np.tanh(subject.build[2]) if subject.style == "fuzz" else 1)
    lay(hair, density * ragged(area([_hair_outline(subject)], 4), noise(rng, 1.4, 5)))
    if subject.glasses:
        frames = np.zeros((CANVAS, CANVAS), np.uint8)
        for x in (211, 301):
            cv2.ellipse(frames, (x * 16, 233 * 16), (33 * 16, 25 * 16), 0, 0, 360, 255, 4, cv2.LINE_AA, 4)
        for start, end in (((243, 230), (269, 230)), ((178, 228), (160, 222)), ((334, 228), (352, 222))):
            cv2.line(frames, start, end, 255, 4, cv2.LINE_AA)
        metal = np.array((0.12, 0.1, 0.1), np.float32) + np.float32(0.25 * max(subject.build[3], 0))
        lay(metal, blurred(frames, 0.8))
    return canvas


def _paint_skin(subject: Subject, hair_tone: Floats, rng: np.random.Generator) -> Floats:
    """Paint head and neck without hair, but with beard and brows; RGB, shape (CANVAS, CANVAS, 3)."""
    portrait = portrait_parts()
    grown, worn, manly = 1 - subject.childlike, subject.worn, subject.manly
    tone = np.array(subject.skin, np.float32)

    def tint(red: float, green: float, blue: float) -> Floats:
        return np.array((red, green, blue), np.float32)

    # Children's skin is smooth and rosy; that of old subjects is blotchy, with more contrast.
    own_brows = (1 - manly) * grown * (1 - 0.6 * subject.grey)
    skin = portrait.skin + own_brows * (portrait.features - portrait.skin)
    skin += min(1.5 * subject.childlike, 1) * (portrait.plump - portrait.skin)
    low = cv2.GaussianBlur(skin, (0, 0), 5)
    lips = area([LIPS], 2.5)[..., None]
    detail = 0.3 + 0.65 * grown + 0.45 * worn
    skin = low + (skin - low) * (detail + (1 - detail) * lips)
    skin += (worn * 0.035 * noise(rng, 3, 3) + 0.012 * noise(rng, 1, 1))[..., None]
    skin = tone * np.clip(skin, 0, 2) ** np.float32(1.15 - 0.3 * manly * grown)
    # A blush shows less on dark skin.
    skin *= 1 + area(CHEEKS, 9)[..., None] * tint(0.1, -0.14, -0.12) * np.float32(subject.childlike * tone[0])
    skin *= 1 + lips * tint(0.06, -0.1, -0.08) * np.float32(0.3 + 1.5 * (1 - manly) * grown - 0.8 * worn)
    # The head casts a shadow on the neck, and the ears are further back.
    skin *= (1 - 0.22 * area([NECK_SHADOW], 14) * area([NECK], 3))[..., None]
    skin *= (1 - (0.25 * area(EARS, 2) - 0.05 * area(EAR_HOLLOWS, 3)) * (1 - area([FACE], 2)))[..., None]
    if worn > 0:
        # The lines appear one after the other, and each gets deeper.
        late = 0.7 * np.arange(len(FURROWS)) / len(FURROWS)
        depths = np.clip(1.4 * worn - late + rng.normal(0, 0.12, len(FURROWS)), 0, 1)
        lines = [np.asarray(line) + rng.normal(0, 1.5, (len(line), 2)) for line in FURROWS]
        dark = strokes(lines, depths, 2, 1.5)
        bright = strokes([line + np.array((0, 4)) for line in lines], depths, 2, 2)
        skin *= (1 - 0.5 * dark + 0.16 * bright)[..., None]

    # Eyes and teeth keep their own colors. Subjects who have no teeth yet show the tongue.
    skin += (portrait.eyes * (0.85 + 0.15 * tone.mean()) - skin) * area(EYE_OPENINGS, 1.2)[..., None]
    circle = [(9 * float(np.cos(angle)), 9 * float(np.sin(angle))) for angle in np.arange(0, 6.2, 0.8)]
    iris = area([[(x + dx, 229 + dy) for dx, dy in circle] for x in (212, 299)], 2)[..., None]
    skin *= 1 + iris * tint(-0.2, 0.02, 0.25) * np.float32(max(subject.build[1], 0))
    tongue = portrait.eyes.mean(axis=2, keepdims=True) * tint(0.8, 0.4, 0.4)
    teeth = portrait.eyes * tint(1, 1 - 0.08 * worn, 1 - 0.2 * worn)
    skin += ((tongue if subject.looks < 1.5 else teeth) - skin) * area([TEETH], 1.5)[..., None]

    # Beard and brows.
    speckle = 1 + 0.25 * noise(rng, 0.9, 2.2)
    beard = np.clip(area([BEARD], 5) - 1.3 * area([LIPS], 2.5), 0, 1) * speckle * 0.85 * subject.beard
    skin += (hair_tone * 0.75 - skin) * np.clip(beard, 0, 0.92)[..., None]
    hairs = [np.asarray(brow, float) for brow in BROWS]
    brows = np.clip(1.1 * strokes(hairs, np.ones(2), round(3 + 9 * manly * grown), 1.8), 0, 1) * speckle
    brows *= min(0.15 + 0.85 * manly * grown + 0.2 * worn, 1)
    skin += (hair_tone * 0.65 - skin) * np.clip(brows, 0, 0.9)[..., None]
    return np.asarray(skin, np.float32)


def _hair_outline(subject: Subject) -> Points:
    """Return the area that the hair covers, seen from the front."""
    y = subject.hairline
    if subject.style in ("bob", "long"):
        fringe = ((334, y + 16), (300, y + 4), (256, y - 3), (212, y + 4), (182, y + 14), (172, 205))
        return (*BOB[:24], (350, 255), (345, 225), (341, 200), *fringe, *BOB[-8:])
    size, ends, y = (1.01, 212.0, 118.0) if subject.style == "fuzz" else (1.07, 240.0, y)
    fringe = ((338, y + 22), (300, y + 2), (256, y - 4), (212, y + 2), (176, y + 22), (171, 205))
    return ((158, ends), *_skull(size), (356, ends), (348, ends - 6), (344, 205), *fringe, (166, ends - 6))


def _skull(size: float) -> Points:
    """Return the upper half of the outline of a bald head, or of one larger by size, from left to right."""
    angles = np.linspace(np.pi, 2 * np.pi, 15)
    # Like a head, an ellipse of exponent 2.5 is fuller at the sides than the usual one.
    x = 257 + 98 * size * np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.8
    y = 205 - 132 * size * np.abs(np.sin(angles)) ** 0.8
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


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
    from skimage import data

    left, right = np.array(EYES)
    across = right - left
    scale = 88 / np.hypot(*across)
    cosine, sine = across / np.hypot(*across) * scale
    turn = np.array([(cosine, sine), (-sine, cosine)])
    upright = cv2.warpAffine(
        np.asarray(data.astronaut()),  # type: ignore[no-untyped-call]
        np.c_[turn, np.array([256, 230]) - turn @ (left + right) / 2],
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


def area(outlines: Sequence[Points], softness: float) -> Floats:
    """Return a mask 0..1 of the canvas: 1 inside smooth closed outlines, soft at the edge.

    Args:
        outlines: corners of each area; the curve through them is rounded.
        softness: sigma of the edge, in pixels.
    """
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for outline in outlines:
        # One call for each area, because overlapping outlines of one call would cancel each other.
        cv2.fillPoly(mask, [curve_through(outline, closed=True)], 255, shift=4, lineType=cv2.LINE_AA)
    return blurred(mask, softness)


def blurred(mask: NDArray[np.uint8], sigma: float) -> Floats:
    """Return a mask as 0..1 with soft edges."""
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma))


def curve_through(points: Points | NDArray[np.float64], *, closed: bool) -> NDArray[np.int32]:
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


def strokes(
    lines: Sequence[NDArray[np.float64]], depths: NDArray[np.float64], width: int, softness: float
) -> Floats:
    """Return a mask of soft lines on the canvas; each has its own depth, 0..1, and is shallow at its ends."""
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    for line, depth in zip(lines, depths, strict=True):
        curve = curve_through(line, closed=False)
        for place in range(len(curve) - 1):
            ends = np.sin(np.pi * (place + 0.7) / (len(curve) + 0.4)) ** 0.7
            cv2.line(mask, curve[place], curve[place + 1], float(255 * depth * ends), width, cv2.LINE_AA, 4)
    return blurred(mask, softness)


def fill(image: Floats, known: Floats, reach: float) -> Floats:
    """Continue the known part of an image smoothly over the rest of the canvas.

    Args:
        image: shape (CANVAS, CANVAS, 3).
        known: 0..1, where the image is known, shape (CANVAS, CANVAS).
        reach: sigma of the widest averaging, in pixels.
    """
    far = np.zeros_like(image)
    weight = np.zeros_like(known)
    # Near pixels count far more than distant ones, which matter only where no near pixel is known.
    for sigma, trust in ((reach, 1e-4), (reach / 3, 1e-2), (reach / 9, 1.0)):
        far += trust * cv2.GaussianBlur(image * known[..., None], (0, 0), sigma)
        weight += trust * cv2.GaussianBlur(known, (0, 0), sigma)
    far /= np.maximum(weight, 1e-9)[..., None]
    return np.asarray(far + (image - far) * known[..., None])


def noise(rng: np.random.Generator, across: float, down: float) -> Floats:
    """Return noise of standard deviation 1 on the canvas, smooth over so many pixels in each direction."""
    # Coarse noise is made on a small canvas and enlarged, because a wide blur of the whole canvas takes long.
    reduction = 1 << int(max(min(across, down) // 4, 1)).bit_length() - 1
    raw = rng.standard_normal((CANVAS // reduction,) * 2, dtype=np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), sigmaX=across / reduction, sigmaY=down / reduction)
    return np.asarray(cv2.resize(smooth / smooth.std(), (CANVAS, CANVAS)))


def ragged(mask: Floats, noise: Floats) -> Floats:
    """Turn the soft edge of a mask into one that looks like strands of hair."""
    edge = np.clip((mask + 0.13 * noise * (mask > 0.02) * (mask < 0.98) - 0.3) / 0.4, 0, 1)
    return np.asarray(edge * edge * (3 - 2 * edge), np.float32)
