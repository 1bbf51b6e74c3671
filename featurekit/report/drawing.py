"""The parts of a figure that is written as SVG: axes, marks, lines and words.

All text of a user is escaped here, so that a drawing can be put into the page as it is.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from featurekit.evaluation.scores import ScoreKind
from featurekit.text import visible

LETTER = 7.2  # width of a character at 12 px in the widest of the common fonts
_FONT = 12


class Frame(NamedTuple):
    """Where the axes of one of several plots are."""

    left: float
    right: float
    top: float
    bottom: float


def plot_frames(n_plots: int, height: float, *, is_narrow: bool) -> tuple[float, list[Frame]]:
    """Return the width of a drawing, and the places of its plots: one below the other, or in two columns."""
    columns, width = (1, 340.0) if is_narrow else (2, 860.0)
    each = width / columns
    places = [(each * (number % columns), height * (number // columns)) for number in range(n_plots)]
    return width, [Frame(x + 44, x + each - 16, y + 26, y + height - 40) for x, y in places]


def opened_for(number: str) -> str:
    """Return the beginning of the part of a drawing that is about one model."""
    return f'<g data-model="{escape(number)}">' if number else "<g>"


def opened(width: float, height: float, summary: str) -> str:
    """Return the beginning of a drawing, with the description for readers who cannot see it."""
    return (
        f'<svg role="img" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        f' aria-label="{escape(visible(summary))}">'
    )


def whole(svg: Sequence[str]) -> Markup:
    """Return the parts of a drawing as one; all text that is not of this module has been escaped."""
    return Markup("\n".join([*svg, "</svg>"]))  # nosec B704  # escape() was applied to all other text


def limit(kind: ScoreKind) -> float:
    """Return the largest possible value of a score in the unit that is shown."""
    return 100.0 if kind.unit == "%" else math.inf


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the function from a number to its position, from start for low to end for high."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def axis(low: float, high: float, limit: float, *, least: float = 0.0) -> tuple[float, float, list[float]]:
    """Return the ends of an axis for numbers from low to high, and the round numbers for its ticks.

    The axis ends between least and limit, which are the smallest and the largest possible number.
    """
    low, high = max(low, least), min(high, limit)
    # Equal numbers stand in the middle of an axis on which a difference could be seen.
    room = max((high - low) * 0.04, abs(high) * (1e-3 if high > low else 0.02), 1e-6)
    low, high = max(low - room, least), min(high + room, limit)
    if high <= low:  # all dots are at the limit
        low, high = limit - 1, limit
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    numbers = range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)
    return low, high, [round(number * size, 10) for number in numbers]


def levels(ticks: Sequence[float], y: Callable[[float], float], left: float, right: float) -> list[str]:
    """Return a horizontal line for each round number, and the number on its left."""
    return [
        part
        for tick in ticks
        for part in (
            f'<path class="grid" d="M{left:.1f} {y(tick):.1f}H{right:.1f}"/>',
            words(left - 6, y(tick) + 4, f"{tick:g}".replace("-", "−"), "end", "faint"),
        )
    ]


def polyline(places: Sequence[tuple[float, float]], css: str = "curve") -> str:
    """Return a line through some places."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{css}" points="{points}"/>'


def dot(x: float, y: float, role: str) -> str:
    """Return the mark of a model: a circle, or for one that was not trained here, a hollow mark."""
    if role in ("baseline", "all faces"):
        return f'<rect class="dot hollow" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    if role:
        css = "dot worse" if role == "worse" else "dot hollow"
        return f'<path class="{css}" d="M{x - 5.5:.1f} {y:.1f}l5.5 -5.5l5.5 5.5l-5.5 5.5z"/>'
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def words(x: float, y: float, text: str, anchor: str, css: str, full: str = "") -> str:
    """Return some words; the full text is their title if they were cut."""
    title = f"<title>{escape(visible(full))}</title>" if full and full != text else ""
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{_FONT}">'
        f"{title}{escape(visible(text))}</text>"
    )


def cut(text: str, letters: int) -> str:
    """Return a name of at most so many characters: the end is cut off, because it begins with the model."""
    text = visible(text)
    return text if len(text) <= letters else text[: letters - 1] + "…"
