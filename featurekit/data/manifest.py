"""The manifest: the table of a data set with the image, subject, age, gender and other labels of each face.

It has one row for each row of the data set. If a row cannot be used, the column "reason" says why. Features
and predictions are joined to the manifest by row, so its rows are never sorted again.
"""

import csv
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checked import checked
from featurekit.data.targets import TARGETS, Target
from featurekit.errors import ManifestError, TargetError, WorkspaceError
from featurekit.files import beginning_of, is_file, read_file, whole_file
from featurekit.registry import unknown
from featurekit.text import FORMULA, as_it_was, no_formula, words_of
from featurekit.urls import UrlPath, place_of

# Columns every manifest has, in this order; any further column is a label of the user's own.
COLUMNS = (
    "face_id",  # unique
    "image_path",  # relative to the manifest's root, with forward slashes; "" where the row names none
    "subject_id",  # "" where not known: the row is then a subject of its own
    "age",  # years, float; NaN where unknown
    "age_group",  # one of AGE_GROUP.classes, or ""
    "gender",  # "female", "male", or ""
    "official_fold",  # the data set's own fold from 0, or -1
    "box",  # "x1 y1 x2 y2" in pixels of the upright image, or ""
    "content",  # sha256 of the file's bytes, or "" where it could not be read
    "reason",  # why the row is not used, or ""
)

# Columns of the tables that `predict` and `fit` write: a target of the same name would overwrite one of them.
_WRITTEN = (
    *("photograph", "face", "status", "confidence", "x1", "y1", "x2", "y2", "message"),
    *("subject", "fold", "true", "predicted"),
)
# Endings that those tables add to a target's name.
_ENDINGS = ("_probability", "_among", "_from", "_to")
# The longest name of a label, in bytes: the names of runs and models contain several labels, and file
# systems allow at most 255 bytes for the name of a file.
MAX_NAME = 60
_MAX_BYTES = 2**40  # of a manifest in a bucket

# Every reason why a row may be unusable, and what it means to a reader. A row has the first of these that
# holds: first what the user decided, then rows that the data set itself repeats, then problems with the
# file, because labels are of no use without it, then problems with the labels, and last the comparison with
# other rows.
REASONS: dict[str, str] = {
    "excluded": "a mark excludes the row",
    "repeated_row": "the data set lists the same face twice",
    "bad_path": "the path is not a valid file path",
    "outside_root": "the path leads outside the folder of the data set",
    "no_path": "the cell with the path of the image is empty or means a missing value",
    "missing_file": "the file does not exist",
    "unreadable": "the file exists but cannot be read",
    "unparsable_name": "the labels cannot be read from the file name",
    "bad_value": "a cell of the table cannot be read",
    "impossible_age": "the age is below 0 or above 116",
    "no_label": "there is no usable age, gender or other label",
    "conflicting_labels": "the file is identical to that of another row with other labels",
    "duplicate": "the file is identical to that of another row with the same labels",
}


def names_ethnicity(column: str) -> bool:
    """Return whether the name of a column says that its labels are ethnicities.

    >>> [names_ethnicity(name) for name in ("race", "perceivedEthnicity", "ethnic_group", "trace", "gender")]
    [True, True, True, False, False]
    """
    named = "race|racial|ethnic|ethnicit(y|ies)|nationality|caste|tribe"
    return any(re.fullmatch(named, word) for word in words_of(column))


def label_names(columns: Iterable[str]) -> dict[str, str]:
    """Return a safe name for each label column of a manifest, which is the given name wherever possible.

    Files, models and columns of other tables are named after a label. A name stays as it is if it has at most
    60 bytes of letters, digits, spaces, underscores, dots and single hyphens, and neither begins nor ends
    with a dot, a hyphen or a space. Other characters are replaced by an underscore, and a long name is cut.
    "_label" is appended to a name that is already a column of the manifest or of a table that
    `featurekit predict` or `featurekit fit` writes. "label_" is put before a name that begins with "p_",
    because columns of probabilities do (p_female). Names that differ only by case get a number.

    >>> label_names(["mood", "hair/colour", "Photograph", "p_female", "Mood"])
    {'mood': 'mood', 'hair/colour': 'hair_colour', 'Photograph': 'Photograph_label', \
'p_female': 'label_p_female', 'Mood': 'Mood_2'}
    """
    asked = dict.fromkeys(columns, "")
    taken: set[str] = set()
    # Names that are safe already come first, so that none of them is changed because of one that was made.
    for column in sorted(asked, key=lambda column: _safe_name(column) != column):
        name = _safe_name(column)
        candidates = chain([name], (f"{name}_{number}" for number in count(2)))
        asked[column] = next(one for one in candidates if one.casefold() not in taken)
        taken.add(asked[column].casefold())
    return asked


