"""The score of every model of a target with its interval, and the scores of the baselines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_word
from featurekit.report.cells import sentences
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
from featurekit.report.displays.words import axis_label, better
from featurekit.report.select import Ranked, headline, mean_of, model_name, role

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 24  # models that are drawn


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one model.

    Attributes:
        run: name of its run.
        model: name of the model with its features.
        classifier, features: the two parts of this name.
        role: "baseline", "off-the-shelf", or "" for a trained model.
        value: mean over the folds; a share between 0 and 1, or years.
        low, high: ends of the bar; both are the value if there is no bar.
        shown: the numbers as text.
    """

    run: str
    model: str
    classifier: str
    features: str
    role: str
    value: float
    low: float
    high: float
    shown: str


@dataclass(frozen=True, kw_only=True, repr=False)
class AccuracyDisplay(Display):
    """A dot plot of the models of a target, best first: their accuracy, or mean absolute error in years.

    Make one with AccuracyDisplay.of(), or with results.plot.accuracy().

    Attributes:
        kind: the score.
        scores: the scores that are drawn, best first.
        are_intervals: whether the bars are 95 % confidence intervals over subjects; if not, they are standard
            deviations over the folds.
        n_scored: number of models that could have been drawn.
        left_out: models that have no interval, although others have one.
    """

    kind: ScoreKind
    scores: tuple[Score, ...]
    are_intervals: bool
    n_scored: int
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, ranked: Ranked, *, most: int = MOST) -> Self:
        """Return the display of one target.

        Args:
            ranked: its runs and the evidence on them.
            most: number of models that are drawn, the best ones; baselines are always drawn.

        Raises:
            ModelError: no run has a score.
        """
        found = cls.find(ranked, most=most)
        if found is None:
            raise ModelError(f"No run of {ranked.name} has a score, so there is nothing to plot.")
        return found

    @classmethod
    def find(cls, ranked: Ranked, *, most: int = MOST) -> Self | None:
        """Return what of() returns, or None where no run has a score."""
        kind, evidence = headline(ranked.runs), ranked.evidence
        estimates = {name: of.get(kind.name) for name, of in evidence.estimates.items()} if evidence else {}
        # All bars are of one kind: intervals if any model has one, else standard deviations.
        are_intervals = any(estimates.get(run.name) for run in ranked.runs)
        known = [run for run in ranked.runs if mean_of(run, kind.name) is not None]
        scored = [run for run in known if estimates.get(run.name) or not are_intervals]
        if not scored:
            return None
        # Of many models the best are drawn, and all baselines.
        first = {run.name for run in scored[:most]}
        drawn = [run for run in scored if run.name in first or role(run)]
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
        """Return a row a model, best first: run, model, features, role, score, value, low and high.

        Shares are between 0 and 1. role is "baseline", "off-the-shelf", or "" for a trained model.
        """
        return pd.DataFrame(
            [
                (
                    *(one.run, one.classifier, one.features, one.role),
                    *(self.kind.name, one.value, one.low, one.high),
                )
                for one in self.scores
            ],
            columns=["run", "model", "features", "role", "score", "value", "low", "high"],
        )

    def help(self) -> str:
        """Return how to read the figure."""
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
            if any(one.role for one in self.scores)
            else "",
            f"Only the best of {self.n_scored} models are drawn, and all baselines."
            if len(self.scores) < self.n_scored
            else "",
            f"Left out because they have no confidence interval: {left_out}." if left_out else "",
        )

    @property
    def _size(self) -> tuple[float, float]:
        return 10.5, height_of(len(self.scores))

    def _draw(self, ax: "Axes", *, color: str | None = None, values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the trained models.
            values: whether the numbers are written on the right of the dots.
        """
        for one_role, marks in MARKS.items():
            lines = [(height, one) for height, one in enumerate(self.scores) if one.role == one_role]
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
            [one.model for one in self.scores],
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
    return Score(
        run=run.name,
        model=model_name(run),
        classifier=run.classifier_name,
        features=run.features,
        role=role(run),
        value=mean,
        low=low,
        high=high,
        shown=kind.format(mean) + around,
    )
