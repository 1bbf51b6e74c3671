"""Made-up subjects, for a first run that needs no download.

``make demo`` and the tests need faces without a restrictive licence. scikit-image contains one portrait in
the public domain (by NASA, of Eileen Collins). The package _painting changes it into portraits of made-up
subjects of all ages and both genders. This module writes these portraits in the layout of the Adience data
set: five fold files and a folder of images.

The labels can be learned, because head shape, hair, skin, brows and beard depend on age and gender. They
cannot be learned perfectly, because every subject looks older or younger than the label says and every image
has its own pose, light, blur and compression. A good score on these images shows that the pipeline works. It
says nothing about the accuracy of a method on real faces.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets import RawRows, dataset
from featurekit.data.datasets._painting.subject import Subject, draw_subject, labels_of
from featurekit.data.datasets.adience import LAYOUTS, N_FOLDS, adience
from featurekit.data.targets import AGE_GROUP, GENDER
from featurekit.errors import ManifestError
from featurekit.files import sync_folder
from featurekit.progress import Progress

if TYPE_CHECKING:
    from featurekit.data.datasets._painting.render import Rendered

HEADER = [
    "user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy",
    "tilt_ang", "fiducial_yaw_angle", "fiducial_score",
]  # fmt: skip
# This file is written beside the fold files. It says that the images are made up, and from which numbers.
STAMP = "synthetic.json"


@dataset(
    "synthetic",
    about="made-up portraits in the layout of Adience, drawn when they are read: for trying the pipeline,"
    " not for measurements",
    licence="synthetic: drawn from a NASA portrait in the public domain; no restrictions",
)
def synthetic(
    path: Path,
    *,
    n_subjects: int | str = 60,
    n_pictures: int | str = 6,
    seed: int | str = 0,
    progress: Progress | None = None,
) -> RawRows:
    """Return every row of the made-up data set after writing its images to a new or empty folder.

    Args:
        path: folder of the data set. The images are written if it is new or empty; a folder that this
            function has written before is only read.
        n_subjects: number of subjects, at least 16; the command line passes all numbers as text.
        n_pictures: number of images of each subject.
        seed: seed of the random number generator.
        progress: called with (images written, images to write).

    Raises:
        ManifestError: the folder contains other files, or images that were made with other numbers.
    """
    given = {"n_subjects": n_subjects, "n_pictures": n_pictures, "seed": seed}
    numbers = {option: _whole_number(option, value) for option, value in given.items()}
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        write_synthetic(path, **numbers, progress=progress)
    # Real images must never be read as this data set: every report would call them made up.
    try:
        stamp = json.loads((path / STAMP).read_text())
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"{path} is not empty and does not contain synthetic images ({STAMP} is missing). Give a new"
            " folder."
        ) from error
    if stamp != {"synthetic": True, **numbers}:
        raise ManifestError(
            f"{path} contains synthetic images that were made with {stamp}, not with {numbers}. Give a new"
            " folder."
        )
    raw = adience.read(path, layout="faces")
    return replace(raw, info={**raw.info, "synthetic": True})


def _whole_number(option: str, value: int | str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ManifestError(f"{option} must be a whole number. Got '{value}'.") from None


def write_synthetic(
    path: Path,
    *,
    n_subjects: int = 60,
    n_pictures: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write images of made-up subjects in the layout of Adience. After an error, nothing is left on the disk.

    Args:
        path: new or empty folder for the files fold_0_data.txt … fold_4_data.txt and the folder faces.
        n_subjects: number of subjects, at least 16, so that each age group occurs in two folds.
        n_pictures: number of images of each subject.
        seed: seed of the random number generator; the same seed gives the same files, byte for byte.
        progress: called with (images written, images to write).

    Raises:
        ManifestError: the folder is not empty or cannot be written, or the numbers are too small.
    """
    fewest = 2 * len(AGE_GROUP.classes)
    problems = {
        f"{n_subjects} synthetic subjects are too few: there must be at least two per age group, {fewest} in"
        " total.": n_subjects < fewest,
        f"{n_pictures} images per subject are too few: there must be at least 1.": n_pictures < 1,
        f"The seed must not be negative. Got {seed}.": seed < 0,
    }
    if found := [problem for problem, is_so in problems.items() if is_so]:
        raise ManifestError(found[0])
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ManifestError(f"{path} is not an empty folder. Give a new folder for the synthetic images.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir(parents=True)
        folds = _write_images(unfinished, n_subjects, n_pictures, seed, progress)
        for fold, rows in enumerate(folds):
            text = "".join("\t".join(row) + "\n" for row in [HEADER, *rows])
            _write(unfinished / f"fold_{fold}_data.txt", text.encode())
        stamp = {"synthetic": True, "n_subjects": n_subjects, "n_pictures": n_pictures, "seed": seed}
        _write(unfinished / STAMP, json.dumps(stamp).encode())
        sync_folder(unfinished)
        unfinished.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ManifestError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_images(
    folder: Path, n_subjects: int, n_images: int, seed: int, progress: Progress | None
) -> list[list[list[str]]]:
    """Write every image, and return the rows of each fold file."""
    rows: list[list[list[str]]] = [[] for _ in range(N_FOLDS)]
    # Subjects of the same age group get one fold after the other, so that each group is in as many folds
    # as possible.
    by_group = sorted(range(n_subjects), key=lambda number: (labels_of(number), number))
    fold_of = {number: place % N_FOLDS for place, number in enumerate(by_group)}
    for number in range(n_subjects):
        subject = draw_subject(seed, number)
        years, gender = AGE_GROUP.years[subject.group], GENDER.classes[subject.gender][0]
        for image, one in enumerate(_drawn(seed, subject, number, n_images)):
            row = [f"synthetic{number:04d}", f"s{number:04d}_{image}.jpg", number + 1, years, gender]
            _write(folder / LAYOUTS["faces"].format_map(dict(zip(HEADER, row, strict=False))), one.jpeg)
            rows[fold_of[number]].append([str(value) for value in (*row, *one.box, 0, one.yaw, 100)])
            if progress:
                progress(number * n_images + image + 1, n_subjects * n_images)
    return rows


class Portrait(NamedTuple):
    """A made-up image, and what is known of it.

    Attributes:
        subject: number of the subject.
        gender: class of GENDER.
        jpeg: the JPEG file.
        landmarks: centers of the eyes, tip of the nose and corners of the mouth, in pixels, shape (5, 2).
    """

    subject: int
    gender: str
    jpeg: bytes
    landmarks: NDArray[np.float64]


def portraits(n_subjects: int, n_pictures: int, *, seed: int = 0) -> Iterator[Portrait]:
    """Yield the images of write_synthetic(), without writing them.

    Args:
        n_subjects: number of subjects.
        n_pictures: number of images of each subject.
        seed: seed of the random number generator.

    Example:
        >>> portrait = next(portraits(1, 1))
        >>> portrait.landmarks.shape
        (5, 2)
    """
    for number in range(n_subjects):
        subject = draw_subject(seed, number)
        for one in _drawn(seed, subject, number, n_pictures):
            yield Portrait(number, GENDER.classes[subject.gender], one.jpeg, one.landmarks)


def _drawn(seed: int, subject: Subject, number: int, n_pictures: int) -> "Iterator[Rendered]":
    """Yield the images of one subject."""
    # OpenCV is only loaded where images are drawn.
    from featurekit.data.datasets._painting.painting import paint
    from featurekit.data.datasets._painting.render import render

    painting = paint(subject, np.random.default_rng([seed, number, 1]))
    for image in range(n_pictures):
        yield render(painting, subject, np.random.default_rng([seed, number, 2 + image]))


def _write(path: Path, content: bytes) -> None:
    """Write a file of the unfinished folder through to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
