"""Deal subjects into folds with class shares as equal as the subjects allow.

No subject is in two folds; where a class lies in one fold alone although several
persons have it, persons are exchanged, so that every training part has the class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import FoldError

OUTSIDE = -1  # the fold of a row that is neither learned from nor tested
# How often subjects are dealt anew where a rare class lies with too few of them.
ATTEMPTS = 10
# How many persons a person may be exchanged with, where a class lies in one fold alone, are looked at.
PARTNERS = 50


def deal(
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
        raise FoldError(f"The number of folds (--folds) must be at least 2. Got {n_folds} instead.")
    if n_subjects < n_folds:
        there_are = "There is 1 subject" if n_subjects == 1 else f"There are {n_subjects} subjects"
        raise FoldError(f"{there_are}, which is too few for {n_folds} folds.")
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
