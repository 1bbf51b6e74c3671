"""How much the scores of one model differ between groups of faces, e.g. between women and men.

The groups are the faces with each label of one column. Their scores are compared with each other, and with
the score of a reference group. For a target of two classes, the groups are also compared by how often a class
is predicted (demographic parity), and by how often it is predicted for the faces of each true class
(equalized odds; Hardt et al. 2016, "Equality of opportunity in supervised learning"). The names and the
values are those of fairlearn (Bird et al. 2020, "Fairlearn: a toolkit for assessing and improving fairness in
AI"). Confidence intervals resample subjects, each with all of its faces in all groups.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.errors import ModelError, UnknownNameError
from featurekit.evaluation.estimates import Estimate, losses_of, mean_of_faces
from featurekit.evaluation.outcomes import Outcomes
from featurekit.evaluation.slices import Slice, different, in_order, labels_of_faces
from featurekit.registry import unknown
from featurekit.uncertainty.resampling import FEWEST, RESAMPLES, interval, per_subject, ratio, resampled_sums

# Disparities of the score of any target: between two groups, and between a group and all faces of the groups.
OF_SCORE = ("difference", "ratio", "difference_to_overall", "ratio_to_overall")
# Further disparities for a target of two classes; the ratios differ between the classes.
OF_CLASSES = (
    *("demographic_parity_difference", "demographic_parity_ratio"),
    *("equalized_odds_difference", "equalized_odds_ratio"),
)
_GAP, _RATIO = "gap_to_reference", "ratio_to_reference"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The score of a model on the faces with one label, compared with a reference group.

    Attributes:
        label: the label.
        n_faces, n_subjects: number of faces and of subjects in the group.
        score: accuracy, or mean absolute error in years; None for fewer than FEWEST subjects.
        gap: how much better the model is on the group than on the reference group, negative if it is worse: a
            share of faces, or years. None for the reference group itself and for fewer than FEWEST subjects.
        ratio: score of the group divided by the score of the reference group; None like gap, and if the score
            of the reference group is 0.
    """

    label: str
    n_faces: int
    n_subjects: int
    score: Estimate | None
    gap: Estimate | None = None
    ratio: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Disparity:
    """One number that says how much groups differ.

    Attributes:
        name: one of OF_SCORE and OF_CLASSES.
        predicted: the class that a ratio of OF_CLASSES is about; "" for all others.
        value: the number. A difference is 0 and a ratio is 1 if all groups are equal. The confidence
            interval is that of the two groups that differ most, so it has numbers below 0, or above 1, where
            the order of the groups is not certain. Among many groups two differ by chance alone, which the
            interval does not show; the gaps of slices are tested.
    """

    name: str
    predicted: str
    value: Estimate


@dataclass(frozen=True, kw_only=True)
class Disparities:
    """How much the scores of a model differ between the groups of one column of labels.

    Attributes:
        column: name of the column, e.g. "gender".
        reference: label of the reference group, by default of the group with most subjects; "" if no group
            has FEWEST subjects.
        groups: the groups in the order of their labels.
        disparities: the numbers; empty if fewer than two groups have FEWEST subjects. They are computed from
            the faces of the groups that have so many.
    """

    column: str
    reference: str
    groups: tuple[Group, ...]
    disparities: tuple[Disparity, ...]

    @property
    def small(self) -> tuple[Group, ...]:
        """The groups with too few subjects for a number."""
        return tuple(one for one in self.groups if one.score is None)


def disparities_of(
    outcomes: Outcomes,
    target: Target,
    table: pd.DataFrame,
    seed: int,
    *,
    column: str | None = None,
    reference: str | None = None,
    known: Iterable[Slice] = (),
) -> tuple[Disparities, ...]:
    """Return the disparities between the groups of each column of labels, or of one column.

    Args:
        outcomes: the outcomes that the table is from; they have the labels.
        target: the target of the model.
        table: outcomes of the model, as described in featurekit.evaluation.outcomes.
        seed: seed of the random number generator.
        column: name of the column; None for all columns with different labels.
        reference: label of the reference group of this column; None for the group with most subjects.
        known: slices of the model with this seed, whose scores need not be computed again.

    Raises:
        UnknownNameError: there is no such column or label.
        ModelError: a reference is given without a column, or the reference group has too few subjects.
    """
    own, names = labels_of_faces(outcomes, table)
    labels = {name: own[name].to_numpy(dtype=str) for name in names}
    if column is None:
        if reference is not None:
            raise ModelError(f"Name the column that has the reference group {reference!r}.")
        scores = {(*one.columns, *one.labels): one.estimate for one in known if one.estimate}
        return tuple(_of_column(target, table, *one, seed, known=scores) for one in different(labels).items())
    if column not in labels:
        raise UnknownNameError(unknown("column of labels", column, names))
    return (_of_column(target, table, column, labels[column], seed, reference),)


