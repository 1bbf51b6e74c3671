"""The figure of predicted against true ages: cells that are darker the more faces they have."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from featurekit.evaluation.ages import AgeDensity
from featurekit.report.drawing import opened, scale, whole, words

_MOST_SHADES = 7  # of report.css
_UP = "Predicted age, years"


def density_plot(density: AgeDensity, *, is_narrow: bool, summary: str) -> Markup:
    """Draw the number of faces by true and by predicted age as shades, and the diagonal.

    Args:
        density: the numbers of faces.
        is_narrow: whether the figure is for a narrow screen.
        summary: description for readers who cannot see the figure.
    """
    first, end = _ends(density)
    width, side = (340.0, 280.0) if is_narrow else (860.0, 400.0)
    left, top = 46.0, 26.0
    right, bottom = left + side, top + side
    x, y = scale(first, end, left, right), scale(first, end, bottom, top)
    step = 10 if end - first <= 70 else 20
    ticks = [age for age in range(0, end + 1, step) if first <= age]
    shades = _shades(max(map(max, density.counts)))
    key = (left, bottom + 56) if is_narrow else (right + 40, top + 20)
    height = bottom + (56 + 20 * ((len(shades) + 2) // 3) if is_narrow else 44)
    svg = [opened(width, height, summary), words(left - 40, top - 12, _UP, "start", "name")]
    for age in ticks:
        across, upward = f"M{left:.1f} {y(age):.1f}H{right:.1f}", f"M{x(age):.1f} {top:.1f}V{bottom:.1f}"
        svg += [
            f'<path class="grid" d="{across}{upward}"/>',
            words(x(age), bottom + 16, f"{age}", "middle", "faint"),
            words(left - 6, y(age) + 4, f"{age}", "end", "faint"),
        ]
    svg.append(words((left + right) / 2, bottom + 33, "true age, years", "middle", "faint"))
    svg += _shaded(density, shades, first, side / (end - first), left, bottom)
    svg.append(f'<path class="line" d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"/>')
    if not is_narrow:
        svg.append(words(key[0], key[1] - 12, "faces in a cell", "start", "faint"))
    for number, (least, after) in enumerate(zip(shades, [*shades[1:], None], strict=True)):
        place = divmod(number, 3) if is_narrow else (number, 0)
        at, up = key[0] + 98 * place[1], key[1] + 20 * place[0]
        svg += [
            f'<path class="{_css(number, shades)}" d="M{at:.1f} {up:.1f}h14v14h-14z"/>',
            words(at + 20, up + 11, _range(least, after), "start", "faint"),
        ]
    return whole(svg)


def _range(least: int, after: int | None) -> str:
    """Return the numbers of faces of one shade in words."""
    if after is None:
        return f"{least} or more"
    return f"{least}" if after == least + 1 else f"{least} to {after - 1}"


def _ends(density: AgeDensity) -> tuple[int, int]:
    """Return the ages between which all true and predicted ages are, as multiples of 10 years."""
    used = [
        place
        for i, counts in enumerate(density.counts)
        for j, count in enumerate(counts)
        if count
        for place in (i, j)
    ] or [0]
    first, last = min(used) * density.cell, (max(used) + 1) * density.cell
    return first // 10 * 10, -(-last // 10) * 10


def _shades(most: int) -> list[int]:
    """Return the smallest number of faces of each shade, from light to dark.

    >>> _shades(130), _shades(3), _shades(60_000)
    ([1, 2, 5, 10, 20, 50, 100], [1, 2], [1, 5, 20, 100, 500, 2000, 10000])
    >>> _shades(400)  # the two highest steps are left out before every second one is
    [1, 2, 5, 10, 20, 50, 100]
    """
    steps = [factor * 10**power for power in range(len(str(most))) for factor in (1, 2, 5)]
    known = [step for step in steps if step <= most] or [1]
    return known[:: max(-(-(len(known) - 2) // _MOST_SHADES), 1)][:_MOST_SHADES]


def _css(number: int, shades: Sequence[int]) -> str:
    """Return the class of a shade; the last one is the darkest, however many there are."""
    others = max(len(shades) - 1, 1)
    return f"shade-{_MOST_SHADES - round((len(shades) - 1 - number) * (_MOST_SHADES - 1) / others)}"


def _shaded(
    density: AgeDensity, shades: Sequence[int], first: int, unit: float, left: float, bottom: float
) -> list[str]:
    """Return one path for each shade, with neighbouring cells of a shade above each other as one rectangle.

    Args:
        density: the numbers of faces.
        shades: the smallest number of faces of each shade.
        first: age in the lower left corner.
        unit: length of a year.
        left: place of this corner from the left.
        bottom: place of this corner from the top.
    """
    cell = density.cell
    parts: dict[int, list[str]] = defaultdict(list)
    for i, counts in enumerate(density.counts):
        start, x = 0, left + unit * (cell * i - first)
        of_cells = [sum(count >= least for least in shades) - 1 for count in counts]
        for shade, same in groupby(of_cells):
            n_cells = len(list(same))
            start += n_cells
            size = f"h{unit * cell:.2f}v{unit * cell * n_cells:.2f}h-{unit * cell:.2f}z"
            if shade >= 0:
                parts[shade].append(f"M{x:.2f} {bottom - unit * (cell * start - first):.2f}{size}")
    return [f'<path class="{_css(shade, shades)}" d="{"".join(parts[shade])}"/>' for shade in sorted(parts)]
