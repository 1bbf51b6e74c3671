"""Split faces into folds that never share a subject.

No subject may be in both the training and the test data. Otherwise a classifier that only recognizes the
subject seems to recognize the age.

All models of a comparison use one set of folds. It is made once, from all usable rows, and saved. For each
target and each feature set, it is restricted to the rows with a label and a face. If a data set has official
folds, these are used.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data._folds import OUTSIDE, make_folds
from featurekit.data.manifest import COLUMNS, Manifest, is_measured
from featurekit.errors import FoldError
from featurekit.files import write_text

SCHEMA = 1
# A label column of the user's own is stratified by only if it has at most this many classes. With more, most
# combinations of labels would be a stratum of their own. Its classes are still put into several folds.
MOST_CLASSES = 20


@dataclass(frozen=True)
class Fold:
    """The row numbers of the training data and the test data of one fold.

    Attributes:
        train: row numbers of the training data in increasing order, shape (n_train,).
        test: row numbers of the test data in increasing order, shape (n_test,).
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def official_folds(fold_numbers: NDArray[np.intp]) -> list[Fold]:
    """Return the official folds of a data set, given the fold number of each row.

    Args:
        fold_numbers: fold in which each row is tested, shape (n_rows,); negative for rows in no fold.

    Raises:
        FoldError: fold_numbers contains fewer than two folds.
    """
    numbers = np.unique(fold_numbers[fold_numbers >= 0])
    if len(numbers) < 2:
        named = f"all in fold {numbers[0]}" if len(numbers) else "in no fold"
        raise FoldError(
            f"The {len(fold_numbers)} rows are {named}, so there are no training data. Add the images"
            " of the other folds and run `featurekit prepare` and `featurekit extract` again."
        )
    return [_fold(fold_numbers, int(number)) for number in numbers]


def subject_exclusive_folds(
    labels: NDArray[Any], subjects: NDArray[Any], *, n_folds: int = 5, seed: int = 0
) -> list[Fold]:
    """Make stratified folds that never split a subject.

    Args:
        labels: class of each face, shape (n_faces,).
        subjects: subject of each face, shape (n_faces,).
        n_folds: number of folds; every face is tested in exactly one fold.
        seed: seed of the random number generator; the same seed gives the same folds.

    Raises:
        FoldError: there are fewer subjects than folds, or too few subjects to give every fold test faces and
            training faces of each class.
    """
    numbers = make_folds([labels], subjects, [labels], n_folds=n_folds, seed=seed)
    folds = [_fold(numbers, number) for number in range(n_folds)]
    check_folds(folds, labels, subjects)
    return folds


def check_folds(folds: Sequence[Fold], labels: NDArray[Any], subjects: NDArray[Any]) -> None:
    """Check that the folds allow a valid comparison.

    Args:
        folds: folds to check.
        labels: class of each row, shape (n_rows,), "" for no label. Classes are not checked if the labels are
            floats (a regression target).
        subjects: subject of each row, shape (n_rows,).

    Raises:
        FoldError: a subject is in both the training and the test data of a fold, a fold has no test data, the
            training data lack a class, or a row is tested in two folds.
    """
    tested = np.zeros(len(subjects), dtype=np.intp)
    classes = [] if labels.dtype.kind == "f" else [label for label in np.unique(labels) if label != ""]
    for number, fold in enumerate(folds):
        if len(shared := np.intersect1d(subjects[fold.train], subjects[fold.test])):
            raise FoldError(f"Fold {number} trains and tests on subject {shared[0]}.")
        if not len(fold.test):
            raise FoldError(f"Fold {number} has no test face. Use fewer folds.")
        if not len(fold.train):
            raise FoldError(
                f"Fold {number} has no training face: every other face is of a subject who is tested in this"
                " fold, or has no label. Use other folds."
            )
        if len(absent := np.setdiff1d(classes, labels[fold.train])):
            named = (
                f"class {absent[0]}" if absent.dtype.kind in "OU" else f"class number {absent[0]} (from 0)"
            )
            raise FoldError(
                f"Fold {number} has no training face of {named}, because too few subjects have this class."
                " Use more subjects, or leave the class out."
            )
        np.add.at(tested, fold.test, 1)
    if (tested > 1).any():
        raise FoldError(f"Row {np.flatnonzero(tested > 1)[0]} is tested in more than one fold.")


