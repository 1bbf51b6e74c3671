"""Read a data set's own layout into rows of a manifest.

A data set is one file here: a function that finds every row the data set names,
says what it knows of it, and leaves the judgement (missing files, impossible
ages, duplicates) to clean(), which is the same for all.
"""

import errno
import hashlib
import inspect
import os
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

from featurekit.data.datasets._cells import (
    POSSIBLE_AGE,
    USUAL,
    BadCell,
    impossible_years,
)
from featurekit.data.datasets._cells import Missing as Missing
from featurekit.data.datasets._cells import read_age_group as read_age_group
from featurekit.data.datasets._cells import read_gender as read_gender
from featurekit.data.datasets._find import Found as Found
from featurekit.data.datasets._find import check_folder as check_folder
from featurekit.data.datasets._find import find_pictures as find_pictures
from featurekit.data.datasets._find import part_of as part_of
from featurekit.data.datasets._labels import (
    Changes,
    clean_labels,
    clean_subjects,
    notes_of_missing,
    shortened,
)
from featurekit.data.datasets._names import look_alikes, notes_of, notes_of_misplaced
from featurekit.data.manifest import COLUMNS, MAX_AGE, REASONS, Manifest, age_group_of, label_names
from featurekit.errors import ManifestError
from featurekit.progress import Progress
from featurekit.registry import Registry, unknown

# Anything else that the system says of a file: it is there and cannot be read.
_REASON_OF = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "missing_file"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EILSEQ), "bad_path"),
}

# Of the cells of a column that cannot be read, so many are kept in manifest.json; all are counted.
KEPT_CELLS = 100


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
        bad_cells: those that could not be read; in the table they are empty.
        missing: (column of the data set, word) → rows that say so and were taken as missing. The reader
            looks for such words in all cells but the subject's and those of labels of the data set's own.
        called: column of the table → what the data set calls it, where that is something else.
        info: further facts for the manifest, e.g. "synthetic".
        notes: what the user should be told of the reading, a sentence each.
    """

    table: pd.DataFrame
    root: Path
    labels: tuple[str, ...] = ("age", "age_group", "gender")
    counts: Mapping[str, int] = field(default_factory=dict)
    bad_cells: Sequence[BadCell] = ()
    missing: Mapping[tuple[str, str], int] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
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
            keyword progress too, and one that reads cells the keyword missing: which of them say nothing.
    """

    name: str
    about: str
    licence: str
    read: Callable[..., RawRows]

    @property
    def options(self) -> tuple[str, ...]:
        """The options it understands: the parameters of read() after the path, and missing; see prepare()."""
        own = [name for name in self._parameters[1:] if name not in ("progress", "missing")]
        return (*own, "missing")

    @property
    def reads_cells(self) -> bool:
        """Whether read() wants to know which cells say that something is not known."""
        return "missing" in self._parameters

    @property
    def shows_progress(self) -> bool:
        """Whether read() tells how far it is."""
        return "progress" in self._parameters

    @property
    def _parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.read).parameters)


