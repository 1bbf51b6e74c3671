"""Read a data set's own layout into rows of a manifest.

A data set is one file here: a function that finds every row the data set names,
says what it knows of it, and leaves the judgement (missing files, impossible
ages, duplicates) to clean(), which is the same for all.
"""

import errno
import hashlib
import inspect
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.datasets._find import Found as Found
from featurekit.datasets._find import check_folder as check_folder
from featurekit.datasets._find import find_pictures as find_pictures
from featurekit.datasets._find import part_of as part_of
from featurekit.datasets._names import look_alikes, notes_of
from featurekit.errors import ManifestError
from featurekit.manifest import AGE_GROUP, COLUMNS, MAX_AGE, REASONS, Manifest, age_group_of
from featurekit.registry import Registry, unknown

# Words for a gender, in small letters; numbers mean one thing here and the other there, so they are none.
_GENDERS = {
    **dict.fromkeys(("f", "female", "females", "woman", "women", "girl", "girls"), "female"),
    **dict.fromkeys(("m", "male", "males", "man", "men", "boy", "boys"), "male"),
}
# What stands in a cell that says nothing, in small letters.
NOT_KNOWN = frozenset(
    ("", "none", "nan", "na", "n/a", "null", "u", "unknown", "undefined", "unsure", "not sure", "?", "-")
)

# Anything else that the system says of a file: it is there and cannot be read.
_REASON_OF = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "missing_file"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EILSEQ), "bad_path"),
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RawRows:
    """What a data set says of itself, before anything is judged.

    Attributes:
        table: one row for every row the data set names, in its order. Of the manifest's columns only
            image_path is needed; further columns are labels of its own. A row that cannot be parsed
            is in it, with its reason.
        root: folder that image_path is relative to.
        labels: the columns that can be learned from: a row with none of them is of no use, and equal
            pictures that differ in one of them contradict each other.
        counts: what the reader counted while reading, in words → rows.
        info: further facts for the manifest, e.g. "synthetic".
        notes: what the user should be told of the reading, a sentence each.
    """

    table: pd.DataFrame
    root: Path
    labels: tuple[str, ...] = ("age", "age_group", "gender")
    counts: Mapping[str, int] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Dataset:
    """One layout that featurekit can read.

    Attributes:
        name: what users call it.
        about: one line for `featurekit list datasets`.
        licence: what its owners allow, for reports and model cards.
        read: (path, options by keyword) → every row it names; one that has much to do first takes the
            keyword progress too.
    """

    name: str
    about: str
    licence: str
    read: Callable[..., RawRows]

    @property
    def options(self) -> tuple[str, ...]:
        """The options it understands: the parameters of read() after the path."""
        return tuple(name for name in self._parameters[1:] if name != "progress")

    @property
    def shows_progress(self) -> bool:
        """Whether read() tells how far it is."""
        return "progress" in self._parameters

    @property
    def _parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.read).parameters)


DATASETS: Registry[Dataset] = Registry("data set", "featurekit.datasets")


def dataset(name: str, *, about: str, licence: str) -> Callable[[Callable[..., RawRows]], Dataset]:
    """Register the decorated function, (path, *, options) → rows, as the data set called name.

    >>> @dataset("selfies", about="my own pictures", licence="mine")        # doctest: +SKIP
    ... def selfies(path, *, year=""): ...
    """

    def register(read: Callable[..., RawRows]) -> Dataset:
        return DATASETS.add(Dataset(name=name, about=about, licence=licence, read=read))

    return register