def _of_column(
    target: Target,
    table: pd.DataFrame,
    column: str,
    labels: NDArray[np.str_],
    seed: int,
    reference: str | None = None,
    known: Mapping[tuple[str, ...], Estimate] | None = None,
) -> Disparities:
    subjects, losses = table["subject"].to_numpy(), losses_of(target, table)
    scores = losses if target.is_regression else 1 - losses
    members = {label: labels == label for label in in_order(column, labels)}
    n_subjects = {label: len(np.unique(subjects[chosen])) for label, chosen in members.items()}
    enough = [label for label, n in n_subjects.items() if n >= FEWEST]
    reference = _reference(column, reference, n_subjects)
    found: dict[tuple[str, str], Estimate] = {}
    if len(enough) > 1:
        chosen = [members[label] for label in enough]
        compared = _Compared(
            groups=tuple(enough),
            reference=reference,
            classes=_compared_classes(column, target, table, chosen),
            sign=-1 if target.is_regression else 1,
        )
        found = compared.estimates(per_subject(compared.columns(table, scores, chosen), subjects), seed)
    own = dict(known or {})
    for label in enough:
        if (column, label) not in own:
            faces = members[label]
            own[column, label] = mean_of_faces(scores[faces], subjects[faces], seed)
    return Disparities(
        column=column,
        reference=reference,
        groups=tuple(
            Group(
                label=label,
                n_faces=int(faces.sum()),
                n_subjects=n_subjects[label],
                score=own[column, label] if label in enough else None,
                gap=found.get((_GAP, label)),
                ratio=found.get((_RATIO, label)),
            )
            for label, faces in members.items()
        ),
        disparities=tuple(
            Disparity(name=name, predicted=predicted, value=value)
            for (name, predicted), value in found.items()
            if name not in (_GAP, _RATIO)
        ),
    )


def _reference(column: str, asked: str | None, n_subjects: Mapping[str, int]) -> str:
    """Return the label of the reference group, the first of the largest groups if none is asked for."""
    if asked is None:
        largest = max(n_subjects, key=lambda label: n_subjects[label], default="")
        return largest if n_subjects.get(largest, 0) >= FEWEST else ""
    if asked not in n_subjects:
        raise UnknownNameError(unknown(f"label of {column}", asked, list(n_subjects)))
    if n_subjects[asked] < FEWEST:
        raise ModelError(
            f"The group {asked} of {column} has {n_subjects[asked]} subjects, and a reference group needs at"
            f" least {FEWEST}."
        )
    return asked


