"""The risk–coverage curve of one model: its errors if it abstains on the faces with low confidence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.evaluation.confidence import SHARES, risks_of
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import BLUE, in_percent, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.report.displays.calibration import best_with_confidence, check_probabilities
from featurekit.report.select import Ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class RiskCoverageDisplay(RunDisplay):
    """The share of wrong predictions of a model (risk) by the share of faces that it predicts (coverage).

    Create one with RiskCoverageDisplay.of(), or with results.plot.risk_coverage("svm").

    Attributes:
        risks: share of wrong predictions at each coverage of featurekit.evaluation.confidence.SHARES, for the
            faces with the highest confidence.
    """

    risks: tuple[float, ...]

    _what = "risk and coverage"
    _size = (6.4, 4.2)

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: a run that predicts classes.
            table: prediction of the run for each face, as in featurekit.evaluation.outcomes.

        Raises:
            TargetError: the target of the run is age in years.
            ModelError: the predictions have no probabilities.
        """
        check_probabilities(run, table)
        return cls.of_run(run, risks=risks_of(target_of(run), table))

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the figure of the best model of a target, or None if its confidence is not known."""
        best, confidence = best_with_confidence(ranked)
        return cls.of_run(best, risks=confidence.risks) if best and confidence else None

    def frame(self) -> pd.DataFrame:
        """Return one row for each point of the curve: coverage and risk, as shares between 0 and 1."""
        return pd.DataFrame({"coverage": SHARES, "risk": self.risks})

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        whole, half = (f"{100 * risk:.1f} %" for risk in (self.risks[-1], self.risks[SHARES.index(0.5)]))
        return (
            f"{self.model} predicts only the faces that it is most confident of, and abstains on the other"
            " faces. Coverage is the share of faces that the model predicts, and risk is the share of these"
            f" predictions that is wrong; lower is better. The risk is {whole} on all faces, and {half} on"
            " the half with the highest confidence. If the curve does not fall towards the left, the"
            " confidence does not distinguish correct predictions from wrong ones. The points are"
            " computed on the faces that they describe, so the risk on other faces may be different."
        )

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the curve.
        """
        table = self.frame()
        ax.plot(table["coverage"], table["risk"], color=color, marker="o", markersize=4, linewidth=1.8)
        ax.set(
            xlim=(0, 1.02),
            xlabel="Coverage: share of faces, the most confident first, %",
            ylim=(0, max(1.08 * max(self.risks), 0.01)),
            ylabel="Risk: wrong predictions, %\n(lower is better)",
        )
        in_percent(ax.xaxis, ax.yaxis)
        tidy(ax, self.title, self.model, grid="both")
