"""The figure of the score of each model in each fold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_word
from featurekit.report.cells import axis_label, better
from featurekit.report.displays._drawing import BLUE, MARKS, height_of, in_unit, names_at_left, tidy
from featurekit.report.displays.accuracy import MOST
from featurekit.report.displays.base import Display
from featurekit.report.select import Ranked, folds_of, headline, mean_of, model_name, role
from featurekit.text import readable_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class FoldScores:
    """The score of one model in each fold.

    Attributes:
        run: the run of the model.
        mean: mean over the folds: a share between 0 and 1, or an error in years.
        folds: score in each fold; None for a fold without this score.
    """

    run: Run
    mean: float
    folds: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class FoldsDisplay(Display):
    """The score of each model in each fold, best model first: accuracy, or mean absolute error in years.

    Create one with FoldsDisplay.of(), or with results.plot.folds().

    Attributes:
        kind: kind of score, such as accuracy.
        scores: the scores that are drawn, best model first.
        n_scored: number of models with a score; if there are many, only the best are drawn.
    """

    kind: ScoreKind
    scores: tuple[FoldScores, ...]
    n_scored: int

    @classmethod
    def of(cls, ranked: Ranked, *, most: int = MOST) -> Self:
        """Return the figure of one target.

        Args:
            ranked: the runs of the target.
            most: number of models to draw, best first; baselines are always drawn.

        Raises:
            ModelError: no run has a score for each fold.
        """
        kind = headline(ranked.runs)
        found = [
            FoldScores(run=run, mean=mean, folds=folds_of(run, kind.name))
            for run in ranked.runs
            if (mean := mean_of(run, kind.name)) is not None
        ]
        scored = [one for one in found if any(value is not None for value in one.folds)]
        if not scored:
            raise ModelError(f"No run of {ranked.name} has a score for each fold.")
        drawn = [one for place, one in enumerate(scored) if place < most or role(one.run)]
        return cls(target=ranked.title, kind=kind, scores=tuple(drawn), n_scored=len(scored))

    @property
    def n_folds(self) -> int:
        """The largest number of folds of a model."""
        return max(len(one.folds) for one in self.scores)

    @property
    def _what(self) -> str:
        most = f", {len(self.scores)} of {self.n_scored} models" if len(self.scores) < self.n_scored else ""
        return f"{score_word(self.kind)} in each fold{most}"

    def frame(self) -> pd.DataFrame:
        """Return one row for each fold of each model, the best model first.

        Columns are run, model, features, role ("baseline", "off-the-shelf", or "" for a trained model), score
        (its name), fold (counted from 0), value (a share between 0 and 1, or years) and mean (over the
        folds).
        """
        rows = [
            (
                *map(readable_name, (one.run.name, one.run.classifier_name, one.run.features)),
                role(one.run),
                *(self.kind.name, number, value, one.mean),
            )
            for one in self.scores
            for number, value in enumerate(one.folds)
        ]
        columns = ["run", "model", "features", "role", "score", "fold", "value", "mean"]
        return pd.DataFrame(rows, columns=columns).astype({"value": float})

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return (
            f"Each row is a model for the target {self.target}, the best first. The small dots are its"
            f" {score_word(self.kind)} in each fold, and the vertical mark is their mean;"
            f" {better(self.kind)} values are better. All models are fitted and tested on the same folds, so"
            " a fold that is hard is hard for all of them. The distance between the dots is no confidence"
            " interval: the training parts of the folds overlap."
        )

    @property
    def _size(self) -> tuple[float, float]:
        return 9.5, height_of(len(self.scores), around=1.2)

    def _draw(self, ax: "Axes", *, color: str = BLUE, values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the trained models.
            values: whether the smallest and the largest score are written on the right of the dots.
        """
        for height, one in enumerate(self.scores):
            own = color if not role(one.run) else MARKS[role(one.run)]["color"]
            known = [value for value in one.folds if value is not None]
            ax.plot(known, [height] * len(known), "o", color=own, markersize=4.5, alpha=0.6)
            ax.plot([one.mean], [height], "|", color=own, markersize=13, markeredgewidth=2)
        written = [
            f"{self.kind.format(min(known))}–{self.kind.format(max(known))}"
            for one in self.scores
            for known in ([value for value in one.folds if value is not None],)
        ]
        names_at_left(ax, [model_name(one.run) for one in self.scores], written if values else [])
        ax.set_xlabel(axis_label(self.kind))
        in_unit(ax.xaxis, self.kind)
        tidy(ax, self.title, grid="x")
