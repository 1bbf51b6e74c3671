"""What is to be read: the photographs, and the models, that paths name."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from featurekit.data.find import find_images
from featurekit.errors import ManifestError, PhotographError, WorkspaceError
from featurekit.faces.photographs import Photograph, Photographs, as_photograph, photographs_from
from featurekit.inference.archive import CONTENT
from featurekit.text import name_as_it_was, readable_name


@dataclass(frozen=True)
class Asked:
    """What was named on a command line.

    Attributes:
        photographs: each once, in the order named.
        models: folders of models that stood among the photographs.
        repeated: photographs that were named more than once, each time that they were after the first.
        left_out: what of each folder is no photograph, a sentence each.
    """

    photographs: tuple[Path, ...]
    models: tuple[Path, ...]
    repeated: tuple[Path, ...]
    left_out: tuple[str, ...] = ()


def look_up(inputs: Sequence[Path]) -> Asked:
    """Return the photographs that paths of files and folders name, and the models that stand among them.

    A file is the same wherever its folder is reached from; two links to it in a folder are two photographs.

    Raises:
        WorkspaceError: a path is not there, or is a folder of models.
        ManifestError: a folder has no photograph in it.
    """
    found: dict[str, Path] = {}
    models, repeated, left_out = [], [], []
    for path in inputs:
        if is_model(path):
            models.append(path)
            continue
        photographs, note = _photographs(path)
        left_out += [f"{path}: {note}"] if note else []
        for photograph in photographs:
            key = os.path.join(os.path.realpath(photograph.parent), photograph.name)  # noqa: PTH118 — as above
            if key in found:
                repeated.append(photograph)
            found.setdefault(key, photograph)
    return Asked(tuple(found.values()), tuple(models), tuple(repeated), tuple(left_out))


def photographs_in(given: Photographs) -> tuple[list[Photograph], list[str]]:
    """Return what was given as photographs, a folder as the photographs in it.

    A file that is not there stays, and is a row with its reason later; one that is named twice is read twice.

    Args:
        given: one or several photographs of any kind, as for photographs_from(), or folders.

    Returns:
        The photographs in the order named, and what of each folder is no photograph, a sentence each.

    Raises:
        PhotographError: something is no photograph, or nothing is given.
        ManifestError: a folder has no photograph in it.
        WorkspaceError: a folder is a model's, or one of models.
    """
    found: list[Photograph] = []
    left_out = []
    for one in photographs_from(given):
        if one.path is None or not one.path.is_dir():
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


def is_model(folder: Path) -> bool:
    """Whether a path is a model's folder."""
    return (folder / CONTENT).is_file()


def models_in(folder: Path) -> list[Path]:
    """Return the models that a folder holds, for a folder that is no model itself."""
    if is_model(folder) or not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if is_model(one))


def check_is_one(folder: Path, example: str) -> None:
    """Raise WorkspaceError for a folder that holds models and is none itself.

    Args:
        folder: that was named as a model.
        example: what to write for one of them, with {} for it.
    """
    if inside := models_in(folder):
        names = ", ".join(one.name for one in inside)
        raise WorkspaceError(
            f"{folder} is not a model, but a folder of {len(inside)} models ({names}). Give one of them:"
            f" {example.format(inside[0])}"
        )


def as_options(models: Sequence[Path]) -> str:
    """Return what to type for these models.

    >>> as_options([Path("models/a"), Path("my models/b")])
    "--model models/a --model 'my models/b'"
    """
    return " ".join(f"--model {shlex.quote(str(one))}" for one in models)


def _photographs(path: Path) -> tuple[list[Path], str]:
    """Return the photographs that a path names, and what else lies there in one sentence, or ""."""
    if not path.is_dir():
        if not path.exists():
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
    return [
        _real_path(path, name, is_text=reason != "bad_path")
        for name, reason in zip(table["image_path"], table["reason"], strict=True)
    ], found.note


def _real_path(folder: Path, name: str, *, is_text: bool) -> Path:
    """Return the file that find_images() calls by a name, in which bytes may be written out.

    Args:
        folder: what the name is relative to.
        name: with forward slashes.
        is_text: whether the file's own name, without its folders, is text.
    """
    if is_text and (folder / name).exists():
        return folder / name
    *parents, last = name.split("/")
    for number, part in enumerate((*parents, last)):
        is_last = number == len(parents)
        # A name that only looks as if bytes were written out comes last where bytes are meant.
        named = [one for one in os.listdir(folder) if part in (one, *_written(one))]  # noqa: PTH208 — names
        named.sort(key=lambda one: (one == part) if is_last and not is_text else (one != part))
        folder = folder / (named[0] if named else name_as_it_was(part))
    return folder


def _written(name: str) -> tuple[str, str]:
    return readable_name(name), os.fsencode(name).decode("utf-8", "backslashreplace")
