"""Split faces into folds that never share a subject.

A subject seen in training must not be seen in testing: a classifier that
recognizes the subject would look as if it had recognized the age.

A comparison has one set of folds. It is made once, over every usable row, and
saved. Each target and feature set then uses those rows for which it has a label and a
face. The official folds of a data set are used where there are any.
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
    """Row numbers to train on and to test on.

    Attributes:
        train: int, shape (n_train,), increasing.
        test: int, shape (n_test,), increasing.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def official_folds(fold_numbers: NDArray[np.intp]) -> list[Fold]:
    """Return one fold for each number: its rows are tested, those of the other numbers trained on.

    Args:
        fold_numbers: fold in which each row is tested, shape (n_rows,); negative for rows in no fold.

    Raises:
        FoldError: fewer than two folds are named.
    """
    numbers = np.unique(fold_numbers[fold_numbers >= 0])
    if len(numbers) < 2:
        named = f"all in fold {numbers[0]}" if len(numbers) else "in no fold"
        raise FoldError(
            f"The {len(fold_numbers)} rows are {named}, so there is nothing to learn from. Add the images"
            " of the other folds and run `featurekit prepare` and `featurekit extract` again."
        )
    return [_fold(fold_numbers, int(number)) for number in numbers]


def subject_exclusive_folds(
    labels: NDArray[Any], subjects: NDArray[Any], *, n_folds: int = 5, seed: int = 0
) -> list[Fold]:
    """Put the subjects into folds with class shares as equal as the subjects allow.

    Args:
        labels: class of each face, shape (n_faces,).
        subjects: subject of each face, shape (n_faces,).
        n_folds: number of folds; every face is tested in exactly one.
        seed: decides who is in which fold; the same seed gives the same folds.

    Raises:
        FoldError: there are fewer subjects than folds, or too few to give every
            fold a test face and every training part a face of each class.
    """
    numbers = make_folds(labels, subjects, [labels], n_folds=n_folds, seed=seed)
    folds = [_fold(numbers, number) for number in range(n_folds)]
    check_folds(folds, labels, subjects)
    return folds


def check_folds(folds: Sequence[Fold], labels: NDArray[Any], subjects: NDArray[Any]) -> None:
    """Raise FoldError unless the folds give an honest comparison.

    Args:
        folds: row numbers.
        labels: class of each row, shape (n_rows,), "" for none; years (floats) have no classes to check.
        subjects: subject of each row, shape (n_rows,).

    Raises:
        FoldError: a subject is on both sides, a test part is empty, a training part lacks a class,
            or a row is tested twice.
    """
    tested = np.zeros(len(subjects), dtype=np.intp)
    classes = [] if labels.dtype.kind == "f" else [label for label in np.unique(labels) if label != ""]
    for number, fold in enumerate(folds):
        if len(shared := np.intersect1d(subjects[fold.train], subjects[fold.test])):
            raise FoldError(f"Fold {number} trains and tests on subject {shared[0]}.")
        if not len(fold.test):
            raise FoldError(f"Fold {number} tests no face. Use fewer folds.")
        if not len(fold.train):
            raise FoldError(
                f"Fold {number} trains on no face: all others are of subjects who are tested in it too, or"
                " have no label. Use other folds."
            )
        if len(absent := np.setdiff1d(classes, labels[fold.train])):
            raise FoldError(
                f"Fold {number} trains on no face of class {absent[0]}, because too few subjects have this"
                " class. Use fewer folds, more subjects, or leave the class out."
            )
        np.add.at(tested, fold.test, 1)
    if (tested > 1).any():
        raise FoldError(f"Row {np.flatnonzero(tested > 1)[0]} is tested in more than one fold.")


