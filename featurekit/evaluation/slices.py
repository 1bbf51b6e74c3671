"""For whom a model reads well and for whom not: faces of each label, and either side of a limit of age."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.estimates import Estimate, losses_of, mean_of_faces
from featurekit.evaluation.outcomes import Outcomes
from featurekit.uncertainty.intervals import FEWEST
from featurekit.uncertainty.permutation import slice_gaps

MOST_COMBINED = 6  # labels of a column of the user's own that is combined with gender and age group
LIMITS = (13, 18, 21, 25)  # years at which something is decided by age


@dataclass(frozen=True, kw_only=True)
class Slice:
    """How faces with one label, or two, are read by one model.

    Attributes:
        columns, labels: whose: ("gender", "age_group") and ("female", "0-2").
        n_faces, n_subjects: how many there are.
        estimate: None of fewer than FEWEST subjects.
        gap: by how much they are read better than all other faces, negative where they are read worse; a
            share of faces, or years. None where they, or the others, are fewer than FEWEST subjects.
        gap_p: p-value of "the gap is chance", for all slices of the target together; None without a gap.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    n_faces: int
    n_subjects: int
    estimate: Estimate | None
    gap: float | None = None
    gap_p: float | None = None

    @property
    def is_worse(self) -> bool:
        """Whether these faces are shown to be read worse than all others."""
        return self.gap is not None and self.gap < 0 and self.gap_p is not None and self.gap_p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How one model decides a limit of age.

    Attributes:
        limit: the age from which somebody counts as older.
        n_younger, n_older: faces on either side.
        called_older: share of the younger that were called older; None of fewer than FEWEST subjects.
        called_younger: share of the older that were called younger.
    """

    limit: int
    n_younger: int
    n_older: int
    called_older: Estimate | None
    called_younger: Estimate | None


def slices_of(outcomes: Outcomes, target: Target, table: pd.DataFrame, seed: int) -> tuple[Slice, ...]:
    """Return how faces of each label, and of two labels together, are read; worst first."""
    own, columns = labels_of_faces(outcomes, table)
    errors, subjects = losses_of(target, table), table["subject"].to_numpy()
    labels = _different({name: own[name].to_numpy(dtype=str) for name in columns})
    found: list[Slice] = []
    tested, members = [], []
    for names in [(name,) for name in labels] + _combined(labels):
        for wanted in sorted(set(zip(*(labels[name] for name in names), strict=True))):
            if "" in wanted:
                continue
            chosen = np.all([labels[name] == one for name, one in zip(names, wanted, strict=True)], axis=0)
            n_subjects = len(np.unique(subjects[chosen]))
            is_enough = n_subjects >= FEWEST
            if not is_enough and not {*names} <= {"gender", "age_group"} and len(names) > 1:
                continue  # most combinations with a column of the user's own are of nearly nobody
            alone = [(labels[name] == one).sum() for name, one in zip(names, wanted, strict=True)]
            if len(names) > 1 and chosen.sum() in alone:
                continue  # a label that says what another one says makes no smaller group
            shown = errors[chosen] if target.is_regression else 1 - errors[chosen]
            if is_enough and len(np.unique(subjects[~chosen])) >= FEWEST:
                tested.append(len(found))
                members.append(chosen)
            found.append(
                Slice(
                    columns=names,
                    labels=tuple(map(str, wanted)),
                    n_faces=int(chosen.sum()),
                    n_subjects=n_subjects,
                    estimate=mean_of_faces(shown, subjects[chosen], seed) if is_enough else None,
                )
            )
    if members:
        gaps, p_values = slice_gaps(errors, subjects, np.stack(members, axis=1), seed=seed)
        for number, gap, p in zip(tested, gaps, p_values, strict=True):
            found[number] = replace(found[number], gap=-float(gap), gap_p=float(p))

    def badness(one: Slice) -> tuple[bool, float]:
        value = one.estimate.value if one.estimate else 0.0
        return one.estimate is None, (-value if target.is_regression else value)

    return tuple(sorted(found, key=badness))


def _different(labels: Mapping[str, NDArray[np.str_]]) -> dict[str, NDArray[np.str_]]:
    """Return the columns of labels without one that says the same of every face as a column before it."""
    found: dict[str, NDArray[np.str_]] = {}
    for name, values in labels.items():
        if not any(np.array_equal(values, other) for other in found.values()):
            found[name] = values
    return found


def _combined(labels: Mapping[str, NDArray[np.str_]]) -> list[tuple[str, ...]]:
    """Return which columns are looked at together: gender and age group, and own columns with each."""
    known = [name for name in ("gender", "age_group") if name in labels]
    few = [name for name, of in labels.items() if name not in known and len({*of} - {""}) <= MOST_COMBINED]
    both: list[tuple[str, ...]] = [("gender", "age_group")] if len(known) == 2 else []
    return both + [(name, one) for name in known for one in few]


def limits_of(table: pd.DataFrame, seed: int) -> tuple[Limit, ...]:
    """Return how a model of years decides each of LIMITS."""
    true, said = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
    subjects = table["subject"].to_numpy()
    found = []
    for limit in LIMITS:
        older = true >= limit  # the limit belongs to the older
        sides = []
        for side, wrong in ((~older, said >= limit), (older, said < limit)):
            enough = len(np.unique(subjects[side])) >= FEWEST
            sides.append(mean_of_faces(wrong[side].astype(float), subjects[side], seed) if enough else None)
        found.append(
            Limit(
                limit=limit,
                n_younger=int((~older).sum()),
                n_older=int(older.sum()),
                called_older=sides[0],
                called_younger=sides[1],
            )
        )
    return tuple(found)


def labels_of_faces(outcomes: Outcomes, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the labels of the faces of a table, and the columns that faces are sliced by."""
    own = outcomes.of_faces(table)
    return own, [str(name) for name in own.columns if name != "age"]
