"""The figure of the scores of all models of a target, with their confidence intervals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_word
from featurekit.report.cells import axis_label, better, sentences
from featurekit.report.displays._drawing import (
    LEGEND,
    MARKS,
    dots,
    height_of,
    in_unit,
    legend_below,
    names_at_left,
    tidy,
)
from featurekit.report.displays.base import Display
from featurekit.report.select import Ranked, headline, mean_of, model_name, role
from featurekit.text import readable_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 24  # models that are drawn


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one model in the figure.

    Attributes:
        run: the run of the model.
        value: mean score over the folds: a share between 0 and 1, or an error in years.
        low, high: ends of the bar; both are the value if there is no bar.
        shown: the score and its interval as text.
    """

    run: Run
    value: float
    low: float
    high: float
    shown: str


@dataclass(frozen=True, kw_only=True, repr=False)
class AccuracyDisplay(Display):
    """A dot plot of the models of a target, best first: accuracy, or mean absolute error in years.

    Create one with AccuracyDisplay.of(), or with results.plot.accuracy().

    Attributes:
        kind: kind of score, such as accuracy.
        scores: the scores that are drawn, best first.
        are_intervals: whether the bars are 95 % confidence intervals over subjects; if not, they are standard
            deviations over the folds.
        n_scored: number of models with a score; if there are many, only the best are drawn.
        left_out: names of the models that are not drawn because they have no confidence interval.
    """

    kind: ScoreKind
    scores: tuple[Score, ...]
    are_intervals: bool
    n_scored: int
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, ranked: Ranked, *, most: int = MOST) -> Self:
        """Return the figure of one target.

        Args:
            ranked: the runs of the target, with their confidence intervals.
            most: number of models to draw, best first; baselines are always drawn.

        Raises:
            ModelError: no run has a score.
        """
        kind, evidence = headline(ranked.runs), ranked.evidence
        estimates = {name: of.get(kind.name) for name, of in evidence.estimates.items()} if evidence else {}
        # All bars are of one kind: intervals if any model has one, else standard deviations.
        are_intervals = any(estimates.get(run.name) for run in ranked.runs)
        known = [run for run in ranked.runs if mean_of(run, kind.name) is not None]
        scored = [run for run in known if estimates.get(run.name) or not are_intervals]
        if not scored:
            raise ModelError(f"No run of {ranked.name} has a score, so there is nothing to plot.")
        # If there are many models, only the best are drawn, and all baselines.
        drawn = [run for place, run in enumerate(scored) if place < most or role(run)]
        return cls(
            target=ranked.title,
            kind=kind,
            scores=tuple(_score(run, kind, estimates.get(run.name)) for run in drawn),
            are_intervals=are_intervals,
            n_scored=len(scored),
            left_out=tuple(model_name(run) for run in known if run not in scored),
        )

    @property
    def _what(self) -> str:
        most = f", {len(self.scores)} of {self.n_scored} models" if len(self.scores) < self.n_scored else ""
        return f"{score_word(self.kind)} of each model{most}"

    def frame(self) -> pd.DataFrame:
        """Return one row for each model, best first: run, model, features, role, score, value, low and high.

        Shares are between 0 and 1. The role is "baseline", "off-the-shelf", or "" for a trained model.
        """
        return pd.DataFrame(
            [
                (
                    *map(readable_name, (one.run.name, one.run.classifier_name, one.run.features)),
                    role(one.run),
                    *(self.kind.name, one.value, one.low, one.high),
                )
                for one in self.scores
            ],
            columns=["run", "model", "features", "role", "score", "value", "low", "high"],
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        bars = (
            "95 % confidence intervals over subjects"
            if self.are_intervals
            else "standard deviations over the folds"
        )
        left_out = ", ".join(self.left_out)
        return sentences(
            f"Each row is a model for the target {self.target}, the best first. The mark is the"
            f" {score_word(self.kind)}, as the mean over the folds; {better(self.kind)} values are better."
            f" The bars are {bars}.",
            "Overlapping intervals do not mean that two models are equal; differences() compares the models"
            " on the same faces."
            if self.are_intervals
            else "",
            "Hollow marks are the baseline and off-the-shelf networks; dashed lines mark their scores."
            if any(role(one.run) for one in self.scores)
            else "",
            f"Only the best of {self.n_scored} models are drawn, and all baselines."
            if len(self.scores) < self.n_scored
            else "",
            f"Models without a confidence interval are not drawn: {left_out}." if left_out else "",
        )

    @property
    def _size(self) -> tuple[float, float]:
        return 10.5, height_of(len(self.scores))

    def _draw(self, ax: "Axes", *, color: str | None = None, values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the trained models.
            values: whether the scores are written on the right of the dots.
        """
        for one_role, marks in MARKS.items():
            lines = [(height, one) for height, one in enumerate(self.scores) if role(one.run) == one_role]
            if not lines:
                continue
            dots(
                ax,
                [(one.value, one.low, one.high) for _, one in lines],
                [height for height, _ in lines],
                label=LEGEND[one_role],
                **{**marks, "color": color if color and not one_role else marks["color"]},
            )
            if one_role:
                ax.axvline(lines[0][1].value, color=marks["color"], linestyle="--", linewidth=1, alpha=0.6)
        names_at_left(
            ax,
            [model_name(one.run) for one in self.scores],
            [one.shown for one in self.scores] if values else [],
        )
        ax.set_xlabel(axis_label(self.kind))
        in_unit(ax.xaxis, self.kind)
        tidy(ax, self.title, grid="x")
        legend_below(ax)


def _score(run: Run, kind: ScoreKind, estimate: Estimate | None) -> Score:
    """Return the score of a run; its bar is the confidence interval or, without one, a standard deviation."""
    mean, std = mean_of(run, kind.name) or 0.0, run.scores[kind.name].get("std") or 0.0
    low, high = (estimate.low, estimate.high) if estimate else (mean - std, mean + std)
    around = f" ± {kind.format(std)}" if std else ""
    if estimate:
        around = f" ({kind.format(low)}–{kind.format(high)})"
    return Score(run=run, value=mean, low=low, high=high, shown=kind.format(mean) + around)