def _safe_name(column: str) -> str:
    """Return the name that a label column would have if it were the only one."""
    name = unicodedata.normalize("NFC", column)
    good = "".join(
        letter if letter in "_. -" or unicodedata.category(letter)[0] in "LMN" else "\0" for letter in name
    )
    name = re.sub(r"([ -])\1+", r"\1", re.sub("[ _]*\0[\0 _]*", "_", good))
    name = name.strip(" .-_" if "\0" in good else " .-") or "label"
    if len(name.encode()) > MAX_NAME:
        start = name.encode()[: MAX_NAME - 9].decode(errors="ignore")
        name = f"{start}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    word = name.casefold()
    # "Gender3" beside the target "gender3" would be the same file on systems that ignore case.
    if word in {*COLUMNS, *_WRITTEN} or word.endswith(_ENDINGS) or (word in TARGETS and word != name):
        name += "_label"
    return f"label_{name}" if word.startswith("p_") else name


# A column of the user's own with more different numbers than this holds measurements, not codes of classes.
MOST_CODES = 20


def is_measured(values: Iterable[str]) -> bool:
    """Return whether the values of a column are measured numbers rather than names or codes of classes.

    This is so if at least 90 % of the different values are numbers, and some of these numbers are not whole
    or more than MOST_CODES of them are different.

    >>> is_measured(["19.8", "23.1", ""]), is_measured(["0", "1", "2"]), is_measured(["1.0", "2.0", "cat"])
    (True, False, False)
    """
    words = {value for value in values if value != ""}
    numbers = [number for number in map(_number, words) if number is not None]
    if not numbers or len(numbers) < 0.9 * len(words):
        return False
    return len(set(numbers)) > MOST_CODES or not all(number.is_integer() for number in numbers)


def _number(text: str) -> float | None:
    """Return the number that a text stands for, None where it is not a number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Manifest:
    """The rows of a data set, with the reason why a row cannot be used.

    Attributes:
        table: one row for each face, with the columns COLUMNS followed by the user's own labels.
        root: folder that the column image_path is relative to, on this machine or in a bucket.
        info: facts about the data set ("dataset", "options", "synthetic", "licence"), and counts of the
            errors in it ("tally").
    """

    table: pd.DataFrame
    root: Path
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if missing := [column for column in COLUMNS if column not in self.table]:
            raise ManifestError(f"The manifest lacks the columns {missing}.")
        if not len(self.table):
            raise ManifestError("The manifest has no rows.")
        if len(repeated := self.table["face_id"][self.table["face_id"].duplicated()]):
            raise ManifestError(f"face_id {repeated.iloc[0]} occurs twice, but ids must be unique.")
        if strange := sorted(set(self.table["reason"]) - set(REASONS) - {""}):
            raise ManifestError(f"Unknown reasons {strange}. Known: {', '.join(REASONS)}.")

    def __len__(self) -> int:
        return len(self.table)

    @property
    def name(self) -> str:
        """Name of the data set, e.g. "utkface"."""
        return str(self.info.get("dataset", "manifest"))

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Mask of the rows that can be used for training and testing, shape (n_rows,)."""
        return np.asarray(self.table["reason"] == "")

    @property
    def subjects(self) -> NDArray[np.str_]:
        """Subject of each row, shape (n_rows,); each row without a known subject counts as one subject."""
        known = self.table["subject_id"].to_numpy(dtype=str)
        return np.where(known == "", "row:" + self.table["face_id"].to_numpy(dtype=str), known)

    @checked()
    def target(self, name: str) -> Target:
        """Return the target with this name, which is a standard target or a label column of the user.

        Raises:
            TargetError: there is neither a standard target nor a label column with this name.
        """
        if name in TARGETS and name in self.table:
            return TARGETS[name]
        extra = [column for column in self.table.columns if column not in COLUMNS]
        if name not in extra:
            standard = (target for target in TARGETS if target in self.table)
            raise TargetError(unknown("target", name, sorted({*extra, *standard})))
        return Target(name, tuple(sorted(set(self.table.loc[self.usable, name].astype(str)) - {""})))

    @checked()
    def target_to_fit(self, name: str) -> Target:
        """Return the target with this name after checking that files can be named after it.

        Raises:
            TargetError: there is neither a standard target nor a label column with this name, or
                label_names() would change the name (only in manifests of older versions).
        """
        target = self.target(name)
        safe = label_names(column for column in self.table.columns if column not in COLUMNS).get(name, name)
        if safe != name:
            raise TargetError(
                f"A target cannot be called '{name}', because a file or a column of another table has this"
                f" name. Run featurekit prepare again: it renames the column to '{safe}'."
            )
        return target

    def labelled(self, target: Target) -> NDArray[np.bool_]:
        """Return a mask of the usable rows that have a label of the target, shape (n_rows,)."""
        column = self.table[target.name]
        has_label = column.notna() if target.is_regression else column.isin(target.classes)
        return np.asarray(self.usable & has_label)

    def without(self, column: str, labels: Collection[str]) -> "Manifest":
        """Return a manifest in which the given labels of a column are missing values."""
        if not labels:
            return self
        kept = self.table[column].where(~self.table[column].isin(list(labels)), "")
        return replace(self, table=self.table.assign(**{column: kept}))

    @checked()
    def save(self, path: str | Path) -> None:
        """Write the table to a CSV file, and root and info to a JSON file of the same name.

        Args:
            path: path or URL of the CSV file.
        """
        path = place_of(path)
        info = json.dumps({"root": str(self.root), **self.info}, indent=2, default=str)
        # Both files are replaced only after both are written: a full disk leaves the old ones.
        with whole_file(path) as file, whole_file(path.with_suffix(".json")) as beside:
            beside.write(f"{info}\n".encode())
            file.write(csv_of(self.table).encode())

    @classmethod
    @checked()
    def load(cls, path: str | Path) -> Self:
        """Read a manifest that save() wrote, on this machine or in a bucket.

        Args:
            path: path or URL of the CSV file.

        Raises:
            ManifestError: the file does not exist or is not a manifest.
        """
        path = place_of(path)
        beside = path.with_suffix(".json")
        if not is_file(path) or not is_file(beside):
            raise ManifestError(
                f"There is no manifest at {path}. To make one: featurekit prepare DATASET PATH"
            )
        try:
            table = _each_text(
                pd.read_csv(BytesIO(_bytes_of(path)), dtype=str, keep_default_na=False), as_it_was
            )
            info = json.loads(_bytes_of(beside))
            table["age"] = pd.to_numeric(table["age"], errors="raise")
            table["official_fold"] = table["official_fold"].astype(int)
            root = info.pop("root")
            if not isinstance(root, str) or "\0" in root:
                raise ValueError(f"{root!r} is not a folder.")
            folder = place_of(root)
        except (ValueError, KeyError, TypeError, RecursionError, WorkspaceError) as error:
            raise ManifestError(f"{path} is not a manifest of featurekit: {error}") from error
        return cls(table, folder, info)


