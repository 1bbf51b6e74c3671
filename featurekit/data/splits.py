"""Split faces into folds that never share a subject.

A person seen in training must not be seen in testing: a classifier that
recognizes the person would look as if it had recognized the age.

A comparison has one set of folds. It is made once, over every usable row, and
saved; each target and feature set then takes the rows that it has a label and a
face for. A data set's official folds win over folds of our own.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import COLUMNS, Manifest, is_measured
from featurekit.errors import FoldError
from featurekit.files import write_text

SCHEMA = 1
OUTSIDE = -1  # the fold of a row that is neither learned from nor tested
# How often subjects are dealt anew where a rare class lies with too few of them.
ATTEMPTS = 10
# A label column of the user's own with more classes than this is not stratified by together with the others:
# nearly every combination of labels would be a stratum of its own. Its classes are still spread over folds.
MOST_CLASSES = 20
# How many persons a person may be exchanged with, where a class lies in one fold alone, are looked at.
PARTNERS = 50


@dataclass(frozen=True)
class Fold:
    """Row numbers to learn from and to be scored on.

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
            f"The {len(fold_numbers)} rows are {named}, so there is nothing to learn from. Add the"
            " photographs of the other folds and run `featurekit prepare` and `featurekit extract` again."
        )
    return [_fold(fold_numbers, int(number)) for number in numbers]


def subject_exclusive_folds(
    labels: NDArray[Any], subjects: NDArray[Any], *, n_folds: int = 5, seed: int = 0
) -> list[Fold]:
    """Deal the subjects into folds with class shares as equal as the subjects allow.

    Args:
        labels: class of each face, shape (n_faces,).
        subjects: person on each face, shape (n_faces,).
        n_folds: number of folds; every face is tested in exactly one.
        seed: decides the dealing; the same seed gives the same folds.

    Raises:
        FoldError: there are fewer subjects than folds, or too few to give every
            fold a test face and every training part a face of each class.
    """
    numbers = _deal(labels, subjects, [labels], n_folds=n_folds, seed=seed)
    folds = [_fold(numbers, number) for number in range(n_folds)]
    check_folds(folds, labels, subjects)
    return folds


def check_folds(folds: Sequence[Fold], labels: NDArray[Any], subjects: NDArray[Any]) -> None:
    """Raise FoldError unless the folds give an honest comparison.

    Args:
        folds: row numbers.
        labels: class of each row, shape (n_rows,), "" for none; years (floats) have no classes to check.
        subjects: person on each row, shape (n_rows,).

    Raises:
        FoldError: a subject is on both sides, a test part is empty, a training part lacks a class,
            or a row is tested twice.
    """
    tested = np.zeros(len(subjects), dtype=np.intp)
    classes = [] if labels.dtype.kind == "f" else [label for label in np.unique(labels) if label != ""]
    for number, fold in enumerate(folds):
        shared = np.intersect1d(subjects[fold.train], subjects[fold.test])
        if len(shared):
            raise FoldError(f"Fold {number} trains and tests on subject {shared[0]}.")
        if not len(fold.test):
            raise FoldError(f"Fold {number} tests no face. Use fewer folds.")
        if not len(fold.train):
            raise FoldError(f"Fold {number} trains on no face.")
        absent = np.setdiff1d(classes, labels[fold.train])
        if len(absent):
            raise FoldError(
                f"Fold {number} trains on no face of class {absent[0]}: too few subjects have it. Use fewer"
                " folds, more subjects, or leave that class out."
            )
        np.add.at(tested, fold.test, 1)
    if (tested > 1).any():
        raise FoldError(f"Row {np.flatnonzero(tested > 1)[0]} is tested in more than one fold.")


