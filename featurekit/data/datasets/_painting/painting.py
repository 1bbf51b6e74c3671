"""Paint a subject upright on the canvas, before the head gets its shape."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets._painting.brushes import area, blurred, noise, ragged, strokes
from featurekit.data.datasets._painting.outlines import (
    BEARD,
    BOB,
    BROWS,
    CANVAS,
    CHEEKS,
    CLOTHES,
    CURTAINS,
    EAR_HOLLOWS,
    EARS,
    EYE_OPENINGS,
    FACE,
    FURROWS,
    LIPS,
    NECK,
    NECK_SHADOW,
    TEETH,
    Floats,
    Points,
)
from featurekit.data.datasets._painting.portrait import portrait_parts
from featurekit.data.datasets._painting.subject import Subject


def paint(subject: Subject, rng: np.random.Generator) -> Floats:
    """Paint the subject on the upright canvas, before the head gets its shape.

    Returns:
        RGB times opacity, and opacity, 0..1, shape (CANVAS, CANVAS, 4).
    """
    import cv2

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
    head = [*_skull(1), (350, 240), (344, 260), (172, 260), (163, 240)]
    lay(skin, area([FACE, *EARS, head], 1.5))
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
    import cv2

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
    mouth = tongue if subject.looks < 1.5 else teeth
    skin += (mouth - skin) * area([TEETH], 1.5)[..., None]

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
