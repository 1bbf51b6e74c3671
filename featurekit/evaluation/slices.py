"""Scores of one model on groups of faces: by label, and by age band."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import TARGETS, Target
from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.estimates import Estimate, losses_of, mean_of_faces
from featurekit.evaluation.image_quality import QUALITY_BANDS
from featurekit.evaluation.outcomes import Outcomes
from featurekit.uncertainty.permutation import slice_gaps
from featurekit.uncertainty.resampling import FEWEST

MOST_COMBINED = 6  # labels of a user's own column that is combined with gender and age group

# The age groups of Adience, the ages between them, and decades from 60 on.
AGE_BANDS = (
    *("0-2", "3", "4-6", "7", "8-12", "13-14", "15-20", "21-24", "25-32", "33-37", "38-43"),
    *("44-47", "48-53", "54-59", "60-69", "70-79", "80 and older"),
)
_BAND_STARTS = (0, 3, 4, 7, 8, 13, 15, 21, 25, 33, 38, 44, 48, 54, 60, 70, 80)


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The score of one model on a slice: the faces with one label, or with two labels together.

    Attributes:
        columns, labels: columns and labels, for example ("gender", "age_group") and ("female", "0-2").
        n_faces, n_subjects: number of faces and of subjects in the slice.
        estimate: score with its confidence interval; None for fewer than FEWEST subjects.
        gap: how much better the model is on the slice than on all other faces, negative if it is worse: a
            share of faces, or a mean error in years. None if the slice or the other faces have fewer than
            FEWEST subjects.
        gap_p: p-value of the null hypothesis that the gap is chance, adjusted for all slices of the target;
            None without a gap.
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
        """Whether there is evidence that the model is worse on these faces than on all others."""
        return self._is_shown and (self.gap or 0.0) < 0

    @property
    def is_better(self) -> bool:
        """Whether there is evidence that the model is better on these faces than on all others."""
        return self._is_shown and (self.gap or 0.0) > 0

    @property
    def _is_shown(self) -> bool:
        return self.gap is not None and self.gap_p is not None and self.gap_p <= ALPHA


def slices_of(outcomes: Outcomes, target: Target, table: pd.DataFrame, seed: int) -> tuple[Slice, ...]:
    """Return the scores on the faces with each label, and with two labels together, the worst first."""
    own, columns = labels_of_faces(outcomes, table)
    errors, subjects = losses_of(target, table), table["subject"].to_numpy()
    labels = different({name: own[name].to_numpy(dtype=str) for name in columns})
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
                continue  # most combinations with a user's own column have hardly any subject
            alone = [(labels[name] == one).sum() for name, one in zip(names, wanted, strict=True)]
            if len(names) > 1 and chosen.sum() in alone:
                continue  # one of the labels includes the other, so the group is not smaller
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
    sign = -1 if target.is_regression else 1
    # Slices without an estimate come last.
    return tuple(sorted(found, key=lambda one: sign * one.estimate.value if one.estimate else np.inf))


def worst_of(slices: Iterable[Slice]) -> Slice | None:
    """Return what worst_slice() returns for the model of some slices, which are those of slices_of()."""
    alone = (one for one in slices if len(one.columns) == 1 and one.estimate)
    return next((replace(one, gap=None, gap_p=None) for one in alone), None)


def worst_slice(outcomes: Outcomes, target: Target, table: pd.DataFrame, seed: int) -> Slice | None:
    """Return the slice with one label on which a model has the worst score; None if all are too small.

    It has no gap, because only the slices of the models that are looked at in detail are tested.
    """
    own, columns = labels_of_faces(outcomes, table)
    errors, subjects = losses_of(target, table), table["subject"].to_numpy()
    found: list[tuple[float, str, str, NDArray[np.bool_]]] = []
    for name, labels in different({name: own[name].to_numpy(dtype=str) for name in columns}).items():
        for label in sorted({*map(str, labels)} - {""}):
            chosen = labels == label
            if len(np.unique(subjects[chosen])) >= FEWEST:
                found.append((float(errors[chosen].mean()), name, label, chosen))
    if not found:
        return None
    _, name, label, chosen = max(found, key=lambda one: one[0])
    shown = errors[chosen] if target.is_regression else 1 - errors[chosen]
    return Slice(
        columns=(name,),
        labels=(label,),
        n_faces=int(chosen.sum()),
        n_subjects=len(np.unique(subjects[chosen])),
        estimate=mean_of_faces(shown, subjects[chosen], seed),
    )


def different(labels: Mapping[str, NDArray[np.str_]]) -> dict[str, NDArray[np.str_]]:
    """Return the columns of labels without those that are equal to a column before them."""
    found: dict[str, NDArray[np.str_]] = {}
    for name, values in labels.items():
        if not any(np.array_equal(values, other) for other in found.values()):
            found[name] = values
    return found


def _combined(labels: Mapping[str, NDArray[np.str_]]) -> list[tuple[str, ...]]:
    """Return which columns are combined: gender and age group, and own columns with each of these.

    The quality of the image is not combined: the many more slices would make every test less powerful.
    """
    known = [name for name in ("gender", "age_group") if name in labels]
    alone = {*known, *QUALITY_BANDS}
    few = [name for name, of in labels.items() if name not in alone and len({*of} - {""}) <= MOST_COMBINED]
    return [*combinations(known, 2), *product(known, few)]


def labels_of_faces(outcomes: Outcomes, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the labels of the faces of a table, and the names of the columns of labels."""
    own = outcomes.labels.loc[table["row"]]
    return own, [str(name) for name in own.columns if name != "age"]


