"""The scores of the best model on slices of the data: a table of all slices, a sentence on the worst."""

from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import ABSENT, amount, count_cell, estimate_cell, gain_cell, p_value
from featurekit.report.displays.slices import slice_name
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked
from featurekit.uncertainty.resampling import FEWEST

_WORST = 8  # slices that are not folded away


def blocks(of: Ranked) -> Blocks:
    """Return a table of the scores of the best model on each slice, worst first; nothing without slices."""
    if of.evidence is None or not of.evidence.slices:
        return []
    kind = score_kind(of.evidence.score)
    columns = (
        Column("Slice"),
        Column(kind.title, kind.unit, others=("low", "high"), is_number=True),
        Column("Gap to all other faces", kind.unit_of_difference, others=("p",), is_number=True),
        Column("Faces", is_number=True),
        Column("Subjects", is_number=True),
    )
    rows = tuple(
        (
            Cell(slice_name(one)),
            estimate_cell(kind, one.estimate),
            Cell(ABSENT)
            if one.gap is None or one.gap_p is None
            else gain_cell(kind, one.gap, one.gap_p, is_strong=one.is_worse),
            count_cell(one.n_faces),
            count_cell(one.n_subjects),
        )
        for one in of.evidence.slices
    )
    n_gaps = sum(one.gap_p is not None for one in of.evidence.slices)
    note = (
        "A slice is the set of faces with one label, or with two labels. Small numbers are the 95 %"
        " confidence interval over subjects, and the p-value of the gap. The gap is the difference from the"
        " score on all other faces; it is negative if the model is worse on the slice. The"
        f" {n_gaps} gaps are tested together, by a permutation test that exchanges the labels of whole"
        " subjects (step-down max-T). Bold: the model is significantly worse on the slice (p ≤ 0.05). Slices"
        f" with fewer than {FEWEST} subjects have no score, and there is no gap if the other faces have fewer"
        f" than {FEWEST} subjects."
    )
    caption = f"{of.title}: {of.best_model} on slices of the data, worst first"
    if len(rows) <= _WORST + 2:
        return [Table(caption, columns, rows, note, is_sortable=True)]
    caption += f": the worst {_WORST} of {len(rows)}"
    others = Table(f"{of.title}: all other slices", columns, rows[_WORST:], is_folded=True, is_sortable=True)
    return [Table(caption, columns, rows[:_WORST], note, is_sortable=True), others]


def worst_in_words(evidence: TargetEvidence) -> str:
    """Return sentences on the worst slice with one label and the worst with two labels; "" without slices."""
    kind = score_kind(evidence.score)
    # The slices are worst first: read from the end, the worst one is the last that is kept.
    worst = {len(one.columns): one for one in reversed(evidence.slices) if one.estimate}
    return " ".join(_described(kind, worst[n], is_first=n == min(worst)) for n in sorted(worst))


def _described(kind: ScoreKind, one: Slice, *, is_first: bool) -> str:
    assert one.estimate is not None
    value, low, high = (kind.format(x) for x in (one.estimate.value, one.estimate.low, one.estimate.high))
    # The first slice says what is compared; the first screen has no room to say it twice.
    name = f"{slice_name(one)}: {score_word(kind)}" if is_first else f"With two labels, {slice_name(one)}:"
    text = f"{name} {f'{value} {kind.unit}'.strip()} ({low} to {high}) for {one.n_subjects:,} subjects"
    if one.gap is None or one.gap_p is None:
        return f"{text}; the gap to all other faces is not tested."
    gap = f"{amount(kind, one.gap)} {'worse' if one.gap < 0 else 'better'}"
    gap += " than on all other faces" if is_first else ""
    shown = "" if one.gap_p <= ALPHA else "no evidence of a difference, "
    return f"{text}, {gap} ({shown}{p_value(one.gap_p)})."
