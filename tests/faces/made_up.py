"""Made-up faces and photographs that the tests of this folder share."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurekit.faces.align import place, warp
from featurekit.faces.detectors import Detection
from featurekit.faces.face import Face
from featurekit.faces.find import find_faces
from featurekit.faces.images import decode, read_bytes

# A face as a detector gives it, 100 × 140 pixels, its box's corner at (0, 0).
MARKS = np.array([[30, 50], [70, 50], [50, 75], [35, 105], [65, 105]], np.float32)


def face_at(x: float, y: float, width: float = 100, confidence: float = 0.9) -> Detection:
    """Return a face whose box's upper left corner is at (x, y)."""
    scale = np.float32(width / 100)
    corner = np.array([x, y], np.float32)
    box = np.array([x, y, x + width, y + 1.4 * width], np.float32)
    return Detection(box, MARKS * scale + corner, confidence)


def picture(*boxes: tuple[int, int, int, int], width: int = 400, height: int = 300) -> NDArray[np.uint8]:
    """Return a picture with a red rectangle for each box x1, y1, x2, y2, the first the reddest."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for (x1, y1, x2, y2), shade in zip(boxes, (250, 230, 210), strict=False):
        pixels[y1:y2, x1:x2] = shade, 0, 0
    return pixels


def photograph(width: int, height: int, **options: object) -> bytes:
    """Return a JPEG whose colours rise to the right and downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    file = io.BytesIO()
    Image.fromarray(np.dstack([x, y, x]).astype(np.uint8)).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the upright RGB pixels of a file."""
    return decode(read_bytes(path))


def find_face(*given: Any) -> Face:
    """Return the one face that is meant on an image."""
    return find_faces(*given)[0]


def align(
    pixels: NDArray[np.uint8], landmarks: NDArray[Any], box: NDArray[Any], template: str, size: int
) -> tuple[NDArray[np.uint8], str]:
    """Cut a face out for one template, and say by what."""
    aligned_by, placed = place(landmarks, box, [template], pixels.shape[1], pixels.shape[0])
    turn, shift = placed[template]
    return warp(pixels, turn * size, shift * size, size), aligned_by