def prepare(
    name: str,
    path: Path,
    *,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Manifest:
    """Read a data set and judge every row of it.

    Args:
        name: of the data set.
        path: where it lies: a folder, or a file for "table".
        content_of: sha256 of a file's bytes in hexadecimal, or OSError; sha256_of_file() unless
            somebody remembers the hashes.
        progress: called with (files read, files to read).
        options: of the data set; see Dataset.options.

    Raises:
        UnknownNameError: nobody registered the data set.
        ManifestError: it is not there, is not laid out like that, an option is wrong, or not one row
            of it is usable.
    """
    chosen = DATASETS[name]
    for option in options:
        if not chosen.options:
            raise ManifestError(f"{name} has no options. Got '{option}'.")
        if option not in chosen.options:
            raise ManifestError(unknown(f"option of {name}", option, list(chosen.options)))
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    path = Path(os.path.realpath(path))
    raw = chosen.read(path, **options, **({"progress": progress} if chosen.shows_progress else {}))
    manifest = clean(raw, content_of=content_of or sha256_of_file, progress=progress)
    info = {
        "dataset": name,
        "path": str(path),
        "options": {option: _plain(value) for option, value in options.items()},
        "licence": chosen.licence,
        "synthetic": False,
        **manifest.info,
    }
    if not manifest.usable.any():
        reasons = manifest.table["reason"]
        counted = reasons.value_counts()
        worst = str(counted.index[0])
        example = manifest.table["image_path"][reasons == worst].iloc[0]
        notes = "".join(f" {note}" for note in manifest.info.get("notes", ()))
        raise ManifestError(
            f"None of the {len(manifest)} rows of {path} can be used."
            f" For {counted.iloc[0]} of them {REASONS[worst]} (first: '{example}' below {manifest.root})."
            f"{notes}"
        )
    return Manifest(manifest.table, manifest.root, info)


def clean(
    raw: RawRows, *, content_of: Callable[[Path], str] | None = None, progress: Progress | None = None
) -> Manifest:
    """Judge every row: usable, or the one reason why not.

    A row with several reasons gets the first of REASONS. Rows of the same bytes and the same box are
    one picture: if their labels differ none of them is used, else one is, the first of those that
    know most labels. They share a subject, and so do all rows of the subjects that they join.

    Args:
        raw: every row that the data set names.
        content_of: sha256 of a file's bytes in hexadecimal, or OSError.
        progress: called with (files read, files to read).

    Returns:
        The same rows in the same order; what was counted is in info["tally"], what the user should be
        told in info["notes"].

    Raises:
        ManifestError: there are no rows, or two of one face_id.
    """
    table = _with_all_columns(raw.table)
    precedence = {reason: number for number, reason in enumerate((*REASONS, ""))}
    reasons = table["reason"].to_numpy(dtype=object)

    def object_to(rows: NDArray[np.bool_], reason: str) -> None:
        for row in np.flatnonzero(rows):
            reasons[row] = min(reasons[row], reason, key=precedence.__getitem__)

    contents, file_reasons = _read_files(
        table["image_path"], raw.root, content_of or sha256_of_file, progress
    )
    # A file may be there under another spelling of the same name.
    missing = file_reasons == "missing_file"
    same, others = look_alikes(table["image_path"][missing], raw.root)
    if same:
        renamed = missing & table["image_path"].isin(same).to_numpy(bool)
        table.loc[renamed, "image_path"] = table["image_path"][renamed].map(same)
        contents[renamed], file_reasons[renamed] = _read_files(
            table["image_path"][renamed], raw.root, content_of or sha256_of_file, None
        )
    notes = [*raw.notes, *notes_of(same, others)]
    table["content"] = contents
    for reason in sorted(set(file_reasons) - {""}):
        object_to(file_reasons == reason, reason)

    age = table["age"].to_numpy(dtype=float)
    impossible = (age < 0) | (age > MAX_AGE)
    object_to(impossible, "impossible_age")
    table.loc[impossible, "age_group"] = ""
    is_known = {label: table[label].notna() if label == "age" else table[label] != "" for label in raw.labels}
    n_known = sum((known.astype(int) for known in is_known.values()), pd.Series(0, index=table.index))
    object_to(np.asarray(n_known == 0), "no_label")

    # The same photograph with another box is another face.
    has_content = contents != ""
    picture = pd.Series(-1, index=table.index)
    picture[has_content] = pd.factorize(table["content"][has_content] + " " + table["box"][has_content])[0]
    alike = picture[(reasons == "") & has_content]
    alike = alike[alike.duplicated(keep=False)]
    conflicting = pd.Series(False, index=alike.index)
    for label, known in is_known.items():
        conflicting |= table[label].where(known).loc[alike.index].groupby(alike).transform("nunique") > 1
    reasons[alike.index[conflicting]] = "conflicting_labels"
    best_first = alike.loc[
        n_known[alike.index[~conflicting]].sort_values(ascending=False, kind="stable").index
    ]
    reasons[best_first.index[best_first.duplicated()]] = "duplicate"

    table["reason"] = reasons.astype(str)
    joined = _join_subjects(table["subject_id"], table["face_id"], picture)
    n_joined = int(((table["subject_id"] != "") & (table["subject_id"] != joined)).sum())
    table["subject_id"] = joined
    manifest = Manifest(table, raw.root)
    tally = {
        "rows": len(table),
        "usable": int(manifest.usable.sum()),
        "subjects": len(set(manifest.subjects)),
        **{reason: n for reason in REASONS if (n := int((table["reason"] == reason).sum()))},
        "ages between the age groups": int(
            (~np.isnan(age) & ~impossible & np.asarray(table["age_group"] == "")).sum()
        ),
        "groups of identical files": alike.nunique(),
        "groups of identical files with conflicting labels": alike[conflicting].nunique(),
        "rows whose subject was joined with another": n_joined,
        **raw.counts,
    }
    info = {**raw.info, "tally": tally, **({"notes": notes} if notes else {})}
    return Manifest(table, raw.root, info)


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value of an option, or refuse one that is not allowed.

    Raises:
        ManifestError: it is none of the allowed ones.
    """
    if value not in allowed:
        raise ManifestError(unknown(option, str(value), list(allowed)))
    return value


def unique_ids(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind each that occurred before.

    >>> unique_ids(["a", "b", "a", "a"])
    ['a', 'b', 'a#2', 'a#3']
    """
    taken = set(names)
    seen: Counter[str] = Counter()
    ids = []
    for name in names:
        seen[name] += 1
        made = name
        while seen[name] > 1 and (made := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        taken.add(made)
        ids.append(made)
    return ids


def read_gender(text: str) -> str | None:
    """Return "female" or "male", "" for a word that says it is not known, None for any other word.

    >>> read_gender("Woman"), read_gender("unknown"), read_gender("2")
    ('female', '', None)
    """
    word = text.strip().lower()
    return _GENDERS.get(word, "" if word in NOT_KNOWN else None)


def read_age_group(text: str) -> str | None:
    """Return the age group that a text writes, "" where it says it is not known, None for any other text.

    >>> read_age_group("(25, 32)"), read_age_group("60+"), read_age_group("None"), read_age_group("27-33")
    ('25-32', '60-100', '', None)
    """
    word = text.strip().lower()
    if word in NOT_KNOWN:
        return ""
    years = re.fullmatch(r"\(?\s*(\d+)\s*(?:[-–_,]|\bto\b)\s*(\d+)\s*\)?", word)
    written = f"{int(years[1])}-{int(years[2])}" if years else "60-100" if word in ("60+", "60-") else ""
    return written if written in AGE_GROUP.classes else None


def _with_all_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with every column of a manifest, in order, and text where text belongs."""
    if not len(rows):
        raise ManifestError("The data set names no rows.")
    table = rows.reset_index(drop=True)
    if "age_group" not in table and "age" in table:
        table["age_group"] = table["age"].map(cache(age_group_of))
    if "face_id" not in table:
        table["face_id"] = unique_ids(table["image_path"].astype(str).tolist())
    for column in COLUMNS:
        if column not in table:
            table[column] = np.nan if column == "age" else -1 if column == "official_fold" else ""
    table = table[[*COLUMNS, *(column for column in table.columns if column not in COLUMNS)]]
    numbers = {"age": float, "official_fold": int}
    return table.astype({column: numbers.get(column, str) for column in table.columns})


def _read_files(
    paths: pd.Series, root: Path, content_of: Callable[[Path], str], progress: Progress | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the content of each row's file, "" where it cannot be read, and the reason why not.

    A file that several rows name is read once; one that lies outside root is not opened at all.
    """
    real_root = Path(os.path.realpath(root))

    @cache
    def leads_outside(folder: str) -> bool:
        return not Path(os.path.realpath(folder)).is_relative_to(real_root)

    def read(path: str) -> tuple[str, str]:
        file = os.path.join(root, path)  # noqa: PTH118 — half a million paths; pathlib takes ten times as long
        if not path:
            return "", "missing_file"
        if "\0" in path:
            return "", "bad_path"
        may_lead_on = path.endswith("..") or os.path.islink(file)  # noqa: PTH114
        if leads_outside(os.path.dirname(file)) or (may_lead_on and leads_outside(file)):  # noqa: PTH120
            return "", "outside_root"
        try:
            if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
                return "", "unreadable"
            return content_of(Path(file)), ""
        except OSError as error:
            return "", _REASON_OF.get(error.errno or 0, "unreadable")

    numbers, names = pd.factorize(paths)
    found = []
    for done, path in enumerate(names, start=1):
        found.append(read(path))
        if progress:
            progress(done, len(names))
    by_file = np.array(found, dtype=object)[numbers]
    return by_file[:, 0], by_file[:, 1]


def _join_subjects(subjects: pd.Series, face_ids: pd.Series, pictures: pd.Series) -> NDArray[Any]:
    """Return the subject of each row after rows of the same picture got the same one.

    If a picture joins two subjects they are one person, or at least a person that must not be on both
    sides of a fold, so every row of either gets the id of the one that comes first.

    Args:
        subjects: "" where not known: the row is its own subject.
        face_ids: unique.
        pictures: number of the row's picture, -1 where it has none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # This is what Manifest.subjects calls a row without a subject.
    own = subjects.where(subjects != "", "row:" + face_ids)
    subject, names = pd.factorize(own)
    has_picture = np.flatnonzero(pictures >= 0)
    n_nodes = len(names) + int(pictures.max()) + 1
    edges = (subject[has_picture], len(names) + pictures.to_numpy()[has_picture])
    links = coo_array((np.ones(len(has_picture), bool), edges), shape=(n_nodes, n_nodes))
    person = connected_components(links, directed=False)[1][subject]

    rows = pd.DataFrame({"person": person, "own": own, "is_known": subjects != ""})
    is_joined = rows.groupby("person")["own"].transform("nunique") > 1
    # An id of the data set's own is a better name than a row's.
    first = rows.sort_values("is_known", ascending=False, kind="stable").groupby("person")["own"].first()
    return np.asarray(subjects.where(~is_joined, rows["person"].map(first)))


def _plain(value: Any) -> Any:
    """Return the value of an option as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
