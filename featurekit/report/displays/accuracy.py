"""The score of every model of a target with its interval, and the baselines it is to beat."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import ScoreKind, score_word
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
from featurekit.report.displays.words import axis_label
from featurekit.report.select import Ranked, headline, mean_of, model_name, role

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 24  # models that are drawn


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one model.

    Attributes:
        run: name of its run.
        model: classifier and features, for a reader.
        classifier, features: each by itself.
        role: "baseline", "off-the-shelf", or "" for a trained model.
        value: mean over the folds; a share between 0 and 1, or years.
        low, high: its bar; both the value where there is none.
        shown: the numbers in words.
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
    """A dot plot of the models of a target, best first; for years it shows the mean absolute error.

    Make one with AccuracyDisplay.of(), or with results.plot.accuracy().

    Attributes:
        target: what it is called in a heading.
        kind: the score.
        scores: those that are drawn, best first.
        are_intervals: whether the bars are 95 % confidence intervals over subjects; if not, they are standard
            deviations over the folds.
        n_scored: models that could have been drawn.
        left_out: models without an interval where others have one.
    """

    target: str
    kind: ScoreKind
    scores: tuple[Score, ...]
    are_intervals: bool
    n_scored: int
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, ranked: Ranked, *, most: int = MOST) -> Self:
        """Return the display of one target.

        Args:
            ranked: its runs and what is known of them.
            most: models that are drawn, the best ones; baselines are always drawn.

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
        # Bars are all of one kind: intervals where there are any, else standard deviations.
        are_intervals = any(estimates.get(run.name) for run in ranked.runs)
        scored: list[Run] = []
        other: list[Run] = []
        for run in ranked.runs:
            if mean_of(run, kind.name) is not None:
                (other if are_intervals and not estimates.get(run.name) else scored).append(run)
        if not scored:
            return None
        # Of many models the best are drawn, and whatever they are to beat.
        first = {run.name for run in scored[:most]}
        scores = []
        for run in scored:
            mean, estimate = mean_of(run, kind.name), estimates.get(run.name)
            if mean is None or not (run.name in first or role(run)):
                continue
            std = run.scores[kind.name].get("std") or 0.0
            low, high = (estimate.low, estimate.high) if estimate else (mean - std, mean + std)
            shown = kind.format(mean) + (f" ± {kind.format(std)}" if std else "")
            if estimate:
                shown = f"{kind.format(mean)} ({kind.format(low)}–{kind.format(high)})"
            scores.append(
                Score(
                    run=run.name,
                    model=model_name(run),
                    classifier=run.classifier_name,
                    features=run.features,
                    role=role(run),
                    value=mean,
                    low=low,
                    high=high,
                    shown=shown,
                )
            )
        return cls(
            target=ranked.title,
            kind=kind,
            scores=tuple(scores),
            are_intervals=are_intervals,
            n_scored=len(scored),
            left_out=tuple(map(model_name, other)),
        )

    @property
    def title(self) -> str:
        """Title of the figure."""
        most = f", {len(self.scores)} of {self.n_scored} models" if len(self.scores) < self.n_scored else ""
        return f"{self.target}: {score_word(self.kind)} of each model{most}"

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
        """Return how to read it."""
        bars = (
            "95 % confidence intervals over subjects"
            if self.are_intervals
            else "standard deviations over the folds"
        )
        better = "lower" if self.kind.best is min else "higher"
        text = (
            f"Each row is a model for the target {self.target}, the best first. The mark is the"
            f" {score_word(self.kind)}, as the mean over the folds; {better} values are better. The bars are"
            f" {bars}."
        )
        if self.are_intervals:
            text += (
                " Overlapping intervals do not mean that two models are equal; differences() compares the"
                " models on the same faces."
            )
        if any(one.role for one in self.scores):
            text += (
                " Hollow marks are the baseline and off-the-shelf networks; dashed lines mark their scores."
            )
        if len(self.scores) < self.n_scored:
            text += f" Only the best of {self.n_scored} models are drawn, and all baselines."
        if self.left_out:
            text += f" Left out because they have no confidence interval: {', '.join(self.left_out)}."
        return text

    def _size(self) -> tuple[float, float]:
        return 10.5, height_of(len(self.scores))

    def _draw(self, ax: "Axes", *, color: str | None = None, values: bool = True) -> None:
        """Draw it.

        Args:
            ax: what is drawn in.
            color: of the trained models.
            values: whether the numbers are written beside the dots.
        """
        for one_role, marks in MARKS.items():
            lines = [(height, one) for height, one in enumerate(self.scores) if one.role == one_role]
            if not lines:
                continue
            changed: dict[str, Any] = {"color": color} if color and not one_role else {}
            dots(
                ax,
                [(one.value, one.low, one.high) for _, one in lines],
                [height for height, _ in lines],
                label=LEGEND[one_role],
                **{**marks, **changed},
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
