"""Find the images and the fitted models at given paths."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from featurekit.data.file_types import ENDINGS
from featurekit.data.find import find_images
from featurekit.data.manifest import Manifest
from featurekit.errors import ManifestError, PhotographError, WorkspaceError
from featurekit.faces.photographs import Photograph, Photographs, as_photograph, photographs_from
from featurekit.files import is_file, read_file
from featurekit.inference.archive import CONTENT
from featurekit.text import name_as_it_was, readable_name
from featurekit.urls import UrlPath, place_of

_MAX_BYTES = 2**32  # of a listing


@dataclass(frozen=True)
class Asked:
    """The images and fitted models that a user has given on the command line.

    Attributes:
        photographs: the images, each once, in the given order.
        models: folders of fitted models that the user has given.
        repeated: images that were given more than once, with one entry for each repetition.
        left_out: a sentence for each folder that has files which are not images.
    """

    photographs: tuple[Path, ...]
    models: tuple[Path, ...]
    repeated: tuple[Path, ...]
    left_out: tuple[str, ...] = ()


def look_up(inputs: Sequence[Path]) -> Asked:
    """Return the images at given paths and in given folders, and the paths that are folders of models.

    An image that is given by two paths to its folder counts once. Two links to an image in the same folder
    count as two images.

    Raises:
        WorkspaceError: a path does not exist, or is a folder that has models instead of images in it.
        ManifestError: a folder has no image in it.
    """
    found: dict[str, Path] = {}
    models, repeated, left_out = [], [], []
    for path in map(place_of, inputs):
        if is_model(path):
            models.append(path)
            continue
        photographs, note = _photographs(path)
        left_out += [f"{path}: {note}"] if note else []
        for photograph in photographs:
            key = str(photograph)
            if not isinstance(photograph, UrlPath):
                key = os.path.join(os.path.realpath(photograph.parent), photograph.name)  # noqa: PTH118 — text
            if key in found:
                repeated.append(photograph)
            found.setdefault(key, photograph)
    return Asked(tuple(found.values()), tuple(models), tuple(repeated), tuple(left_out))


def photographs_in(given: Photographs) -> tuple[list[Photograph], list[str]]:
    """Return the given images, and the images inside the given folders.

    A file that does not exist is returned too, so that a table can have a row for it with the reason. A file
    that is given twice is returned twice.

    Args:
        given: one or several images as photographs_from() takes them, or folders.

    Returns:
        The images in the given order, and a sentence for each folder that has files which are not images.

    Raises:
        PhotographError: an argument cannot be an image, or no images are given.
        ManifestError: a folder has no image in it.
        WorkspaceError: a folder is a fitted model, or has models instead of images in it.
    """
    found: list[Photograph] = []
    left_out = []
    for one in photographs_from(given):
        if one.path is None or not _names_folder(one.path):
            found.append(one)
            continue
        if is_model(one.path):
            raise WorkspaceError(f"{one.path} is a saved model, not a folder of images.")
        inside, note = _photographs(one.path)
        found += [as_photograph(path) for path in inside]
        left_out += [f"{one.path}: {note}"] if note else []
    if not found:
        raise PhotographError("No images are given.")
    return found, left_out


def listed(path: Path) -> list[Path]:
    """Return the images that a file lists, each once, in its order.

    Args:
        path: a text file with one path or URL in each line, relative to the current folder; or a
            manifest.csv that `featurekit prepare` has written. It may be in a bucket.

    Raises:
        WorkspaceError: the file cannot be read, or lists nothing.
        ManifestError: a manifest is damaged.
    """
    path = place_of(path)
    if path.suffix.lower() == ".csv" and is_file(path.with_suffix(".json")):
        manifest = Manifest.load(path)
        names = [name for name in manifest.table["image_path"] if name]
        found = [manifest.root / name for name in names]
    else:
        try:
            in_bucket = isinstance(path, UrlPath)
            text = read_file(path, _MAX_BYTES).decode() if in_bucket else path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise WorkspaceError(f"Cannot read the listing {path}: {why}.") from error
        found = [place_of(line) for line in text.splitlines() if line.strip()]
    if not found:
        raise WorkspaceError(f"{path} lists no images. It has one path in each line, or is a manifest.csv.")
    return list(dict.fromkeys(found))


def is_model(folder: Path) -> bool:
    """Whether a path is the folder of a fitted model."""
    if isinstance(folder, UrlPath) and folder.suffix.lower() in ENDINGS:
        return False  # without asking the bucket for each image
    return is_file(folder / CONTENT)


def models_in(folder: Path) -> list[Path]:
    """Return the folders of models inside a folder; none if the folder is a model itself."""
    if isinstance(folder, UrlPath) or is_model(folder) or not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if is_model(one))


def check_is_one(folder: Path, example: str) -> None:
    """Raise WorkspaceError if a folder has models in it instead of being the folder of one model.

    Args:
        folder: folder that the user has given as a model.
        example: command or code for the message that uses one model, with {} in place of the model's folder.
    """
    if inside := models_in(folder):
        raise WorkspaceError(
            f"{folder} is not a model, but a folder of {len(inside)} models"
            f" ({', '.join(one.name for one in inside)}). Give one of them: {example.format(inside[0])}"
        )


def as_options(models: Sequence[Path]) -> str:
    """Return the command-line options that name these models.

    >>> as_options([Path("models/a"), Path("my models/b")])
    "--model models/a --model 'my models/b'"
    """
    return " ".join(f"--model {shlex.quote(str(one))}" for one in models)


def _photographs(path: Path) -> tuple[list[Path], str]:
    """Return the images that a path names, and a sentence about the other files there, or ""."""
    if not _names_folder(path):
        if not isinstance(path, UrlPath) and not path.exists():
            raise WorkspaceError(f"There is no file or folder {path}.")
        return [path], ""
    try:
        found = find_images(path)
    except ManifestError:
        if inside := models_in(path):
            raise WorkspaceError(
                f"{path} is a folder of models, not of images. To use the models: {as_options(inside)}"
            ) from None
        raise
    table = found.table
    if isinstance(path, UrlPath):
        return [path / name for name in table["image_path"]], found.note
    return [
        _real_path(path, name, is_text=reason != "bad_path")
        for name, reason in zip(table["image_path"], table["reason"], strict=True)
    ], found.note


def _names_folder(path: Path) -> bool:
    """Whether a path names a folder; in a bucket, what has no file extension of an image is one."""
    if isinstance(path, UrlPath):
        return path.suffix.lower() not in ENDINGS
    return path.is_dir()


def _real_path(folder: Path, name: str, *, is_text: bool) -> Path:
    """Return the file for a name by find_images(), in which invalid bytes may be written out.

    Args:
        folder: to which the name is relative.
        name: with forward slashes.
        is_text: whether the name of the file itself, without its folders, is valid text.
    """
    if is_text and (folder / name).exists():
        return folder / name
    parts = name.split("/")
    for number, part in enumerate(parts, start=1):
        # If invalid bytes are meant, a file whose name only looks like written-out bytes comes last.
        named = sorted(
            (
                one
                for one in os.listdir(folder)  # noqa: PTH208 — names
                if part in (one, readable_name(one), os.fsencode(one).decode("utf-8", "backslashreplace"))
            ),
            key=lambda one: (one == part) if number == len(parts) and not is_text else (one != part),
        )
        folder = folder / (named[0] if named else name_as_it_was(part))
    return folder
