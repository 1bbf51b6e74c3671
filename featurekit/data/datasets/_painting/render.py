"""Make an image of a painted subject: its shape, pose, light, blur and compression."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets._painting.outlines import FIXED, SHAPE, Floats
from featurekit.data.datasets._painting.subject import Subject

SIDE = 232  # pixels of a finished image; the face fills about half of it, as in Adience's coarse crops
# The points of SHAPE whose middle is a landmark, in the order of the landmarks of a Face.
_LANDMARKS = (
    ("outer_l", "inner_l", "upper_l", "lower_l"),
    ("outer_r", "inner_r", "upper_r", "lower_r"),
    ("tip",),
    ("corner_l",),
    ("corner_r",),
)


@dataclass(frozen=True)
class Rendered:
    """A finished image.

    Attributes:
        jpeg: the JPEG file.
        box: x, y, width and height of the face on the image, in pixels.
        yaw: the yaw as Adience gives it, in degrees, in steps of 15.
        landmarks: centers of the eyes, tip of the nose and corners of the mouth, in pixels, shape (5, 2).
    """

    jpeg: bytes
    box: tuple[int, int, int, int]
    yaw: int
    landmarks: NDArray[np.float64]


def _shape(subject: Subject, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """Decide where the points of SHAPE are on this image.

    Returns:
        Canvas pixels, shape (len(SHAPE), 2), and the yaw in degrees.
    """
    at = {name: np.array(place[:2], float) for name, place in SHAPE.items()}
    child, worn, build = subject.childlike, subject.worn, subject.build
    man = subject.manly * (1 - 0.7 * child)

    smile = rng.normal(0, 1)
    # The points to move, and by how much: x to the right, y down, in pixels. For points on the left
    # side of the image, x is mirrored.
    moves = (
        # A child's face is short and broad below a high skull, with big eyes, a small nose and a small mouth.
        ("crown skull", 16 * child, -4 * child),
        ("brow", 0, -3 * child - 3 * build[4] + 6 * man),
        ("upper", 0, -7 * child + 2.5 * worn + 1.5 * man + 0.8 * build[5]),
        ("lower", 0, 5 * child + 1 * worn),
        ("outer", 6 * child - 2 * man + build[5], 1.5 * worn),
        ("inner", 2 * child, 0),
        ("brow upper lower outer inner bridge", 2.5 * build[6], 11 * child),
        ("tip", 0, -11 * child + 4 * worn + 3 * man + 2.5 * build[7]),
        (
            "wing",
            -8 * child + 3 * man + 2 * worn + 2 * build[8],
            -11 * child + 3 * worn + 2 * man + 2.5 * build[7],
        ),
        ("corner lip lower_lip", 0, -22 * child + 2 * worn + 4 * man + 2 * build[9]),
        ("corner", -12 * child + 2 * man + 2.5 * build[10], 0),
        ("lip", 0, 2.5 * worn + 1.5 * man),
        ("lower_lip", 0, -2 * worn - 1.5 * man),
        ("chin", 0, -42 * child + 13 * man + 4 * build[9]),
        ("jaw", 5 * child + 10 * man + 3 * worn + 3 * build[11], -26 * child + 10 * man + 5 * worn),
        ("cheek", 6 * child + 1 * man - 3 * worn + 2.5 * build[11], -6 * child),
        ("temple", 8 * child, 0),
        ("temple skull", 2 * build[3], 0),
        ("neck", -10 * child + 15 * man, -22 * child),
        # The expression of mouth and brows differs from image to image.
        ("corner", 2.5 * smile, -2.5 * smile),
        ("lip", 0, 1.5 * rng.normal()),
        ("lower_lip", 0, 2.5 * rng.normal()),
        ("brow", 0, 1.8 * rng.normal()),
    )
    for names, x, y in moves:
        for name in names.split():
            for point, sign in ((name, 0), (f"{name}_l", -1), (f"{name}_r", 1)):
                if point in at:
                    at[point] += (sign * x, y)

    # When the head turns, points that are further in front move further.
    yaw, pitch = np.clip(rng.normal(0, (10, 5)), -22, 15)
    places = np.array([at[name] for name in SHAPE])
    depth = np.array([place[2] for place in SHAPE.values()])
    places[:, 0] += depth * np.sin(np.radians(yaw))
    places[:, 1] += depth * np.sin(np.radians(pitch))
    return places, float(yaw)


def render(painting: Floats, subject: Subject, rng: np.random.Generator) -> Rendered:
    """Make one image of a painted subject."""
    places, yaw = _shape(subject, rng)
    source = np.array([*(place[:2] for place in SHAPE.values()), *FIXED], float)
    target = np.array([*places, *FIXED])

    # Output pixel → shaped canvas: turn, scale, shift.
    roll, size = np.radians(rng.normal(0, 6)), rng.uniform(0.46, 0.6)
    turn = np.array([(np.cos(roll), -np.sin(roll)), (np.sin(roll), np.cos(roll))]) / size
    # In Adience's crops the face is in the middle, as far as the detector found it.
    middle = (places[list(SHAPE).index("bridge")] + places[list(SHAPE).index("tip")]) / 2 + rng.normal(
        0, 9, 2
    )
    step = 4
    ticks = (np.arange(SIDE // step) + 0.5) * step - 0.5 - SIDE / 2
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2) @ turn.T + middle
    sources = _thin_plate(target, source, grid).reshape(len(ticks), len(ticks), 2).astype(np.float32)
    flow = cv2.resize(sources, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    shaped = cv2.remap(
        painting, flow[..., 0], flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )

    image = shaped[..., :3] + _background(rng) * (1 - shaped[..., 3:])
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
    image *= (
        1 + np.float32(strength) * (np.float32(np.cos(angle)) * columns + np.float32(np.sin(angle)) * rows)
    )[..., None]
    image *= (rng.uniform(0.82, 1.12) * (1 + np.array((1, 0, -1)) * rng.normal(0, 0.06))).astype(np.float32)
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * np.float32(
        rng.choice([0.05, 0.75, 0.9, 1.0, 1.1], p=[0.05, 0.2, 0.25, 0.3, 0.2])
    )
    image = np.clip(image, 0, 1) ** np.float32(rng.uniform(0.8, 1.3))
    blur = abs(rng.normal(0, 0.75))
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    image += np.float32(rng.uniform(0.005, 0.035)) * rng.standard_normal(image.shape, np.float32)
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))])

    on_face = [
        k for k, name in enumerate(SHAPE) if name[:5] in ("templ", "cheek", "jaw_l", "jaw_r", "chin", "brow_")
    ]
    seen = (places - middle) @ np.linalg.inv(turn).T + SIDE / 2
    x, y = np.floor(seen[on_face].min(axis=0)).astype(int).clip(0, SIDE)
    right, bottom = np.ceil(seen[on_face].max(axis=0)).astype(int).clip(0, SIDE)
    names = list(SHAPE)
    return Rendered(
        jpeg.tobytes(),
        (int(x), int(y), int(right - x), int(bottom - y)),
        int(15 * np.round(yaw / 15)),
        np.array([seen[[names.index(name) for name in part]].mean(axis=0) for part in _LANDMARKS]),
    )


def _background(rng: np.random.Generator) -> Floats:
    """Return something out of focus, RGB 0..1, shape (SIDE, SIDE, 3)."""
    base = rng.uniform(0.15, 0.85) + rng.normal(0, 0.07, 3)
    coarse = base + rng.uniform(0.02, 0.2) * rng.standard_normal((5, 5, 1)) + rng.normal(0, 0.03, (5, 5, 3))
    image = cv2.resize(np.clip(coarse, 0.02, 0.98), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 4)):
        corner, far = rng.integers(-40, SIDE + 40, (2, 2))
        color = [float(value) for value in rng.uniform(0.1, 0.9) + rng.normal(0, 0.1, 3)]
        cv2.rectangle(image, [int(v) for v in corner], [int(v) for v in far], color, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 9)), 0, 1), np.float32)


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
