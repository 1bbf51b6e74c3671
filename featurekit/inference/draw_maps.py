"""Draw maps over faces."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurekit.faces.detectors._frame import import_cv2
from featurekit.files import fresh_name, whole_file
from featurekit.inference.explain import WAYS, Explanation
from featurekit.inference.mean_maps import MeanMap, as_rgb, grey_of

if TYPE_CHECKING:
    from PIL import Image


SIZE = (448, 504)  # width and height of a drawing: the face, and two lines below it
_PER_ROW = 4  # drawings side by side on a sheet
_INK, _FAINT, _PAPER = (25, 25, 30), (100, 100, 110), (255, 255, 255)
_OPACITY = 0.8  # of the map at its highest point; at 0 the map is transparent


def draw_explanation(one: Explanation, folder: Path) -> Path:
    """Write the map of a face over the face, as a PNG of the size SIZE, and return it."""
    return _write(_drawn(one.face, one.heat, one.said, WAYS[one.how]), folder / f"{one.name}.png")


def draw_mean_maps(maps: Sequence[MeanMap], folder: Path) -> list[Path]:
    """Write each mean map as a PNG of the size SIZE, and all of them as sheet.png; return the files."""
    from PIL import Image

    drawings = [
        _drawn(one.face, one.heat, one.group, f"{WAYS[one.how]}, mean of {one.n_faces:,} faces")
        for one in maps
    ]
    names = {"sheet.png"}
    written = [
        _write(drawing, folder / fresh_name("mean-" + re.sub(r"[^\w-]+", "-", one.group), ".png", names))
        for one, drawing in zip(maps, drawings, strict=True)
    ]
    width, height = SIZE
    across = min(len(drawings), _PER_ROW)
    sheet = Image.new("RGB", (across * width, -(-len(drawings) // across) * height), _PAPER)
    for place, drawing in enumerate(drawings):
        sheet.paste(drawing, (place % across * width, place // across * height))
    return [*written, _write(sheet, folder / "sheet.png")]


def _drawn(face: NDArray[np.uint8], heat: NDArray[np.float32], title: str, note: str) -> "Image.Image":
    """Return an image of a map over a face, with a title, a note, and the scale of the colors."""
    from PIL import Image, ImageDraw, ImageFont

    cv2 = import_cv2()
    width = SIZE[0]
    large = cv2.resize(as_rgb(grey_of(face)), (width, width), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.resize(heat, (width, width), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    opacity = _OPACITY * smooth[..., None]
    colored = large * (1 - opacity) + _colors(smooth) * opacity
    drawing = Image.new("RGB", SIZE, _PAPER)
    drawing.paste(Image.fromarray(colored.round().astype(np.uint8)), (0, 0))
    pen = ImageDraw.Draw(drawing)
    pen.text((12, width + 6), title, fill=_INK, font=ImageFont.load_default(size=20), anchor="la")
    small = ImageFont.load_default(size=14)
    pen.text((12, width + 34), note[:1].upper() + note[1:], fill=_FAINT, font=small, anchor="la")
    scale = _colors(np.tile(np.linspace(0, 1, 90, dtype=np.float32), (10, 1)))
    left = width - 12 - scale.shape[1]
    drawing.paste(Image.fromarray(scale), (left, width + 14))
    pen.text((left, width + 34), "little", fill=_FAINT, font=small, anchor="la")
    pen.text((width - 12, width + 34), "much", fill=_FAINT, font=small, anchor="ra")
    return drawing


def _colors(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return colors that get lighter with the heat, so that also who cannot see hues can tell them apart."""
    cv2 = import_cv2()
    colors = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colors[..., ::-1])


def _write(drawing: "Image.Image", path: Path) -> Path:
    with whole_file(path) as file:
        drawing.save(file, "PNG")
    return path