@dataclass(frozen=True)
class FoldSet:
    """Who is tested when, for every row of a manifest.

    Attributes:
        name: the comparison's.
        kind: "official" if the folds came with the data set, else "made".
        seed: the seed that made folds were made from.
        face_ids: every row of the manifest, in its order, shape (n_rows,).
        numbers: fold that each row is tested in, shape (n_rows,); -1 for rows that are in no fold.
    """

    name: str
    kind: Literal["official", "made"]
    seed: int
    face_ids: NDArray[np.str_]
    numbers: NDArray[np.intp]

    def __post_init__(self) -> None:
        if len(self.face_ids) != len(self.numbers):
            raise FoldError(f"{len(self.numbers)} fold numbers for {len(self.face_ids)} rows.")

    @property
    def n_folds(self) -> int:
        """How many folds there are."""
        return len(np.unique(self.numbers[self.numbers >= 0]))

    @property
    def sha256(self) -> str:
        """Hash of which row is tested in which fold: two sets with the same hash are the same folds."""
        content = json.dumps([self.kind, self.face_ids.tolist(), self.numbers.tolist()])
        return sha256(content.encode()).hexdigest()

    def folds(self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]) -> list[Fold]:
        """Return the folds of some of the rows, checked anew.

        Args:
            rows: row numbers of the manifest that have a label and a face, shape (n,).
            labels: their classes or years, shape (n,).
            subjects: their subjects, shape (n,).

        Returns:
            One fold for each of the set; train and test are positions in rows.

        Raises:
            FoldError: with these rows the folds give no honest comparison; see check_folds.
        """
        folds = list(self._folds_of(rows, subjects).values())
        check_folds(folds, labels, subjects)
        return folds

    def _folds_of(self, rows: NDArray[np.intp], subjects: NDArray[Any]) -> dict[int, Fold]:
        """Return number → fold of some rows, without the training rows of the subjects it tests."""
        numbers = self.numbers[rows]
        every = np.unique(self.numbers[self.numbers >= 0]).tolist()
        return {number: _apart(_fold(numbers, number), subjects) for number in every}

    def untrained(
        self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]
    ) -> dict[str, int]:
        """Return class → first fold that does not train on it, for classes that some fold does not train on.

        Args:
            rows: row numbers of the manifest that have a face, shape (n,).
            labels: their classes, "" for none, shape (n,).
            subjects: their subjects, shape (n,).
        """
        classes = [label for label in np.unique(labels) if label != ""]
        found: dict[str, int] = {}
        for number, fold in self._folds_of(rows, subjects).items():
            for label in np.setdiff1d(classes, labels[fold.train]):
                found.setdefault(str(label), number)
        return found

    def crossing_subjects(self, rows: NDArray[np.intp], subjects: NDArray[Any]) -> int:
        """Return how many of the subjects of these rows are tested in more than one fold.

        Only official folds have any: whoever made them did not know, for instance, that two files are
        identical. Each such subject is left out of the training parts of the folds that test it.
        """
        numbers = pd.Series(self.numbers[rows])
        n_folds = numbers[numbers >= 0].groupby(subjects[numbers >= 0]).nunique()
        return int((n_folds > 1).sum())

    def check_rows(self, face_ids: NDArray[np.str_], where: Path) -> None:
        """Raise FoldError unless the folds were made for these rows, and say which differ.

        Args:
            face_ids: every row of the manifest, in its order.
            where: folder of the comparison, for the message.

        Raises:
            FoldError: rows are new, gone or in another order.
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
        """Raise FoldError unless the number of folds and the seed are those that somebody asked for.

        Args:
            where: folder of the comparison, for the message.
            n_folds: how many were asked for; None for any number.
            seed: the seed that was asked for; None for any seed.

        Raises:
            FoldError: the number of folds or the seed is another one; the message says what to type instead.
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
                " the folds and the runs on them with --new-folds."
            )

    def save(self, path: Path) -> None:
        """Write it as JSON."""
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
        """Read what save() wrote.

        Raises:
            FoldError: the file is not there, is no set of folds, or was edited.
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
    """Return the folds of every usable row: the official ones where the data set has any, else new ones.

    New folds are stratified by all labels at once, so that one set serves every target.

    Args:
        name: the comparison's.
        manifest: manifest of the rows.
        n_folds: how many to make; of no effect where there are official folds.
        seed: decides who is in which new fold.

    Raises:
        FoldError: fewer subjects than folds, or official folds that test or train on nobody.
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
        every = np.unique(official[official >= 0])
        numbers[usable] = np.where(official >= 0, np.searchsorted(every, official), OUTSIDE)
        return FoldSet(name, "official", seed, face_ids, numbers)
    strata, columns = _label_columns(manifest, usable)
    joint = np.array(["|".join(row) for row in zip(*strata, strict=True)] if strata else no_labels)
    numbers[usable] = made = make_folds(joint, subjects, columns, n_folds=n_folds, seed=seed)
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
