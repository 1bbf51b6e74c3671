"""How much the scores of the best model differ between groups: a table by label, and one by group."""

from collections.abc import Sequence
from dataclasses import replace

from featurekit.evaluation.disparities import Disparities, Group
from featurekit.evaluation.scores import ScoreKind, score_kind
from featurekit.report.cells import (
    ABSENT,
    SHARE,
    count_cell,
    estimate_cell,
    gain_interval_cell,
    interval_cell,
    sentences,
    words,
)
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked
from featurekit.uncertainty.resampling import FEWEST

_RATIO = ScoreKind("ratio", "Ratio")


def blocks(of: Ranked) -> Blocks:
    """Return two folded tables on the groups of each label; nothing if no label has two groups to compare."""
    found = [one for one in of.evidence.disparities if one.disparities] if of.evidence else []
    return [_by_label(of, found), _by_group(of, found)] if found else []


def _by_label(of: Ranked, found: Sequence[Disparities]) -> Table:
    """Return a table with a row for each label: the differences and ratios between its groups."""
    assert of.evidence is not None
    kind = score_kind(of.evidence.score)
    points = kind.unit_of_difference
    names = [
        ("difference", f"{kind.title} between groups", points),
        ("ratio", f"{kind.title} between groups", ""),
        ("difference_to_overall", "To all of them", points),
        ("ratio_to_overall", "To all of them", ""),
        ("demographic_parity_difference", "Demographic parity", "points"),
        ("demographic_parity_ratio", "Demographic parity", ""),
        ("equalized_odds_difference", "Equalized odds", "points"),
        ("equalized_odds_ratio", "Equalized odds", ""),
    ]
    columns = (
        Column("Label"),
        *(
            Column(
                "Difference" if unit else "Ratio", unit, others=("low", "high"), group=group, is_number=True
            )
            for _, group, unit in names
        ),
    )
    rows = tuple(
        (Cell(words(one.column)), *(_disparity_cell(kind, one, name, unit) for name, _, unit in names))
        for one in found
    )
    has_classes = any(each.name.startswith("demographic") for one in found for each in one.disparities)
    note = sentences(
        f"The groups of a label are the faces with each of its values, if they have {FEWEST} subjects or"
        " more. Between groups: the largest minus the smallest score, and the smallest divided by the"
        " largest. To all of them: the largest difference, and the smallest ratio, between a group and all"
        " groups together.",
        "Demographic parity compares how often a class is predicted, whatever the true class, so it also"
        " differs where the groups have other true classes. Equalized odds compares how often a class is"
        " predicted for the faces of each true class, and is the value of the true class for which the groups"
        " differ most. Their ratios are given for the predicted class for which they are smaller, with its"
        " name. Neither is given for a label that says what the true class is."
        if has_classes
        else "",
        "If all groups were equal, a difference would be 0 and a ratio 1. Small numbers are 95 % confidence"
        " intervals over subjects, of the two groups that differ most. Among many groups two differ by chance"
        " alone, so the intervals are no test; the gaps of the slices are tested. The values are those of"
        " fairlearn.",
    )
    table = Table(f"{of.title}: disparities of {of.best_model}", columns, rows, note, is_folded=True)
    return table.without_empty_columns(ABSENT)


def _disparity_cell(kind: ScoreKind, one: Disparities, name: str, unit: str) -> Cell:
    """Return the cell of a disparity; of the ratios of two classes, it has the smaller one."""
    found = [each for each in one.disparities if each.name == name]
    if not found:
        return Cell(ABSENT)
    least = min(found, key=lambda each: each.value.value)
    # Rates are shares, whatever the score is.
    shown = _RATIO if not unit else SHARE if unit == "points" else kind
    value, low, high = (least.value.value, least.value.low, least.value.high)
    ends = f"{shown.format(low)} to {shown.format(high)}".replace("-", "−")
    return replace(interval_cell(shown, value, low, high, tag=least.predicted), count=ends)


def _by_group(of: Ranked, found: Sequence[Disparities]) -> Table:
    """Return a table with a row for each group, which is compared with the reference group of its label."""
    assert of.evidence is not None
    kind = score_kind(of.evidence.score)
    columns = (
        Column("Label"),
        Column("Group"),
        Column(kind.title, kind.unit, others=("low", "high"), is_number=True),
        Column("Gap to the reference group", kind.unit_of_difference, others=("low", "high"), is_number=True),
        Column("Ratio to the reference group", others=("low", "high"), is_number=True),
        Column("Faces", is_number=True),
        Column("Subjects", is_number=True),
    )
    rows = tuple(
        (
            Cell(words(one.column)),
            Cell(group.label, tag="reference" if group.label == one.reference else ""),
            *_group_cells(kind, group),
            count_cell(group.n_faces),
            count_cell(group.n_subjects),
        )
        for one in found
        for group in one.groups
    )
    small = [f"{words(one.column)} {group.label}" for one in found for group in one.small]
    note = sentences(
        "The reference group of a label is the group with most subjects. The gap is negative if the model is"
        " worse on the group than on the reference group. The ratio is the score of the group divided by that"
        " of the reference group. Small numbers are 95 % confidence intervals over subjects.",
        f"Groups with fewer than {FEWEST} subjects have no number: {', '.join(small)}." if small else "",
    )
    caption = f"{of.title}: groups of faces against a reference group"
    return Table(caption, columns, rows, note, n_names=2, is_folded=True)


def _group_cells(kind: ScoreKind, group: Group) -> tuple[Cell, Cell, Cell]:
    gap, ratio = group.gap, group.ratio
    return (
        estimate_cell(kind, group.score),
        gain_interval_cell(kind, gap.value, gap.low, gap.high) if gap else Cell(ABSENT),
        interval_cell(_RATIO, ratio.value, ratio.low, ratio.high) if ratio else Cell(ABSENT),
    )
