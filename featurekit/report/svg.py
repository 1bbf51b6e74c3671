"""Figures of the report, drawn as SVG.

The plots are written as SVG without a plotting library. They have the colors and the font of
the page, light or dark, are sharp on paper, and have the same bytes on every machine. Plots with
code of their own are in dot_plot.py and density_plot.py.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from featurekit.evaluation.scores import ScoreKind
from featurekit.report.cells import with_unit
from featurekit.report.drawing import (
    LETTER,
    Frame,
    axis,
    cut,
    dot,
    levels,
    limit,
    opened,
    opened_for,
    plot_frames,
    polyline,
    scale,
    whole,
    words,
)
from featurekit.report.model import Figure
from featurekit.report.tables import csv_of_frame


def figure(
    caption: str,
    note: str,
    summary: str,
    draw: Callable[..., Markup],
    *data: Any,
    numbers: pd.DataFrame,
    is_folded: bool = False,
) -> Figure:
    """Return a figure, drawn for wide and for narrow screens.

    Args:
        caption: title of the figure.
        note: explanation of the figure.
        summary: description for readers who cannot see the figure.
        draw: function that draws the figure, e.g. one of this module.
        *data: data that this function draws.
        numbers: every number of the figure, for a copy as CSV, in the units of the frames in Python: shares
            are between 0 and 1, not in percent, and errors of ages are in years.
        is_folded: whether the figure is hidden until the reader clicks on it.
    """
    wide, narrow = (draw(*data, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True))
    return Figure(caption, note, wide, narrow, csv_of_frame(numbers), is_folded=is_folded)


@dataclass(frozen=True)
class Panel:
    """The learning curves of one network.

    Attributes:
        kind: what is drawn: a score or the loss.
        model: name of the network.
        learned: values on the training faces, one for each epoch.
        held_out: values on the validation faces, one for each epoch; empty without validation faces.
        kept: number of the epoch with the best weights, counted from 1, as the mean over the folds.
    """

    kind: ScoreKind
    model: str
    learned: tuple[float, ...]
    held_out: tuple[float, ...]
    kept: float


def learning_curves(panels: Sequence[Panel], *, is_narrow: bool, summary: str) -> Markup:
    """Draw the learning curves of networks: dashed for the training faces, solid for the validation faces.

    Args:
        panels: one plot for each network and measure, from left to right and from top to bottom.
        is_narrow: whether the figure is for a narrow screen, with one column of plots instead of two.
        summary: description for readers who cannot see the figure.
    """
    width, frames = plot_frames(len(panels), 190.0 if is_narrow else 200.0, is_narrow=is_narrow)
    svg = [opened(width, frames[-1].bottom + 40, summary)]
    for panel, frame in zip(panels, frames, strict=True):
        svg += _panel(panel, frame)
    return whole(svg)


def _panel(panel: Panel, frame: Frame) -> list[str]:
    left, right, top, bottom = frame
    values = [*panel.learned, *panel.held_out]
    low, high, ticks = axis(min(values), max(values), limit(panel.kind))
    n_epochs = max(len(panel.learned), 2)
    x, y = scale(1, n_epochs, left, right), scale(low, high, bottom, top)
    title = f"{with_unit(panel.kind)}: {panel.model}"
    room = int((right - left + 40) / LETTER)
    epochs = range(1, n_epochs + 1, max(round(n_epochs / 6), 1))
    return [
        words(left - 40, top - 12, cut(title, room), "start", "name", title),
        *levels(ticks, y, left, right),
        *(words(x(epoch), bottom + 16, f"{epoch}", "middle", "faint") for epoch in epochs),
        words((left + right) / 2, bottom + 31, "epoch", "middle", "faint"),
        f'<path class="line kept" d="M{x(panel.kept):.1f} {top:.1f}V{bottom:.1f}"/>',
        *(
            polyline([(x(i), y(value)) for i, value in enumerate(curve, start=1)], css)
            for curve, css in ((panel.learned, "curve learned"), (panel.held_out, "curve"))
            if curve
        ),
    ]


@dataclass(frozen=True)
class SizedCurve:
    """The score of one model by the number of training faces.

    Attributes:
        kind: kind of score.
        model: name of the model.
        points: number of training faces, score, and the ends of its bar, in the unit that is shown.
    """

    kind: ScoreKind
    model: str
    points: tuple[tuple[float, ...], ...]


def data_curves(curves: Sequence[SizedCurve], *, is_narrow: bool, summary: str) -> Markup:
    """Draw the scores of models by the number of training faces, on a logarithmic axis.

    Args:
        curves: one plot for each model, from left to right and from top to bottom.
        is_narrow: whether the figure is for a narrow screen, with one column of plots instead of two.
        summary: description for readers who cannot see the figure.
    """
    width, frames = plot_frames(len(curves), 190.0 if is_narrow else 200.0, is_narrow=is_narrow)
    svg = [opened(width, frames[-1].bottom + 40, summary)]
    for curve, (left, right, top, bottom) in zip(curves, frames, strict=True):
        values = [value for _, *values in curve.points for value in values]
        low, high, ticks = axis(min(values), max(values), limit(curve.kind))
        faces = [math.log2(n) for n, *_ in curve.points]
        x, y = scale(faces[0], faces[-1], left + 14, right - 14), scale(low, high, bottom, top)
        title = f"{with_unit(curve.kind)}: {curve.model}"
        places = [(x(place), y(point[1])) for place, point in zip(faces, curve.points, strict=True)]
        svg += [
            words(left - 40, top - 12, cut(title, int((right - left + 40) / LETTER)), "start", "name", title),
            *levels(ticks, y, left, right),
            *(
                words(x(place), bottom + 16, f"{n:,.0f}", "middle", "faint")
                for place, (n, *_) in zip(faces, curve.points, strict=True)
            ),
            words((left + right) / 2, bottom + 31, "training faces in a fold", "middle", "faint"),
            *(
                f'<path class="spread" d="M{at:.1f} {y(start):.1f}V{y(end):.1f}"/>'
                for (at, _), (_, _, start, end) in zip(places, curve.points, strict=True)
            ),
            polyline(places),
            *(dot(*place, "") for place in places),
        ]
    return whole(svg)


@dataclass(frozen=True)
class Spot:
    """One model in a plot of score against time.

    Attributes:
        time: milliseconds per face, above 0.
        score: the score in the unit that is shown.
        mark: number of the model in the figure if it is on the Pareto front; "" if it is not.
        number: number by which the page calls the model, e.g. "M1"; "" without numbers.
    """

    time: float
    score: float
    mark: str = ""
    number: str = ""


def cost_plot(spots: Sequence[Spot], kind: ScoreKind, *, is_narrow: bool, summary: str) -> Markup:
    """Draw scores against the time per face, with a logarithmic time axis and a line along the Pareto front.

    Args:
        spots: the models, from the fastest to the slowest.
        kind: kind of score, such as accuracy.
        is_narrow: whether the figure is for a narrow screen.
        summary: description for readers who cannot see the figure.
    """
    width, height = (340.0, 280.0) if is_narrow else (860.0, 320.0)
    left, right, top, bottom = 48.0, width - 20, 26.0, height - 44
    scores = [spot.score for spot in spots]
    low, high, ticks = axis(min(scores), max(scores), limit(kind))
    times = [math.log10(spot.time) for spot in spots]
    first, last = min(times) - 0.1, max(times) + 0.1
    x, y = scale(first, last, left, right), scale(low, high, bottom, top)
    powers = range(math.floor(first), math.ceil(last) + 1)
    rounds = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    for rounds_of in (rounds, axis(10**first, 10**last, math.inf)[2]):
        within = [time for time in rounds_of if 10**first <= time <= 10**last]
        if len(within) > 2:  # if all times are similar, 10, 20 and 50 are too far apart
            break
    taken = [(x(math.log10(spot.time)), y(spot.score)) for spot in spots if spot.mark]
    svg = [
        opened(width, height, summary),
        *levels(ticks, y, left, right),
        *(words(x(math.log10(time)), bottom + 16, f"{time:g}", "middle", "faint") for time in within),
        words(left - 40, top - 12, with_unit(kind), "start", "name"),
        words((left + right) / 2, bottom + 34, "time per face, ms (lower is better)", "middle", "faint"),
        polyline(taken),
    ]
    for spot in sorted(spots, key=lambda spot: bool(spot.mark)):
        at, up = x(math.log10(spot.time)), y(spot.score)
        svg.append(opened_for(spot.number))
        if spot.mark:
            svg.append(dot(at, up, ""))
            # The number is above the dot or, where that would cover another one, right, left or below.
            room = 11 if len(spot.mark) < 3 else 17  # of the number and a dot, or of two numbers
            side = room + 2
            around = ((at, up - 13), (at + side, up), (at - side, up), (at, up + 13))
            free = [place for place in around if all(_are_apart(place, other, room) for other in taken)]
            taken.append(free[0] if free else around[0])
            svg.append(words(taken[-1][0], taken[-1][1] + 4, spot.mark, "middle", "name"))
        else:
            title = f"<title>{escape(spot.number)}</title>" if spot.number else ""
            svg.append(f'<circle class="dot hollow" cx="{at:.1f}" cy="{up:.1f}" r="3.5">{title}</circle>')
        svg.append("</g>")
    return whole(svg)


def _are_apart(one: tuple[float, float], other: tuple[float, float], room: float) -> bool:
    """Whether a number and a dot, or two numbers, do not overlap."""
    return abs(one[0] - other[0]) > room or abs(one[1] - other[1]) > 9


def confidence_plot(
    bins: Sequence[tuple[float, float]],
    risks: Sequence[tuple[float, float]],
    *,
    is_narrow: bool,
    summary: str,
) -> Markup:
    """Draw a reliability diagram and a risk–coverage curve.

    Args:
        bins: mean confidence and accuracy of each bin of faces, in percent.
        risks: coverage and risk of each point of the curve, in percent.
        is_narrow: whether the figure is for a narrow screen, with one plot below the other.
        summary: description for readers who cannot see the figure.
    """
    width, frames = plot_frames(2, 260.0 if is_narrow else 270.0, is_narrow=is_narrow)
    svg = [opened(width, frames[-1].bottom + 40, summary)]
    first = min(number for point in bins for number in point)
    panels = (
        # Both axes of the first plot have the same range, so that its dashed line is the diagonal.
        ("Accuracy, %", "confidence, %", bins, axis(first, 100.0, 100.0), axis(first, 100.0, 100.0)),
        (
            "Risk: wrong predictions, %",
            "coverage: share of faces, the most confident first, %",
            risks,
            axis(0.0, 100.0, 100.0),
            axis(0.0, max(wrong for _, wrong in risks), 100.0),
        ),
    )
    for (title, along, points, across, up), frame in zip(panels, frames, strict=True):
        left, right, top, bottom = frame
        x, y = scale(*across[:2], left, right), scale(*up[:2], bottom, top)
        svg += [
            words(left - 40, top - 12, title, "start", "name"),
            *levels(up[2], y, left, right),
            *(words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint") for tick in across[2]),
            words((left + right) / 2, bottom + 33, along, "middle", "faint"),
        ]
        if points is bins:
            svg += [
                f'<path class="line" d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"/>',
                *(dot(x(sure), y(true), "") for sure, true in points),
            ]
        svg.append(polyline([(x(place), y(value)) for place, value in points]))
    return whole(svg)


# A curve with the style of its line, and the place and the value of each of its points.
StyledCurve = tuple[str, tuple[tuple[float, float], ...]]


def age_plot(
    errors: Sequence[StyledCurve], biases: Sequence[StyledCurve], *, is_narrow: bool, summary: str
) -> Markup:
    """Draw the mean absolute error and the mean error by age, a line for each group of people.

    Args:
        errors: mean absolute errors in years; each line has its style, "" for a solid or "learned" for a
            dashed one.
        biases: mean errors in years, in the same form.
        is_narrow: whether the figure is for a narrow screen, with one plot below the other.
        summary: description for readers who cannot see the figure.
    """
    width, frames = plot_frames(2, 230.0 if is_narrow else 260.0, is_narrow=is_narrow)
    svg = [opened(width, frames[-1].bottom + 40, summary)]
    ages = [age for _, points in errors for age, _ in points]
    panels = (("Mean absolute error, years", errors, 0.0), ("Mean error, years", biases, -math.inf))
    for (title, curves, least), (left, right, top, bottom) in zip(panels, frames, strict=True):
        values = [0.0, *(value for _, points in curves for _, value in points)]
        low, high, ticks = axis(min(values), max(values), math.inf, least=least)
        first, last, across = axis(min(ages), max(ages), math.inf)
        x, y = scale(first, last, left, right), scale(low, high, bottom, top)
        svg += [
            words(left - 40, top - 12, title, "start", "name"),
            *levels(ticks, y, left, right),
            f'<path class="line kept" d="M{left:.1f} {y(0):.1f}H{right:.1f}"/>',
            *(words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint") for tick in across),
            words((left + right) / 2, bottom + 33, "true age, years", "middle", "faint"),
            *(
                polyline([(x(age), y(value)) for age, value in points], f"curve {style}".strip())
                for style, points in curves
            ),
        ]
    return whole(svg)


@dataclass(frozen=True)
class LinePlot:
    """A plot of several curves with fixed ends of its axes.

    Attributes:
        title: what the vertical axis shows.
        along: what the horizontal axis shows.
        curves: style of each line and its points, from left to right; "" is a solid line, "learned" a dashed
            and "other" a dotted one. Points below the vertical axis are left out.
        across: ends of the horizontal axis.
        up: ends of the vertical axis.
        names: name of each line for a legend in the lower right corner; empty for no legend.
    """

    title: str
    along: str
    curves: tuple[StyledCurve, ...]
    across: tuple[float, float]
    up: tuple[float, float]
    names: tuple[str, ...] = ()


def line_plots(plots: Sequence[LinePlot], *, is_narrow: bool, summary: str) -> Markup:
    """Draw several plots of curves.

    Args:
        plots: the plots, from left to right and from top to bottom.
        is_narrow: whether the figure is for a narrow screen, with one plot below the other.
        summary: description for readers who cannot see the figure.
    """
    width, frames = plot_frames(len(plots), 260.0 if is_narrow else 290.0, is_narrow=is_narrow)
    svg = [opened(width, frames[-1].bottom + 40, summary)]
    for plot, (left, right, top, bottom) in zip(plots, frames, strict=True):
        x, y = scale(*plot.across, left, right), scale(*plot.up, bottom, top)
        (first, last), (low, high) = plot.across, plot.up
        svg += [
            words(left - 40, top - 12, plot.title, "start", "name"),
            *levels(axis(low, high, high, least=low)[2], y, left, right),
            *(
                words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint")
                for tick in axis(first, last, last, least=first)[2]
            ),
            words((left + right) / 2, bottom + 33, plot.along, "middle", "faint"),
        ]
        for style, points in plot.curves:
            inside = [(x(a), y(b)) for a, b in points if first <= a <= last and low <= b <= high]
            svg.append(polyline(inside, f"curve {style}".strip()))
        room = int((right - left - 50) / LETTER)
        start = right - max((len(cut(name, room)) for name in plot.names), default=0) * LETTER
        for number, (name, (style, _)) in enumerate(zip(plot.names, plot.curves, strict=False)):
            height = bottom - 10 - 18 * (len(plot.names) - 1 - number)
            svg += [
                polyline([(start - 34, height - 4), (start - 8, height - 4)], f"curve {style}".strip()),
                words(start, height, cut(name, room), "start", "name", name),
            ]
    return whole(svg)