@dataclass(frozen=True)
class FoldSet:
    """Who is tested when, for every row of a manifest.

    Attributes:
        name: the comparison's.
        kind: "official" where the data set came with them, else "made".
        seed: what the dealing of made folds came from.
        face_ids: every row of the manifest, in its order, shape (n_rows,).
        numbers: fold that each row is tested in, shape (n_rows,); -1 for rows outside.
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
        """Hash of who is tested when: two sets that agree in it are the same folds."""
        content = json.dumps([self.kind, self.face_ids.tolist(), self.numbers.tolist()])
        return sha256(content.encode()).hexdigest()

    def folds(self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]) -> list[Fold]:
        """Return the folds of some of the rows, checked anew.

        Args:
            rows: row numbers of the manifest that have a label and a face, shape (n,).
            labels: their classes or years, shape (n,).
            subjects: the persons on them, shape (n,).

        Returns:
            One fold for each of the set; train and test are positions in rows.

        Raises:
            FoldError: with these rows the folds give no honest comparison; see check_folds.
        """
        numbers = self.numbers[rows]
        every = np.unique(self.numbers[self.numbers >= 0])
        folds = [_apart(_fold(numbers, int(number)), subjects) for number in every]
        check_folds(folds, labels, subjects)
        return folds

    def untrained(
        self, rows: NDArray[np.intp], labels: NDArray[Any], subjects: NDArray[Any]
    ) -> dict[str, int]:
        """Return the classes that some training part has no face of → the first such fold.

        Args:
            rows: row numbers of the manifest that have a face, shape (n,).
            labels: their classes, "" for none, shape (n,).
            subjects: the persons on them, shape (n,).
        """
        numbers = self.numbers[rows]
        classes = [label for label in np.unique(labels) if label != ""]
        found: dict[str, int] = {}
        for number in np.unique(self.numbers[self.numbers >= 0]):
            trained = labels[_apart(_fold(numbers, int(number)), subjects).train]
            for label in np.setdiff1d(classes, trained):
                found.setdefault(str(label), int(number))
        return found

    def crossing_subjects(self, rows: NDArray[np.intp], subjects: NDArray[Any]) -> int:
        """Return how many of the persons on these rows are tested in more than one fold.

        Only official folds have any: they were dealt by somebody who did not know, for instance, that
        two files are identical. Each is left out of the training parts of the folds that test it.
        """
        inside = self.numbers[rows] >= 0
        pairs = {(str(s), int(n)) for s, n in zip(subjects[inside], self.numbers[rows][inside], strict=True)}
        return sum(n_folds > 1 for n_folds in Counter(subject for subject, _ in pairs).values())

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
        differ = []
        for word, rows in (
            ("new", np.setdiff1d(face_ids, self.face_ids)),
            ("gone", np.setdiff1d(self.face_ids, face_ids)),
        ):
            if len(rows):
                shown = ", ".join(rows[:3]) + (", …" if len(rows) > 3 else "")
                differ.append(f"{len(rows)} {'row is' if len(rows) == 1 else 'rows are'} {word} ({shown})")
        what = " and ".join(differ) or "the rows are in another order"
        raise FoldError(
            f"The folds in {where} were made for another manifest: {what}. Compare under another --name,"
            " or deal the folds anew with --new-folds."
        )

    def check_asked(self, where: Path, *, n_folds: int | None, seed: int | None) -> None:
        """Raise FoldError unless the folds are as many, and from the seed, as somebody asked for.

        Args:
            where: folder of the comparison, for the message.
            n_folds: how many were asked for; None for any number.
            seed: what chance was to come from; None for any seed.

        Raises:
            FoldError: there are others; the message says which, and what to type instead.
        """
        if n_folds is not None and n_folds != self.n_folds and self.kind == "official":
            raise FoldError(
                f"The data set has {self.n_folds} folds of its own, which are used:"
                f" --folds {n_folds} would have no effect. Leave it out."
            )
        differ = []
        if n_folds is not None and n_folds != self.n_folds:
            differ.append((f"{self.n_folds} folds", f"--folds {n_folds}"))
        if seed is not None and seed != self.seed:
            differ.append((f"seed {self.seed}", f"--seed {seed}"))
        if differ:
            raise FoldError(
                f"{where} has folds already, with {' and '.join(one for one, _ in differ)}:"
                f" {' and '.join(one for _, one in differ)} would have no effect. Leave"
                f" {'it' if len(differ) == 1 else 'them'} out, compare under another --name, or replace the"
                " folds and the runs on them with --new-folds."
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
            raise FoldError(f"{path} is not a set of folds. Deal them anew with --new-folds.") from error
        if not intact:
            raise FoldError(
                f"{path} was edited, or is of another version. Deal the folds anew with --new-folds."
            )
        return folds


def make_fold_set(name: str, manifest: Manifest, *, n_folds: int = 5, seed: int = 0) -> FoldSet:
    """Return the folds of every usable row: the data set's own where it has any, else made.

    Made folds are stratified by all labels at once, so that one set serves every target.

    Args:
        name: the comparison's.
        manifest: whose rows.
        n_folds: how many to make; official folds are as many as they are.
        seed: what the dealing comes from.

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
        # Numbered from 0 without a gap, whichever of the data set's folds have photographs here.
        named = np.unique(official[official >= 0])
        numbers[usable] = np.where(official >= 0, np.searchsorted(named, official), OUTSIDE)
        return FoldSet(name, "official", seed, face_ids, numbers)
    strata, columns = _label_columns(manifest, usable)
    joint = np.array(["|".join(row) for row in zip(*strata, strict=True)] if strata else no_labels)
    dealt = _deal(joint, subjects, columns, n_folds=n_folds, seed=seed)
    check_folds([_fold(dealt, number) for number in range(n_folds)], no_labels, subjects)
    numbers[usable] = dealt
    return FoldSet(name, "made", seed, face_ids, numbers)


