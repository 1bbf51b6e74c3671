"""The risk–coverage curve of one model: its errors on the faces that it is most confident of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.evaluation.confidence import SHARES, risks_of
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import BLUE, in_percent, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.report.displays.calibration import best_with_confidence, check_probabilities
from featurekit.report.select import Ranked, model_name, target_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class RiskCoverageDisplay(RunDisplay):
    """The share of wrong predictions of one model (risk) by the share of faces that it predicts (coverage).

    Make one with RiskCoverageDisplay.of(), or with results.plot.risk_coverage("svm").

    Attributes:
        risks: share of wrong predictions among the most confident faces, one for each of SHARES.
    """

    risks: tuple[float, ...]

    _what = "risk and coverage"
    _size = (6.4, 4.2)

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame) -> Self:
        """Return the display of any run, computed from its outcomes.

        Args:
            run: a run that predicts classes.
            table: predictions of the run for each face, as in featurekit.evaluation.outcomes.

        Raises:
            TargetError: its target is in years.
            ModelError: there are no probabilities.
        """
        check_probabilities(run, table)
        return cls._made(run, risks_of(target_of(run), table))

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the display of the best run of a target from its evidence, or None where it has none."""
        best, confidence = best_with_confidence(ranked)
        return cls._made(best, confidence.risks) if best and confidence else None

    @classmethod
    def _made(cls, run: Run, risks: tuple[float, ...]) -> Self:
        return cls(run=run.name, model=model_name(run), target=target_title(run.target), risks=risks)

    def frame(self) -> pd.DataFrame:
        """Return a row a point: coverage (share of faces predicted) and risk (share of these wrong)."""
        return pd.DataFrame({"coverage": SHARES, "risk": self.risks})

    def help(self) -> str:
        """Return how to read the figure."""
        whole, half = (f"{100 * risk:.1f} %" for risk in (self.risks[-1], self.risks[SHARES.index(0.5)]))
        return (
            f"{self.model} predicts only the faces that it is most confident of, and abstains on the others."
            " Coverage is the share of faces that it predicts, and risk is the share of these predictions"
            f" that is wrong; lower is better. The risk is {whole} on all faces, and {half} on the half with"
            " the highest confidence. If the curve does not fall towards the left, the confidence does not"
            " distinguish correct predictions from wrong ones. The points are computed on the faces that"
            " they describe, so they guarantee nothing for other faces."
        )

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the curve.
        """
        table = self.frame()
        marks: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.8}
        ax.plot(table["coverage"], table["risk"], color=color, **marks)
        ax.set(xlim=(0, 1.02), xlabel="Coverage: share of faces, the most confident first, %")
        ax.set(
            ylim=(0, max(1.08 * max(self.risks), 0.01)),
            ylabel="Risk: wrong predictions, %\n(lower is better)",
        )
        in_percent(ax.xaxis, ax.yaxis)
        tidy(ax, self.title, self.model, grid="both")
