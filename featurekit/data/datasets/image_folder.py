"""Read images in folders that are named after the labels, for example ``PATH/female/anna.jpg``.

The direct subfolders of PATH are the class folders. All images in a class folder and its subfolders have the
name of the class folder as their label.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from featurekit.data.cells import (
    AGE_GROUPS,
    GENDER_WORDS,
    USUAL,
    Missing,
    count_missing,
    read_age_group,
    read_gender,
)
from featurekit.data.datasets import RawRows, dataset
from featurekit.data.find import find_images
from featurekit.data.manifest import label_names
from featurekit.errors import ManifestError
from featurekit.text import first_few

# What the names of folders must be, for targets that accept only certain names.
_EXPECTED = {
    "gender": GENDER_WORDS,
    "age_group": f"one of {AGE_GROUPS}",
    "age": "a number of years",
}
_READERS = {"gender": read_gender, "age_group": read_age_group}
# Names of the parts of a data set, in small letters.
_PARTS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "holdout")
# How many folders a message lists.
_SHOWN = 8


@dataset(
    "image_folder",
    about="folders named after a gender, an age group, an age or any label, with the images in them",
    licence="as the images' owner says",
)
def image_folder(
    path: Path, *, target: str = "auto", subject_regex: str = "", missing: Missing = USUAL
) -> RawRows:
    r"""Return every image in the class folders, labelled with the name of its class folder.

    Args:
        path: folder that contains the class folders. Images directly in this folder have no label.
        target: target that the folder names are labels of: "gender", "age_group", "age" (in years), or any
            other name, which becomes the name of a label column (possibly changed; see
            featurekit.data.manifest.label_names). "auto" means gender or age_group, whichever fits the folder
            names; folders named 0 and 1 are refused, because it is not clear what these numbers mean.
        subject_regex: regular expression that finds the subject in a file name, e.g. ``^(\w+?)_``. The
            subject is the group named "subject", or else the first group. An image whose name does not match
            is a subject of its own.
        missing: folder names that stand for a missing label.

    Raises:
        ManifestError: the name of a folder is not a label of the target, the target is empty, or the regular
            expression is not valid or never matches.
    """
    if not target.strip():
        raise ManifestError(
            f"target cannot be '{target}'. It must be gender, age_group, age, or a name of your own."
        )
    standard = target.strip().lower()
    safe = standard if standard in (*_EXPECTED, "auto") else label_names([target])[target]
    called = {} if safe == standard else {safe: target}
    target = safe
    found = find_images(path)
    table, counts = found.table, dict(found.counts)
    _check_links(table, path)
    folders = table["image_path"].map(lambda image: image.partition("/")[0] if "/" in image else "")
    names = sorted(set(folders) - {""})
    if not names:
        raise ManifestError(f"{path} has no class folders. {_remedy_for_one(path, missing)}")
    _check_parts(names, table["image_path"], path)
    if target == "auto":
        target = _target_of(names, table["image_path"], path, missing)
    column = folders.map({"": "", **_labels_of(names, target, path, missing)})
    table[target] = pd.to_numeric(column) if target == "age" else column
    said: Counter[tuple[str, str]] = Counter()
    if target in _EXPECTED:
        count_missing(folders, "the folder's name", missing, said)
    notes = [found.note] if found.note else []
    if len(names) == 1 and (deeper := _one_deeper(table["image_path"], path)):
        notes.append(f"All images have the same class, '{names[0]}'. {deeper}")
    if found.empty:
        notes.append(f"Class folders without images: {', '.join(found.empty)}.")
    if subject_regex:
        table["subject_id"] = _subjects(table["image_path"], subject_regex)
        counts["file names without a subject"] = int((table["subject_id"] == "").sum())
    labels = tuple(dict.fromkeys((*_EXPECTED, target)))
    return RawRows(table, path, labels, counts, missing=said, called=called, notes=notes)


def _read_age(name: str, missing: Missing) -> str | None:
    """Return the name of a folder if it is an age, "" for a missing label, None for any other name."""
    return "" if name in missing else name if re.fullmatch(r"\d+(\.\d+)?", name) else None


def _labels_of(names: list[str], target: str, path: Path, missing: Missing) -> dict[str, str | None]:
    """Return class folder → label.

    Raises:
        ManifestError: the name of a folder is not a label of the target.
    """
    read = _read_age if target == "age" else _READERS.get(target)
    labels = {name: read(name, missing) if read else name for name in names}
    if strange := [name for name, label in labels.items() if label is None]:
        raise ManifestError(
            f"The name of folder '{strange[0]}' in {path} is not a valid {target}. Expected"
            f" {_EXPECTED[target]}."
        )
    return labels


def _check_links(table: pd.DataFrame, path: Path) -> None:
    """Refuse a class folder that is a link to nothing, or out of the folder: its class would be missing."""
    beside = ~table["image_path"].str.contains("/", regex=False)
    for name, reason in table.loc[beside, ["image_path", "reason"]].itertuples(index=False):
        link = path / name
        if reason == "outside_root":
            raise ManifestError(
                f"Folder '{name}' of {path} is a link to {link.readlink()}, outside the folder of the data"
                " set. Such links are not followed, so this class would be missing. Copy the data set"
                f" together with the files that the links point to: cp -RL '{path}' COPY"
            )
        if not link.suffix and link.is_symlink() and not link.exists():
            raise ManifestError(
                f"Folder '{name}' of {path} is a link to {link.readlink()}, which does not exist. Repair or"
                " remove the link."
            )


def _remedy_for_one(path: Path, missing: Missing) -> str:
    """Return what to do if the images are in the folder itself."""
    if any(read(path.name, missing) for read in _READERS.values()):
        return f"'{path.name}' looks like a class folder. Give the folder that contains it, '{path.parent}'"
    return (
        "Sort the images into folders named after their labels, or write a table of image names and labels"
        " and read it with featurekit prepare table."
    )


def _check_parts(names: list[str], images: "pd.Series[str]", path: Path) -> None:
    """Refuse folders named train and test that contain the class folders: their names are not labels."""
    below = _folders_below(images)
    if below and all(name.lower() in _PARTS for name in names):
        raise ManifestError(
            f"The folders in {path} are parts of a data set ({', '.join(names)}), not labels. The folders"
            f" in these parts are: {first_few(below, _SHOWN)}. Give one part, '{path / names[0]}', or move"
            " the images of all parts into one folder per class. featurekit makes its own folds."
        )


def _one_deeper(images: "pd.Series[str]", path: Path) -> str:
    """Return what to do if the class folders may be one folder deeper, "" if there are no folders there."""
    below = _folders_below(images)
    return (
        f"If the classes are the folders one level deeper ({first_few(below, _SHOWN)}), give this folder:"
        f" '{path / str(images.iloc[0]).partition('/')[0]}'"
        if below
        else ""
    )


def _folders_below(images: "pd.Series[str]") -> list[str]:
    """Return the names of the folders in the class folders."""
    return sorted({image.split("/")[1] for image in images if image.count("/") > 1})


def _target_of(names: list[str], images: "pd.Series[str]", path: Path, missing: Missing) -> str:
    """Return the target of which the name of every folder is a label."""
    for target, read in _READERS.items():
        if all(read(name, missing) is not None for name in names):
            return target
    deeper = _one_deeper(images, path) if len(names) == 1 else ""
    raise ManifestError(
        f"The names of the folders in {path} are neither genders nor age groups: {first_few(names, _SHOWN)}."
        " Say what they mean with the option target: target=age for ages in years, or a name of your own."
        f" {deeper}".rstrip()
    )


def _subjects(images: "pd.Series[str]", regex: str) -> list[str]:
    """Return the subject that each file name gives, "" where it gives none."""
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise ManifestError(f"subject_regex '{regex}' is not a valid regular expression: {error}.") from error
    if not pattern.groups:
        raise ManifestError(f"subject_regex '{regex}' has no group (in parentheses) for the subject.")
    group = "subject" if "subject" in pattern.groupindex else 1
    found = [pattern.search(image.rpartition("/")[2]) for image in images]
    if not any(found):
        raise ManifestError(f"subject_regex '{regex}' matches no file name (first: '{images.iloc[0]}').")
    return [(match[group] or "") if match else "" for match in found]