def _fold(numbers: NDArray[np.intp], number: int) -> Fold:
    return Fold(
        np.flatnonzero((numbers >= 0) & (numbers != number)),
        np.flatnonzero(numbers == number),
    )


def _apart(fold: Fold, subjects: NDArray[Any]) -> Fold:
    """Return the fold without the training rows of the persons it tests."""
    return Fold(fold.train[~np.isin(subjects[fold.train], subjects[fold.test])], fold.test)


def _label_columns(
    manifest: Manifest, usable: NDArray[np.intp]
) -> tuple[list[NDArray[np.str_]], list[NDArray[np.str_]]]:
    """Return the labels that folds are stratified by, and all whose classes every training part should have.

    "" stands for no label; ages between the groups count by decade. A column of the user's own whose values
    are mostly different for every person (remarks, measurements) has no classes.
    """
    table = manifest.table.iloc[usable]
    group = table["age_group"].to_numpy(dtype=str)
    decade = [f"{age // 10 * 10:.0f}s" if np.isfinite(age) else "" for age in table["age"].to_numpy(float)]
    strata = [np.where(group == "", np.array(decade, dtype=str), group), table["gender"].to_numpy(dtype=str)]
    columns = list(strata)
    subjects = manifest.subjects[usable]
    for column in manifest.table.columns:
        if column not in COLUMNS:
            own = table[column].astype(str).to_numpy(dtype=str)
            values = np.unique(own)
            if is_measured(values):
                continue
            if len(values) <= MOST_CLASSES:
                strata.append(own)
            if len(values) <= MOST_CLASSES or 2 * len(values) <= len(np.unique(subjects[own != ""])):
                columns.append(own)
    return strata, columns


def _deal(
    labels: NDArray[Any], subjects: NDArray[Any], classes: Sequence[NDArray[Any]], *, n_folds: int, seed: int
) -> NDArray[np.intp]:
    """Return the fold of each row; of several dealings the first that trains every class, else the nearest.

    A class is in every training part exactly if two folds test somebody who has it. Subjects are dealt by all
    labels together, then by each column alone; where a class still lies in one fold, persons are exchanged.

    Args:
        labels: what to stratify by.
        subjects: person on each row.
        classes: label columns whose classes should occur in every training part; "" stands for none.
        n_folds: number of folds.
        seed: decides the dealing.
    """
    n_subjects = len(np.unique(subjects))
    if n_folds < 2:
        raise FoldError(f"n_folds must be at least 2. Got {n_folds} instead.")
    if n_subjects < n_folds:
        there_are = "There is 1 subject" if n_subjects == 1 else f"There are {n_subjects} subjects"
        raise FoldError(f"{there_are}, too few for {n_folds} folds.")
    spread = _Spread(subjects, classes, n_folds)
    by_column = [(column, ATTEMPTS + i) for i, column in enumerate(classes)]
    best: tuple[int, NDArray[np.intp]] | None = None
    for stratum, attempt in [*((labels, attempt) for attempt in range(ATTEMPTS)), *by_column]:
        numbers = _deal_once(stratum, subjects, n_folds, np.random.default_rng([seed, attempt]))
        empty = n_folds - len(np.unique(numbers))
        unfit = empty * len(labels) + len(spread.concentrated(numbers))
        if best is None or unfit < best[0]:
            best = (unfit, numbers)
        if not unfit:
            break
    assert best is not None
    unfit, numbers = best
    rng = np.random.default_rng([seed, ATTEMPTS + len(classes)])
    return spread.repaired(numbers, rng) if unfit else numbers


