"""For whom the best model fails: the table of all slices, and the worst of them in a sentence."""

from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.score_kinds import ScoreKind, score_kind, signed
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import ABSENT, count_cell, in_range, p_value
from featurekit.report.displays.slices import slice_name
from featurekit.report.model import Block, Cell, Column, Table
from featurekit.report.select import Ranked
from featurekit.uncertainty.intervals import FEWEST


def blocks(of: Ranked) -> list[Block]:
    """Return how the best model reads faces of each label."""
    table = slices_table(of.evidence, f"{of.title}: for whom {of.whose} fails") if of.evidence else None
    return [table] if table else []


def slices_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return how the best model reads faces of each label, worst first."""
    if not evidence.slices:
        return None
    kind = score_kind(evidence.score)
    columns = (
        Column("Faces with"),
        Column(kind.title, kind.unit, others=("from", "to"), is_number=True),
        Column("Against all other faces", kind.unit_of_difference, others=("p",), is_number=True),
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
    note = (
        "Worst first. Small numbers: the 95 % interval over subjects, and the p-value of the gap to all other"
        f" faces; below 0 these faces are read worse. The"
        f" {sum(one.gap_p is not None for one in evidence.slices)} gaps are tested together (whole subjects"
        f" exchange their labels at random, step-down max-T). Bold: shown to be read worse (p ≤ 0.05). Of"
        f" fewer than {FEWEST} subjects no number is given, and where all others are fewer no gap."
    )
    return Table(caption, columns, tuple(rows), note, is_sortable=True)


def worst_in_words(evidence: TargetEvidence) -> str:
    """Return the worst label and the worst two labels together, each with its gap; "" where there is none."""
    kind = score_kind(evidence.score)
    said = []
    for n_labels, before in ((1, "Faces with"), (2, "Two labels together:")):
        for one in evidence.slices:  # worst first
            if one.estimate and len(one.columns) == n_labels:
                said.append(f"{before} {slice_name(one)}: {_described(kind, one)}.")
                break
    return " ".join(said)


def _described(kind: ScoreKind, one: Slice) -> str:
    assert one.estimate is not None
    value, low, high = (kind.format(x) for x in (one.estimate.value, one.estimate.low, one.estimate.high))
    unit = f" {kind.unit}" if kind.unit else ""
    text = f"{value}{unit} ({low} to {high}) of {one.n_subjects:,} subjects"
    if one.gap is None or one.gap_p is None:
        return f"{text}; the gap to all other faces is not tested"
    far = f"{kind.format(abs(one.gap))} {kind.unit_of_difference}".strip()
    shown = "" if one.gap_p <= ALPHA else "no evidence of a difference, "
    text += f", {far} {'worse' if one.gap < 0 else 'better'} than all others"
    return f"{text} ({shown}{p_value(one.gap_p)})"
