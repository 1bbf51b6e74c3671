"""Take one picture of a painted subject: its shape, pose, light, blur and compression."""

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets._painting.outlines import FIXED, SHAPE, Floats
from featurekit.data.datasets._painting.subject import Subject

SIDE = 232  # pixels of a finished picture; the face fills about half of it, as in Adience's coarse crops


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


def photograph(
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
