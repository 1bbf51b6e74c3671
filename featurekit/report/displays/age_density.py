"""The figure of the predicted against the true ages of one model: how many faces each cell of ages has."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Self

import pandas as pd
from markupsafe import Markup

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.ages import CELL, OLDEST, AgeDensity, density_of
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import GREY, SMALL, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.report.drawing import opened, scale, whole, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_SHADES = 7  # of report.css


@dataclass(frozen=True, kw_only=True, repr=False)
class AgeDensityDisplay(RunDisplay):
    """The number of faces of one model by their true and their predicted age.

    Create one with AgeDensityDisplay.of(), or with results.plot.age_density("svm").

    Attributes:
        density: number of faces in each cell.
    """

    density: AgeDensity

    _what = "predicted against true age"

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame | None, years: int = CELL) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: a run that predicts age in years.
            table: prediction of the run for each face, as in featurekit.evaluation.outcomes; None if the run
                predicts classes.
            years: side of a cell in whole years.

        Raises:
            TargetError: the target of the run has classes.
            ModelError: years is not a whole number from 1 to 20.
        """
        if run.classes or table is None:
            raise TargetError(
                f"{run.name} predicts classes, so it has no predicted ages. For its errors by class, use"
                " results.plot.confusion()."
            )
        if years not in range(1, 21):
            raise ModelError(f"years must be a whole number from 1 to 20. Got {years!r} instead.")
        return cls.of_run(run, density=density_of(table, years))

    def frame(self) -> pd.DataFrame:
        """Return one row for each cell with a face, the youngest true age first.

        Columns are true_from and true_to, predicted_from and predicted_to (ages in years; the second one is
        not in the cell), n_faces, and share (of the faces of this true age).
        """
        return density_frame(self.density)

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return (
            f"Each cell has the faces of people of the true age on the horizontal axis that {self.model}"
            f" predicted to be of the age on the vertical axis, in steps of {self.density.cell} years. The"
            " darker a cell, the more faces it has. On the dashed line the predicted age is the true age;"
            f" above it people are predicted to be too old. Predictions under 0 or over {OLDEST} years are"
            " counted in the outermost cells."
        )

    @property
    def _size(self) -> tuple[float, float]:
        return 5.6, 5.6

    def _draw(self, ax: "Axes", *, cmap: str = "Blues") -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            cmap: name of a Matplotlib colormap for the numbers of faces, on a logarithmic scale.
        """
        import numpy as np
        from matplotlib.colors import LogNorm

        counts = np.array(self.density.counts, float).T
        end = self.density.cell * len(counts)
        shown = np.ma.masked_equal(counts, 0)
        scale = LogNorm(vmin=0.7, vmax=max(counts.max(), 2))
        extent = (0, end, 0, end)
        image = ax.imshow(shown, cmap=cmap, norm=scale, origin="lower", extent=extent, aspect="equal")
        ax.plot([0, end], [0, end], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        # The color bar is inside of the axes, where there would be children who are predicted to be very old.
        bar = ax.inset_axes((0.05, 0.62, 0.035, 0.32))
        if (figure := ax.get_figure(root=True)) is not None:
            figure.colorbar(image, cax=bar, format="%d")
        bar.set_title("faces", fontsize=SMALL, loc="left")
        bar.tick_params(labelsize=SMALL)
        ax.set(xlabel="True age, years", ylabel="Predicted age, years")
        tidy(ax, self.title, self.model, grid="both", letters=52)


def density_frame(density: AgeDensity) -> pd.DataFrame:
    """Return the cells with a face as AgeDensityDisplay.frame() does, one row for each."""
    cell = density.cell
    rows = [
        (cell * i, cell * (i + 1), cell * j, cell * (j + 1), count, count / sum(counts))
        for i, counts in enumerate(density.counts)
        for j, count in enumerate(counts)
        if count
    ]
    names = ["true_from", "true_to", "predicted_from", "predicted_to", "n_faces", "share"]
    return pd.DataFrame(rows, columns=names)


def density_plot(cells: Sequence[AgeDensity], *, is_narrow: bool, summary: str) -> Markup:
    """Draw the number of faces by true and by predicted age as shades, and the diagonal.

    Args:
        cells: the numbers; a sequence of one.
        is_narrow: whether the figure is for a narrow screen.
        summary: description for readers who cannot see the figure.
    """
    (density,) = cells
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


def decades(density: AgeDensity) -> list[list[int]]:
    """Return the numbers of faces by true and by predicted age, in steps of ten years.

    >>> decades(AgeDensity(cell=5, counts=((1, 2, 3), (0, 1, 0), (0, 0, 4))))
    [[4, 3], [0, 4]]

    Args:
        density: the numbers, in cells whose side divides ten years.
    """
    n_cells = 10 // density.cell
    side = -(-len(density.counts) // n_cells)
    found = [[0] * side for _ in range(side)]
    for i, counts in enumerate(density.counts):
        for j, count in enumerate(counts):
            found[i // n_cells][j // n_cells] += count
    return found


_UP = "Predicted age, years"


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
