"""Answers drawn on copies of the photographs."""

import os
from collections.abc import Sequence
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.faces.images import decode
from featurekit.faces.photographs import Photograph
from featurekit.files import fresh_name, whole_file
from featurekit.inference.columns import columns_of
from featurekit.inference.model import TrainedModel
from featurekit.inference.output import check_folder_for
from featurekit.inference.predict import Reading
from featurekit.inference.table import DECLINED


def check_drawings(folder: Path, photographs: Sequence[Path], option: str) -> None:
    """Raise WorkspaceError where drawings cannot go to a folder, or could take photographs' places.

    Args:
        folder: where they are to go.
        photographs: what is drawn on.
        option: that names the folder.
    """
    check_folder_for(folder / "drawing.png")
    theirs = {os.path.realpath(one) for one in {photograph.parent for photograph in photographs}}
    if os.path.realpath(folder) in theirs:
        raise WorkspaceError(
            f"{folder} is the folder of the images, and a drawing could overwrite one of them. Give another"
            f" folder: {option} {folder / 'drawn'}"
        )


def draw_readings(readings: Sequence[Reading], models: Sequence[TrainedModel], folder: Path) -> list[Path]:
    """Write a copy of each photograph with a face, boxes and answers drawn on it; return the copies."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = []
    by_picture: dict[Photograph, list[Reading]] = {}
    for reading in readings:
        if reading.face.status == "ok":
            by_picture.setdefault(reading.photograph, []).append(reading)
    names: set[str] = set()
    captions = _Captions(models)
    for photograph, faces in by_picture.items():
        picture = Image.fromarray(decode(photograph.read()))
        pen = ImageDraw.Draw(picture)
        # Lines and letters grow with the picture, so that they can be read when it is shown whole.
        unit = max(max(picture.size) / 400, 1.0)
        font = ImageFont.load_default(size=round(11 * unit))
        for reading in faces:
            box = [float(value) for value in reading.face.box]
            pen.rectangle(box, outline=(255, 255, 255), width=round(3 * unit))
            pen.rectangle(box, outline=(20, 90, 200), width=round(1.5 * unit))
            text = captions.of(reading)
            # Below the face where there is room, else inside.
            left, top, right, bottom = pen.textbbox((box[0], box[3] + 2 * unit), text, font=font)
            lift = max(bottom + 3 * unit - picture.size[1], 0)
            shift = max(right + 3 * unit - picture.size[0], 0)
            x, y = left - shift, top - lift
            edge = 2 * unit
            pen.rectangle(
                (x - edge, y - edge, right - shift + edge, bottom - lift + edge), fill=(20, 90, 200)
            )
            pen.text((x, y), text, fill=(255, 255, 255), font=font, anchor="la")
        file_name = fresh_name(photograph.stem, ".png", names)
        with whole_file(folder / file_name) as file:
            picture.save(file, "PNG")
        drawn.append(folder / file_name)
    return drawn


class _Captions:
    """What is written beside a face: a line a model, which is named where several read the same target."""

    def __init__(self, models: Sequence[TrainedModel]) -> None:
        targets = [model.target.name for model in models]
        self._models = {
            columns.answer: (model.target, targets.count(model.target.name) > 1)
            for model, columns in zip(models, columns_of(models), strict=True)
        }

    def of(self, reading: Reading) -> str:
        """Return the lines for a face."""
        lines = []
        for name, answer in reading.answers.items():
            target, is_one_of_several = self._models[name]
            best = max(answer, key=lambda label: answer[label])
            said = (
                f"{answer[best]:.0f} years" if target.is_regression else f"{best} {100 * answer[best]:.0f} %"
            )
            if name in reading.declined:
                said = DECLINED if is_one_of_several else f"{target.name.replace('_', ' ')}: {DECLINED}"
            lines.append(f"{name}: {said}" if is_one_of_several else said)
        return "\n".join(lines)
