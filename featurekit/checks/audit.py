"""What is wrong with a data set and its folds, before any score is believed.

A score is too good where a face is tested that was learned from: the same person,
the same photograph, the same file under another name. It is too bad where labels
are wrong. Both are found here from what is at hand: the manifest, the folds, the
pictures, one set of vectors and the predictions of the runs. Each check says how
many, out of how many, how bad that is and what to do; a check that lacks something
says what to run first.

The thresholds were set by looking at what they find among the face chips of
UTKFace; each says so where it stands.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import AGE_GROUP, COLUMNS, GENDER, TARGETS, Manifest, Target
from featurekit.data.splits import Fold, FoldSet
from featurekit.embeddings.extractor import Embeddings, Ledger, load_embeddings
from featurekit.errors import FoldError, ImageError, TargetError, WorkspaceError
from featurekit.estimators import CLASSIFIERS
from featurekit.estimators._threads import one_blas_thread
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.fitting import Fitting
from featurekit.faces.images import decode, read_bytes, reduction
from featurekit.files import leads_out, read_facts, write_facts, write_text
from featurekit.networks.backbones import split_feature
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.text import counted, no_formula, words_of

VERSION = 1
Severity = Literal["ok", "note", "warning", "error"]

# --- near duplicates. A picture becomes a square of this many grey pixels,
_SIDE = 32
# whose 64 lowest frequencies give its hash, and whose frequencies from the first of these to below the second
# give its details. Lower ones are light and the place of a face, which aligned faces of different people have
# in common; higher ones do not survive a change of size.
_DETAILS = (6, 20)
# Two pictures that agree in one of the four 16-bit parts of their hash, which all do that differ in no more
# than 3 bits, and differ in no more than MOST_BITS, are compared by the correlation of their details. Of
# 11,541 face chips of UTKFace 1,201 pairs are compared; all 163 above 0.90 are the same photograph (looked
# at), the highest of different people has 0.88.
MOST_BITS, ALIKE = 8, 0.92
# Grey levels (root mean square) that details must have: a plain surface looks like any other.
_PLAIN = 1.0
# More pictures than this with one part of the hash in common are not all compared: each only with the next
# NEXT_ONLY in the order of the hash.
MOST_IN_COMMON, NEXT_ONLY = 5_000, 16
_PICTURES_AT_ONCE = 512

# --- suspiciously close. A face is, whose nearest training face is less than CLOSE times as far as the
# NEIGHBOURth nearest: strangers thin out slowly around a face, a second picture of the same person lies apart
# from all of them. Both distances are local, so that faces of which there are many that look alike (babies)
# are not taken for one. On dlib_age of UTKFace it flags 2.4 % of faces, among them 92 % of those with a near
# duplicate on the other side; most others are mirrored or cut anew, or show the same person (looked at).
CLOSE, NEIGHBOUR = 0.5, 20
# In vectors of few numbers everybody has somebody near.
FEWEST_NUMBERS = 64
FEWEST_FACES = 3 * NEIGHBOUR  # to learn from, so that the NEIGHBOURth is still a stranger
MOST_TESTED = 20_000  # faces whose nearest is looked for; of more these are drawn
_AT_ONCE = 20_000_000  # numbers of one piece of a large product

# --- balance and inflation.
FEWEST_TESTED = 5  # faces of a class in a test part
MUCH_APART = 5.0  # points by which a class's share of a fold may differ before it is mentioned
MOST_LABELS = 24  # of a column that is looked at class by class
MOST_FITTED = 10_000  # faces for the comparison with a random split; of more whole persons are drawn
_MANY_CLOSE, _MANY_SUSPECT = 0.005, 0.02  # shares from which on a finding is a warning

# A column is an identity where its name is made of these words, and of words that say nothing.
_IDENTITIES = re.compile(
    "user|owner|account|uploader|photographer|album|photo|photograph|picture|image|person|people|subject"
    "|individual|identity|family|patient|session|video|clip|film|movie|scene"
)
_FILLERS = re.compile("ids?|name|number|no|nr|key|u?uid|original|source|file|path")
_LABELS = ("age", "age_group", "gender")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check has found.

    Attributes:
        name: of the check, e.g. "near_duplicates"; the same in every version.
        severity: "ok", "note" (good to know), "warning" (look at it before scores are believed) or "error"
            (scores cannot be believed).
        count: how many, what of is said in what.
        of: out of how many.
        what: the same as a sentence.
        advice: what to do, a sentence; "" where nothing.
        details: row of a table → column → number; shares are between 0 and 1.
        rows: face_id of each row concerned; rows that belong together follow each other.
    """

    name: str
    severity: Severity
    count: int
    of: int
    what: str
    advice: str = ""
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All findings on one comparison.

    Attributes:
        findings: one a check, always in the same order.
        folds: sha256 of the folds that were looked at, "" for none.
        features: what the vectors were, "" for none.
        runs: names of the runs whose predictions were looked at.
        seed: what chance came from.
    """

    findings: tuple[Finding, ...]
    folds: str
    features: str
    runs: tuple[str, ...]
    seed: int

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of a check."""
        return next(one for one in self.findings if one.name == name)

    def save(self, folder: Path) -> None:
        """Write folder/audit.json, which names no face, and folder/audit_rows.csv: finding, face_id."""
        facts = asdict(self)
        for one in facts["findings"]:
            del one["rows"]
        files = ComparisonFolder(folder)
        write_facts(files.audit, VERSION, facts)
        table = StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("finding", "face_id"))
        for one in self.findings:
            writer.writerows((one.name, no_formula(face_id)) for face_id in one.rows)
        write_text(files.audit_rows, table.getvalue())

    @classmethod
    def load(cls, folder: Path) -> "Audit | None":
        """Return what save() wrote, without rows; None where nothing was, or by another version.

        Raises:
            WorkspaceError: the file is no audit.
        """
        path = ComparisonFolder(folder).audit
        content = read_facts(path, VERSION)
        if content is None:
            return None
        try:
            findings = tuple(Finding(**one) for one in content.pop("findings"))
            if strange := {one.severity for one in findings} - set(get_args(Severity)):
                raise ValueError(f"no such severity: {', '.join(sorted(strange))}")
            return cls(**{**content, "findings": findings, "runs": tuple(content["runs"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkspaceError(
                f"{path} is no audit of this version of featurekit: {error!r}. Run featurekit audit again."
            ) from error


def audit(
    manifest: Manifest,
    folds: FoldSet | None,
    embeddings: Embeddings | None,
    predictions: Mapping[str, pd.DataFrame],
    *,
    pictures: bool = True,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Look for what makes scores of a data set better or worse than they are.

    Args:
        manifest: whose faces.
        folds: who is tested when; None where no folds have been dealt.
        embeddings: vectors that tell faces apart; those of a face-recognition network do it best. None where
            nothing has been extracted.
        predictions: name of each run → what it said of every tested face, as a comparison keeps it.
        pictures: whether the pictures are read, to find near duplicates.
        seed: what chance comes from.
        threads: how many read pictures; 0 for one a core. Findings do not depend on it.
        progress: told how far a slow check is.

    Returns:
        One finding a check: subjects_across_folds, identities_across_folds, exact_duplicates,
        label_conflicts, near_duplicates, suspiciously_close, label_suspects, class_balance, inflation.

    Raises:
        FoldError: the folds were made for other rows.
    """
    face_ids = manifest.table["face_id"].to_numpy(dtype=str)
    if folds is not None:
        folds.check_rows(face_ids, Path(folds.name))
    numbers = folds.numbers if folds is not None else np.full(len(manifest), -1, np.intp)
    given = _Given(manifest, folds, face_ids, np.where(manifest.usable, numbers, -1), seed, progress)
    near = _near_duplicates(given, threads or usable_cores()) if pictures else _PICTURES_LEFT_OUT
    with one_blas_thread():
        findings = (
            _subjects(given),
            _identities(given),
            _exact_duplicates(given),
            _label_conflicts(given),
            near,
            _suspiciously_close(given, embeddings, predictions),
            _label_suspects(given, predictions),
            _class_balance(given),
            _inflation(given, embeddings),
        )
    return Audit(
        findings=findings,
        folds=folds.sha256 if folds is not None else "",
        features=_feature_name(embeddings) if embeddings is not None else "",
        runs=tuple(sorted(predictions)),
        seed=seed,
    )


def vectors_for(
    manifest: Manifest, ledger: Ledger | None, store: Store, features: str | None = None
) -> Embeddings | None:
    """Return the vectors to look for close faces in.

    Args:
        manifest: whose faces.
        ledger: what has been extracted; None for nothing.
        store: where the vectors are.
        features: "backbone[:layer]", joined by "+"; None for those of a network that is declared to tell
            people apart (Backbone.recognizes) where there are any, else the first that were extracted.

    Returns:
        None where nothing was asked for and nothing fitting is there.

    Raises:
        UnknownNameError: no such backbone or layer.
        WorkspaceError: features that were asked for have not been extracted.
    """
    if features is not None:
        parts = [split_feature(part) for part in features.split("+")]
        names = [f"{backbone.name}:{layer}" for backbone, layer in parts]
        for name in names:
            if ledger is None or name not in ledger.recipes:
                raise WorkspaceError(
                    f"{name} has not been extracted. Next: featurekit extract --backbone {name}"
                )
        assert ledger is not None
        return load_embeddings(manifest, [ledger.recipes[name] for name in names], ledger.settings, store)
    for name in sorted(ledger.recipes if ledger else (), key=_recognizes_at):
        backbone, layer = split_feature(name)
        # A head says what it read; two faces with one answer are not one person. Pixels are no vector.
        if layer in backbone.heads or backbone.is_picture:
            continue
        assert ledger is not None
        try:
            return load_embeddings(manifest, [ledger.recipes[name]], ledger.settings, store)
        except WorkspaceError:
            continue  # half extracted; another may be whole
    return None


def _recognizes_at(name: str) -> int:
    """Return the place of a layer among those that tell people apart, best first; others come last."""
    backbone, layer = split_feature(name)
    places = backbone.recognizes
    return places.index(layer) if layer in places else len(backbone.layers) + 1


class _Given(NamedTuple):
    """What every check knows.

    Attributes:
        manifest, folds, seed, progress: as given to audit().
        face_ids: of every row.
        numbers: fold in which each usable row is tested, -1 for all others and without folds.
    """

    manifest: Manifest
    folds: FoldSet | None
    face_ids: NDArray[np.str_]
    numbers: NDArray[np.intp]
    seed: int
    progress: Progress | None

    def ids(self, rows: NDArray[Any]) -> tuple[str, ...]:
        """Return the face_id of rows, given by number or by mask."""
        return tuple(map(str, self.face_ids[rows]))

    def column(self, name: str) -> NDArray[np.str_]:
        """Return a column of the manifest as text, "" for what is not known."""
        values = self.manifest.table[name]
        text = values.where(values.notna(), "").astype(str).to_numpy(dtype=str)
        return np.where(text == "nan", "", text)


_NO_FOLDS = "Next: featurekit fit, which deals folds."


def _lacking(name: str, what: str, advice: str) -> Finding:
    return Finding(name=name, severity="note", count=0, of=0, what=what, advice=advice)


# ---------------------------------------------------------------- who is on both sides


def _subjects(given: _Given) -> Finding:
    """Look for persons who are tested in more than one fold."""
    name = "subjects_across_folds"
    rows = np.flatnonzero(given.manifest.usable)
    subjects = given.manifest.subjects
    n_subjects = len(np.unique(subjects[rows]))
    named = given.manifest.table["subject_id"].to_numpy(dtype=str)[rows]
    # What prepare calls the one person of identical files begins with "row:".
    is_named = (named != "") & ~np.char.startswith(named, "row:")
    nobody = (
        "" if is_named.any() else " The data set names no persons: each face counts as a person of its own."
    )
    if given.folds is None:
        return _lacking(
            name,
            f"There are {n_subjects:,} persons on {len(rows):,} faces, and no folds yet.{nobody}",
            _NO_FOLDS,
        )
    crossing = _across(subjects, given.numbers)
    n_crossing = len(np.unique(subjects[crossing]))
    if n_crossing:
        made = given.folds.kind == "made"
        return Finding(
            name=name,
            severity="error" if made else "warning",
            count=n_crossing,
            of=n_subjects,
            what=f"{counted(n_crossing, 'person', 'persons')} of {n_subjects:,}, on {crossing.sum():,} faces,"
            f" {'is' if n_crossing == 1 else 'are'} tested in more than one fold.",
            advice="Deal the folds anew: featurekit fit --new-folds."
            if made
            else "The data set's own folds are kept: featurekit fit leaves such a person out of the training"
            " part of every fold that tests her, so that scores hold, but are not those of others who"
            " did not.",
            rows=given.ids(_together(subjects, crossing)),
        )
    return Finding(
        name=name,
        severity="note" if nobody else "ok",
        count=0,
        of=n_subjects,
        what=f"None of the {n_subjects:,} persons on {len(rows):,} faces is tested in more than one"
        f" fold.{nobody}",
        advice="Pictures of one person can then be on both sides: look at near_duplicates and"
        " suspiciously_close, and name the persons (subject_id) if they are known."
        if nobody
        else "",
    )


def _identities(given: _Given) -> Finding:
    """Look for users, photographs, families, … that are tested in more than one fold."""
    name = "identities_across_folds"
    usable = given.manifest.usable
    columns = {column: given.column(column) for column in _columns(given.manifest) if _names_identity(column)}
    content = given.manifest.table["content"].to_numpy(dtype=str)
    if pd.Series(content[usable & (content != "")]).duplicated().any():
        columns["photograph (content)"] = content  # several faces of one file, told apart by their boxes
    columns = {
        column: ids for column, ids in columns.items() if len(np.unique(ids[usable & (ids != "")])) > 1
    }
    if not columns:
        return Finding(
            name=name,
            severity="ok",
            count=0,
            of=int(usable.sum()),
            what="The manifest has no further column that names users, photographs or the like.",
        )
    listed = ", ".join(columns)
    if given.folds is None:
        return _lacking(name, f"The manifest names {listed}, and there are no folds yet.", _NO_FOLDS)
    details, concerned = {}, np.zeros(len(usable), bool)
    for column, ids in columns.items():
        crossing = _across(ids, given.numbers)
        details[column] = {
            "shared": float(len(np.unique(ids[crossing]))),
            "of": float(len(np.unique(ids[usable & (ids != "")]))),
            "faces": float(crossing.sum()),
        }
        concerned |= crossing
    said = "; ".join(
        f"{column}: {one['shared']:,.0f} of {one['of']:,.0f}, on {one['faces']:,.0f} faces"
        for column, one in details.items()
    )
    return Finding(
        name=name,
        severity="warning" if concerned.any() else "ok",
        count=int(concerned.sum()),
        of=int(usable.sum()),
        what=f"Tested in more than one fold are {said}.",
        advice="Faces of one album or photograph have light, place and often family in common; if that should"
        " not be learned, name that column as the subject_id and prepare again."
        if concerned.any()
        else "",
        details=details,
        rows=given.ids(concerned),
    )


def _names_identity(column: str) -> bool:
    """Whether a column of the user's own is called like a user, a photograph or the like.

    >>> [_names_identity(name) for name in ("user_id", "originalImage", "image_quality", "id", "race")]
    [True, True, False, False, False]
    """
    if column in COLUMNS:
        return False
    words = words_of(column)
    named = [bool(_IDENTITIES.fullmatch(word)) for word in words]
    return any(named) and all(
        is_named or _FILLERS.fullmatch(word) for word, is_named in zip(words, named, strict=True)
    )


def _across(ids: NDArray[np.str_], numbers: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return whether what each row is of is tested in more than one fold; "" is nothing."""
    inside = (numbers >= 0) & (ids != "")
    found = np.zeros(len(ids), bool)
    if inside.any():
        per_row = pd.Series(numbers[inside]).groupby(ids[inside]).transform("nunique")
        found[inside] = np.asarray(per_row > 1)
    return found


def _together(ids: NDArray[np.str_], which: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the rows, those with one id behind each other."""
    rows = np.flatnonzero(which)
    return rows[np.argsort(ids[rows], kind="stable")]


# ---------------------------------------------------------------- the same picture


def _identical(given: _Given) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Return what tells pictures apart (bytes and box, as prepare has it), and which rows share that."""
    table = given.manifest.table
    content, box = table["content"].to_numpy(dtype=str), table["box"].to_numpy(dtype=str)
    keys = np.char.add(np.char.add(content, " "), box)
    judged = table["reason"].isin(["", "duplicate", "conflicting_labels"]).to_numpy() & (content != "")
    repeated = np.zeros(len(keys), bool)
    repeated[judged] = pd.Series(keys[judged]).duplicated(keep=False).to_numpy()
    return keys, repeated


def _exact_duplicates(given: _Given) -> Finding:
    """Look for files with the same bytes."""
    keys, repeated = _identical(given)
    usable = given.manifest.usable
    n_rows = int((given.manifest.table["content"] != "").sum())
    n_groups, n_repeated = len(np.unique(keys[repeated])), int(repeated.sum())
    left = repeated & usable
    doubled = left.copy()
    doubled[left] = pd.Series(keys[left]).duplicated(keep=False).to_numpy()
    n_across = len(np.unique(keys[_across(np.where(left, keys, ""), given.numbers)]))
    severity: Severity = "error" if n_across else "warning" if doubled.any() else "note" if n_groups else "ok"
    if not n_groups:
        what = f"No two of {n_rows:,} files are identical."
    else:
        what = (
            f"{n_repeated:,} of {n_rows:,} rows ({n_repeated / n_rows:.1%}) stand in"
            f" {counted(n_groups, 'group', 'groups')} of identical files; {left.sum():,} of them are used, "
            + (f"and {counted(n_across, 'group is', 'groups are')} in several folds." if n_across else "")
            + ("" if n_across or not doubled.any() else "several of one group, none in two folds.")
            + ("" if doubled.any() else "one of a group.")
        )
    return Finding(
        name="exact_duplicates",
        severity=severity,
        count=n_repeated,
        of=n_rows,
        what=what,
        advice="Run featurekit prepare again, which keeps one of them, and featurekit fit --new-folds."
        if doubled.any()
        else "",
        details={"groups": {"all": float(n_groups), "across folds": float(n_across)}} if n_groups else {},
        rows=given.ids(_together(keys, repeated)),
    )


def _label_conflicts(given: _Given) -> Finding:
    """Look for identical files with different labels."""
    keys, repeated = _identical(given)
    rows = np.flatnonzero(repeated)
    groups = pd.Series(keys[rows])
    judged = given.manifest.table["reason"].to_numpy(dtype=str)[rows] == "conflicting_labels"
    conflicting, used, details = judged.copy(), np.zeros(len(rows), bool), {}
    for label in _LABELS:
        values = pd.Series(given.column(label)[rows])
        different = np.asarray(values.where(values != "").groupby(groups).transform("nunique") > 1)
        usable = given.manifest.usable[rows]
        among_used = values.where(usable & (values != ""))
        used |= np.asarray(among_used.groupby(groups).transform("nunique") > 1)
        conflicting |= different
        if n := groups[different].nunique():
            details[label] = {"groups": float(n)}
    n_groups, n_conflicting = groups.nunique(), groups[conflicting].nunique()
    said = ", ".join(f"{one['groups']:.0f} in {label}" for label, one in details.items())
    what = f"The labels of {n_groups:,} groups of identical files agree."
    if not n_groups:
        what = "No two files are identical, so that no labels contradict each other there."
    elif n_conflicting:
        what = (
            f"In {n_conflicting:,} of {n_groups:,} groups of identical files"
            f" ({n_conflicting / n_groups:.0%}) labels differ{f' ({said})' if said else ''}; "
            + ("such rows are used." if used.any() else "none of these rows is used.")
        )
    return Finding(
        name="label_conflicts",
        severity="error" if used.any() else "warning" if n_conflicting else "ok",
        count=n_conflicting,
        of=n_groups,
        what=what,
        advice=("Run featurekit prepare again, which leaves them out. " if used.any() else "")
        + "Labels that differ for the same bytes show how reliable others are: correct them at the source."
        if n_conflicting
        else "",
        details=details,
        rows=given.ids(rows[np.flatnonzero(conflicting)[np.argsort(groups[conflicting], kind="stable")]]),
    )


_PICTURES_LEFT_OUT = _lacking(
    "near_duplicates", "The pictures were not looked at.", "Next: featurekit audit without --no-pictures."
)


class _Alike(NamedTuple):
    """What the pictures say of each other.

    Attributes:
        keys: of each row, which group of near duplicates it stands in, "" for none.
        n_pictures: how many there are, identical files counted once.
        n_unseen: how many of them cannot be read, or are too plain.
        n_cut: how many were compared with some of those like them only.
        n_compared, n_alike: pairs.
    """

    keys: NDArray[np.str_]
    n_pictures: int
    n_unseen: int
    n_cut: int
    n_compared: int
    n_alike: int


def _near_duplicates(given: _Given, threads: int) -> Finding:
    """Look for pictures that are the same but for their encoding, size, colours or a mark across them."""
    name = "near_duplicates"
    has_picture = given.manifest.usable & (given.manifest.table["content"] != "").to_numpy()
    if not has_picture.any():
        return _lacking(name, "No usable row has a picture that can be read.", "Next: featurekit prepare.")
    n_faces = int(has_picture.sum())
    root = given.manifest.root
    if not any((root / path).exists() for path in given.manifest.table["image_path"][has_picture]):
        return Finding(
            name=name,
            severity="warning",
            count=0,
            of=n_faces,
            what=f"Nothing was looked at: none of the {n_faces:,} photographs is below {root} any more.",
            advice="Put the folder back, or run featurekit prepare on its new place.",
        )
    keys, n_pictures, n_unseen, n_cut, n_compared, n_alike = _alike(given, has_picture, threads)
    concerned, across = keys != "", _across(keys, given.numbers)
    n_groups, n_across = len(np.unique(keys[concerned])), len(np.unique(keys[across]))
    differing = {
        label: _n_differing(keys, given.column(label), concerned) for label in ("age", "age_group", "gender")
    }
    said = ", ".join(f"{n:,} by {label.replace('_', ' ')}" for label, n in differing.items() if n)
    what = [
        f"{concerned.sum():,} of {n_faces:,} faces stand in {counted(n_groups, 'group', 'groups')} of"
        " near duplicates: the same photograph in another encoding, size or colour."
        if n_groups
        else f"No two of {n_pictures - n_unseen:,} pictures are near duplicates."
    ]
    if n_groups and given.folds is not None:
        what.append(
            f"{n_across:,} groups, {across.sum():,} faces, are tested in more than one fold."
            if n_across
            else "None is tested in more than one fold."
        )
    if said:
        what.append(f"Groups whose labels differ: {said}.")
    if n_unseen:
        what.append(
            f"{counted(n_unseen, 'picture', 'pictures')} could not be compared: unreadable, or too plain."
        )
    if n_cut:
        what.append(
            f"{n_cut:,} pictures have a part of the hash in common with more than {MOST_IN_COMMON:,}"
            f" others, and were compared with the next {NEXT_ONLY} of them only."
        )
    advice = ""
    if n_groups:
        advice = (
            "Give the faces of a group one subject_id, or keep one of them, and prepare again;"
            " audit_rows.csv names them, group by group."
        )
        if given.folds is None:
            advice += f" {_NO_FOLDS}"
    return Finding(
        name=name,
        severity="warning" if n_across else "note" if n_groups or n_cut or n_unseen else "ok",
        count=int(concerned.sum()),
        of=n_faces,
        what=" ".join(what),
        advice=advice,
        details={
            "groups": {
                "all": float(n_groups),
                "across folds": float(n_across),
                **{f"with another {label}": float(number) for label, number in differing.items()},
            },
            "pairs": {"compared": float(n_compared), "alike": float(n_alike)},
        },
        rows=given.ids(_together(keys, across if n_across else concerned)),
    )


def _alike(given: _Given, has_picture: NDArray[np.bool_], threads: int) -> _Alike:
    """Return which rows' pictures are nearly identical, directly or by way of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(has_picture)
    # One picture a content: identical files are another check's.
    picture_of, contents = pd.factorize(given.manifest.table["content"].to_numpy(dtype=object)[rows])
    n = len(contents)
    first = rows[np.unique(picture_of, return_index=True)[1]]
    paths = given.manifest.table["image_path"].to_numpy(dtype=str)[first].tolist()
    hashes, details = _look(given.manifest.root, paths, threads, given.progress)
    seen = np.flatnonzero(np.isfinite(details[:, 0]))
    pairs, n_cut = _candidates(hashes[seen])
    is_alike = np.zeros(len(pairs), bool)
    for piece in _pieces(np.arange(len(pairs)), _AT_ONCE // details.shape[1]):
        one, other = seen[pairs[piece]].T
        is_alike[piece] = np.einsum("ij,ij->i", details[one], details[other], dtype=np.float32) >= ALIKE
    alike = seen[pairs[is_alike]]
    links = coo_array((np.ones(len(alike), bool), (alike[:, 0], alike[:, 1])), shape=(n, n))
    group = connected_components(links, directed=False)[1]
    names = np.array([f"{number:09}" for number in group])
    keys = np.full(len(has_picture), "", dtype=names.dtype)
    keys[rows] = np.where(np.isin(group, group[alike[:, 0]]), names, "")[picture_of]
    return _Alike(keys, n, n - len(seen), n_cut, len(pairs), len(alike))


def _n_differing(keys: NDArray[np.str_], labels: NDArray[np.str_], which: NDArray[np.bool_]) -> int:
    """Return in how many groups of the rows labels differ, "" being none."""
    known = which & (labels != "")
    if not known.any():
        return 0
    return int((pd.Series(labels[known]).groupby(keys[known]).agg("nunique") > 1).sum())


def _look(
    root: Path, paths: Sequence[str], threads: int, progress: Progress | None
) -> tuple[NDArray[np.uint64], NDArray[np.float16]]:
    """Return hash and details of pictures, shapes (n,) and (n, n_details).

    Details are of length 1, so that their product is a correlation; NaN for what cannot be read or is plain.
    """
    from scipy.fft import dctn

    row, column = np.divmod(np.arange(_SIDE**2), _SIDE)
    lowest = np.lexsort((row, row + column))[1:65]  # all but the mean
    detail = np.flatnonzero((row + column >= _DETAILS[0]) & (row + column < _DETAILS[1]))
    hashes = np.zeros(len(paths), np.uint64)
    details = np.full((len(paths), len(detail)), np.nan, np.float16)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _PICTURES_AT_ONCE):
            some = list(
                pool.map(lambda path: _thumbnail(root, path), paths[start : start + _PICTURES_AT_ONCE])
            )
            there = start + np.flatnonzero([one is not None for one in some])
            if len(there):
                grey = np.stack([one for one in some if one is not None]).astype(np.float32)
                waves = dctn(grey, axes=(1, 2), norm="ortho").reshape(len(grey), -1)
                low = waves[:, lowest]
                bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
                hashes[there] = np.ascontiguousarray(bits).view(">u8").ravel()
                strength = np.linalg.norm(waves[:, detail], axis=1, keepdims=True)
                with np.errstate(divide="ignore", invalid="ignore"):
                    unit = waves[:, detail] / strength
                details[there] = np.where(strength / _SIDE >= _PLAIN, unit, np.nan)
            if progress:
                progress(min(start + _PICTURES_AT_ONCE, len(paths)), len(paths))
    return hashes, details


def _thumbnail(root: Path, path: str) -> NDArray[np.uint8] | None:
    """Return a picture as a small grey square, None where it cannot be read or leads out of root."""
    from PIL import Image

    if leads_out(root / path, root):
        return None
    try:
        data = read_bytes(root / path)
        pixels = decode(data, factor=reduction(data))
    except ImageError:
        return None
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX))


def _candidates(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], int]:
    """Return every pair of hashes that differ in at most MOST_BITS and have one of four parts in common.

    Args:
        hashes: shape (n,).

    Returns:
        Pairs, shape (n_pairs, 2), and how many hashes have a part in common with so many others that they
        were not compared with all of them.
    """
    found = [np.empty((0, 2), np.intp)]
    is_cut = np.zeros(len(hashes), bool)
    shifts = np.arange(4, dtype=np.uint64) * np.uint64(16)
    part = np.uint64(0xFFFF)
    for band, shift in enumerate(shifts):
        own = (hashes >> shift) & part
        order = np.lexsort((hashes, own))
        _, start, size = np.unique(own[order], return_index=True, return_counts=True)
        end = np.repeat(start + size, size)  # where each one's bucket ends
        reach = np.repeat(np.where(size > MOST_IN_COMMON, NEXT_ONLY, size), size)
        is_cut[order] |= np.repeat(size > MOST_IN_COMMON, size)
        here = np.arange(len(hashes))
        for step in range(1, int(reach.max(initial=0)) + 1):
            here = here[(reach[here] >= step) & (here + step < end[here])]
            if not len(here):
                break
            one, other = order[here], order[here + step]
            different = hashes[one] ^ hashes[other]
            near = np.bitwise_count(different) <= MOST_BITS
            for earlier in shifts[:band]:  # the pair was found there
                near &= ((different >> earlier) & part) != 0
            found.append(np.stack([one[near], other[near]], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], int(is_cut.sum())


# ---------------------------------------------------------------- the same person, by her face


def _suspiciously_close(
    given: _Given, embeddings: Embeddings | None, predictions: Mapping[str, pd.DataFrame]
) -> Finding:
    """Look for tested faces that a training face is much closer to than strangers are."""
    name = "suspiciously_close"
    if given.folds is None:
        return _lacking(name, "Without folds there is no training face to be close to.", _NO_FOLDS)
    if embeddings is None:
        return _lacking(
            name, "No vectors are at hand to look for close faces in.", "Next: featurekit extract."
        )
    of = _feature_name(embeddings)
    if embeddings.vectors.dtype.kind != "f" or embeddings.vectors.shape[1] < FEWEST_NUMBERS:
        return _lacking(
            name,
            f"{of} does not tell faces apart: it takes at least {FEWEST_NUMBERS} numbers of a network.",
            "Next: featurekit extract --backbone dlib_age, and audit --features dlib_age.",
        )
    here = np.flatnonzero(given.numbers[embeddings.rows] >= 0)
    rows = embeddings.rows[here]
    folds = [
        Fold(np.flatnonzero(given.numbers[rows] != number), np.flatnonzero(given.numbers[rows] == number))
        for number in np.unique(given.numbers[rows])
    ]
    subjects = given.manifest.subjects[rows]
    # As featurekit fits: nobody who is tested is learned from.
    folds = [
        Fold(fold.train[~np.isin(subjects[fold.train], subjects[fold.test])], fold.test) for fold in folds
    ]
    if not folds or min(len(fold.train) for fold in folds) < FEWEST_FACES:
        return _lacking(
            name,
            f"{len(rows):,} faces are too few to say what distance is usual.",
            f"It takes {FEWEST_FACES} to learn from in every fold.",
        )
    tested = np.arange(len(rows))
    if len(tested) > MOST_TESTED:
        tested = np.sort(np.random.default_rng(given.seed).choice(tested, MOST_TESTED, replace=False))
    unit = _unit(embeddings, here)
    is_tested = np.zeros(len(rows), bool)
    is_tested[tested] = True
    ratio = np.full(len(rows), np.nan)
    done = 0
    for fold in folds:
        test = fold.test[is_tested[fold.test]]
        train = unit[fold.train].T
        for piece in _pieces(test, max(_AT_ONCE // len(fold.train), 1)):
            distances = np.clip(1 - unit[piece] @ train, 0, None)
            distances.partition((0, NEIGHBOUR - 1), axis=1)
            usual = distances[:, NEIGHBOUR - 1]
            ratio[piece] = np.divide(distances[:, 0], usual, out=np.ones(len(piece)), where=usual > 0)
            done += len(piece)
            if given.progress:
                given.progress(done, len(tested))
    close = np.flatnonzero(ratio < CLOSE)
    share = len(close) / len(tested)
    drawn = f", drawn from {len(rows):,}," if len(tested) < len(rows) else ""
    what = (
        f"{len(close):,} of {len(tested):,} tested faces{drawn} ({share:.1%}) are suspiciously close to a"
        f" training face: less than {CLOSE:g} times as far, in {of}, as their {NEIGHBOUR}th nearest."
    )
    scores = _scores_without(given, predictions, set(given.ids(rows[close]))) if len(close) else {}
    advice = ""
    if len(close):
        told = _largest_change(scores)
        what += f" {told}" if told else ""
        advice = (
            "The same person or photograph is likely on both sides: name persons (subject_id) if you can."
        )
        if not predictions:
            advice += " Next: featurekit fit, to learn what scores are without them."
    if share > 0.5:
        advice = (
            f"Either nearly everybody is on both sides, or {of} does not tell faces apart: look with a"
            " face-recognition network."
        )
    return Finding(
        name=name,
        severity="warning" if share >= _MANY_CLOSE else "note" if len(close) else "ok",
        count=len(close),
        of=len(tested),
        what=what,
        advice=advice,
        details=scores,
        rows=given.ids(rows[close[np.argsort(ratio[close], kind="stable")]]),
    )


def _feature_name(embeddings: Embeddings) -> str:
    return "+".join(recipe.feature for recipe in embeddings.recipes)


def _unit(embeddings: Embeddings, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return vectors of length 1, whose product is the cosine; joined parts weigh the same."""
    parts = []
    for part in np.split(embeddings.vectors, np.cumsum(embeddings.blocks)[:-1], axis=1):
        own = part[positions].astype(np.float32)
        parts.append(own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12))
    return np.hstack(parts) * np.float32(1 / np.sqrt(len(parts)))


def _pieces(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _scores_without(
    given: _Given, predictions: Mapping[str, pd.DataFrame], close: set[str]
) -> dict[str, dict[str, float]]:
    """Return run → its mean score over folds, of all faces and without the close ones."""
    found = {}
    for run in sorted(predictions):
        table = predictions[run]
        target = _target_of(given.manifest, run)
        if target is None:
            continue
        if target.is_regression:
            kind, values = "mae_years", (table["true"] - table["predicted"]).abs().to_numpy(float)
        else:
            kind, values = "exact", (table["true"] == table["predicted"]).to_numpy(float)
        left = ~table["face_id"].isin(close).to_numpy()
        fold = table["fold"].to_numpy()
        if left.any():
            means = [
                pd.Series(values[which]).groupby(fold[which]).mean().mean() for which in (left | True, left)
            ]
            found[run] = {kind: float(means[0]), f"{kind} without": float(means[1])}
    return found


def _largest_change(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a sentence on the run of each kind of score that loses most without the close faces."""
    said = []
    for kind, better, form in (("exact", 1, "{:.2%}"), ("mae_years", -1, "{:.2f} years")):
        lost = {
            run: better * (one[kind] - one[f"{kind} without"]) for run, one in scores.items() if kind in one
        }
        if lost:
            run = max(sorted(lost), key=lambda run: lost[run])
            whole, without = scores[run][kind], scores[run][f"{kind} without"]
            said.append(f"{run} scores {form.format(without)} instead of {form.format(whole)}")
    return f"Without them {' and '.join(said)}: no run loses more." if said else ""


def _columns(manifest: Manifest) -> list[str]:
    return [str(name) for name in manifest.table.columns]


def _target_of(manifest: Manifest, run: str) -> Target | None:
    """Return the target of a run, whose name begins with it."""
    names = [name for name in _columns(manifest) if run.startswith(f"{name}--")]
    for name in sorted(names, key=len, reverse=True):
        try:
            return manifest.target(name)
        except TargetError:
            continue
    return None


# ---------------------------------------------------------------- labels


def _label_suspects(given: _Given, predictions: Mapping[str, pd.DataFrame]) -> Finding:
    """Look for labels that the best run of each target reads as others, and is sure of it.

    Confident learning (Northcutt, Jiang & Chuang 2021): a face counts as one of a class when it is given
    at least as much of it as faces labelled so are given on average. Who counts as one of another class than
    her own is suspect; where several classes qualify, the one with the highest probability is taken.
    """
    name = "label_suspects"
    best: dict[str, tuple[float, str, Target]] = {}
    for run in sorted(predictions):
        target, table = _target_of(given.manifest, run), predictions[run]
        if target is None or target.is_regression or not len(table):
            continue
        # A class that the run left out has no probabilities.
        target = replace(target, classes=tuple(one for one in target.classes if f"p_{one}" in table))
        if not set(table["true"]) <= set(target.classes):
            continue
        exact = float((table["true"] == table["predicted"]).mean())
        if target.name not in best or exact > best[target.name][0]:
            best[target.name] = (exact, run, target)
    if not best:
        return _lacking(
            name,
            "No predictions with probabilities are at hand to find wrong labels by.",
            "Next: featurekit fit.",
        )
    details, said, concerned, n_faces = {}, [], [], set()
    share = 0.0
    for exact, run, target in best.values():
        table = predictions[run]
        true = target.encode(list(table["true"]))
        proba = table[[f"p_{label}" for label in target.classes]].to_numpy(float)
        suspected = suspects(true, proba)
        wrong = suspected >= 0
        # Neighbouring groups flow into each other: who is read as the next one is no sign of a mistake.
        far = wrong & (np.abs(suspected - true) > 1) if target.ordered else wrong
        for number, label in enumerate(target.classes):
            own = true == number
            if own.any():
                details[f"{target.name}: {label}"] = {
                    "suspects": float((far & own).sum()),
                    "of": float(own.sum()),
                }
        margin = proba[np.arange(len(true)), true] - proba[np.arange(len(true)), np.maximum(suspected, 0)]
        rows = np.flatnonzero(far)
        concerned += list(table["face_id"].to_numpy(dtype=str)[rows[np.argsort(margin[rows], kind="stable")]])
        n_faces |= set(table["face_id"])
        share = max(share, float(far.mean()))
        beside = f" by two groups or more ({wrong.sum() - far.sum():,} others by one)"
        said.append(
            f"{far.sum():,} of {len(table):,} labels of {target.name} are suspect"
            f"{beside if far is not wrong else ''}, by {run}, which agrees with {exact:.1%} of them"
        )
    unique = tuple(dict.fromkeys(map(str, concerned)))
    return Finding(
        name=name,
        severity="warning" if share >= _MANY_SUSPECT else "note" if unique else "ok",
        count=len(unique),
        of=len(n_faces),
        what="; ".join(said) + ".",
        advice="Look at them, most suspect first (audit_rows.csv), and correct labels that are wrong; hard"
        " faces are among them, so drop none unseen."
        if unique
        else "",
        details=details,
        rows=unique,
    )


def suspects(true: NDArray[np.intp], proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class that each face counts as one of against its label, -1 for none.

    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    >>> suspects(np.array([0, 0, 1, 1, 1]), proba)
    array([-1, -1,  0, -1, -1])

    Args:
        true: class number of each label, shape (n,).
        proba: what a model that has not seen the face gives each class, shape (n, n_classes).
    """
    n_classes = proba.shape[1]
    own = proba[np.arange(len(true)), true]
    counts = np.bincount(true, minlength=n_classes)
    sums = np.bincount(true, weights=own, minlength=n_classes)
    limits = np.divide(sums, counts, out=np.full(n_classes, np.inf), where=counts > 0)
    qualifies = proba >= limits - 1e-12  # equal but for the last bits of a mean
    counted = np.where(qualifies, proba, -1.0).argmax(axis=1)
    found: NDArray[np.intp] = np.where(qualifies.any(axis=1) & (counted != true), counted, -1)
    return found


def _class_balance(given: _Given) -> Finding:
    """Compare the shares of the classes in each fold with those over all folds."""
    name = "class_balance"
    if given.folds is None:
        return _lacking(name, "Without folds there are no shares to compare.", _NO_FOLDS)
    details: dict[str, dict[str, float]] = {}
    rare, n_classes = 0, 0
    worst = (0.0, "", 0)
    for target in _targets(given.manifest):
        labels = given.column(target.name)
        rows = np.flatnonzero((given.numbers >= 0) & given.manifest.labelled(target))
        if not len(rows):
            continue
        numbers, fold_of = np.unique(given.numbers[rows], return_inverse=True)
        counts = np.stack(
            [np.bincount(fold_of[labels[rows] == label], minlength=len(numbers)) for label in target.classes]
        )
        shares = counts / np.maximum(counts.sum(axis=0), 1)
        whole = counts.sum(axis=1) / len(rows)
        for number in np.flatnonzero(whole):
            label, apart = target.classes[number], 100 * (shares[number] - whole[number])
            worst_here, fewest = int(np.abs(apart).argmax()), int(counts[number].min())
            details[f"{target.name}: {label}"] = {
                "share": float(whole[number]),
                "most points apart": float(apart[worst_here]),
                "in fold": float(numbers[worst_here]),
                "fewest tested": float(fewest),
            }
            n_classes += 1
            rare += fewest < FEWEST_TESTED
            if abs(apart[worst_here]) > abs(worst[0]):
                worst = (float(apart[worst_here]), f"{target.name} {label}", int(numbers[worst_here]))
    if not n_classes:
        return _lacking(name, "No tested face has a label of a class.", "")
    what = "Every fold has the same share of every class."
    if worst[1]:
        what = (
            f"No class's share of a fold is more than {abs(worst[0]):.1f} points off its share of all faces"
            f" ({worst[1]} in fold {worst[2]})."
        )
    if rare:
        what += f" {rare} of {n_classes} classes have fewer than {FEWEST_TESTED} faces in a test part."
    apart_much = abs(worst[0]) > MUCH_APART
    return Finding(
        name=name,
        severity="warning" if rare else "note" if apart_much else "ok",
        count=rare,
        of=n_classes,
        what=what,
        advice="Use fewer folds, or read no score of these classes fold by fold."
        if rare
        else "Read the spread over folds with that in mind: folds are not equally hard."
        if apart_much
        else "",
        details=details,
    )


def _targets(manifest: Manifest) -> list[Target]:
    """Return every target of classes: the known ones, and columns of the user's own with few labels."""
    own = [name for name in _columns(manifest) if name not in COLUMNS and not _names_identity(name)]
    names = [name for name in TARGETS if name in manifest.table] + [
        name for name in own if name not in TARGETS
    ]
    found = [manifest.target(name) for name in names]
    return [target for target in found if 2 <= len(target.classes) <= MOST_LABELS]


# ---------------------------------------------------------------- what a random split would have said


def _inflation(given: _Given, embeddings: Embeddings | None) -> Finding:
    """Score a simple model on the folds, and on folds dealt at random, face by face."""
    from sklearn.model_selection import StratifiedKFold

    name = "inflation"
    usable = given.manifest.usable
    n_subjects = len(np.unique(given.manifest.subjects[usable]))
    if n_subjects == usable.sum():
        return Finding(
            name=name,
            severity="ok",
            count=0,
            of=0,
            what="What a random split would have scored instead cannot be computed: as far as the data set"
            " says, no two faces are one person's.",
        )
    if given.folds is None:
        return _lacking(name, "Without folds there is nothing to compare a random split with.", _NO_FOLDS)
    if embeddings is None:
        return _lacking(
            name, "No vectors are at hand to score a random split with.", "Next: featurekit extract."
        )
    here = np.flatnonzero(given.numbers[embeddings.rows] >= 0)
    kept = here[_some_persons(given.manifest.subjects[embeddings.rows[here]], given.seed)]
    drawn = f", {len(kept):,} of {len(here):,} faces" if len(kept) < len(here) else ""
    wanted = [target for target in (AGE_GROUP, GENDER) if given.manifest.labelled(target).any()]
    details: dict[str, dict[str, float]] = {}
    said, failed = [], []
    n_fits, done = 2 * given.folds.n_folds * len(wanted), 0

    def one_done() -> None:
        nonlocal done
        done += 1
        if given.progress:
            given.progress(done, n_fits)

    for target in wanted:
        own = kept[given.manifest.labelled(target)[embeddings.rows[kept]]]
        rows = embeddings.rows[own]
        labels = given.manifest.table[target.name].to_numpy(dtype=str)[rows]
        subjects = given.manifest.subjects[rows]
        # Classes that featurekit fit leaves out, too.
        kept_too = ~np.isin(labels, list(given.folds.untrained(rows, labels, subjects)))
        own, rows, labels, subjects = own[kept_too], rows[kept_too], labels[kept_too], subjects[kept_too]
        try:
            folds = given.folds.folds(rows, labels, subjects)
            y = target.encode(list(labels))
            n_rarest = np.bincount(y)[np.unique(y)].min()
            if n_rarest < len(folds):
                raise FoldError(f"A class has {n_rarest} faces, fewer than there are folds.")
            dealer = StratifiedKFold(len(folds), shuffle=True, random_state=given.seed)
            at_random = [Fold(train, test) for train, test in dealer.split(y, y)]
            exact = []
            for dealt in (folds, at_random):
                out = cross_validate(
                    CLASSIFIERS["logistic_regression"],
                    target,
                    embeddings.vectors[own].astype(np.float32, copy=False),
                    y,
                    subjects,
                    dealt,
                    Fitting(blocks=embeddings.blocks, seed=given.seed),
                    done=one_done,
                )
                exact.append(float(np.mean([(out.predicted == y)[fold.test].mean() for fold in dealt])))
        except (FoldError, TargetError) as error:
            failed.append(f"{target.name}: {error}")
            continue
        details[target.name] = {"exact": exact[0], "exact of a random split": exact[1]}
        said.append(f"{exact[1]:.1%} instead of {exact[0]:.1%} on {target.name}")
    if not said:
        why = " ".join(failed) or "No face has a label of age_group or gender."
        return _lacking(name, f"A random split could not be scored. {why}", "")
    most = max(one["exact of a random split"] - one["exact"] for one in details.values())
    return Finding(
        name=name,
        severity="note" if most >= 0.005 else "ok",
        count=n_subjects,
        of=int(usable.sum()),
        what=f"A random split would have scored {' and '.join(said)} (logistic_regression on"
        f" {_feature_name(embeddings)}{drawn}), as {n_subjects:,} persons are on {usable.sum():,} faces."
        + (f" Not scored: {' '.join(failed)}" if failed else ""),
        advice="Compare with no score of a split that did not keep persons apart." if most >= 0.005 else "",
        details=details,
    )


def _some_persons(subjects: NDArray[np.str_], seed: int) -> NDArray[np.intp]:
    """Return the rows of persons drawn at random until there would be more than MOST_FITTED faces."""
    if len(subjects) <= MOST_FITTED:
        return np.arange(len(subjects))
    _, codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(counts))
    chosen = drawn[np.cumsum(counts[drawn]) <= MOST_FITTED]
    return np.flatnonzero(np.isin(codes, chosen))
