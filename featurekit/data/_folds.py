"""Put subjects into folds with class shares as equal as the subjects allow.

No subject is in two folds. Where several subjects have a class and all of them are in
the same fold, subjects are exchanged between folds, so that every training part has the class.
"""

import math
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import FoldError

OUTSIDE = -1  # the fold of a row that is neither trained on nor tested
# How often folds are made anew where all subjects of a class are in one fold.
ATTEMPTS = 10
# How many subjects are considered as partners for an exchange.
PARTNERS = 50

# Subjects and the folds they are moved to: one subject that moves, or two that change places.
_Moves = list[tuple[int, int]]


def make_folds(
    columns: Sequence[NDArray[Any]],
    subjects: NDArray[Any],
    classes: Sequence[NDArray[Any]],
    *,
    n_folds: int,
    seed: int,
) -> NDArray[np.intp]:
    """Return the fold of each row.

    A class is in every training part exactly if at least two folds test somebody who has it. Folds are made
    several times: stratified by all labels together, then by each column alone. The first result in which
    every class is trained is taken, else the one that lacks the fewest classes. In that one, subjects are
    exchanged between folds.

    Args:
        columns: label columns to stratify by.
        subjects: subject of each row.
        classes: label columns whose classes should occur in every training part; "" stands for none.
        n_folds: number of folds.
        seed: decides which subjects are in which fold.
    """
    n_subjects = len(np.unique(subjects))
    if n_folds < 2:
        raise FoldError(f"The number of folds (--folds) must be at least 2. Got {n_folds} instead.")
    if n_subjects < n_folds:
        there_are = "There is 1 subject" if n_subjects == 1 else f"There are {n_subjects} subjects"
        raise FoldError(f"{there_are}, which is too few for {n_folds} folds.")
    balance = _ClassBalance(subjects, classes, n_folds)
    together = _strata(columns, subjects, n_folds)
    alone = ((_strata([column], subjects, n_folds), ATTEMPTS + i) for i, column in enumerate(classes))
    best: tuple[float, NDArray[np.intp]] = (math.inf, np.zeros(0, np.intp))
    for strata, attempt in chain(((together, attempt) for attempt in range(ATTEMPTS)), alone):
        numbers = _stratified(strata, subjects, n_folds, np.random.default_rng([seed, attempt]))
        n_empty = n_folds - len(np.unique(numbers))
        n_lacking = n_empty * len(subjects) + len(balance.in_one_fold(numbers))
        best = min(best, (n_lacking, numbers), key=itemgetter(0))
        if not n_lacking:
            return numbers
    return balance.repaired(best[1], np.random.default_rng([seed, ATTEMPTS + len(classes)]))