def in_order(column: str, labels: Iterable[str]) -> list[str]:
    """Return the different labels of a column in their natural order, else in alphabetical order.

    >>> in_order("age_group", ["25-32", "4-6", "25-32"]), in_order("hat", ["yes", "no", ""])
    (['4-6', '25-32'], ['no', 'yes'])
    """
    order = QUALITY_BANDS.get(column) or (TARGETS[column].classes if column in TARGETS else ())
    place = {label: number for number, label in enumerate(order)}
    return sorted(set(map(str, labels)) - {""}, key=lambda label: (place.get(label, len(place)), label))


@dataclass(frozen=True, kw_only=True)
class AgeError:
    """The errors of one model on the faces of people in one age band.

    Attributes:
        band: band of the true age, one of AGE_BANDS.
        n_faces, n_subjects: number of faces and of subjects in the band.
        error: mean absolute error in years; None for fewer than FEWEST subjects.
        bias: mean of predicted minus true age in years, above 0 if people are predicted to be older than they
            are; None for fewer than FEWEST subjects.
    """

    band: str
    n_faces: int
    n_subjects: int
    error: Estimate | None
    bias: float | None


def age_errors(table: pd.DataFrame, seed: int) -> tuple[AgeError, ...]:
    """Return the errors of a regression model for each age band with a face, the youngest first.

    Args:
        table: outcomes of the model, as described in featurekit.evaluation.outcomes.
        seed: seed of the random number generator.
    """
    true, said = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
    subjects, bands = table["subject"].to_numpy(), age_bands(true)
    found = []
    for band in (band for band in AGE_BANDS if band in bands):
        chosen = bands == band
        own, off = subjects[chosen], said[chosen] - true[chosen]
        n_subjects = len(np.unique(own))
        is_enough = n_subjects >= FEWEST
        found.append(
            AgeError(
                band=band,
                n_faces=int(chosen.sum()),
                n_subjects=n_subjects,
                error=mean_of_faces(np.abs(off), own, seed) if is_enough else None,
                bias=float(off.mean()) if is_enough else None,
            )
        )
    return tuple(found)


def age_bands(age: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the band of AGE_BANDS of each age, "" for an unknown age."""
    place = np.searchsorted(_BAND_STARTS, np.nan_to_num(age, nan=0.0), side="right") - 1
    return np.where(np.isfinite(age), np.array(AGE_BANDS)[np.maximum(place, 0)], "")
