"""All models of a target, best first, with their scores, times and sizes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import SCORES, ScoreKind, score_kind, score_word
from featurekit.evaluation.timing import timed_on
from featurekit.report.cells import ABSENT, count_cell, finite, in_range, seconds_cell, size_cell
from featurekit.report.displays.accuracy import MOST, AccuracyDisplay
from featurekit.report.displays.words import axis_label
from featurekit.report.model import FOUND, Block, Cell, Column, Figure, Table, Text
from featurekit.report.select import (
    Ranked,
    best_first,
    elsewhere_note,
    headline,
    machine_of,
    role,
)
from featurekit.report.svg import Point, dot_plot
from featurekit.text import first_few

_ON_ALL_ROWS = ("accuracy", "within_one_group")  # scores that are shown on all rows too


def blocks(of: Ranked) -> list[Block]:
    """Return a description of the comparison, the table of scores, and the scores as a figure."""
    about = Text(_about(of))
    table = scores_table(of.runs, f"{of.title}: all models, best first", of.evidence)
    plot = _plot(of, f"{of.title}: {score_word(headline(of.runs))} of all models")
    return [about, table, plot] if plot else [about, table]


def _about(of: Ranked) -> str:
    classes = of.runs[0].classes
    counts = {(run.n_tested, run.n_subjects) for run in of.runs}
    n_tested, n_subjects = max(counts)
    about = (
        f"There are {len(classes)} classes: {first_few(classes, 11)}."
        if classes
        else "This is a regression target, in years."
    )
    without = "this face" if n_tested == n_subjects else "any face of its subject"
    about += (
        f" The scores are computed on {n_tested:,} faces of {n_subjects:,} subjects. The prediction of"
        f" each face comes from a model that was fitted without {without}."
    )
    if len(counts) > 1:
        about += " The number of faces is not the same for all runs; see the column Faces."
    evidence = of.evidence
    if evidence and evidence.n_faces > evidence.n_subjects:
        about += (
            " Some subjects have more faces than others. The effective sample size (Kish) is"
            f" {evidence.effective_subjects:,.0f} subjects with the same number of faces each."
        )
    return about


def scores_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence | None) -> Table:
    """Return the table of one target, best run first, with confidence intervals if there is evidence."""
    ordered, machine = best_first(runs), machine_of(runs)
    # A score that most runs lack (they were made before it was known) would be a column of gaps.
    found = [
        kind
        for kind in _score_kinds(run.scores for run in runs)
        if 2 * sum(kind.name in run.scores for run in runs) >= len(runs) or kind == headline(runs)
    ]
    everywhere = [k for k in _score_kinds(run.scores_all_rows for run in runs) if k.name in _ON_ALL_ROWS]
    n_tested = sorted({run.n_tested for run in runs})
    estimates = evidence.estimates if evidence else {}
    sure = {name for of_run in estimates.values() for name in of_run}
    columns = [Column("Features", is_code=True), Column("Model", is_code=True)]
    columns += [
        Column(
            kind.title,
            kind.unit,
            others=("low", "high") if group == FOUND and kind.name in sure else ("std",),
            group=group,
            is_number=True,
        )
        for group, kinds in ((FOUND, found), ("on all rows", everywhere))
        for kind in kinds
    ]
    if len(n_tested) > 1:
        columns.append(Column("Faces", is_number=True))
    columns += [
        Column("Extract", group="seconds", is_number=True, is_time=True),
        Column("Fit", group="seconds", is_number=True, is_time=True),
        Column("Predict", "per 1,000", group="seconds", is_number=True, is_time=True),
        Column("Size", is_number=True, copied_unit="bytes"),
    ]
    rows = []
    for run in ordered:
        cells = [Cell(run.features), Cell(run.classifier_name, tag=role(run))]
        for kinds, on_all in ((found, False), (everywhere, True)):
            for kind in kinds:
                best = _best(ordered, kind, on_all)
                between = None if on_all else estimates.get(run.name, {}).get(kind.name)
                cells.append(_score_cell(run, kind, on_all, best, between))
        if len(n_tested) > 1:
            cells.append(count_cell(run.n_tested))
        seconds = run.seconds if timed_on(run) == machine else {}
        predict = finite(seconds.get("predict"))
        per_thousand = predict / run.n_tested * 1000 if predict is not None and run.n_tested else None
        cells += [
            seconds_cell(seconds.get("extract")),
            seconds_cell(seconds.get("fit")),
            seconds_cell(per_thousand),
            size_cell(run.bytes_on_disk),
        ]
        rows.append(tuple(cells))
    note = _scores_note(found, everywhere, are_sure=bool(sure)) + elsewhere_note(runs, machine)
    return Table(caption, tuple(columns), tuple(rows), note, n_names=2, is_sortable=True)


def _score_kinds(scores: Any) -> list[ScoreKind]:
    """Return every score that occurs: known scores in their order, then the others by name."""
    names = {name for one in scores for name in one}
    return [SCORES[name] for name in SCORES if name in names] + [
        score_kind(name) for name in sorted(names - set(SCORES))
    ]


def _score_cell(
    run: Run, kind: ScoreKind, on_all_rows: bool, best: float | None, between: Estimate | None
) -> Cell:
    score = (run.scores_all_rows if on_all_rows else run.scores).get(kind.name, {})
    mean, std = finite(score.get("mean")), finite(score.get("std"))
    if mean is None:
        return Cell(ABSENT)
    cell = Cell(
        kind.format(mean), round(mean * kind.scale, 6), is_strong=not run.is_baseline and mean == best
    )
    if between is not None:
        return replace(cell, **in_range(kind, between))
    if std is None:
        return cell
    return replace(cell, spread=f"± {kind.format(std)}", others=(round(std * kind.scale, 6),))


def _best(runs: Sequence[Run], kind: ScoreKind, on_all_rows: bool) -> float | None:
    """Return the best mean among the trained models."""
    scores = [(run.scores_all_rows if on_all_rows else run.scores) for run in runs if not run.is_baseline]
    means = [finite(one.get(kind.name, {}).get("mean")) for one in scores]
    known = [mean for mean in means if mean is not None]
    return kind.best(known) if kind.best and known else None


def _scores_note(found: Sequence[ScoreKind], everywhere: Sequence[ScoreKind], *, are_sure: bool) -> str:
    words = [f"{kind.title}: {kind.meaning}." for kind in found if kind.meaning]
    if are_sure:
        words.append(
            "The large number is the mean over the folds; the small numbers are the 95 % confidence interval,"
            " from a bootstrap over subjects with all their faces."
        )
    words.append("± is the standard deviation over the folds. The best trained model is in bold.")
    if everywhere:
        words.append(
            "In the scores on all rows, a labelled row in which no face was found counts as a wrong"
            " prediction."
        )
    words.append(
        "Extract: seconds to compute the features of all images, which models with the same features share."
        " Fit: seconds for all folds, including the search of a tuned run. Predict: seconds for 1,000 faces,"
        " from their feature vectors. Size: the saved model, without the backbones that compute its features."
    )
    return " ".join(words)


def _plot(of: Ranked, caption: str) -> Figure | None:
    display = AccuracyDisplay.find(of)
    if display is None:
        return None
    kind = display.kind
    if len(display.scores) < display.n_scored:
        caption += f", the best {MOST} of {display.n_scored} and the baselines"
    points = [
        Point(
            one.model,
            one.value * kind.scale,
            one.low * kind.scale,
            one.high * kind.scale,
            one.shown,
            one.role,
        )
        for one in display.scores
    ]
    axis = axis_label(kind)
    limit = 100.0 if kind.unit == "%" else float("inf")
    summary = (
        f"Dot plot of {axis}. Best: {points[0].label}, {points[0].shown}. The table above has every number."
    )
    wide, narrow = (
        dot_plot(points, axis=axis, limit=limit, is_narrow=is_narrow, summary=summary)
        for is_narrow in (False, True)
    )
    bars = (
        "95 % confidence intervals over subjects"
        if display.are_intervals
        else "standard deviations over the folds"
    )
    note = (
        f"Each mark is the mean over the folds, and the bars are {bars}. Filled circles are trained models."
    )
    if any(point.role for point in points):
        note += (
            " Hollow marks are the baseline and off-the-shelf networks; the vertical lines mark their scores."
        )
    if display.left_out:
        note += f" Left out because they have no confidence interval: {', '.join(display.left_out)}."
    return Figure(caption, note, wide, narrow)
