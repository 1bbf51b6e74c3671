"""The figure of the predicted against the true ages of one model: how many faces each cell of ages has."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.ages import CELL, OLDEST, AgeDensity, density_of
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import GREY, SMALL, tidy
from featurekit.report.displays.base import RunDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