def _compared_classes(
    column: str, target: Target, table: pd.DataFrame, chosen: Sequence[NDArray[np.bool_]]
) -> tuple[str, ...]:
    """Return the classes whose predictions are compared: both of two classes, else none.

    Where each group has faces of one class only, the column says what the target says. Then there is nothing
    to compare except the score, which is the recall of a class.
    """
    true = table["true"].to_numpy()
    has_both = any(len(set(true[own].tolist())) > 1 for own in chosen)
    return target.classes if len(target.classes) == 2 and column != target.name and has_both else ()


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """What is computed from sums over the faces of groups.

    Attributes:
        groups: labels of the groups.
        reference: label of the reference group.
        classes: the classes whose predictions are compared, two or none.
        sign: 1 if higher scores are better, -1 if lower ones are.
    """

    groups: tuple[str, ...]
    reference: str
    classes: tuple[str, ...]
    sign: int

    def columns(
        self, table: pd.DataFrame, scores: NDArray[np.float64], chosen: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.float64]:
        """Return the numbers whose sums are needed, for each face, shape (n_faces, n_groups × n_columns).

        The columns of a group are 1 and the score, and for each class whether it is true, predicted, or both.

        Args:
            table: outcomes of the model.
            scores: score of each face, shape (n_faces,).
            chosen: mask of the faces of each group.
        """
        columns = [np.ones(len(table)), scores]
        for label in self.classes:
            is_true, is_said = (table[name].to_numpy() == label for name in ("true", "predicted"))
            columns += [is_true.astype(float), is_said.astype(float), (is_true & is_said).astype(float)]
        return np.stack([own * column for own in chosen for column in columns], axis=1)

    def estimates(self, of_each: NDArray[np.float64], seed: int) -> dict[tuple[str, str], Estimate]:
        """Return each finite number with its confidence interval, by its name, and its label or class.

        Args:
            of_each: sums of the columns over the faces of each subject, shape (n_subjects, n).
            seed: seed of the random number generator.
        """
        sums = of_each.sum(axis=0).reshape(len(self.groups), -1)
        real = self._values(sums, sums)
        drawn = self._values(resampled_sums(of_each, seed=seed).reshape(RESAMPLES, *sums.shape), sums)
        found = {}
        for key, value in real.items():
            if np.isfinite(value):
                between = interval(drawn[key])
                found[key] = Estimate(float(value), between.low, between.high)
        return found

    def _values(
        self, sums: NDArray[np.float64], real: NDArray[np.float64]
    ) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Return all numbers.

        Args:
            sums: sums of the columns of each group, shape (..., n_groups, n_columns).
            real: the same sums without resampling, shape (n_groups, n_columns). They decide which groups are
                compared: the ones that differ most.
        """
        score, of_real = _of_score(sums), _of_score(real)
        at = self.groups.index(self.reference)
        found = {}
        for number, label in enumerate(self.groups):
            if number != at:
                found[_GAP, label] = self.sign * (score[..., number] - score[..., at])
                found[_RATIO, label] = ratio(score[..., number], score[..., at])
        all_groups, all_real = _of_score(sums.sum(-2)), _of_score(real.sum(-2))
        farthest = int(np.argmax(np.abs(of_real - all_real)))
        sign = -1 if of_real[farthest] < all_real else 1
        ratios = np.minimum(ratio(of_real, all_real), ratio(all_real, of_real))
        other = int(np.argmin(ratios))
        pair = (score[..., other], all_groups)
        found |= {
            ("difference", ""): _range(score, of_real),
            ("ratio", ""): _least_ratio(score, of_real),
            ("difference_to_overall", ""): sign * (score[..., farthest] - all_groups),
            ("ratio_to_overall", ""): ratio(*(pair if of_real[other] <= all_real else pair[::-1])),
        }
        return found | self._values_of_classes(sums, real)

    def _values_of_classes(
        self, sums: NDArray[np.float64], real: NDArray[np.float64]
    ) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Return the numbers of OF_CLASSES; see _values()."""
        found, parity, odds = {}, [], []
        for number, label in enumerate(self.classes):
            selected, *rates = (
                (of_sums, of_real)
                for of_sums, of_real in zip(_rates(sums, number), _rates(real, number), strict=True)
            )
            parity.append(selected)
            odds += rates
            found["demographic_parity_ratio", label] = _least_ratio(*selected)
            found["equalized_odds_ratio", label] = _least_ratio(
                *rates[_most(rates, lambda r: -_least_ratio(r, r))]
            )
        if self.classes:
            # They are equal for both classes, unless a model predicts neither of them for some faces.
            for name, known in (
                ("demographic_parity_difference", parity),
                ("equalized_odds_difference", odds),
            ):
                found[name, ""] = _range(*known[_most(known, lambda r: _range(r, r))])
        return found


def _of_score(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean score from sums, shape (..., n_columns)."""
    return ratio(sums[..., 1], sums[..., 0])


def _rates(sums: NDArray[np.float64], number: int) -> tuple[NDArray[np.float64], ...]:
    """Return the selection rate of a class, and the rates of true and of false positives, in each group."""
    n, (true, said, both) = sums[..., 0], np.moveaxis(sums[..., 2 + 3 * number : 5 + 3 * number], -1, 0)
    return ratio(said, n), ratio(both, true), ratio(said - both, n - true)


# Rates of groups, shape (..., n_groups), and the same rates without resampling, shape (n_groups,).
_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def _most(rates: Sequence[_Pair], size: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> int:
    """Return the number of the rates that differ most without resampling."""
    return int(np.argmax([size(real) for _, real in rates]))


def _range(values: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the difference of the groups with the largest and the smallest real value."""
    least, most = _ends(real)
    return np.asarray(values[..., most] - values[..., least])


def _least_ratio(values: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ratio of the groups with the smallest and the largest real value."""
    least, most = _ends(real)
    return ratio(values[..., least], values[..., most])


def _ends(real: NDArray[np.float64]) -> tuple[int, int]:
    """Return the numbers of two groups, with the smallest and the largest value, NaN counting as largest."""
    order = np.argsort(real, kind="stable")
    return int(order[0]), int(order[-1])
