"""The figure of the scores of one model on slices: the faces with one label, or with two labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.estimates import Estimate, losses_of, mean_of_faces
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.outcomes import Outcomes
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word
from featurekit.evaluation.slices import Slice, slices_of
from featurekit.report.cells import axis_label, sentences, words
from featurekit.report.displays._drawing import (
    BLUE,
    GREY,
    VERMILION,
    dots,
    height_of,
    in_unit,
    legend_below,
    names_at_left,
    tidy,
)
from featurekit.report.displays.base import RunDisplay
from featurekit.report.frames import labels_of
from featurekit.report.select import Ranked
from featurekit.uncertainty.resampling import FEWEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 15  # slices that are drawn


@dataclass(frozen=True, kw_only=True, repr=False)
class SlicesDisplay(RunDisplay):
    """A dot plot of the slices on which one model is worst, with 95 % confidence intervals.

    Create one with SlicesDisplay.of(), or with results.plot.slices("svm").

    Attributes:
        kind: kind of score, such as accuracy.
        overall: the score on all faces.
        slices: the slices that are drawn, worst first.
        n_known: number of slices with a score; if there are many, only the worst are drawn.
        n_small: number of slices with too few subjects for a score.
    """

    kind: ScoreKind
    overall: Estimate
    slices: tuple[Slice, ...]
    n_known: int
    n_small: int

    @classmethod
    def of(cls, run: Run, outcomes: Outcomes, seed: int, *, most: int = MOST) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: the run.
            outcomes: predictions of the run, and the labels of the faces.
            seed: seed of the bootstrap; with the seed of the report, the intervals are those of the report.
            most: number of slices to draw, worst first.

        Raises:
            ModelError: every slice has too few subjects for a score.
        """
        target, table = target_of(run), outcomes.tables[run.name]
        kind = score_kind("mae_years" if target.is_regression else "accuracy")
        losses = losses_of(target, table)
        scores = losses if target.is_regression else 1 - losses
        overall = mean_of_faces(scores, table["subject"].to_numpy(), seed)
        return cls._made(run, kind, overall, slices_of(outcomes, target, table, seed), most)

    @classmethod
    def find(cls, ranked: Ranked, *, most: int = MOST) -> Self | None:
        """Return the figure of the best model of a target, or None if it has no slices with a score."""
        evidence = ranked.evidence
        runs = {run.name: run for run in ranked.runs}
        if evidence is None or evidence.sliced not in runs:
            return None
        overall = evidence.estimates.get(evidence.sliced, {}).get(evidence.score)
        if overall is None or not any(one.estimate for one in evidence.slices):
            return None
        return cls._made(runs[evidence.sliced], score_kind(evidence.score), overall, evidence.slices, most)

    @classmethod
    def _made(
        cls, run: Run, kind: ScoreKind, overall: Estimate, slices: tuple[Slice, ...], most: int
    ) -> Self:
        known = [one for one in slices if one.estimate]  # worst first
        if not known:
            raise ModelError(
                f"No slice of the data has {FEWEST} subjects or more, so there are no scores of {run.name} to"
                " plot."
            )
        return cls.of_run(
            run,
            kind=kind,
            overall=overall,
            slices=tuple(known[:most]),
            n_known=len(known),
            n_small=len(slices) - len(known),
        )

    @property
    def _what(self) -> str:
        n_drawn = len(self.slices)
        return f"the {n_drawn} worst of {self.n_known} slices" if n_drawn < self.n_known else "slices"

    def frame(self) -> pd.DataFrame:
        """Return one row for each slice, worst first.

        Columns are slice (its labels), score (its name), value, low, high, gap, p_value, n_faces and
        n_subjects. Shares are between 0 and 1. The gap is the difference from the score on all other faces,
        negative if the model is worse on the slice, and p_value is the p-value of the gap, adjusted for all
        slices of the target; both are NaN if the other faces have too few subjects.
        """
        rows = [
            (
                *(labels_of(one), self.kind.name),
                *(one.estimate.value, one.estimate.low, one.estimate.high),
                *(one.gap, one.gap_p, one.n_faces, one.n_subjects),
            )
            for one in self.slices
            if one.estimate
        ]
        columns = ["slice", "score", "value", "low", "high", "gap", "p_value", "n_faces", "n_subjects"]
        return pd.DataFrame(rows, columns=columns).astype({"gap": float, "p_value": float})

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return sentences(
            "Each row is a slice: the faces with one label, or with two labels. The worst slices are first."
            f" The mark is the {score_word(self.kind)} of {self.model} on the slice, and the bars are 95 %"
            " confidence intervals over subjects. The dashed line is the score on all faces. Filled diamonds"
            " are slices on which the model is significantly worse than on all other faces (p ≤ 0.05,"
            " adjusted for all slices of the target), and hollow diamonds are slices on which it is"
            " significantly better.",
            f"The {len(self.slices)} worst of {self.n_known} slices are drawn."
            if len(self.slices) < self.n_known
            else "",
            f"Slices with fewer than {FEWEST} subjects are not drawn: {self.n_small} of"
            f" {self.n_known + self.n_small} slices."
            if self.n_small
            else "",
        )

    @property
    def _size(self) -> tuple[float, float]:
        return 9.0, height_of(len(self.slices))

    def _draw(self, ax: "Axes", *, color: str = BLUE, values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the slices on which the model is not significantly worse than on all other faces.
            values: whether the scores are written on the right of the dots.
        """
        kind = self.kind
        ax.axvline(self.overall.value, color=GREY, linestyle="--", linewidth=1.2, label="All faces")
        hollow = {"marker": "D", "color": color, "markerfacecolor": "none"}
        for gap, marks, label in (
            ((True, False), {"marker": "D", "color": VERMILION}, "Significantly worse than all other faces"),
            ((False, True), hollow, "Significantly better"),
            ((False, False), {"marker": "o", "color": color}, "No significant gap"),
        ):
            lines = [
                (height, one.estimate)
                for height, one in enumerate(self.slices)
                if one.estimate and (one.is_worse, one.is_better) == gap
            ]
            if lines:
                places = [(one.value, one.low, one.high) for _, one in lines]
                dots(ax, places, [height for height, _ in lines], label=label, **marks)
        written = [
            f"{kind.format(one.estimate.value)} ({kind.format(one.estimate.low)}"
            f"–{kind.format(one.estimate.high)}), {one.n_faces:,} faces"
            for one in self.slices
            if one.estimate
        ]
        names_at_left(ax, [slice_name(one) for one in self.slices], written if values else [])
        ax.set_xlabel(axis_label(kind))
        in_unit(ax.xaxis, kind)
        tidy(ax, self.title, self.model, grid="x")
        legend_below(ax)


def slice_name(one: Slice) -> str:
    """Return the name of a slice, e.g. "gender female, age group 38-43"."""
    return ", ".join(f"{words(name)} {label}" for name, label in zip(one.columns, one.labels, strict=True))
