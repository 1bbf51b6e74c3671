"""Adience: faces from Flickr albums, labelled with an age group and a gender and divided into five folds.

Five text files, one for each fold, list every face. If an image is missing, its row stays in the manifest
with its labels and a reason. No subject, album or image is in two folds, so comparisons use these folds.
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
from featurekit.files import is_file, is_folder, opened

N_FOLDS = 5
LAYOUTS = {
    "faces": "faces/{user_id}/coarse_tilt_aligned_face.{face_id}.{original_image}",
    "aligned": "aligned/{user_id}/landmark_aligned_face.{face_id}.{original_image}",
}
_FOLD_FILES = {"all": "fold_{}_data.txt", "frontal": "fold_frontal_{}_data.txt"}
_COLUMNS = ["user_id", "original_image", "face_id", "age", "gender"]
# A mistake in the fold files; the annotators could choose "(25, 32)".
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
    """Return every row of Adience's fold files, in the order of the files.

    The counts of labels are those of the published fold files. They include the rows that occur twice in the
    files, which get the reason repeated_row.

    Args:
        path: folder with the fold files and the subfolder "faces" or "aligned" with the images.
        protocol: "published" accepts the eight age groups in their usual spelling and no other age;
            "repaired" also accepts a mistyped group, and an age or an interval that lies in one group.
        layout: name of the subfolder with the images, "faces" or "aligned"; "auto" chooses the one that
            exists, or "faces" if both exist.
        subset: "all" for the fold files of all faces, "frontal" for the fold files of nearly frontal faces.
        missing: words for a missing value. The gender "u" is the class "undefined" of the target gender3.

    Raises:
        ManifestError: a fold file or the folder of images is missing, a file has another layout, or an
            option is wrong.
    """
    one_of("protocol", protocol, ("published", "repaired"))
    one_of("layout", layout, ("auto", *LAYOUTS))
    one_of("subset", subset, tuple(_FOLD_FILES))
    check_folder(path)
    files = [part_of(path, _FOLD_FILES[subset].format(fold)) for fold in range(N_FOLDS)]
    rows = pd.concat([_read_fold(file, fold) for fold, file in enumerate(files)], ignore_index=True)
    genders = {text: text if text in ("f", "m", "u") else "" for text in rows["gender"].unique()}
    is_bad = rows["gender"].map(lambda text: not genders[text] and text not in missing)
    age_groups = {text: _age_group(text, protocol) for text in rows["age"].unique()}
    table = _table(rows, _image_pattern(path, layout), age_groups, missing)
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


def _image_pattern(path: Path, layout: str) -> str:
    """Return the pattern of the image paths of a layout; for "auto", of the one that exists.

    Raises:
        ManifestError: its folder does not exist.
    """
    there = [name for name in LAYOUTS if is_folder(path / name)]
    if not there or layout not in ("auto", *there):
        wanted = "'faces' or 'aligned'" if layout == "auto" else f"'{layout}'"
        raise ManifestError(
            f"{path} has no folder {wanted} with the images of Adience. Unpack the images beside the fold"
            " files."
        )
    return LAYOUTS[there[0] if layout == "auto" else layout]


def _table(rows: pd.DataFrame, pattern: str, age_groups: Mapping[str, str], missing: Missing) -> pd.DataFrame:
    """Return the rows of the fold files with the columns of a manifest.

    Args:
        rows: rows of the fold files, unchanged.
        pattern: of the image paths.
        age_groups: age of the fold files → the group that it stands for, or "".
        missing: which cells mean "not known".
    """
    says_nothing = rows[["user_id", "original_image", "face_id"]].map(cache(missing.__contains__))
    is_named = ~says_nothing.any(axis=1)
    keys = rows["user_id"] + "/" + rows["face_id"] + "." + rows["original_image"]
    images = pd.Series([pattern.format_map(row) for row in rows.to_dict("records")])
    table = pd.DataFrame(
        {
            "face_id": unique_ids(keys.tolist()),
            "image_path": images.where(is_named, ""),
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
    """Return (column, word) → rows in which the word is treated as missing; clean() adds those of face_id."""
    said: Counter[tuple[str, str]] = Counter()
    for column in ("user_id", "original_image", "age"):
        count_missing(rows[column], column, missing, said)
    said.pop(("age", "none"), None)  # the usual word of the fold files, counted as "without an age"
    count_missing(rows["gender"][has_no_gender], "gender", missing, said)
    return said


def _read_fold(file: Path, fold: int) -> pd.DataFrame:
    """Return the rows of a fold file as text, with the fold's number."""
    if not is_file(file):
        raise ManifestError(
            f"The fold file {file.name} of Adience is not in {file.parent}. The five fold files list"
            " the faces."
        )
    try:
        with opened(file) as text:
            rows = pd.read_csv(
                text, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE, encoding="utf-8-sig"
            )
    except (OSError, ValueError) as error:
        raise ManifestError(f"{file} cannot be read as an Adience fold file: {error}") from error
    if missing := [column for column in _COLUMNS if column not in rows]:
        raise ManifestError(f"{file} lacks the columns {missing}; it has {list(rows.columns)}.")
    return rows[_COLUMNS].fillna("").assign(fold=fold)


def _age_group(text: str, protocol: str) -> str:
    """Return the age group that an age of the fold files stands for, or "".

    >>> _age_group("(8, 12)", "published"), _age_group("(25, 23)", "published"), _age_group("29", "published")
    ('8-12', '', '')
    >>> _age_group("(25, 23)", "repaired"), _age_group("29", "repaired"), _age_group("(38, 48)", "repaired")
    ('25-32', '25-32', '')
    """
    published = read_age_group(text) or ""
    if protocol == "published" or published:
        return published
    groups = {age_group_of(int(number)) for number in re.findall(r"\d+", text)}
    return _TYPOS.get(text) or (groups.pop() if len(groups) == 1 else "")
