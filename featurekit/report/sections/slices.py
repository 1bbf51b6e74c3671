"""The scores on slices of the data: the best model in a figure and a table, and others beside it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pandas as pd

from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import (
    ABSENT,
    amount,
    axis_label,
    count_cell,
    estimate_cell,
    gain_cell,
    p_value,
    sentences,
    words,
)
from featurekit.report.displays.slices import SlicesDisplay, slice_name
from featurekit.report.dot_plot import Point, dot_plot
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, pooled_beside_mean
from featurekit.report.svg import figure
from featurekit.uncertainty.resampling import FEWEST

_WORST = 10  # slices that are drawn


def blocks(of: Ranked) -> Blocks:
    """Return a figure of the slices on which the best model is worst, and tables of all and of other models.

    The tables are folded away if there is a figure. There is nothing without slices.
    """
    if of.evidence is None or not of.evidence.slices:
        return []
    display = SlicesDisplay.find(of, most=_WORST)
    beside = _beside(of)
    return [_plot(of, display) if display else None, _table(of, display), *([beside] if beside else [])]


def _plot(of: Ranked, display: SlicesDisplay) -> Figure:
    kind = display.kind
    points = [_point("all faces", kind, display.overall, "all faces")]
    points += [
        _point(_short_name(one), kind, one.estimate, "worse" if one.is_worse else "better" * one.is_better)
        for one in display.slices
        if one.estimate
    ]
    is_cut = len(display.slices) < display.n_known
    drawn = f"the worst {len(display.slices)} of {display.n_known}" if is_cut else "worst first"
    caption = f"{of.title}: {of.best_model} on slices of the data, {drawn}"
    roles = {one.role for one in points}
    note = sentences(
        "A slice is the set of faces with one label, or with two labels. The bars are 95 % confidence"
        " intervals over subjects; the dashed line is the score on all faces.",
        "Filled diamonds: the model is significantly worse on the slice than on all other faces (p ≤ 0.05)."
        if "worse" in roles
        else "There is no evidence that the model is worse on one of them than on all other faces.",
        "Hollow diamonds: it is significantly better." if "better" in roles else "",
        pooled_beside_mean(of, display.kind, display.overall.value),
    )
    summary = (
        f"{caption}. Dot plot of {axis_label(kind)}. All faces: {points[0].shown}. Worst: {points[1].label},"
        f" {points[1].shown}. The table below has every number."
    )
    return figure(caption, note, summary, dot_plot, points, kind, numbers=_numbers(display))


def _numbers(display: SlicesDisplay) -> pd.DataFrame:
    """Return the numbers of the figure: those of the slices, below those of all faces."""
    overall = {"slice": "all faces", "score": display.kind.name, **asdict(display.overall)}
    return pd.concat([pd.DataFrame([overall]), display.frame()])


def _short_name(one: Slice) -> str:
    """Return the name of a slice in the figure: a narrow screen has room for "female, age 38-43"."""
    known = {"gender": "", "age_group": "age "}
    return ", ".join(
        known.get(name, f"{words(name)} ") + label
        for name, label in zip(one.columns, one.labels, strict=True)
    )


def _point(label: str, kind: ScoreKind, found: Estimate, role: str) -> Point:
    value, low, high = (number * kind.scale for number in (found.value, found.low, found.high))
    shown = f"{kind.format(found.value)} ({kind.format(found.low)}–{kind.format(found.high)})"
    return Point(label, value, low, high, shown, role)


def slices_table(slices: Sequence[Slice], kind: ScoreKind, caption: str, note: str, **layout: Any) -> Table:
    """Return a table of the scores of a model on slices, with the gaps to all other faces.

    Args:
        slices: the slices, worst first.
        kind: kind of the score.
        caption: caption of the table.
        note: explanation of the table.
        layout: other fields of the Table.
    """
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
        for one in slices
    )
    return Table(caption, columns, rows, note, **layout)


def _table(of: Ranked, display: SlicesDisplay | None) -> Table:
    """Return the table of all slices, worst first, open if there is no figure."""
    assert of.evidence is not None
    slices = of.evidence.slices
    n_gaps = sum(one.gap_p is not None for one in slices)
    note = sentences(
        _on_all_faces(display) if display else "",
        pooled_beside_mean(of, display.kind, display.overall.value) if display else "",
        "Small numbers are the 95 % confidence interval over subjects, and the p-value of the gap. The gap is"
        " the difference from the score on all other faces; it is negative if the model is worse on the"
        f" slice. The {n_gaps} gaps are tested together, by a permutation test that exchanges the labels of"
        " whole subjects (step-down max-T). Bold: the model is significantly worse on the slice (p ≤ 0.05)."
        f" Slices with fewer than {FEWEST} subjects have no score, and there is no gap if the other faces"
        f" have fewer than {FEWEST} subjects.",
    )
    caption = f"{of.title}: {of.best_model} on slices of the data, the table of all {len(slices)}"
    kind = score_kind(of.evidence.score)
    return slices_table(slices, kind, caption, note, is_folded=display is not None, is_sortable=True)


def _beside(of: Ranked) -> Table | None:
    """Return the scores of the best model and of those that are looked at beside it, a column for each."""
    assert of.evidence is not None
    found = {name: slices for name, slices in of.evidence.slices_of_runs.items() if slices}
    if len(found) == 1:
        return None
    kind, runs = score_kind(of.evidence.score), {run.name: run for run in of.runs}
    by_labels = {name: {(one.columns, one.labels): one for one in own} for name, own in found.items()}
    columns = (
        Column("Slice"),
        *(Column(of.named(runs[name]), kind.unit, others=("low", "high"), is_number=True) for name in found),
    )
    rows = tuple(
        (
            Cell(slice_name(one)),
            *(_slice_cell(kind, own.get((one.columns, one.labels))) for own in by_labels.values()),
        )
        for one in of.evidence.slices
        if one.estimate
    )
    note = (
        "Small numbers are 95 % confidence intervals over subjects. Bold: the model is significantly worse on"
        " the slice than on all other faces (p ≤ 0.05; the gaps of a model are tested together). The slices"
        " are sorted by the score of the first model."
    )
    return Table(
        f"{of.title}: slices of the data, models side by side",
        columns,
        rows,
        note,
        is_folded=True,
        is_sortable=True,
    )


def _slice_cell(kind: ScoreKind, one: Slice | None) -> Cell:
    if one is None:
        return Cell(ABSENT)
    return replace(estimate_cell(kind, one.estimate), is_strong=one.is_worse)


def _on_all_faces(display: SlicesDisplay) -> str:
    kind, overall = display.kind, display.overall
    low, high = kind.format(overall.low), kind.format(overall.high)
    value = f"{kind.format(overall.value)} {kind.unit}".strip()
    return f"On all faces, the {score_word(kind)} is {value} ({low}–{high})."


def worst_in_words(evidence: TargetEvidence) -> str:
    """Return sentences on the worst slice with one label and the worst with two labels; "" without slices."""
    kind = score_kind(evidence.score)
    # The slices are worst first: read from the end, the worst one is the last that is kept.
    worst = {len(one.columns): one for one in reversed(evidence.slices) if one.estimate}
    # With two labels, only what is worse than all other faces says more than the worst label does.
    worst = {n: one for n, one in worst.items() if n == min(worst) or (one.gap or 0.0) < 0}
    n_small = sum(one.estimate is None for one in evidence.slices)
    is_tested = any(one.gap_p is not None for one in evidence.slices)
    none = "None is shown to be worse than all other faces. The worst is" if is_tested else ""
    return sentences(
        none if not any(one.is_worse for one in evidence.slices) else "",
        *(_described(kind, worst[n], is_first=n == min(worst)) for n in sorted(worst)),
        f"Too few subjects for a score: {n_small} of {len(evidence.slices)} slices." if n_small else "",
    )


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