class _ClassBalance:
    """Finds the classes that several subjects have but only one fold holds, and moves subjects to mend it.

    Args:
        subjects: subject of each row, shape (n_rows,).
        columns: label columns, "" for no label.
        n_folds: number of folds.
    """

    def __init__(self, subjects: NDArray[Any], columns: Sequence[NDArray[Any]], n_folds: int) -> None:
        self._n_folds = n_folds
        names, self._first_row, self._subject = np.unique(subjects, return_index=True, return_inverse=True)
        self._size = np.bincount(self._subject)
        # (subject, class) pairs of all columns; the classes of all columns are numbered consecutively.
        has = [np.zeros((0, 2), np.intp)]
        n_classes = 0
        for column in columns:
            labels, codes = np.unique(column, return_inverse=True)
            known = np.flatnonzero(column != "") if column.dtype.kind in "US" else np.arange(len(column))
            has.append(np.unique(np.c_[self._subject[known], codes[known] + n_classes], axis=0))
            n_classes += len(labels)
        pairs = np.concatenate(has)
        self._has = pairs[np.argsort(pairs[:, 0], kind="stable")]
        self._starts = np.searchsorted(self._has[:, 0], np.arange(len(names) + 1))
        self._n_subjects = np.bincount(self._has[:, 1], minlength=n_classes)

    def in_one_fold(self, numbers: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the classes that several subjects have, all of them in the same fold."""
        return np.flatnonzero(_is_in_one_fold(self._counts(numbers[self._first_row]), self._n_subjects))

    def repaired(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the fold of each row after subjects were moved until no move brings a gain any more."""
        fold_of = numbers[self._first_row]
        counts = self._counts(fold_of)
        hopeless: set[int] = set()
        while left := set(np.flatnonzero(_is_in_one_fold(counts, self._n_subjects)).tolist()) - hopeless:
            moves = self._best_moves(min(left), fold_of, counts, rng)
            if not moves:
                hopeless.add(min(left))
            for subject, fold in moves:
                own = self._classes_of(subject)  # each once
                counts[own, fold_of[subject]] -= 1
                counts[own, fold] += 1
                fold_of[subject] = fold
        return fold_of[self._subject]

    def _counts(self, fold_of: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many subjects of each class are in each fold, shape (n_classes, n_folds)."""
        cells = self._has[:, 1] * self._n_folds + fold_of[self._has[:, 0]]
        return np.bincount(cells, minlength=len(self._n_subjects) * self._n_folds).reshape(-1, self._n_folds)

    def _classes_of(self, subject: int) -> NDArray[np.intp]:
        return np.asarray(self._has[self._starts[subject] : self._starts[subject + 1], 1])

    def _best_moves(
        self, which: int, fold_of: NDArray[np.intp], counts: NDArray[np.intp], rng: np.random.Generator
    ) -> _Moves:
        """Return the moves after which the fewest classes are in one fold alone; none where none helps.

        Of equally good exchanges, it is the one between subjects with as many images and the same labels.
        """
        theirs = self._has[self._has[:, 1] == which, 0]
        here = int(fold_of[theirs[0]])
        elsewhere = np.flatnonzero(fold_of != here)
        # The only subject of a fold can only be exchanged, because the fold would be empty without it.
        others = [fold for fold in range(self._n_folds) if fold != here and (fold_of == here).sum() > 1]
        possible: list[_Moves] = []
        for subject in rng.permutation(theirs)[:PARTNERS].tolist():
            possible += [
                [(subject, int(fold_of[partner])), (partner, here)]
                for partner in rng.permutation(elsewhere)[:PARTNERS].tolist()
            ]
            possible += [[(subject, fold)] for fold in others]
        costs = [
            ((-gain, *self._difference(moves)), moves)
            for moves in possible
            if (gain := self._gain(moves, fold_of, counts)) > 0
        ]
        return min(costs, key=itemgetter(0))[1] if costs else []

    def _difference(self, moves: _Moves) -> tuple[int, int]:
        """Return by how many images, and by how many labels, two subjects that change places differ."""
        first, *partner = [subject for subject, _ in moves]
        size = abs(int(self._size[first] - self._size[partner].sum()))
        unlike = [np.setxor1d(self._classes_of(first), self._classes_of(other)) for other in partner]
        return size, sum(map(len, unlike))

    def _gain(self, moves: _Moves, fold_of: NDArray[np.intp], counts: NDArray[np.intp]) -> int:
        """Return how many fewer classes are in one fold alone after the moves."""
        touched = np.unique(np.concatenate([self._classes_of(subject) for subject, _ in moves]))
        after = counts[touched]
        for subject, fold in moves:
            at = np.searchsorted(touched, self._classes_of(subject))
            after[at, fold_of[subject]] -= 1
            after[at, fold] += 1
        n_before, n_after = (
            _is_in_one_fold(one, self._n_subjects[touched]).sum() for one in (counts[touched], after)
        )
        return int(n_before - n_after)


def _is_in_one_fold(counts: NDArray[np.intp], n_subjects: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether several subjects have each class, all of them in the same fold, shape (n_classes,).

    Args:
        counts: subjects of each class in each fold, shape (n_classes, n_folds).
        n_subjects: subjects of each class, shape (n_classes,).
    """
    return np.asarray(((counts > 0).sum(axis=1) == 1) & (n_subjects > 1))


def _strata(columns: Sequence[NDArray[Any]], subjects: NDArray[Any], n_folds: int) -> NDArray[np.intp]:
    """Return the number of the stratum of each row, shape (n_rows,).

    A stratum is a combination of the labels of all columns. Where fewer subjects than there are folds have a
    combination, the columns with the most classes are left out of it. So faces are stratified by gender even
    if their ages are so different that hardly two subjects have the same age group and gender. The labels of
    a single column are a stratum if they have at least as many faces as there are folds.
    """
    codes = [np.unique(column, return_inverse=True)[1] for column in columns]
    codes.sort(key=np.max)  # the columns with the fewest classes are left out last
    subject = np.unique(subjects, return_inverse=True)[1]
    strata = np.zeros(len(subjects), np.intp)
    rows = np.arange(len(subjects))  # those whose stratum is not decided
    for n_kept in range(len(codes), -1, -1):
        kept = np.column_stack([np.zeros_like(rows), *(code[rows] for code in codes[:n_kept])])
        number = np.unique(kept, axis=0, return_inverse=True)[1].reshape(-1)
        counted = np.unique(np.c_[number, subject[rows]], axis=0)[:, 0] if n_kept > 1 else number
        strata[rows] = strata.max() + 1 + number
        rows = rows[np.bincount(counted)[number] < n_folds]
        if not len(rows):
            return strata
    # The rest are too few for a stratum of their own, whatever is left out.
    others, sizes = np.unique(np.delete(strata, rows), return_counts=True)
    strata[rows] = others[sizes.argmax()] if len(others) else 0
    return strata


def _stratified(
    strata: NDArray[np.intp], subjects: NDArray[Any], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the fold of each row, stratified once."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    # StratifiedGroupKFold would give as good folds, but takes a minute for 500,000 subjects.
    is_one_row_each = len(np.unique(subjects)) == len(subjects)
    splitter = (StratifiedKFold if is_one_row_each else StratifiedGroupKFold)(
        n_folds, shuffle=True, random_state=int(rng.integers(2**31))
    )
    numbers = np.full(len(strata), OUTSIDE, dtype=np.intp)
    for number, (_, test) in enumerate(splitter.split(strata, strata, None if is_one_row_each else subjects)):
        numbers[test] = number
    return numbers
