"""Draw predictions on images, and maps over faces that show which pixels a prediction depends on."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from featurekit.data.targets import Target
from featurekit.errors import WorkspaceError
from featurekit.faces.detectors._frame import import_cv2
from featurekit.faces.images import decode
from featurekit.files import fresh_name, real_path, whole_file
from featurekit.inference.columns import columns_of
from featurekit.inference.explain import WAYS, Explanation, MeanMap, as_rgb, grey_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import Reading
from featurekit.inference.table import ABSTAINED, check_folder_for

SIZE = (448, 504)  # width and height of a drawn map: the face, and two lines below it
_PER_ROW = 4  # drawn maps side by side on a sheet
_INK, _FAINT, _PAPER = (25, 25, 30), (100, 100, 110), (255, 255, 255)
_OPACITY = 0.8  # of the map at its highest point; at 0 the map is transparent


def check_drawings(folder: Path, photographs: Sequence[Path], option: str) -> None:
    """Raise WorkspaceError if drawings cannot be written to a folder or could overwrite the images.

    Args:
        folder: folder for the drawings.
        photographs: the images.
        option: name of the option that gives the folder.
    """
    check_folder_for(folder / "drawing.png")
    if real_path(folder) in {real_path(photograph.parent) for photograph in photographs}:
        raise WorkspaceError(
            f"{folder} is the folder of the images, and a drawing could overwrite one of them. Give another"
            f" folder: {option} {folder / 'drawn'}"
        )


def draw_readings(
    readings: Sequence[Reading],
    models: Sequence[TrainedModel],
    folder: Path,
    names: set[str] | None = None,
) -> list[Path]:
    """Draw boxes and predictions on a copy of each image that has a face, and return the copies' paths.

    Args:
        readings: the predictions.
        models: the models that made them.
        folder: folder for the copies.
        names: names of files in the folder that must not be replaced, to which the new names are added.
    """
    drawn = []
    names = set() if names is None else names
    n_models = Counter(model.target.name for model in models)
    # The column of each model → its target, and whether several models predict this target.
    named = {
        columns.answer: (model.target, n_models[model.target.name] > 1)
        for model, columns in zip(models, columns_of(models), strict=True)
    }
    found = (reading for reading in readings if reading.face.status == "ok")
    for photograph, faces in groupby(found, key=attrgetter("photograph")):
        image = Image.fromarray(decode(photograph.read()))
        pen = ImageDraw.Draw(image)
        # Lines and letters grow with the image, so that they can be read when the whole image is shown.
        unit = max(max(image.size) / 400, 1.0)
        font = ImageFont.load_default(size=round(11 * unit))
        for reading in faces:
            box = [float(value) for value in reading.face.box]
            pen.rectangle(box, outline=(255, 255, 255), width=round(3 * unit))
            pen.rectangle(box, outline=(20, 90, 200), width=round(1.5 * unit))
            text = _caption(reading, named)
            # Below the face if there is room, else inside its box.
            left, top, right, bottom = pen.textbbox((box[0], box[3] + 2 * unit), text, font=font)
            lift = max(bottom + 3 * unit - image.size[1], 0)
            shift = max(right + 3 * unit - image.size[0], 0)
            x, y = left - shift, top - lift
            edge = 2 * unit
            pen.rectangle(
                (x - edge, y - edge, right - shift + edge, bottom - lift + edge), fill=(20, 90, 200)
            )
            pen.text((x, y), text, fill=(255, 255, 255), font=font, anchor="la")
        drawn.append(_write(image, folder / fresh_name(photograph.stem, ".png", names)))
    return drawn


def _caption(reading: Reading, named: Mapping[str, tuple[Target, bool]]) -> str:
    """Return the text beside a face: a line per model, with its name if others predict the same target."""
    lines = []
    for name, answer in reading.answers.items():
        target, is_one_of_several = named[name]
        best = max(answer, key=lambda label: answer[label])
        said = f"{answer[best]:.0f} years" if target.is_regression else f"{best} {100 * answer[best]:.0f} %"
        if name in reading.abstained:
            said = ABSTAINED if is_one_of_several else f"{target.name.replace('_', ' ')}: {ABSTAINED}"
        lines.append(f"{name}: {said}" if is_one_of_several else said)
    return "\n".join(lines)


def draw_explanation(one: Explanation, folder: Path) -> Path:
    """Draw the map of a prediction over its face, write a PNG file of the size SIZE, and return its path."""
    return _write(_drawn(one.face, one.heat, one.said, WAYS[one.how]), folder / f"{one.name}.png")


def draw_mean_maps(maps: Sequence[MeanMap], folder: Path) -> list[Path]:
    """Write each mean map as a PNG file of the size SIZE, and all maps as sheet.png; return the paths."""
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


def _drawn(face: NDArray[np.uint8], heat: NDArray[np.float32], title: str, note: str) -> Image.Image:
    """Return an image of a map over a face, with a title, a note, and the scale of the colors."""
    width = SIZE[0]
    drawing = Image.new("RGB", SIZE, _PAPER)
    drawing.paste(Image.fromarray(heat_over(face, heat, width)), (0, 0))
    pen = ImageDraw.Draw(drawing)
    pen.text((12, width + 6), title, fill=_INK, font=ImageFont.load_default(size=20), anchor="la")
    small = ImageFont.load_default(size=14)
    pen.text((12, width + 34), note[:1].upper() + note[1:], fill=_FAINT, font=small, anchor="la")
    scale = heat_scale(90, 10)
    left = width - 12 - scale.shape[1]
    drawing.paste(Image.fromarray(scale), (left, width + 14))
    pen.text((left, width + 34), "little", fill=_FAINT, font=small, anchor="la")
    pen.text((width - 12, width + 34), "much", fill=_FAINT, font=small, anchor="ra")
    return drawing


def heat_over(face: NDArray[np.uint8], heat: NDArray[np.floating[Any]], side: int) -> NDArray[np.uint8]:
    """Return a map drawn over a grey face, RGB, shape (side, side, 3).

    Args:
        face: the face, shape (s, s, 3).
        heat: the map, from 0 to 1, shape (t, t), of the same crop.
        side: side of the result in pixels.
    """
    cv2 = import_cv2()
    large = cv2.resize(as_rgb(grey_of(face)), (side, side), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.resize(heat.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR).clip(0, 1)
    opacity = _OPACITY * smooth[..., None]
    colored = large * (1 - opacity) + heat_colors(smooth) * opacity
    return np.asarray(colored.round(), np.uint8)


def heat_scale(width: int, height: int) -> NDArray[np.uint8]:
    """Return the colors from the least heat on the left to the most on the right, shape (h, w, 3)."""
    return heat_colors(np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1)))


def heat_colors(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return colors that get lighter with the heat, so that also who cannot see hues can tell them apart.

    Args:
        heat: numbers from 0 to 1, shape (h, w).

    Returns:
        RGB colors, shape (h, w, 3).
    """
    cv2 = import_cv2()
    colors = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colors[..., ::-1])


def _write(drawing: Image.Image, path: Path) -> Path:
    with whole_file(path) as file:
        drawing.save(file, "PNG")
    return path
