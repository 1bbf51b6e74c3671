"""The scores of the best model on slices of the data: all in a table, and the worst in a sentence."""

from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.score_kinds import ScoreKind, score_kind, score_word, signed
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import ABSENT, count_cell, in_range, p_value
from featurekit.report.displays.slices import slice_name
from featurekit.report.model import Block, Cell, Column, Table
from featurekit.report.select import Ranked
from featurekit.uncertainty.intervals import FEWEST


def blocks(of: Ranked) -> list[Block]:
    """Return the scores of the best model on each slice."""
    caption = f"{of.title}: {of.whose} on slices of the data, worst first" if of.evidence else ""
    table = slices_table(of.evidence, caption) if of.evidence else None
    return [table] if table else []


def slices_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return the scores of the best model on each slice, worst first; None if there are no slices."""
    if not evidence.slices:
        return None
    kind = score_kind(evidence.score)
    columns = (
        Column("Slice"),
        Column(kind.title, kind.unit, others=("low", "high"), is_number=True),
        Column("Gap to all other faces", kind.unit_of_difference, others=("p",), is_number=True),
        Column("Faces", is_number=True),
        Column("Subjects", is_number=True),
    )
    rows = []
    for one in evidence.slices:
        score, gap = Cell("not enough data"), Cell(ABSENT)
        if one.estimate:
            value = round(one.estimate.value * kind.scale, 6)
            score = Cell(kind.format(one.estimate.value), value, **in_range(kind, one.estimate))
        if one.gap is not None and one.gap_p is not None:
            gap = Cell(
                signed(kind, one.gap),
                round(one.gap * kind.scale, 6),
                count=p_value(one.gap_p),
                others=(one.gap_p,),
                is_strong=one.is_worse,
            )
        rows.append((Cell(slice_name(one)), score, gap, count_cell(one.n_faces), count_cell(one.n_subjects)))
    n_gaps = sum(one.gap_p is not None for one in evidence.slices)
    note = (
        "A slice holds the faces with one label, or with two labels. Small numbers are the 95 % confidence"
        " interval over subjects, and the p-value of the gap. The gap is the difference from all other faces;"
        f" it is negative if the model is worse on the slice. The {n_gaps} gaps are tested together, by a"
        " permutation test that exchanges the labels of whole subjects (step-down max-T). Bold: the model is"
        f" significantly worse on the slice (p ≤ 0.05). Slices of fewer than {FEWEST} subjects have no score,"
        f" and no gap is given if the other faces are of fewer than {FEWEST} subjects."
    )
    return Table(caption, columns, tuple(rows), note, is_sortable=True)


def worst_in_words(evidence: TargetEvidence) -> str:
    """Return the worst slice of one label and the worst of two labels, each with its gap; "" if none."""
    kind = score_kind(evidence.score)
    said: list[str] = []
    for n_labels in (1, 2):
        for one in evidence.slices:  # worst first
            if one.estimate and len(one.columns) == n_labels:
                # The first slice says what is compared; the first screen has no room to say it twice.
                before = "With two labels, " if said else ""
                said.append(f"{before}{slice_name(one)}: {_described(kind, one, is_first=not said)}.")
                break
    return " ".join(said)


def _described(kind: ScoreKind, one: Slice, *, is_first: bool) -> str:
    assert one.estimate is not None
    value, low, high = (kind.format(x) for x in (one.estimate.value, one.estimate.low, one.estimate.high))
    unit = f" {kind.unit}" if kind.unit else ""
    score = f"{score_word(kind)} " if is_first else ""
    text = f"{score}{value}{unit} ({low} to {high}) for {one.n_subjects:,} subjects"
    if one.gap is None or one.gap_p is None:
        return f"{text}; the gap to all other faces is not tested"
    far = f"{kind.format(abs(one.gap))} {kind.unit_of_difference}".strip()
    shown = "" if one.gap_p <= ALPHA else "no evidence of a difference, "
    text += f", {far} {'worse' if one.gap < 0 else 'better'}{' than on all other faces' if is_first else ''}"
    return f"{text} ({shown}{p_value(one.gap_p)})"
