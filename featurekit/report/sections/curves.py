"""ROC and precision–recall curves of the best models, and the areas under them for each class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import floor

import pandas as pd

from featurekit.evaluation.curves import (
    FALSE_POSITIVE_RATES,
    QUOTED_RATES,
    QUOTED_RECALLS,
    RECALLS,
    Curve,
)
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import score_kind
from featurekit.report.cells import SHARE, count_cell, estimate_cell, sentences, value_cell
from featurekit.report.displays.curves import MEAN, PrecisionRecallDisplay, RocDisplay
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, mean_of
from featurekit.report.svg import LinePlot, StyledCurve, figure, line_plots
from featurekit.text import readable_name
from featurekit.uncertainty.resampling import FEWEST

_STYLES = ("", "learned", "other")
_IN_WORDS = ("solid", "dashed", "dotted")
# The figure ends at the first of these false positive rates, in percent, at which all models find most faces.
_ENDS, _MOST_FOUND = (5, 10, 20, 50, 100), 0.95
_AREA = score_kind("roc_auc")


def blocks(of: Ranked) -> Blocks:
    """Return the curves of the best models and a table of their areas; nothing without probabilities."""
    known = of.evidence.curves if of.evidence else {}
    shown = [(run, known[run.name]) for run in of.runs if known.get(run.name)]
    if not shown:
        return []
    return [_figure(of, shown), curves_table(of, shown)]


_Shown = Sequence[tuple[Run, Sequence[Curve]]]


def _positive(shown: _Shown) -> str:
    """Return what the curves are of, as words: the positive class, or the mean over the classes."""
    return shown[0][1][0].positive or MEAN


def _numbers(of: Ranked, names: Mapping[str, str]) -> pd.DataFrame:
    """Return each point of the curves of the models, as the figures in Python have them.

    Args:
        of: the runs of the target.
        names: name of each run → name of its model in the figure, both as frames write them.
    """
    areas = [f"{area}{end}" for area in ("roc_auc", "average_precision") for end in ("", "_low", "_high")]
    frames = [
        display.frame().assign(model=lambda frame: frame["run"].map(names))
        for display in (RocDisplay.find(of), PrecisionRecallDisplay.find(of))
        if display
    ]
    # The areas have intervals in the table; here they would stand beside each point.
    return pd.concat(frames).drop(columns=["run", *areas])


def _figure(of: Ranked, shown: _Shown) -> Figure:
    mains = [curves[0] for _, curves in shown]
    names = tuple(of.named(run) for run, _ in shown)
    which = MEAN if _positive(shown) == MEAN else f"positive class {_positive(shown)}"
    caption = f"{of.title}: ROC and precision–recall curves, {which}"
    summary = f"{caption}. Two line plots of {', '.join(names)}; the table below has the main numbers."
    rates = [[100 * value for value in curve.true_positive_rates] for curve in mains]
    precisions = [[100 * value for value in curve.precisions] for curve in mains]
    end = next(
        end
        for end in _ENDS
        if end == _ENDS[-1] or min(_at(curve, end / 100) for curve in mains) >= _MOST_FOUND
    )
    least = 100 * min(_at(curve, QUOTED_RATES[0]) for curve in mains)
    lowest = min(
        value
        for line in precisions
        for recall, value in zip(RECALLS, line, strict=True)
        if QUOTED_RECALLS[0] <= recall <= QUOTED_RECALLS[-1]
    )

    def lines(places: Sequence[float], of_models: Sequence[Sequence[float]]) -> tuple[StyledCurve, ...]:
        return tuple(
            (style, tuple(zip((100 * place for place in places), values, strict=True)))
            for style, values in zip(_STYLES, of_models, strict=False)
        )

    plots = [
        LinePlot(
            "True positive rate (recall), %",
            "false positive rate, %",
            lines(FALSE_POSITIVE_RATES, rates),
            (0.0, float(end)),
            (_round_down(least), 100.0),
            names,
        ),
        LinePlot(
            "Precision, %",
            "recall, %",
            lines(RECALLS, precisions),
            (100 * QUOTED_RECALLS[0], 100.0),
            (_round_down(lowest), 100.0),
        ),
    ]
    note = sentences(
        " ".join(
            f"{style.capitalize()} line: {name}." for style, name in zip(_IN_WORDS, names, strict=False)
        ),
        f"Higher curves are better. The plots show false positive rates up to {end} % and recalls from"
        f" {100 * QUOTED_RECALLS[0]:g} %; the copy as CSV has the whole curves.",
    )
    named = [(run.name, name) for (run, _), name in zip(shown, names, strict=True)]
    numbers = _numbers(of, {readable_name(run): readable_name(name) for run, name in named})
    return figure(caption, note, summary, line_plots, plots, numbers=numbers, is_folded=True)


def _round_down(value: float) -> float:
    """Return the next lower multiple of ten that leaves some room, at least 0."""
    return float(max(10 * floor((min(value, 95.0) - 1) / 10), 0))


def _at(curve: Curve, rate: float) -> float:
    """Return the true positive rate at a false positive rate that is stored."""
    places = [place for place, known in enumerate(FALSE_POSITIVE_RATES) if known <= rate]
    return curve.true_positive_rates[places[-1]]


def curves_table(of: Ranked, shown: _Shown) -> Table:
    """Return a table of the areas under the curves of each class, and of some points of the main curve."""
    columns = (
        Column("Measure"),
        Column("Class"),
        Column("Faces", is_number=True),
        *(Column(of.named(run), others=("low", "high"), is_number=True) for run, _ in shown),
    )
    curves = shown[0][1]
    rows = [
        *_area_rows("ROC-AUC", shown, lambda curve: curve.roc_auc),
        *([] if _is_some_absent(shown) else [_mean_of_folds(shown)]),
        *_area_rows("Average precision", shown, lambda curve: curve.average_precision),
    ]
    positive, n_faces = _positive(shown), count_cell(curves[0].n_faces)
    for quoted, places, title, points in (
        (
            QUOTED_RATES,
            FALSE_POSITIVE_RATES,
            "True positive rate at a false positive rate of",
            [of_run[0].true_positive_rates for _, of_run in shown],
        ),
        (QUOTED_RECALLS, RECALLS, "Precision at a recall of", [of_run[0].precisions for _, of_run in shown]),
    ):
        rows += [
            (
                Cell(f"{title} {100 * place:g} %"),
                Cell(positive),
                n_faces,
                *(_percent(values[places.index(place)]) for values in points),
            )
            for place in quoted
        ]
    caption = f"{of.title}: areas under the curves and points on them"
    return Table(caption, columns, tuple(rows), _note(of, shown), n_names=2, is_folded=True)


def _percent(share: float) -> Cell:
    cell = value_cell(SHARE, share)
    return replace(cell, text=f"{cell.text} %")


def _area_rows(title: str, shown: _Shown, area: Callable[[Curve], Estimate | None]) -> list[tuple[Cell, ...]]:
    """Return a row for each class, and for the mean, with one of the areas of each model."""
    return [
        (
            Cell(title),
            Cell(shown[0][1][place].positive or MEAN),
            count_cell(shown[0][1][place].n_faces),
            *(estimate_cell(_AREA, area(curves[place])) for _, curves in shown),
        )
        for place in range(len(shown[0][1]))
    ]


def _mean_of_folds(shown: _Shown) -> tuple[Cell, ...]:
    """Return a row with the mean of the ROC-AUC over the folds, to be compared with that of all folds."""
    return (
        Cell("ROC-AUC, mean over the folds"),
        Cell(_positive(shown)),
        count_cell(shown[0][1][0].n_faces),
        *(value_cell(_AREA, mean_of(run, _AREA.name)) for run, _ in shown),
    )


def _is_some_absent(shown: _Shown) -> bool:
    """Whether a class has too few subjects for a number."""
    return any(curve.roc_auc is None for _, curves in shown for curve in curves)


def _note(of: Ranked, shown: _Shown) -> str:
    positive = shown[0][1][0].positive
    return sentences(
        f"The positive class of the curves is {positive}, the second of the two classes in their order, as in"
        " scikit-learn; both classes have the same ROC-AUC apart from rounding."
        if positive
        else "Each class stands against all others. Their mean gives each class the same weight.",
        "The ROC-AUC of random probabilities is 0.5. The average precision of random probabilities is the"
        " share of the class among the faces, so it is lower for a rare class.",
        "A true positive rate is the largest one with at most the given false positive rate, and a precision"
        " that of the highest threshold with at least the given recall.",
        "The predictions of all folds are pooled: one threshold holds for the models of all folds. If their"
        " probabilities have different scales, the ROC-AUC is usually lower than its mean over the folds.",
        "Small numbers are 95 % confidence intervals over subjects.",
        f"Classes with fewer than {FEWEST} subjects have no number and are not part of the mean."
        if _is_some_absent(shown)
        else "",
        "The table has the best trained model, the best trained one that is not level with it (or the second"
        " one), and the best off-the-shelf network, as far as they give probabilities."
        if len(of.runs) > 1
        else "",
    )