class _Spread:
    """Which classes lie in one fold alone, though two persons have them, and how to spread them.

    Args:
        subjects: person on each row, shape (n_rows,).
        columns: label columns, "" for no label.
        n_folds: number of folds.
    """

    def __init__(self, subjects: NDArray[Any], columns: Sequence[NDArray[Any]], n_folds: int) -> None:
        self._n_folds = n_folds
        names, self._person = np.unique(subjects, return_inverse=True)
        self._size = np.bincount(self._person)
        has: list[NDArray[np.intp]] = []  # (person, class) of all columns, their classes numbered through
        n_classes = 0
        for column in columns:
            labels, codes = np.unique(column, return_inverse=True)
            known = np.flatnonzero(column != "") if column.dtype.kind in "US" else np.arange(len(column))
            pairs = np.unique(self._person[known] * len(labels) + codes[known])
            has.append(np.stack([pairs // len(labels), pairs % len(labels) + n_classes], axis=1))
            n_classes += len(labels)
        pairs_of_all = np.concatenate(has) if has else np.zeros((0, 2), np.intp)
        self._has = pairs_of_all[np.argsort(pairs_of_all[:, 0], kind="stable")]
        self._starts = np.searchsorted(self._has[:, 0], np.arange(len(names) + 1))
        self._n_persons = np.bincount(self._has[:, 1], minlength=n_classes)

    def concentrated(self, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the classes of several persons that lie in one fold alone."""
        return self._alone(self._counts(self._fold_of(numbers)))

    def repaired(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the dealing after persons were exchanged until nothing is gained any more."""
        fold_of = self._fold_of(numbers)
        counts = self._counts(fold_of)
        hopeless: set[int] = set()
        while len(left := [k for k in self._alone(counts) if int(k) not in hopeless]):
            change = self._best_exchange(int(left[0]), fold_of, counts, rng)
            if change is None:
                hopeless.add(int(left[0]))
                continue
            for person, fold in change:
                own = self._classes_of(person)  # each once
                counts[own, fold_of[person]] -= 1
                counts[own, fold] += 1
                fold_of[person] = fold
        return fold_of[self._person]

    def _fold_of(self, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        fold_of = np.zeros(len(self._size), np.intp)
        fold_of[self._person] = numbers
        return fold_of

    def _counts(self, fold_of: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many persons of each class lie in each fold, shape (n_classes, n_folds)."""
        cells = self._has[:, 1] * self._n_folds + fold_of[self._has[:, 0]]
        counts = np.bincount(cells, minlength=len(self._n_persons) * self._n_folds)
        return counts.reshape(-1, self._n_folds)

    def _alone(self, counts: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.flatnonzero(((counts > 0).sum(axis=1) == 1) & (self._n_persons > 1))

    def _classes_of(self, person: int) -> NDArray[np.intp]:
        own: NDArray[np.intp] = self._has[self._starts[person] : self._starts[person + 1], 1]
        return own

    def _best_exchange(
        self, which: int, fold_of: NDArray[np.intp], counts: NDArray[np.intp], rng: np.random.Generator
    ) -> list[tuple[int, int]] | None:
        """Return which persons go to which folds so that fewer classes lie in one fold; None for no way.

        Of equally good exchanges it is the one of persons with as many photographs and the same labels.
        """
        theirs = self._has[self._has[:, 1] == which, 0]
        here = int(fold_of[theirs[0]])
        elsewhere = np.flatnonzero(fold_of != here)
        best: tuple[tuple[int, int, int], list[tuple[int, int]]] | None = None
        for person in rng.permutation(theirs)[:PARTNERS].tolist():
            partners = rng.permutation(elsewhere)[:PARTNERS].tolist()
            ways = [[(person, int(fold_of[other])), (other, here)] for other in partners]
            ways += [[(person, fold)] for fold in range(self._n_folds) if fold != here]
            for way in ways:
                gain = self._gain(way, fold_of, counts)
                if gain <= 0 or (len(way) == 1 and (fold_of == here).sum() == 1):
                    continue
                other = way[1][0] if len(way) == 2 else None
                size = self._size[person] - (self._size[other] if other is not None else 0)
                unlike = (
                    len(np.setxor1d(self._classes_of(person), self._classes_of(other)))
                    if other is not None
                    else 0
                )
                cost = (-gain, abs(int(size)), unlike)
                if best is None or cost < best[0]:
                    best = (cost, way)
        return best[1] if best else None

    def _gain(
        self, way: Sequence[tuple[int, int]], fold_of: NDArray[np.intp], counts: NDArray[np.intp]
    ) -> int:
        """Return by how many fewer classes lie in one fold alone."""
        touched = np.unique(np.concatenate([self._classes_of(person) for person, _ in way]))
        before = counts[touched]
        after = before.copy()
        for person, fold in way:
            at = np.searchsorted(touched, self._classes_of(person))
            after[at, fold_of[person]] -= 1
            after[at, fold] += 1
        several = self._n_persons[touched] > 1
        lonely = [int((((one > 0).sum(axis=1) == 1) & several).sum()) for one in (before, after)]
        return lonely[0] - lonely[1]


def _deal_once(
    labels: NDArray[Any], subjects: NDArray[Any], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    codes = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(codes)
    # What is too rare for every fold cannot be dealt evenly alone: all that is rare counts as one class.
    rare = counts < n_folds
    if counts[rare].sum() >= n_folds:
        codes = np.where(rare[codes], len(counts), codes)
    else:
        codes = np.where(rare[codes], counts.argmax(), codes)
    random_state = int(rng.integers(2**31))
    if len(np.unique(subjects)) == len(subjects):
        # The other would give as good folds, but takes a minute for 500,000 subjects.
        split = StratifiedKFold(n_folds, shuffle=True, random_state=random_state).split(codes, codes)
    else:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
        split = splitter.split(codes, codes, subjects)
    numbers = np.full(len(labels), OUTSIDE, dtype=np.intp)
    for number, (_, test) in enumerate(split):
        numbers[test] = number
    return numbers
