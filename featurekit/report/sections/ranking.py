"""The ranking of all models of a target, with their scores, times and sizes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.cost import milliseconds, timed_on
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word
from featurekit.report.cells import (
    ABSENT,
    axis_label,
    count_cell,
    difference_cell,
    estimate_cell,
    finite,
    interval_cell,
    seconds_cell,
    sentences,
    size_cell,
    time_cell,
    value_cell,
)
from featurekit.report.displays.accuracy import MOST, AccuracyDisplay
from featurekit.report.displays.slices import slice_name
from featurekit.report.dot_plot import Point, dot_plot
from featurekit.report.model import FOUND, Blocks, Cell, Column, Figure, Table, Text
from featurekit.report.select import (
    Ranked,
    elsewhere_note,
    folds_of,
    headline,
    in_order,
    machine_of,
    means_outside,
    role,
)
from featurekit.report.svg import figure
from featurekit.text import counted, first_few

_ON_ALL_ROWS = ("accuracy", "within_one_group")  # scores that are shown on all rows too
_SECOND = (
    "within_one_group",
    "balanced_accuracy",
)  # the first that the runs have stands beside the main score
_TIME = Column("Time per face", "ms", is_number=True, is_time=True, is_low_best=True)
_FACES = Column("Faces", is_number=True)
# A column, and what it shows of a run.
_Shown = tuple[Column, Callable[[Run], Cell]]


def blocks(of: Ranked) -> Blocks:
    """Return a description of the target, the table of scores, and the figure of scores."""
    return [
        Text(_about(of)),
        scores_table(of, f"{of.title}: all models, best first"),
        _plot(of, f"{of.title}: {score_word(headline(of.runs))} of all models"),
    ]


def _about(of: Ranked) -> str:
    classes, left_out = of.runs[0].classes, of.runs[0].left_out
    counts = {(run.n_tested, run.n_subjects) for run in of.runs}
    n_tested, n_subjects = max(counts)
    without = "this face" if n_tested == n_subjects else "any face of its subject"
    evidence = of.evidence
    return sentences(
        f"There are {len(classes)} classes: {first_few(classes, 11)}{_left_out(left_out)}."
        if classes
        else "This is a regression target, in years.",
        _without_label(of.runs[0]),
        f"The scores are computed on {n_tested:,} faces of {n_subjects:,} subjects. The prediction of each"
        f" face comes from a model that was fitted without {without}.",
        "The number of faces is not the same for all runs; see the column Faces." if len(counts) > 1 else "",
        "Some subjects have more faces than others. The effective sample size (Kish) is"
        f" {evidence.effective_subjects:,.0f} subjects with the same number of faces each."
        if evidence and round(evidence.effective_subjects) < evidence.n_subjects
        else "",
    )


def _left_out(classes: Mapping[str, int]) -> str:
    """Return the rest of a sentence on the classes: those that are left out, with their faces; or ""."""
    if not classes:
        return ""
    named = [f"{name} ({counted(n_faces, 'face', 'faces')})" for name, n_faces in classes.items()]
    shown = first_few(named, 11, separator=" and " if len(named) == 2 else ", ")
    are_left_out, them = ("is left out", "it") if len(named) == 1 else ("are left out", "them")
    return f"; {shown} {are_left_out}, because too few subjects have {them}"


def _without_label(run: Run) -> str:
    """Return a sentence on the usable rows that have no label of the target; "" if every row has one."""
    n_usable = (run.dataset.get("n_rows") or 0) - sum((run.dataset.get("tally") or {}).values())
    n_without = n_usable - run.n_labelled - sum(run.left_out.values())
    if n_without <= 0:
        return ""
    have = "has" if n_without == 1 else "have"
    return f"{n_without:,} of the {n_usable:,} usable rows {have} no label of this target."


def scores_table(of: Ranked, caption: str) -> Table:
    """Return the ranking of one target as a table, with confidence intervals if they were computed.

    The first columns are those by which a model is chosen. The HTML page shows the others on request.
    """
    runs, machine, main = of.runs, machine_of(of.runs), headline(of.runs)
    # A score that most runs do not have, because they are older than it, is left out.
    found = [
        kind
        for kind in map(score_kind, in_order(name for run in runs for name in run.scores))
        if 2 * sum(kind.name in run.scores for run in runs) >= len(runs) or kind == main
    ]
    second = next((kind for name in _SECOND for kind in found if kind.name == name), None)
    on_all_rows = [
        score_kind(name) for name in _ON_ALL_ROWS if any(name in run.scores_all_rows for run in runs)
    ]
    first = [main, second] if second else [main]
    are_faces_alike = len({run.n_tested for run in runs}) == 1
    parts: list[_Shown] = [
        *([(Column("No."), lambda run: Cell(of.number(run)))] if of.numbers else []),
        (Column("Features", is_code=True), lambda run: Cell(run.features)),
        (Column("Model", is_code=True), lambda run: Cell(run.classifier_name, tag=role(run))),
        *(_score(of, kind) for kind in first),
        *_worst_slices(of, main),
        *_against_the_best(runs, main, of.evidence),
        (_TIME, lambda run: time_cell(milliseconds(run) if timed_on(run) == machine else None)),
        *([] if are_faces_alike else [(_FACES, lambda run: count_cell(run.n_tested))]),
        *(_score(of, kind, is_more=True) for kind in found if kind not in first),
        *(_score(of, kind, is_more=True, on_all_rows=True) for kind in on_all_rows),
        *_costs(machine),
    ]
    table = Table(
        caption,
        tuple(column for column, _ in parts),
        tuple(tuple(cell(run) for _, cell in parts) for run in runs),
        n_names=3 if of.numbers else 2,
        is_sortable=True,
    ).without_empty_columns(ABSENT)
    note = sentences(
        "No.: the number by which this page calls a model; a model has the same number for every target."
        if of.numbers
        else "",
        _scores_note(of, found, on_all_rows, {column.title for column in table.columns}),
        elsewhere_note(runs, machine),
    )
    return replace(table, note=note)


def _score(of: Ranked, kind: ScoreKind, *, is_more: bool = False, on_all_rows: bool = False) -> _Shown:
    """Return the column of a score, with its interval if it was computed."""
    estimates = of.evidence.estimates if of.evidence and not on_all_rows else {}
    intervals = {name: scores[kind.name] for name, scores in estimates.items() if kind.name in scores}
    best = _best(of.runs, kind, on_all_rows)
    column = Column(
        kind.title,
        kind.unit,
        others=("low", "high") if intervals else ("std",),
        group="on all rows" if on_all_rows else FOUND,
        is_number=True,
        is_low_best=kind.best is min,
        is_more=is_more,
    )
    return column, lambda run: _score_cell(run, kind, on_all_rows, best, intervals.get(run.name))


def _worst_slices(of: Ranked, kind: ScoreKind) -> list[_Shown]:
    """Return the column of the score on the worst slice of each model; nothing if slices were not scored."""
    worst = of.evidence.worst_slices if of.evidence else {}
    if not worst or not of.evidence or of.evidence.score != kind.name:
        return []
    column = Column(
        "Worst slice", kind.unit, others=("low", "high"), is_number=True, is_low_best=kind.best is min
    )

    def cell(run: Run) -> Cell:
        one = worst.get(run.name)
        if one is None or one.estimate is None:
            return Cell(ABSENT)
        return replace(estimate_cell(kind, one.estimate), count=slice_name(one))

    def name(run: Run) -> Cell:
        return Cell(slice_name(worst[run.name]) if run.name in worst else ABSENT)

    return [(column, cell), (Column("Name of the worst slice", is_more=True), name)]


def _against_the_best(
    ordered: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None
) -> list[_Shown]:
    """Return the column of the differences from the best trained model; nothing if they were not tested."""
    best = next((run for run in ordered if not run.is_baseline), None)
    if evidence is None or best is None:
        return []
    column = Column(
        "Against the best",
        kind.unit_of_difference,
        others=("p",),
        is_number=True,
        copied_unit=kind.unit_of_difference,
    )
    return [
        (
            column,
            lambda run: difference_cell(kind, evidence.between(run.name, best.name), absent=ABSENT),
        )
    ]


def _costs(machine: str) -> list[_Shown]:
    """Return the columns of the times and of the size; times of another machine are left blank."""

    def seconds(run: Run, step: str) -> float | None:
        return finite(run.seconds.get(step)) if timed_on(run) == machine else None

    def of_thousand(run: Run) -> float | None:
        predict = seconds(run, "predict")
        return predict / run.n_tested * 1000 if predict is not None and run.n_tested else None

    time = partial(Column, group="seconds", is_number=True, is_time=True, is_low_best=True, is_more=True)
    size = Column("Size", is_number=True, copied_unit="bytes", is_low_best=True, is_more=True)
    return [
        (time("Extract"), lambda run: seconds_cell(seconds(run, "extract"))),
        (time("Fit"), lambda run: seconds_cell(seconds(run, "fit"))),
        (time("Predict", "per 1,000"), lambda run: seconds_cell(of_thousand(run))),
        (size, lambda run: size_cell(run.bytes_on_disk)),
    ]


def _score_cell(
    run: Run, kind: ScoreKind, on_all_rows: bool, best: float | None, between: Estimate | None
) -> Cell:
    score = (run.scores_all_rows if on_all_rows else run.scores).get(kind.name, {})
    mean, std = finite(score.get("mean")), finite(score.get("std"))
    if mean is None:
        return Cell(ABSENT)
    is_strong = not run.is_baseline and mean == best
    if between is not None:
        return interval_cell(kind, mean, between.low, between.high, is_strong=is_strong)
    if std is None:
        return value_cell(kind, mean, is_strong=is_strong)
    others = (round(std * kind.scale, 6),)
    return value_cell(kind, mean, around=f"± {kind.format(std)}", others=others, is_strong=is_strong)


def _best(runs: Sequence[Run], kind: ScoreKind, on_all_rows: bool) -> float | None:
    """Return the best mean among the trained models."""
    scores = [(run.scores_all_rows if on_all_rows else run.scores) for run in runs if not run.is_baseline]
    means = [finite(one.get(kind.name, {}).get("mean")) for one in scores]
    known = [mean for mean in means if mean is not None]
    return kind.best(known) if kind.best and known else None


def _scores_note(
    of: Ranked, found: Sequence[ScoreKind], found_on_all_rows: Sequence[ScoreKind], titles: Collection[str]
) -> str:
    """Return the explanation of the table of scores, which has columns with these titles."""
    has_intervals = of.evidence is not None
    return sentences(
        *(f"{kind.title}: {kind.meaning}." for kind in found if kind.meaning),
        "The large number is the mean over the folds. The small numbers are the 95 % confidence interval of"
        " the score on the pooled predictions of all folds, by a bootstrap over subjects."
        if has_intervals
        else "",
        means_outside(of.runs, of.evidence, found),
        "± is the standard deviation over the folds. The best trained model is in bold.",
        "In the scores on all rows, a labelled row in which no face was found counts as a wrong prediction."
        if found_on_all_rows
        else "",
        "Worst slice: the score on the faces with the label on which the model is worst, among labels with"
        " enough subjects; the copy as CSV has its confidence interval."
        if "Worst slice" in titles
        else "",
        "Against the best: by how much the model is better than the best trained one, with the p-value of the"
        " difference; bold where there is evidence of a difference. It is the difference on the"
        " pooled predictions of all folds, so it can differ from that of the two means over the folds."
        if "Against the best" in titles
        else "",
        "Time per face: from the image to the prediction, as the total time divided by the number of faces."
        " Extract: seconds to compute the features of all images, once for all models with these features."
        " Fit: seconds for all folds, including the search of a tuned run. Predict: seconds for 1,000 faces,"
        " from their feature vectors. Size: the saved model, without the backbones that compute its"
        " features.",
    )


def _numbers(display: AccuracyDisplay) -> pd.DataFrame:
    """Return the numbers of the figure: those of the display, and the score of each model in each fold."""
    folds = zip_longest(*(folds_of(one.run, display.kind.name) for one in display.scores))
    columns = {f"fold_{number}": values for number, values in enumerate(folds)}
    return display.frame().join(pd.DataFrame(columns, dtype=float))


def _plot(of: Ranked, caption: str) -> Figure | None:
    try:
        display = AccuracyDisplay.of(of)
    except ModelError:
        return None
    kind = display.kind
    if len(display.scores) < display.n_scored:
        caption += f", the best {MOST} of {display.n_scored} and the baselines"
    points = [
        Point(
            of.named(one.run),
            one.value * kind.scale,
            one.low * kind.scale,
            one.high * kind.scale,
            one.shown,
            role(one.run),
            of.number(one.run),
            tuple(kind.scale * value for value in folds_of(one.run, kind.name) if value is not None),
        )
        for one in display.scores
    ]
    summary = (
        f"Dot plot of {axis_label(kind)}. Best: {points[0].label}, {points[0].shown}. The table above has"
        " every number."
    )
    bars = (
        "95 % confidence intervals over subjects"
        if display.are_intervals
        else "standard deviations over the folds"
    )
    left_out = ", ".join(display.left_out)
    note = sentences(
        f"Each mark is the mean over the folds, and the bars are {bars}. Small dots below them are the"
        " folds. Filled circles are trained models.",
        "Hollow marks are the baseline and off-the-shelf networks; the vertical lines mark their scores. An"
        " arrow stands for one that is far outside the axis."
        if any(point.role for point in points)
        else "",
        f"Models without a confidence interval are not drawn: {left_out}." if left_out else "",
    )
    return figure(caption, note, summary, dot_plot, points, kind, numbers=_numbers(display))