@dataclass(frozen=True)
class FoldSet:
    """The fold in which each row of a manifest is tested.

    Attributes:
        name: name of the comparison.
        kind: "official" if the folds are part of the data set, "made" if featurekit made them.
        seed: seed of the random number generator that made the folds; not used for official folds.
        face_ids: face_id of each row of the manifest, shape (n_rows,).
        numbers: fold in which each row is tested, shape (n_rows,); -1 for rows in no fold.
    """

    name: str
    kind: Literal["official", "made"]
    seed: int
    face_ids: NDArray[np.str_]
    numbers: NDArray[np.intp]

    def __post_init__(self) -> None:
        if len(self.face_ids) != len(self.numbers):
            raise FoldError(
                f"There are {len(self.numbers)} fold numbers for {len(self.face_ids)} rows, but every row"
                " must have one fold number."
            )

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.numbers[self.numbers >= 0]))

    @property
    def sha256(self) -> str:
        """Hash of the folds of all rows; two sets of folds are equal if their hashes are equal."""
        content = json.dumps([self.kind, self.face_ids.tolist(), self.numbers.tolist()])
        return sha256(content.encode()).hexdigest()

    def folds(self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]) -> list[Fold]:
        """Return the folds restricted to some rows, after checking that they allow a valid comparison.

        Args:
            rows: numbers of the manifest's rows with a label and a face, shape (n,).
            labels: class, or value of a regression target, of each of these rows, shape (n,).
            subjects: subject of each of these rows, shape (n,).

        Returns:
            The folds; train and test are positions in rows.

        Raises:
            FoldError: the restricted folds do not allow a valid comparison; see check_folds().
        """
        folds = list(self._folds_of(rows, subjects).values())
        check_folds(folds, labels, subjects)
        return folds

    def _folds_of(self, rows: NDArray[np.intp], subjects: NDArray[Any]) -> dict[int, Fold]:
        """Return number → fold of some rows, without the training rows of the subjects it tests."""
        return {
            number: _apart(_fold(self.numbers[rows], number), subjects)
            for number in np.unique(self.numbers[self.numbers >= 0]).tolist()
        }

    def untrained(
        self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]
    ) -> dict[str, int]:
        """Return the classes that are missing from the training data of a fold: class → first such fold.

        Args:
            rows: numbers of the manifest's rows with a face, shape (n,).
            labels: class of each of these rows, "" for no label, shape (n,).
            subjects: subject of each of these rows, shape (n,).
        """
        classes = [label for label in np.unique(labels) if label != ""]
        found: dict[str, int] = {}
        for number, fold in self._folds_of(rows, subjects).items():
            for label in np.setdiff1d(classes, labels[fold.train]):
                found.setdefault(str(label), number)
        return found

    def untested(self, rows: NDArray[np.intp], labels: NDArray[Any]) -> dict[str, list[int]]:
        """Return the classes that are missing from the test data of some fold: class → all such folds.

        Args:
            rows: numbers of the manifest's rows with a face, shape (n,).
            labels: class of each of these rows, "" for no label, shape (n,).
        """
        numbers = self.numbers[rows]
        folds = np.unique(self.numbers[self.numbers >= 0])
        absent = {
            str(label): np.setdiff1d(folds, numbers[labels == label]).tolist()
            for label in np.unique(labels)
            if label != ""
        }
        return {label: them for label, them in absent.items() if them}

    def crossing_subjects(self, rows: NDArray[np.intp], subjects: NDArray[Any]) -> int:
        """Return how many subjects of these rows are tested in more than one fold.

        This happens only with official folds, for instance if their authors did not notice that two files are
        identical. Such a subject is left out of the training data of every fold in which it is tested.
        """
        numbers = pd.Series(self.numbers[rows])
        return int(numbers[numbers >= 0].groupby(subjects[numbers >= 0]).nunique().gt(1).sum())

    def check_rows(self, face_ids: NDArray[np.str_], where: Path) -> None:
        """Check that the folds were made for the rows of this manifest.

        Args:
            face_ids: face_id of each row of the manifest.
            where: folder of the comparison, for the error message.

        Raises:
            FoldError: the manifest has rows without a fold, lacks rows of the folds, or has another order.
        """
        if np.array_equal(self.face_ids, face_ids):
            return
        changes = {
            "new": np.setdiff1d(face_ids, self.face_ids),
            "gone": np.setdiff1d(self.face_ids, face_ids),
        }
        differ = [
            f"{len(ids)} {'row is' if len(ids) == 1 else 'rows are'} {word}"
            f" ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
            for word, ids in changes.items()
            if len(ids)
        ]
        what = " and ".join(differ) or "the rows are in a different order"
        raise FoldError(
            f"The folds in {where} were made for another manifest: {what}. Compare under another --name, or"
            " make new folds with --new-folds."
        )

    def check_asked(self, where: Path, *, n_folds: int | None, seed: int | None) -> None:
        """Check that the saved folds have the number of folds and the seed that the user asked for.

        Args:
            where: folder of the comparison, for the error message.
            n_folds: number of folds that the user asked for; None for any number.
            seed: seed that the user asked for; None for any seed.

        Raises:
            FoldError: the number of folds or the seed differs; the message says what to type instead.
        """
        if n_folds is not None and n_folds != self.n_folds and self.kind == "official":
            raise FoldError(
                f"The data set has {self.n_folds} folds of its own, which are used, so --folds {n_folds}"
                " would have no effect. Leave it out."
            )
        asked = (
            (n_folds, self.n_folds, f"{self.n_folds} folds", f"--folds {n_folds}"),
            (seed, self.seed, f"seed {self.seed}", f"--seed {seed}"),
        )
        differ = [(made, option) for wanted, own, made, option in asked if wanted not in (None, own)]
        if differ:
            raise FoldError(
                f"{where} already has folds, made with {' and '.join(made for made, _ in differ)}, so"
                f" {' and '.join(option for _, option in differ)} would have no effect. Leave"
                f" {('it' if len(differ) == 1 else 'them')} out, compare under another --name, or replace"
                " the folds, and the models that were fitted on them, with --new-folds."
            )

    def save(self, path: Path) -> None:
        """Write the folds to a JSON file."""
        content = {
            "schema": SCHEMA,
            "name": self.name,
            "kind": self.kind,
            "seed": self.seed,
            "sha256": self.sha256,
            "face_ids": self.face_ids.tolist(),
            "numbers": self.numbers.tolist(),
        }
        write_text(path, json.dumps(content) + "\n")

    @classmethod
    def load(cls, path: Path) -> "FoldSet":
        """Read folds that save() wrote.

        Raises:
            FoldError: the file does not exist, does not contain folds, or was edited.
        """
        try:
            content = json.loads(path.read_text())
            folds = cls(
                content["name"],
                content["kind"],
                content["seed"],
                np.array(content["face_ids"], dtype=str),
                np.array(content["numbers"], dtype=np.intp),
            )
            intact = content["schema"] == SCHEMA and content["sha256"] == folds.sha256
        except OSError as error:
            raise FoldError(f"Cannot read the folds {path}: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise FoldError(f"{path} does not contain folds. Make new folds with --new-folds.") from error
        if not intact:
            raise FoldError(
                f"{path} was edited, or was written by another version of featurekit. Make new folds"
                " with --new-folds."
            )
        return folds


def make_fold_set(name: str, manifest: Manifest, *, n_folds: int = 5, seed: int = 0) -> FoldSet:
    """Return the official folds of a data set, or new folds if it has none.

    New folds are stratified by all labels together, so that all targets can use the same folds.

    Args:
        name: name of the comparison.
        manifest: table of the faces; only usable rows get a fold.
        n_folds: number of new folds.
        seed: seed of the random number generator for new folds.

    Raises:
        FoldError: there are fewer subjects than folds, or an official fold has no training or no test face.
    """
    face_ids = manifest.table["face_id"].to_numpy(dtype=str)
    usable = np.flatnonzero(manifest.usable)
    subjects = manifest.subjects[usable]
    no_labels = np.full(len(usable), "")  # which classes are trained is a question for each target
    numbers = np.full(len(manifest), OUTSIDE, dtype=np.intp)
    official = manifest.table["official_fold"].to_numpy(dtype=np.intp)[usable]
    if (official >= 0).any():
        check_folds([_apart(fold, subjects) for fold in official_folds(official)], no_labels, subjects)
        # Numbered from 0 without a gap, whichever of the official folds have images here.
        numbers[usable[official >= 0]] = np.unique(official[official >= 0], return_inverse=True)[1]
        return FoldSet(name, "official", seed, face_ids, numbers)
    strata, columns = _label_columns(manifest, usable)
    numbers[usable] = made = make_folds(strata, subjects, columns, n_folds=n_folds, seed=seed)
    check_folds([_fold(made, number) for number in range(n_folds)], no_labels, subjects)
    return FoldSet(name, "made", seed, face_ids, numbers)


def _fold(numbers: NDArray[np.intp], number: int) -> Fold:
    return Fold(
        np.flatnonzero((numbers >= 0) & (numbers != number)),
        np.flatnonzero(numbers == number),
    )


def _apart(fold: Fold, subjects: NDArray[Any]) -> Fold:
    """Return the fold without the training rows of the subjects it tests."""
    return Fold(fold.train[~np.isin(subjects[fold.train], subjects[fold.test])], fold.test)


def _label_columns(
    manifest: Manifest, usable: NDArray[np.intp]
) -> tuple[list[NDArray[np.str_]], list[NDArray[np.str_]]]:
    """Return the label columns to stratify by, and those whose classes every training part should have.

    "" stands for no label. An age between the age groups counts as a class for its decade. A column of the
    user's own whose values are mostly different for every subject (remarks, measurements) has no classes.
    """
    table = manifest.table.iloc[usable]
    group = table["age_group"].to_numpy(dtype=str)
    decade = [f"{age // 10 * 10:.0f}s" if np.isfinite(age) else "" for age in table["age"].to_numpy(float)]
    strata = [np.where(group == "", np.array(decade, dtype=str), group), table["gender"].to_numpy(dtype=str)]
    subjects = manifest.subjects[usable]
    own = [table[name].astype(str).to_numpy(dtype=str) for name in table if name not in COLUMNS]
    counted = [(labels, len(np.unique(labels))) for labels in own if not is_measured(np.unique(labels))]
    few = [labels for labels, n_classes in counted if n_classes <= MOST_CLASSES]
    shared = [
        labels
        for labels, n_classes in counted
        if n_classes <= MOST_CLASSES or 2 * n_classes <= len(np.unique(subjects[labels != ""]))
    ]
    return [*strata, *few], [*strata, *shared]
