"""The figure of scores, one below the other, with their intervals: of models, or of slices of the data.

Trained models and baselines, and slices with and without a gap, differ in shape, not only in color.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from featurekit.evaluation.scores import ScoreKind
from featurekit.report.cells import axis_label
from featurekit.report.drawing import (
    LETTER,
    axis,
    cut,
    dot,
    limit,
    opened,
    opened_for,
    scale,
    whole,
    words,
)
from featurekit.text import visible

_MAX_LABEL = 50  # characters
_LINES = ("baseline", "off-the-shelf", "all faces")  # roles in a dot plot that have a vertical line


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
        folds: position of a small dot below the bar for each fold.
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
    values = [value for point in drawn for value in (point.low, point.mean, point.high, *point.folds)]
    low, high, ticks = axis(min(values), max(values), limit(kind))
    longest = max(min(len(visible(point.label)), _MAX_LABEL) for point in points)
    numbers = max(len(point.shown) for point in points) * LETTER + 8
    width = 340.0 if is_narrow else 860.0
    left = 10.0 if is_narrow else longest * LETTER + 14
    right = width - (10.0 if is_narrow else numbers + 12)
    top = 16.0 * len(lines) + 12
    step = 38.0 if is_narrow else 24.0
    bottom = top + step * len(points) + 4
    x = scale(low, high, left, right)
    svg = [opened(width, bottom + 40, summary)]
    for tick in ticks:
        svg += [
            f'<path class="grid" d="M{x(tick):.1f} {top:.1f}V{bottom:.1f}"/>',
            words(x(tick), bottom + 15, f"{tick:g}", "middle", "faint"),
        ]
    svg.append(words((left + right) / 2, bottom + 33, axis_label(kind), "middle", "faint"))
    for i, line in enumerate(lines):
        svg += _baseline(line, x(line.mean), 14.0 + 16 * i, bottom, width)
    for i, point in enumerate(points):
        y = top + step * (i + 0.5) + (8 if is_narrow else 0)
        room = int((width - 20 - numbers) / LETTER) if is_narrow else _MAX_LABEL
        start, end, up = (left, right, y - 15) if is_narrow else (0.0, width - 4, y + 4)
        svg += [
            opened_for(point.number),
            words(start, up, cut(point.label, room), "start", "name", point.label),
            words(end, up, point.shown, "end", "number"),
        ]
        svg += _marked(point, x, y, (low, high), is_drawn=point in drawn)
        svg.append("</g>")
    return whole(svg)


def _baseline(line: Point, at: float, y: float, bottom: float, width: float) -> list[str]:
    """Return the vertical line of a baseline, with its score above it."""
    # Near an edge the text is aligned to the line, so that it is not cut off.
    room = (len(line.role) + len(line.shown) + 1) * LETTER / 2
    anchor = "start" if at - room < 0 else "end" if at + room > width else "middle"
    return [
        f'<path class="line {line.role}" d="M{at:.1f} {y + 4:.1f}V{bottom:.1f}"/>',
        words(at, y, f"{line.role} {line.shown.partition(' ')[0]}", anchor, "faint"),
    ]


def _marked(
    point: Point, x: Callable[[float], float], y: float, ends: tuple[float, float], *, is_drawn: bool
) -> list[str]:
    """Return the dot of a model with its bar, or an arrow to where it is outside the axis."""
    low, high = ends
    if not is_drawn:
        end, anchor, arrow = (low, "start", "←") if point.mean < low else (high, "end", "→")
        return [words(x(end), y + 4, arrow, anchor, "faint")]
    svg = [f'<circle class="fold" cx="{x(value):.1f}" cy="{y + 8:.1f}" r="1.8"/>' for value in point.folds]
    if point.high > point.low:
        start, end = max(point.low, low), min(point.high, high)
        svg.append(f'<path class="spread" d="M{x(start):.1f} {y:.1f}H{x(end):.1f}"/>')
    return [*svg, dot(x(point.mean), y, point.role)]


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