DATASETS: Registry[Dataset] = Registry("data set", "featurekit.data.datasets")


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
    missing: str | Sequence[str] | None = None,
    **options: Any,
) -> Manifest:
    """Read a data set and judge every row of it.

    Args:
        name: of the data set.
        path: where it lies: a folder, or a file for "table".
        content_of: sha256 of a file's bytes in hexadecimal, or OSError; sha256_of_file() unless
            somebody remembers the hashes.
        progress: called with (files read, files to read).
        missing: words that mean "not known" in any column, in a sequence or separated by commas, instead
            of the usual ones ("nan", "N/A", "unknown", "?", "-", "none", ...); with + or - before each,
            words to add to those or to take from them; "" for none: then only an empty cell is missing.
        options: of the data set; see Dataset.options.

    Raises:
        UnknownNameError: nobody registered the data set.
        ManifestError: it is not there, is not laid out like that, an option is wrong, or not one row
            of it is usable.
    """
    chosen = DATASETS[name]
    for option in options:
        if option not in chosen.options:
            raise ManifestError(unknown(f"option of {name}", option, list(chosen.options)))
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    path = Path(os.path.realpath(path))
    words = USUAL if missing is None else Missing.of(missing)
    more: dict[str, Any] = {"progress": progress} if chosen.shows_progress else {}
    more |= {"missing": words} if chosen.reads_cells else {}
    raw = chosen.read(path, **options, **more)
    manifest = clean(raw, missing=words, content_of=content_of or sha256_of_file, progress=progress)
    given = options if missing is None else {**options, "missing": missing}
    info = {
        "dataset": name,
        "path": str(path),
        "options": {option: _plain(value) for option, value in given.items()},
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
    raw: RawRows,
    *,
    missing: Missing = USUAL,
    content_of: Callable[[Path], str] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Judge every row: usable, or the one reason why not.

    A row with several reasons gets the first of REASONS. A cell that cannot be read, or an age that nobody
    has, is missing; it is the reason of a row that has no other label. In labels of the data set's own and
    in subjects, missing words are taken as missing, and labels that differ only by case, spaces or the way
    Unicode writes them are one.

    Rows of the same bytes and the same box are one picture: if their labels differ none of them is used,
    else one is, the first of those that know most labels. They share a subject, and so do all rows of the
    subjects that they join.

    Args:
        raw: every row that the data set names.
        missing: which cells say that something is not known.
        content_of: sha256 of a file's bytes in hexadecimal, or OSError.
        progress: called with (files read, files to read).

    Returns:
        The same rows in the same order; what was counted is in info["tally"], what the user should be
        told in info["notes"].

    Raises:
        ManifestError: there are no rows, or two of one face_id.
    """
    changes = Changes(missing=Counter(raw.missing), bad_cells=list(raw.bad_cells))
    named, labels, called = _with_safe_names(raw)
    table = _with_all_columns(named)
    own = {label: called.get(label, label) for label in labels if label not in COLUMNS}
    for label, column in own.items():
        table[label] = clean_labels(table[label], label, column, missing, changes)
    table["subject_id"] = clean_subjects(
        table["subject_id"], called.get("subject_id", "subject_id"), missing, changes
    )
    precedence = {reason: number for number, reason in enumerate((*REASONS, ""))}
    reasons = table["reason"].to_numpy(dtype=object)

    def object_to(rows: NDArray[np.bool_], reason: str) -> None:
        for row in np.flatnonzero(rows):
            reasons[row] = min(reasons[row], reason, key=precedence.__getitem__)

    contents, file_reasons = _read_files(
        table["image_path"], raw.root, content_of or sha256_of_file, progress
    )
    # A file may be there under another spelling of the same name.
    is_missing = file_reasons == "missing_file"
    same, others = look_alikes(table["image_path"][is_missing], raw.root)
    if same:
        renamed = is_missing & table["image_path"].isin(same).to_numpy(bool)
        table.loc[renamed, "image_path"] = table["image_path"][renamed].map(same)
        contents[renamed], file_reasons[renamed] = _read_files(
            table["image_path"][renamed], raw.root, content_of or sha256_of_file, None
        )
    astray = np.isin(file_reasons, ["missing_file", "outside_root"])
    notes = [
        *raw.notes,
        *notes_of(same, others),
        *notes_of_misplaced(table["image_path"][astray], raw.root),
    ]
    table["content"] = contents
    for reason in sorted(set(file_reasons) - {""}):
        object_to(file_reasons == reason, reason)

    is_known = _judge_labels(table, labels, called.get("age", "age"), changes, object_to)
    n_known = sum((known.astype(int) for known in is_known.values()), pd.Series(0, index=table.index))

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
    if note := _named_again(table["image_path"][alike.index[conflicting]]):
        notes.append(note)
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
        "ages between the age groups": int((is_in_range(table["age"]) & (table["age_group"] == "")).sum()),
        "groups of identical files": alike.nunique(),
        "groups of identical files with conflicting labels": alike[conflicting].nunique(),
        "rows whose subject was joined with another": n_joined,
        **raw.counts,
        **changes.tally(),
    }
    told = {
        "label_names": {label: column for label, column in own.items() if label != column},
        "respelled_labels": changes.respelled,
        "n_bad_cells": len(changes.bad_cells),
        "bad_cells": _some_of_each_column(changes.bad_cells, table["face_id"]),
        "notes": [
            *notes,
            *(_told_name(column, label) for label, column in own.items() if label != column),
            *notes_of_missing(changes.missing, list(own.values()), missing),
            *changes.notes,
        ],
    }
    info = {**raw.info, "tally": tally, "missing_words": sorted(missing.words)}
    return Manifest(table, raw.root, info | {what: value for what, value in told.items() if value})


def is_in_range(ages: "pd.Series[float]") -> "pd.Series[bool]":
    """Whether each number of years is an age that somebody may have."""
    return ages.between(0, MAX_AGE)


def _judge_labels(
    table: pd.DataFrame,
    labels: Sequence[str],
    age_column: str,
    changes: Changes,
    object_to: Callable[[NDArray[np.bool_], str], None],
) -> dict[str, "pd.Series[bool]"]:
    """Return which rows have each label, after ages that nobody has were taken out of the table.

    A row without any label gets the reason why it has none.

    Args:
        table: the rows, with every column of a manifest.
        labels: the columns that can be learned from.
        age_column: what the data set calls its ages.
        changes: cells that cannot be read; impossible ages are added to them.
        object_to: told of the rows that have a reason.
    """
    age = table["age"].copy()
    impossible = age.notna() & ~is_in_range(age)
    # A group that was made from such an age is none either; one that the data set gives beside it is.
    table.loc[impossible & (table["age_group"] == age.map(cache(age_group_of))), "age_group"] = ""
    is_known = {
        label: is_in_range(age) if label == "age" else table[label].notna() & (table[label] != "")
        for label in labels
    }
    has_none = np.ones(len(table), bool)
    for known in is_known.values():
        has_none &= ~np.asarray(known)
    cannot_be_read = np.zeros(len(table), bool)
    cannot_be_read[[cell.row for cell in changes.bad_cells if cell.target in labels]] = True
    object_to(has_none & cannot_be_read, "bad_value")
    object_to(has_none & np.asarray(impossible), "impossible_age")
    object_to(has_none, "no_label")
    # The age of a row that has no other label stays, beside the reason that it is.
    table.loc[impossible & ~has_none, "age"] = np.nan
    for row in np.flatnonzero(impossible):
        said, problem = f"{age[row]:g}", impossible_years(age[row])
        changes.bad_cells.append(BadCell(int(row), age_column, POSSIBLE_AGE, said, problem))
    return is_known


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


def _with_safe_names(raw: RawRows) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, str]]:
    """Return the rows and the labels with safe names, and what the data set calls its columns."""
    safe = label_names(str(column) for column in raw.table.columns if column not in COLUMNS)
    table = raw.table.rename(columns=safe)
    called = {safe.get(column, column): name for column, name in raw.called.items()}
    called |= {new: old for old, new in safe.items() if new != old and new not in called}
    return table, tuple(safe.get(label, label) for label in raw.labels), called


def _told_name(column: str, label: str) -> str:
    """Say that a label column has another name from here on, and why."""
    return (
        f"The label column '{column}' is called '{label}' from here on: featurekit's own tables and files"
        f" cannot have that name. Next: featurekit fit --target '{label}'"
    )


def _named_again(paths: "pd.Series[str]") -> str:
    """Say that rows of other labels name one photograph, "" where none do.

    Args:
        paths: of the rows that contradict others.
    """
    again = paths[paths.duplicated(keep=False)]
    if not len(again):
        return ""
    first = [int(row) + 1 for row in again.index[again == again.iloc[0]]]
    return (
        f"Photographs that several rows name with other labels: {again.nunique():,} (first: rows"
        f" {', '.join(map(str, first[:4]))}{', …' if len(first) > 4 else ''}); none of those rows is used. If"
        " several raters labelled them, write one row a photograph, with the mean age or the most frequent"
        " label."
    )


def _some_of_each_column(cells: Sequence[BadCell], face_ids: "pd.Series[str]") -> list[dict[str, Any]]:
    """Return the first cells of each column that could not be read, as manifest.json holds them."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for cell in sorted(cells):
        seen[cell.column, cell.target] += 1
        if seen[cell.column, cell.target] <= KEPT_CELLS:
            said = {"row": cell.row + 1, "face_id": face_ids[cell.row], "value": shortened(cell.value)}
            kept.append({**cell._asdict(), **said})
    return kept


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
    table = table[[*COLUMNS, *(column for column in table.columns if column not in COLUMNS)]].copy()
    numbers = {"age": float, "official_fold": int}
    for column in table.columns.difference(list(numbers)):
        if table[column].isna().any():  # as text it would be a label called "nan"
            table[column] = table[column].astype(object).where(table[column].notna(), "")
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
