"""Draw predictions on copies of the images."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from featurekit.data.targets import Target
from featurekit.errors import WorkspaceError
from featurekit.faces.images import decode
from featurekit.files import fresh_name, whole_file
from featurekit.inference.columns import columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.output import check_folder_for
from featurekit.inference.predict import Reading
from featurekit.inference.table import ABSTAINED


def check_drawings(folder: Path, photographs: Sequence[Path], option: str) -> None:
    """Raise WorkspaceError if drawings cannot be written to a folder, or could overwrite the images.

    Args:
        folder: for the drawings.
        photographs: the images.
        option: name of the option that gives the folder.
    """
    check_folder_for(folder / "drawing.png")
    theirs = {os.path.realpath(one) for one in {photograph.parent for photograph in photographs}}
    if os.path.realpath(folder) in theirs:
        raise WorkspaceError(
            f"{folder} is the folder of the images, and a drawing could overwrite one of them. Give another"
            f" folder: {option} {folder / 'drawn'}"
        )


def draw_readings(readings: Sequence[Reading], models: Sequence[TrainedModel], folder: Path) -> list[Path]:
    """Write a copy of each image that has a face, with its boxes and predictions; return the copies."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = []
    names: set[str] = set()
    named = _named(models)
    found = [reading for reading in readings if reading.face.status == "ok"]
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
        file_name = fresh_name(photograph.stem, ".png", names)
        with whole_file(folder / file_name) as file:
            image.save(file, "PNG")
        drawn.append(folder / file_name)
    return drawn


def _named(models: Sequence[TrainedModel]) -> dict[str, tuple[Target, bool]]:
    """Return the column of each model → its target, and whether several models predict this target."""
    n_models = Counter(model.target.name for model in models)
    return {
        columns.answer: (model.target, n_models[model.target.name] > 1)
        for model, columns in zip(models, columns_of(models), strict=True)
    }


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