def refuse_foreign(path: Path) -> None:
    """Raise ManifestError if a file that is not featurekit's is where a manifest is to be saved.

    A manifest is known by its first columns, or by the facts beside it: so that of an earlier version, or a
    damaged one, can be replaced. A file without content is replaced too.

    Args:
        path: path or URL of the CSV file that save() would write.
    """
    beside = path.with_suffix(".json")
    if _begins_as_ours(path) or _has_our_facts(beside):
        return
    for place in (path, beside):
        if beginning_of(place).strip():
            raise ManifestError(
                f"{place} exists and is not a manifest of featurekit, so it is kept: rename it, or use"
                " another workspace (--workspace)."
            )


def _begins_as_ours(path: Path) -> bool:
    """Return whether a file has the head of a manifest."""
    text = beginning_of(path, 2**16).decode("utf-8-sig", "replace")
    head = [column.strip('"') for column in text.partition("\n")[0].strip().split(",")]
    return tuple(head[:4]) == COLUMNS[:4] and COLUMNS[-1] in head


def _has_our_facts(path: Path) -> bool:
    """Return whether a JSON file has the facts that belong to a manifest."""
    try:
        facts = json.loads(_bytes_of(path)) if is_file(path) else None
    except (ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and isinstance(facts.get("root"), str)


def _bytes_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        ManifestError: the bucket does not give the file.
    """
    if not isinstance(path, UrlPath):
        return path.read_bytes()
    try:
        return read_file(path, _MAX_BYTES)
    except OSError as error:
        raise ManifestError(f"Cannot read {path}: {error.strerror}.") from None


def csv_of(table: pd.DataFrame, separator: str = ",") -> str:
    """Return a table as CSV text that spreadsheets read row by row and without evaluating formulas."""
    table = _each_text(table, no_formula)
    text = table.to_csv(index=False, sep=separator)
    # pandas quotes a line feed but not a carriage return, and reads it as a new row.
    return table.to_csv(index=False, sep=separator, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return the table with texts and names of columns changed where they begin with a quote or a formula."""
    changed = {}
    for name, column in table.items():
        if pd.api.types.is_string_dtype(column):
            starts = column.str.startswith(("'", *FORMULA)).fillna(False).to_numpy(bool)
            if starts.any():
                column = column.mask(starts, column.where(starts).map(change, na_action="ignore"))
        changed[change(str(name))] = column
    return pd.DataFrame(changed)
