"""The figure of the errors of one model by the true age, in years."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import AgeError, age_errors
from featurekit.report.cells import sentences
from featurekit.report.displays._drawing import BLUE, GREY, SMALL, VERMILION, legend_below, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.uncertainty.resampling import FEWEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class AgeErrorDisplay(RunDisplay):
    """The mean absolute error and the mean error of one model in each band of true age (a range of ages).

    Create one with AgeErrorDisplay.of(), or with results.plot.age_error("svm").

    Attributes:
        bands: age bands, the youngest first; a band with too few subjects has no error.
    """

    bands: tuple[AgeError, ...]

    _what = "error by true age"

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame | None, seed: int) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: a run that predicts age in years.
            table: prediction of the run for each face, as in featurekit.evaluation.outcomes; None if the run
                predicts classes.
            seed: seed of the bootstrap; with the seed of the report, the intervals are those of the report.

        Raises:
            TargetError: the target of the run has classes.
            ModelError: every age band has too few subjects.
        """
        if run.classes or table is None:
            raise TargetError(
                f"{run.name} predicts classes, so it has no errors in years. For its errors by class, use"
                " results.plot.confusion()."
            )
        bands = age_errors(table, seed)
        if not any(one.error for one in bands):
            raise ModelError(
                f"No age band has {FEWEST} subjects or more, so there are no errors of {run.name} to plot."
            )
        return cls.of_run(run, bands=bands)

    def frame(self) -> pd.DataFrame:
        """Return one row for each age band, the youngest first.

        Columns are age_band, mean_absolute_error, low and high (ends of its 95 % confidence interval),
        mean_error (predicted minus true age, above 0 if the predicted ages are too high), n_faces and
        n_subjects. Errors are in years. A band with too few subjects has NaN as its errors and is not drawn.
        """
        names = ["mean_absolute_error", "low", "high", "mean_error"]
        errors = [one.error or Estimate(math.nan, math.nan, math.nan) for one in self.bands]
        rows = [
            (one.band, error.value, error.low, error.high, one.bias, one.n_faces, one.n_subjects)
            for one, error in zip(self.bands, errors, strict=True)
        ]
        return pd.DataFrame(rows, columns=["age_band", *names, "n_faces", "n_subjects"]).astype(
            dict.fromkeys(names, float)
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        small = ", ".join(one.band for one in self.bands if not one.error)
        return sentences(
            f"For each band of true age, the dot is the mean absolute error of {self.model} in years (lower"
            " is better) and the bars are 95 % confidence intervals over subjects. The diamond is the mean"
            " error, predicted minus true age: above 0 the predicted ages are too high on average, below 0"
            " too low.",
            f"Age bands with fewer than {FEWEST} subjects have no error: {small}." if small else "",
        )

    @property
    def _size(self) -> tuple[float, float]:
        return max(0.5 * len(self.bands) + 1.6, 6.6), 4.8

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the mean absolute error.
        """
        table, places = self.frame(), np.arange(len(self.bands))
        known = table["mean_absolute_error"].notna().to_numpy()
        own, at = table[known], places[known]
        ax.axhline(0, color=GREY, linewidth=1)
        ax.vlines(at, own["low"], own["high"], color=color, linewidth=2, alpha=0.65)
        marks: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7, "color": color}
        ax.plot(
            at, own["mean_absolute_error"], **marks, label="Mean absolute error, 95 % confidence interval"
        )
        marks |= {"marker": "D", "color": VERMILION, "markerfacecolor": "none", "markersize": 5.5}
        ax.plot(at, own["mean_error"], **marks, label="Mean error (above 0: predicted too old)")
        turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(places, [one.band for one in self.bands], **turned, fontsize=SMALL)
        ax.set(xlim=(-0.6, len(places) - 0.4), xlabel="True age, years", ylabel="Error, years")
        tidy(ax, self.title, self.model, grid="y")
        legend_below(ax, points=78)
