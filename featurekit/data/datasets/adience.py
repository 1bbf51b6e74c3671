"""Adience: five fold files that name faces of Flickr albums, labelled with an age group and a gender.

The fold files are the data set: they name every face, and a picture that is not
there is a row with a reason, its labels kept. No subject, album or photograph
is in two folds, so these folds are the ones to compare on.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from featurekit.data.cells import USUAL, BadCell, Missing, count_missing, read_age_group
from featurekit.data.datasets import RawRows, dataset, one_of, unique_ids
from featurekit.data.find import check_folder, part_of
from featurekit.data.targets import age_group_of
from featurekit.errors import ManifestError

N_FOLDS = 5
LAYOUTS = {
    "faces": "faces/{user_id}/coarse_tilt_aligned_face.{face_id}.{original_image}",
    "aligned": "aligned/{user_id}/landmark_aligned_face.{face_id}.{original_image}",
}
_FOLD_FILES = {"all": "fold_{}_data.txt", "frontal": "fold_frontal_{}_data.txt"}
_COLUMNS = ["user_id", "original_image", "face_id", "age", "gender"]
# Written the wrong way round in the fold files; the annotators had "(25, 32)" to choose.
_TYPOS = {"(25, 23)": "25-32"}


@dataset(
    "adience",
    about="Adience: unfiltered faces labelled with one of eight age groups and a gender, five official folds",
    licence="Adience: research only",
)
def adience(
    path: Path,
    *,
    protocol: str = "published",
    layout: str = "auto",
    subset: str = "all",
    missing: Missing = USUAL,
) -> RawRows:
    """Return every row of Adience's fold files, in their order.

    Counts of labels are those of the fold files as published, with the rows that they name twice;
    those rows have the reason repeated_row.

    Args:
        path: the folder that the fold files lie in, and "faces" or "aligned" with the pictures.
        protocol: "published" takes the eight age groups as they are written and no other age;
            "repaired" also takes a mistyped group, and an age or an interval that lies in one group.
        layout: "faces", "aligned", or "auto": the one that is there, "faces" if both are.
        subset: "all", or "frontal" for the fold files of nearly frontal faces.
        missing: which cells say that something is not known; the gender "u" is gender3's "undefined".

    Raises:
        ManifestError: a fold file or the pictures' folder is missing, a file is not laid out like
            that, or an option is wrong.
    """
    one_of("protocol", protocol, ("published", "repaired"))
    one_of("layout", layout, ("auto", *LAYOUTS))
    one_of("subset", subset, tuple(_FOLD_FILES))
    check_folder(path)
    names = [_FOLD_FILES[subset].format(fold) for fold in range(N_FOLDS)]
    folds = [_read_fold(part_of(path, name), fold) for fold, name in enumerate(names)]
    rows = pd.concat(folds, ignore_index=True)
    pattern = _pattern_of_pictures(path, layout)
    genders = {text: text if text in ("f", "m", "u") else "" for text in rows["gender"].unique()}
    is_bad = rows["gender"].map(lambda text: not genders[text] and text not in missing)
    age_groups = {text: _age_group(text, protocol) for text in rows["age"].unique()}
    table = _table(rows, pattern, age_groups, missing)
    says_age = ~rows["age"].map(cache(missing.__contains__))
    has_group = table["age_group"] != ""
    counts = {
        "labelled with an age group": has_group,
        "labelled with female or male": table["gender"] != "",
        "labelled with an undefined gender": rows["gender"] == "u",
        "without a gender": (rows["gender"].map(genders) == "") & ~is_bad,
        "without an age": ~says_age,
        f"ages dropped by the {protocol} protocol": says_age & ~has_group,
        "ages repaired": has_group & (rows["age"].map(lambda text: _age_group(text, "published")) == ""),
    }
    return RawRows(
        table,
        path,
        labels=("age_group", "gender", "gender3"),
        counts={what: int(which.sum()) for what, which in counts.items()},
        bad_cells=[
            BadCell(int(row), "gender", "gender", rows["gender"][row], "is not f, m or u")
            for row in rows.index[is_bad]
        ],
        missing=_said_to_be_missing(rows, rows["gender"].map(genders) == "", missing),
        called={"subject_id": "face_id"},
    )


def _pattern_of_pictures(path: Path, layout: str) -> str:
    """Return how the pictures of a layout are called, or of the one that is there.

    Raises:
        ManifestError: its folder is not there.
    """
    there = [name for name in LAYOUTS if (path / name).is_dir()]
    if not there or layout not in ("auto", *there):
        wanted = "'faces' or 'aligned'" if layout == "auto" else f"'{layout}'"
        raise ManifestError(
            f"{path} has no folder {wanted} with the images of Adience. Unpack them beside the fold files."
        )
    return LAYOUTS[there[0] if layout == "auto" else layout]


def _table(rows: pd.DataFrame, pattern: str, age_groups: Mapping[str, str], missing: Missing) -> pd.DataFrame:
    """Return the rows of the fold files with the columns of a manifest.

    Args:
        rows: as the fold files write them.
        pattern: how pictures are called.
        age_groups: age of the fold files → the group that it stands for, or "".
        missing: which cells say that something is not known.
    """
    says_nothing = rows[["user_id", "original_image", "face_id"]].map(cache(missing.__contains__))
    is_named = ~says_nothing.any(axis=1)
    keys = rows["user_id"] + "/" + rows["face_id"] + "." + rows["original_image"]
    images = [
        pattern.format(user_id=user, face_id=face, original_image=photograph)
        for user, face, photograph in zip(
            rows["user_id"], rows["face_id"], rows["original_image"], strict=True
        )
    ]
    table = pd.DataFrame(
        {
            "face_id": unique_ids(keys.tolist()),
            "image_path": pd.Series(images).where(is_named, ""),
            "subject_id": rows["face_id"],  # numbered over the whole data set, not by album
            "age_group": rows["age"].map(age_groups),
            "gender": rows["gender"].map({"f": "female", "m": "male"}).fillna(""),
            "official_fold": rows["fold"],
            "reason": "",
            "gender3": rows["gender"].map({"f": "female", "m": "male", "u": "undefined"}).fillna(""),
            "user": rows["user_id"].mask(says_nothing["user_id"], ""),
        }
    )
    table.loc[keys.duplicated() & is_named, "reason"] = "repeated_row"
    table.loc[~is_named, "reason"] = "bad_path"
    return table


def _said_to_be_missing(
    rows: pd.DataFrame, has_no_gender: "pd.Series[bool]", missing: Missing
) -> Counter[tuple[str, str]]:
    """Return (column, word) → rows that say so and are taken as missing."""
    said: Counter[tuple[str, str]] = Counter()
    for column in _COLUMNS:
        if column not in ("gender", "face_id"):  # of which the first is looked at below, the other by clean()
            count_missing(rows[column], column, missing, said)
    said.pop(("age", "none"), None)  # as the fold files write it, counted as "without an age"
    count_missing(rows["gender"][has_no_gender], "gender", missing, said)
    return said


def _read_fold(file: Path, fold: int) -> pd.DataFrame:
    """Return the rows of a fold file as text, with the fold's number."""
    if not file.is_file():
        raise ManifestError(
            f"The fold file {file.name} of Adience is not in {file.parent}. The five fold files list"
            " the faces."
        )
    try:
        rows = pd.read_csv(
            file, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as an Adience fold file: {error}") from error
    missing = [column for column in _COLUMNS if column not in rows]
    if missing:
        raise ManifestError(f"{file} lacks the columns {missing}; it has {list(rows.columns)}.")
    return rows[_COLUMNS].fillna("").assign(fold=fold)


def _age_group(text: str, protocol: str) -> str:
    """Return the age group that a fold file's age stands for, or "".

    >>> _age_group("(8, 12)", "published"), _age_group("(25, 23)", "published"), _age_group("29", "published")
    ('8-12', '', '')
    >>> _age_group("(25, 23)", "repaired"), _age_group("29", "repaired"), _age_group("(38, 48)", "repaired")
    ('25-32', '25-32', '')
    """
    published = read_age_group(text) or ""
    if protocol == "published" or published:
        return published
    years = [int(number) for number in re.findall(r"\d+", text)]
    groups = {age_group_of(year) for year in years}
    return _TYPOS.get(text) or (groups.pop() if len(groups) == 1 else "")
