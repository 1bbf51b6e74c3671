"""Figures of the report, drawn as SVG.

The plots are written as SVG without a plotting library. They have the colors and the font of
the page, light or dark, are sharp on paper, and have the same bytes on every machine.
Trained models and baselines, and slices with and without a gap, differ in shape, not only in color.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from featurekit.evaluation.scores import ScoreKind
from featurekit.report.cells import axis_label, with_unit
from featurekit.report.model import Figure
from featurekit.report.tables import csv_of_frame
from featurekit.text import visible

_LETTER = 7.2  # width of a character at 12 px in the widest of the common fonts
_MAX_LABEL = 50  # characters
_FONT = 12
_LINES = ("baseline", "off-the-shelf", "all faces")  # roles in a dot plot that have a vertical line


def figure(
    caption: str,
    note: str,
    summary: str,
    draw: Callable[..., Markup],
    *data: Sequence[Any] | ScoreKind,
    is_folded: bool = False,
    numbers: pd.DataFrame | None = None,
) -> Figure:
    """Return a figure, drawn for wide and for narrow screens.

    Args:
        caption: title of the figure.
        note: explanation of the figure.
        summary: description for readers who cannot see the figure.
        draw: function of this module that draws the figure.
        *data: data that this function draws.
        is_folded: whether the figure is hidden until the reader clicks on it.
        numbers: every number of the figure, for a copy as CSV; None if the next table has all of them.
    """
    wide, narrow = (draw(*data, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True))
    csv = "" if numbers is None else csv_of_frame(numbers)
    return Figure(caption, note, wide, narrow, is_folded=is_folded, csv=csv)


@dataclass(frozen=True)
class Point:
    """One model, or one slice, in a dot plot.

    Attributes:
        label: name of the model or of the slice.
        mean: position of the dot, in the unit that is shown.
        low, high: ends of the bar; both are the mean if there is no bar.
        shown: the score and its interval as text, for the right of the plot.
        role: "baseline", "off-the-shelf", or "" for a trained model; of slices, "worse" or "better" if there
            is evidence of a gap, "all faces" for no slice, or "".
        number: number by which the page calls the model, e.g. "M1"; "" without numbers.
        folds: position of a small dot below the bar for each fold; those outside of the plot are left out.
    """

    label: str
    mean: float
    low: float
    high: float
    shown: str
    role: str = ""
    number: str = ""
    folds: tuple[float, ...] = ()


def dot_plot(points: Sequence[Point], kind: ScoreKind, *, is_narrow: bool, summary: str) -> Markup:
    """Draw scores with their bars, one below the other, and a line for each baseline or for all faces.

    The axis is that of the trained models. A baseline that would more than double it is not drawn: an arrow
    shows on which side it is, and its score is written like the others.

    Args:
        points: the models or slices from top to bottom.
        kind: kind of score, such as accuracy.
        is_narrow: whether the figure is for a narrow screen, with the names above the dots.
        summary: description for readers who cannot see the figure.
    """
    marks = {point.role: point for point in reversed(points) if point.role}
    drawn = _on_the_axis(points)
    lines = [marks[role] for role in _LINES if marks.get(role) in drawn]
    values = [value for point in drawn for value in (point.low, point.mean, point.high)]
    low, high, ticks = _axis(min(values), max(values), _limit(kind))
    longest = max(min(len(visible(point.label)), _MAX_LABEL) for point in points)
    numbers = max(len(point.shown) for point in points) * _LETTER + 8
    width = 340.0 if is_narrow else 860.0
    left = 10.0 if is_narrow else longest * _LETTER + 14
    right = width - (10.0 if is_narrow else numbers + 12)
    top = 16.0 * len(lines) + 12
    step = 38.0 if is_narrow else 24.0
    bottom = top + step * len(points) + 4
    x = _scale(low, high, left, right)
    svg = [_opened(width, bottom + 40, summary)]
    for tick in ticks:
        svg += [
            f'<path class="grid" d="M{x(tick):.1f} {top:.1f}V{bottom:.1f}"/>',
            _words(x(tick), bottom + 15, f"{tick:g}", "middle", "faint"),
        ]
    svg.append(_words((left + right) / 2, bottom + 33, axis_label(kind), "middle", "faint"))
    for i, line in enumerate(lines):
        svg += _baseline(line, x(line.mean), 14.0 + 16 * i, bottom, width)
    for i, point in enumerate(points):
        y = top + step * (i + 0.5) + (8 if is_narrow else 0)
        room = int((width - 20 - numbers) / _LETTER) if is_narrow else _MAX_LABEL
        start, end, up = (left, right, y - 15) if is_narrow else (0.0, width - 4, y + 4)
        svg += [
            _opened_for(point.number),
            _words(start, up, _cut(point.label, room), "start", "name", point.label),
            _words(end, up, point.shown, "end", "number"),
        ]
        svg += _marked(point, x, y, (low, high), is_drawn=point in drawn)
        svg.append("</g>")
    return _whole(svg)


def _baseline(line: Point, at: float, y: float, bottom: float, width: float) -> list[str]:
    """Return the vertical line of a baseline, with its score above it."""
    # Near an edge the text is aligned to the line, so that it is not cut off.
    room = (len(line.role) + len(line.shown) + 1) * _LETTER / 2
    anchor = "start" if at - room < 0 else "end" if at + room > width else "middle"
    return [
        f'<path class="line {line.role}" d="M{at:.1f} {y + 4:.1f}V{bottom:.1f}"/>',
        _words(at, y, f"{line.role} {line.shown.partition(' ')[0]}", anchor, "faint"),
    ]


def _marked(
    point: Point, x: Callable[[float], float], y: float, ends: tuple[float, float], *, is_drawn: bool
) -> list[str]:
    """Return the dot of a model with its bar, or an arrow to where it is outside the axis."""
    low, high = ends
    if not is_drawn:
        end, anchor, arrow = (low, "start", "←") if point.mean < low else (high, "end", "→")
        return [_words(x(end), y + 4, arrow, anchor, "faint")]
    svg = [
        f'<circle class="fold" cx="{x(value):.1f}" cy="{y + 8:.1f}" r="1.8"/>'
        for value in point.folds
        if low <= value <= high
    ]
    if point.high > point.low:
        start, end = max(point.low, low), min(point.high, high)
        svg.append(f'<path class="spread" d="M{x(start):.1f} {y:.1f}H{x(end):.1f}"/>')
    return [*svg, _dot(x(point.mean), y, point.role)]


def _on_the_axis(points: Sequence[Point]) -> list[Point]:
    """Return the models that are drawn: not those baselines that would more than double the axis."""

    def span(those: Sequence[Point]) -> float:
        return max(point.high for point in those) - min(point.low for point in those)

    may_be_away = ("baseline", "off-the-shelf")
    drawn = [point for point in points if point.role not in may_be_away]
    for point in points:
        if point.role in may_be_away and (len(drawn) < 2 or span([*drawn, point]) <= 2 * span(drawn)):
            drawn.append(point)
    return drawn or list(points)


def _opened_for(number: str) -> str:
    """Return the beginning of the part of a drawing that is about one model."""
    return f'<g data-model="{escape(number)}">' if number else "<g>"


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
    width, frames = _frames(len(panels), 190.0 if is_narrow else 200.0, is_narrow=is_narrow)
    svg = [_opened(width, frames[-1].bottom + 40, summary)]
    for panel, frame in zip(panels, frames, strict=True):
        svg += _panel(panel, frame)
    return _whole(svg)


class _Frame(NamedTuple):
    """Where the axes of one of several plots are."""

    left: float
    right: float
    top: float
    bottom: float


def _frames(n_plots: int, height: float, *, is_narrow: bool) -> tuple[float, list[_Frame]]:
    """Return the width of a drawing, and the places of its plots: one below the other, or in two columns."""
    columns, width = (1, 340.0) if is_narrow else (2, 860.0)
    each = width / columns
    places = [(each * (number % columns), height * (number // columns)) for number in range(n_plots)]
    return width, [_Frame(x + 44, x + each - 16, y + 26, y + height - 40) for x, y in places]


def _panel(panel: Panel, frame: _Frame) -> list[str]:
    left, right, top, bottom = frame
    values = [*panel.learned, *panel.held_out]
    low, high, ticks = _axis(min(values), max(values), _limit(panel.kind))
    n_epochs = max(len(panel.learned), 2)
    x, y = _scale(1, n_epochs, left, right), _scale(low, high, bottom, top)
    title = f"{with_unit(panel.kind)}: {panel.model}"
    room = int((right - left + 40) / _LETTER)
    epochs = range(1, n_epochs + 1, max(round(n_epochs / 6), 1))
    return [
        _words(left - 40, top - 12, _cut(title, room), "start", "name", title),
        *_levels(ticks, y, left, right),
        *(_words(x(epoch), bottom + 16, f"{epoch}", "middle", "faint") for epoch in epochs),
        _words((left + right) / 2, bottom + 31, "epoch", "middle", "faint"),
        f'<path class="line kept" d="M{x(panel.kept):.1f} {top:.1f}V{bottom:.1f}"/>',
        *(
            _curve([(x(i), y(value)) for i, value in enumerate(curve, start=1)], css)
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
    width, frames = _frames(len(curves), 190.0 if is_narrow else 200.0, is_narrow=is_narrow)
    svg = [_opened(width, frames[-1].bottom + 40, summary)]
    for curve, (left, right, top, bottom) in zip(curves, frames, strict=True):
        values = [value for _, *values in curve.points for value in values]
        low, high, ticks = _axis(min(values), max(values), _limit(curve.kind))
        faces = [math.log2(n) for n, *_ in curve.points]
        x, y = _scale(faces[0], faces[-1], left + 14, right - 14), _scale(low, high, bottom, top)
        title = f"{with_unit(curve.kind)}: {curve.model}"
        places = [(x(place), y(point[1])) for place, point in zip(faces, curve.points, strict=True)]
        svg += [
            _words(
                left - 40, top - 12, _cut(title, int((right - left + 40) / _LETTER)), "start", "name", title
            ),
            *_levels(ticks, y, left, right),
            *(
                _words(x(place), bottom + 16, f"{n:,.0f}", "middle", "faint")
                for place, (n, *_) in zip(faces, curve.points, strict=True)
            ),
            _words((left + right) / 2, bottom + 31, "training faces in a fold", "middle", "faint"),
            *(
                f'<path class="spread" d="M{at:.1f} {y(start):.1f}V{y(end):.1f}"/>'
                for (at, _), (_, _, start, end) in zip(places, curve.points, strict=True)
            ),
            _curve(places),
            *(_dot(*place, "") for place in places),
        ]
    return _whole(svg)


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
    low, high, ticks = _axis(min(scores), max(scores), _limit(kind))
    times = [math.log10(spot.time) for spot in spots]
    first, last = min(times) - 0.1, max(times) + 0.1
    x, y = _scale(first, last, left, right), _scale(low, high, bottom, top)
    powers = range(math.floor(first), math.ceil(last) + 1)
    rounds = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    for rounds_of in (rounds, _axis(10**first, 10**last, math.inf)[2]):
        within = [time for time in rounds_of if 10**first <= time <= 10**last]
        if len(within) > 2:  # if all times are similar, 10, 20 and 50 are too far apart
            break
    taken = [(x(math.log10(spot.time)), y(spot.score)) for spot in spots if spot.mark]
    svg = [
        _opened(width, height, summary),
        *_levels(ticks, y, left, right),
        *(_words(x(math.log10(time)), bottom + 16, f"{time:g}", "middle", "faint") for time in within),
        _words(left - 40, top - 12, with_unit(kind), "start", "name"),
        _words((left + right) / 2, bottom + 34, "time per face, ms (lower is better)", "middle", "faint"),
        _curve(taken),
    ]
    for spot in sorted(spots, key=lambda spot: bool(spot.mark)):
        at, up = x(math.log10(spot.time)), y(spot.score)
        svg.append(_opened_for(spot.number))
        if spot.mark:
            svg.append(_dot(at, up, ""))
            # The number is above the dot or, where that would cover another one, right, left or below.
            room = 11 if len(spot.mark) < 3 else 17  # of the number and a dot, or of two numbers
            side = room + 2
            around = ((at, up - 13), (at + side, up), (at - side, up), (at, up + 13))
            free = [place for place in around if all(_are_apart(place, other, room) for other in taken)]
            taken.append(free[0] if free else around[0])
            svg.append(_words(taken[-1][0], taken[-1][1] + 4, spot.mark, "middle", "name"))
        else:
            title = f"<title>{escape(spot.number)}</title>" if spot.number else ""
            svg.append(f'<circle class="dot hollow" cx="{at:.1f}" cy="{up:.1f}" r="3.5">{title}</circle>')
        svg.append("</g>")
    return _whole(svg)


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
    width, frames = _frames(2, 260.0 if is_narrow else 270.0, is_narrow=is_narrow)
    svg = [_opened(width, frames[-1].bottom + 40, summary)]
    first = min(number for point in bins for number in point)
    panels = (
        # Both axes of the first plot have the same range, so that its dashed line is the diagonal.
        ("Accuracy, %", "confidence, %", bins, _axis(first, 100.0, 100.0), _axis(first, 100.0, 100.0)),
        (
            "Risk: wrong predictions, %",
            "coverage: share of faces, the most confident first, %",
            risks,
            _axis(0.0, 100.0, 100.0),
            _axis(0.0, max(wrong for _, wrong in risks), 100.0),
        ),
    )
    for (title, along, points, across, up), frame in zip(panels, frames, strict=True):
        left, right, top, bottom = frame
        x, y = _scale(*across[:2], left, right), _scale(*up[:2], bottom, top)
        svg += [
            _words(left - 40, top - 12, title, "start", "name"),
            *_levels(up[2], y, left, right),
            *(_words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint") for tick in across[2]),
            _words((left + right) / 2, bottom + 33, along, "middle", "faint"),
        ]
        if points is bins:
            svg += [
                f'<path class="line" d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"/>',
                *(_dot(x(sure), y(true), "") for sure, true in points),
            ]
        svg.append(_curve([(x(place), y(value)) for place, value in points]))
    return _whole(svg)


# A curve of errors by age: the style of its line, and the age and the value of each of its points.
AgeCurve = tuple[str, tuple[tuple[float, float], ...]]


def age_plot(
    errors: Sequence[AgeCurve], biases: Sequence[AgeCurve], *, is_narrow: bool, summary: str
) -> Markup:
    """Draw the mean absolute error and the mean error by age, a line for each group of people.

    Args:
        errors: mean absolute errors in years; each line has its style, "" for a solid or "learned" for a
            dashed one.
        biases: mean errors in years, in the same form.
        is_narrow: whether the figure is for a narrow screen, with one plot below the other.
        summary: description for readers who cannot see the figure.
    """
    width, frames = _frames(2, 230.0 if is_narrow else 260.0, is_narrow=is_narrow)
    svg = [_opened(width, frames[-1].bottom + 40, summary)]
    ages = [age for _, points in errors for age, _ in points]
    panels = (("Mean absolute error, years", errors, 0.0), ("Mean error, years", biases, -math.inf))
    for (title, curves, least), (left, right, top, bottom) in zip(panels, frames, strict=True):
        values = [0.0, *(value for _, points in curves for _, value in points)]
        low, high, ticks = _axis(min(values), max(values), math.inf, least=least)
        first, last, across = _axis(min(ages), max(ages), math.inf)
        x, y = _scale(first, last, left, right), _scale(low, high, bottom, top)
        svg += [
            _words(left - 40, top - 12, title, "start", "name"),
            *_levels(ticks, y, left, right),
            f'<path class="line kept" d="M{left:.1f} {y(0):.1f}H{right:.1f}"/>',
            *(_words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint") for tick in across),
            _words((left + right) / 2, bottom + 33, "true age, years", "middle", "faint"),
            *(
                _curve([(x(age), y(value)) for age, value in points], f"curve {style}".strip())
                for style, points in curves
            ),
        ]
    return _whole(svg)


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
    curves: tuple[AgeCurve, ...]
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
    width, frames = _frames(len(plots), 260.0 if is_narrow else 290.0, is_narrow=is_narrow)
    svg = [_opened(width, frames[-1].bottom + 40, summary)]
    for plot, (left, right, top, bottom) in zip(plots, frames, strict=True):
        x, y = _scale(*plot.across, left, right), _scale(*plot.up, bottom, top)
        (first, last), (low, high) = plot.across, plot.up
        svg += [
            _words(left - 40, top - 12, plot.title, "start", "name"),
            *_levels(_axis(low, high, high, least=low)[2], y, left, right),
            *(
                _words(x(tick), bottom + 16, f"{tick:g}", "middle", "faint")
                for tick in _axis(first, last, last, least=first)[2]
            ),
            _words((left + right) / 2, bottom + 33, plot.along, "middle", "faint"),
        ]
        for style, points in plot.curves:
            inside = [(x(a), y(b)) for a, b in points if first <= a <= last and low <= b <= high]
            svg.append(_curve(inside, f"curve {style}".strip()))
        room = int((right - left - 50) / _LETTER)
        start = right - max((len(_cut(name, room)) for name in plot.names), default=0) * _LETTER
        for number, (name, (style, _)) in enumerate(zip(plot.names, plot.curves, strict=False)):
            height = bottom - 10 - 18 * (len(plot.names) - 1 - number)
            svg += [
                _curve([(start - 34, height - 4), (start - 8, height - 4)], f"curve {style}".strip()),
                _words(start, height, _cut(name, room), "start", "name", name),
            ]
    return _whole(svg)


def _opened(width: float, height: float, summary: str) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        f' aria-label="{escape(visible(summary))}">'
    )


def _whole(svg: Sequence[str]) -> Markup:
    """Return the parts of a drawing as one; all text that is not of this module has been escaped."""
    return Markup("\n".join([*svg, "</svg>"]))  # nosec B704  # escape() was applied to all other text


def _limit(kind: ScoreKind) -> float:
    """Return the largest possible value of a score in the unit that is shown."""
    return 100.0 if kind.unit == "%" else math.inf


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the function from a number to its position, from start for low to end for high."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axis(low: float, high: float, limit: float, *, least: float = 0.0) -> tuple[float, float, list[float]]:
    """Return the ends of an axis for numbers from low to high, and the round numbers for its ticks.

    The axis ends between least and limit, which are the smallest and the largest possible number.
    """
    low, high = max(low, least), min(high, limit)
    room = max((high - low) * 0.04, abs(high) * 1e-3, 1e-6)
    low, high = max(low - room, least), min(high + room, limit)
    if high <= low:  # all dots are at the limit
        low, high = limit - 1, limit
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    numbers = range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)
    return low, high, [round(number * size, 10) for number in numbers]


def _levels(ticks: Sequence[float], y: Callable[[float], float], left: float, right: float) -> list[str]:
    """Return a horizontal line for each round number, and the number on its left."""
    return [
        part
        for tick in ticks
        for part in (
            f'<path class="grid" d="M{left:.1f} {y(tick):.1f}H{right:.1f}"/>',
            _words(left - 6, y(tick) + 4, f"{tick:g}".replace("-", "−"), "end", "faint"),
        )
    ]


def _curve(places: Sequence[tuple[float, float]], css: str = "curve") -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{css}" points="{points}"/>'


def _dot(x: float, y: float, role: str) -> str:
    if role in ("baseline", "all faces"):
        return f'<rect class="dot hollow" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    if role:
        css = "dot worse" if role == "worse" else "dot hollow"
        return f'<path class="{css}" d="M{x - 5.5:.1f} {y:.1f}l5.5 -5.5l5.5 5.5l-5.5 5.5z"/>'
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def _words(x: float, y: float, text: str, anchor: str, css: str, full: str = "") -> str:
    title = f"<title>{escape(visible(full))}</title>" if full and full != text else ""
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{_FONT}">'
        f"{title}{escape(visible(text))}</text>"
    )


def _cut(text: str, letters: int) -> str:
    """Return a name of at most so many characters: the end is cut off, because it begins with the model."""
    text = visible(text)
    return text if len(text) <= letters else text[: letters - 1] + "…"
