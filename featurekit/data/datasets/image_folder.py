"""Pictures sorted into folders that are named after what they show.

``PATH/female/anna.jpg`` is the layout most people already have. The first folder
below PATH is the label; what lies deeper in it has the same one.
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
from featurekit.data.find import find_pictures
from featurekit.data.manifest import label_names
from featurekit.errors import ManifestError
from featurekit.text import first_few

# What a folder may be called, for each target that has a say in it.
_EXPECTED = {
    "gender": GENDER_WORDS,
    "age_group": f"one of {AGE_GROUPS}",
    "age": "a number of years",
}

# What the parts of a data set are called, in small letters.
_PARTS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "holdout")
# Folders that a message lists.
_SHOWN = 8


@dataset(
    "image_folder",
    about="folders named after a gender, an age group, an age or any label, with the images in them",
    licence="as the images' owner says",
)
def image_folder(
    path: Path, *, target: str = "auto", subject_regex: str = "", missing: Missing = USUAL
) -> RawRows:
    r"""Return every picture below the folder, labelled with the name of its class folder.

    Args:
        path: the folder with the class folders. A picture beside them has no label.
        target: what the folders are named after: "gender", "age_group", "age" (years), or any other
            word, which becomes a label column of that name, or of a safe one (see
            featurekit.data.manifest.label_names); "auto" finds out which of the first two (folders called 0
            and 1 could be anything).
        subject_regex: where in the file name the person is, e.g. ``^(\w+?)_``: the group called
            "subject", or else the first group. A name that it does not match is its own subject.
        missing: which folders' names say that the label is not known.

    Raises:
        ManifestError: a folder's name is no such label, the target is empty, or the regular expression
            is none or never matches.
    """
    if not target.strip():
        raise ManifestError(
            f"target cannot be '{target}'. It must be gender, age_group, age, or a name of your own."
        )
    target, called = _name_of(target)
    found = find_pictures(path)
    table = found.table
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
    counts = dict(found.counts)
    notes = [note for note in (found.note,) if note]
    if len(names) == 1 and (deeper := _one_deeper(table["image_path"], path)):
        notes.append(f"All images have the same class, '{names[0]}'. {deeper}")
    if found.empty:
        notes.append(f"Class folders without images: {', '.join(found.empty)}.")
    if subject_regex:
        table["subject_id"] = _subjects(table["image_path"], subject_regex)
        counts["file names without a subject"] = int((table["subject_id"] == "").sum())
    return RawRows(
        table,
        path,
        labels=tuple(dict.fromkeys((*_EXPECTED, target))),
        counts=counts,
        missing=said,
        called=called,
        notes=notes,
    )


def _name_of(target: str) -> tuple[str, dict[str, str]]:
    """Return what the label column is called, and what the user calls it where that is something else."""
    if target.strip().lower() in (*_EXPECTED, "auto"):
        return target.strip().lower(), {}
    safe = label_names([target])[target]
    return safe, {safe: target}


def _labels_of(names: list[str], target: str, path: Path, missing: Missing) -> dict[str, str]:
    """Return class folder → label.

    Raises:
        ManifestError: a folder's name is no label of the target.
    """
    labels = {}
    for name in names:
        label = _read_label(name, target, missing)
        if label is None:
            raise ManifestError(f"Folder '{name}' of {path} is not a valid {target}: {_EXPECTED[target]}.")
        labels[name] = label
    return labels


def _check_links(table: pd.DataFrame, path: Path) -> None:
    """Refuse a class folder that is a link to nothing, or to what lies outside: its class would be gone."""
    beside = ~table["image_path"].str.contains("/", regex=False)
    for name, reason in table.loc[beside, ["image_path", "reason"]].itertuples(index=False):
        link = path / name
        if reason == "outside_root":
            raise ManifestError(
                f"Folder '{name}' of {path} is a link to {link.readlink()}, outside the folder of the data"
                " set. Such links are not followed, so its class would be missing. Copy the data set"
                f" together with the files that the links point to: cp -RL '{path}' COPY"
            )
        if not link.suffix and link.is_symlink() and not link.exists():
            raise ManifestError(
                f"Folder '{name}' of {path} is a link to {link.readlink()}, which does not exist. Repair or"
                " remove the link."
            )


def _remedy_for_one(path: Path, missing: Missing) -> str:
    """Return what to type where the photographs lie in the folder itself."""
    if any(_read_label(path.name, target, missing) for target in ("gender", "age_group")):
        return f"'{path.name}' looks like one of them. Give the folder that contains it, '{path.parent}'"
    return (
        "Sort the images into folders named after their labels, or write a table of image names and labels"
        " and read it with featurekit prepare table."
    )


def _check_parts(names: list[str], images: "pd.Series[str]", path: Path) -> None:
    """Refuse folders called train and test, with the class folders in them: their names are no labels."""
    below = _folders_below(images)
    if below and all(name.lower() in _PARTS for name in names):
        raise ManifestError(
            f"The folders of {path} are parts of a data set ({', '.join(names)}), not labels. The folders"
            f" below them are: {first_few(below, _SHOWN)}. Give one part, '{path / names[0]}', or move the"
            " images of all parts into one folder per class. featurekit makes its own splits."
        )


def _one_deeper(images: "pd.Series[str]", path: Path) -> str:
    """Return what to type where the class folders may lie one folder deeper, "" where there is none."""
    below = _folders_below(images)
    folder = path / str(images.iloc[0]).partition("/")[0]
    return (
        (
            f"If the folders below it are the classes ({first_few(below, _SHOWN)}), give that folder:"
            f" '{folder}'"
        )
        if below
        else ""
    )


def _folders_below(images: "pd.Series[str]") -> list[str]:
    """Return the names of the folders in the class folders."""
    return sorted({image.split("/")[1] for image in images if image.count("/") > 1})


def _read_label(name: str, target: str, missing: Missing) -> str | None:
    """Return the label that a folder's name writes, None where it is no label of the target."""
    if target == "gender":
        return read_gender(name, missing)
    if target == "age_group":
        return read_age_group(name, missing)
    if target == "age":
        if name in missing:
            return ""
        return name if re.fullmatch(r"\d+(\.\d+)?", name) else None
    return name


def _target_of(names: list[str], images: "pd.Series[str]", path: Path, missing: Missing) -> str:
    """Return the one target that every folder's name is a label of."""
    for target in ("gender", "age_group"):
        if all(_read_label(name, target, missing) is not None for name in names):
            return target
    deeper = f" {_one_deeper(images, path)}" if len(names) == 1 else ""
    raise ManifestError(
        f"The folders of {path} are neither genders nor age groups: {first_few(names, _SHOWN)}. Give their"
        f" meaning with the option target: target=age for years, or a name of your own.{deeper}".rstrip()
    )


def _subjects(images: "pd.Series[str]", regex: str) -> list[str]:
    """Return the person that each file name gives, "" where it gives none."""
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
