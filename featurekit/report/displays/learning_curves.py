"""The learning curves of one network: its loss or its score after each epoch, for each fold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd

from featurekit.errors import ModelError, UnknownNameError
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word
from featurekit.registry import unknown
from featurekit.report.cells import axis_label, better, sentences
from featurekit.report.displays._drawing import (
    BLUE,
    GREY,
    VERMILION,
    in_unit,
    legend_below,
    tidy,
)
from featurekit.report.displays.base import RunDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Measure = Literal["score", "loss"]
_LOSS = ScoreKind("loss", "Loss", best=min)
# Part of the faces that a value is of → prefix of its name in the history of a training.
PARTS = {"training": "", "validation": "held_out_"}


@dataclass(frozen=True, kw_only=True, repr=False)
class LearningCurvesDisplay(RunDisplay):
    """The learning curves of a network that is trained end to end: one line for each fold, and their mean.

    Create one with LearningCurvesDisplay.of(), or with results.plot.learning_curves("finetuned_cnn").

    Attributes:
        kind: what is drawn: the score of the target, or the loss.
        folds: values of each fold: "training" or "validation" → one value for each epoch; the validation has
            no values if the network was trained without validation faces.
        kept: number of the epoch with the best weights, counted from 1, as the mean over the folds.
        held_out_percent: percentage of the training faces that were used for validation, over all folds.
    """

    kind: ScoreKind
    folds: tuple[Mapping[str, tuple[float, ...]], ...]
    kept: float
    held_out_percent: float

    _size = (7.0, 4.6)

    @classmethod
    def of(cls, run: Run, *, measure: Measure = "score") -> Self:
        """Return the figure of one run.

        Args:
            run: run of a network that was trained end to end.
            measure: "score" or "loss".

        Raises:
            ModelError: the model is not a network that was trained end to end.
            UnknownNameError: measure is not "score" or "loss".
        """
        if measure not in ("score", "loss"):
            raise UnknownNameError(unknown("measure", str(measure), ["loss", "score"]))
        if not run.training:
            raise ModelError(
                f"{run.name} has no training history: only networks that are trained end to end have one"
                " (finetuned_cnn, multitask_cnn, …)."
            )
        of_target = score_kind("accuracy" if run.classes else "mae_years")
        name, kind = (run.target, of_target) if measure == "score" else ("loss", _LOSS)
        folds = [
            {
                part: tuple(line[before + name] for line in one["history"] if before + name in line)
                for part, before in PARTS.items()
            }
            for one in run.training
        ]
        if not any(values for fold in folds for values in fold.values()):
            raise ModelError(f"The training history of {run.name} has no {measure}.")
        held_out = sum(one["held_out_faces"] for one in run.training)
        return cls.of_run(
            run,
            kind=kind,
            folds=tuple(folds),
            kept=sum(one["best_epoch"] or one["epochs"] for one in run.training) / len(run.training),
            held_out_percent=100 * held_out / (held_out + sum(one["faces"] for one in run.training)),
        )

    def mean(self, part: str) -> tuple[float, ...]:
        """Return the mean over the folds for each epoch, up to the last epoch that all folds reached.

        Args:
            part: "training" or "validation".

        Returns:
            One value for each epoch; none if the network was trained without faces of this part.
        """
        return tuple(
            sum(values) / len(values) for values in zip(*(fold[part] for fold in self.folds), strict=False)
        )

    @property
    def _what(self) -> str:
        return f"learning curves, {score_word(self.kind)}"

    def frame(self) -> pd.DataFrame:
        """Return one row for each epoch, fold and part: fold, part, epoch, measure and value.

        The fold is "0", "1", … or "mean" for the mean over the folds, up to the last epoch that all folds
        reached. The part is "training" or "validation": the faces on which the value was computed. Shares are
        between 0 and 1.
        """
        means = {part: self.mean(part) for part in PARTS}
        lines = [*((str(number), fold) for number, fold in enumerate(self.folds)), ("mean", means)]
        rows = [
            (fold_name, part, epoch, self.kind.name, value)
            for part in PARTS
            for fold_name, values in lines
            for epoch, value in enumerate(values[part], start=1)
        ]
        return pd.DataFrame(rows, columns=["fold", "part", "epoch", "measure", "value"])

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return sentences(
            f"The {score_word(self.kind)} of {self.model} for each epoch ({better(self.kind)} is better)."
            " Thin lines are the folds and thick lines their mean. Dashed lines are the values on the"
            " training faces, measured during the epoch.",
            f"Solid lines are the values on the validation faces, {self.held_out_percent:.0f} % of each"
            " training part, which are held out to choose the epoch. These values are too optimistic,"
            " because they were used to choose the epoch."
            if self.mean("validation")
            else "",
            "The vertical line is the epoch whose weights were kept, as the mean over the folds:"
            f" {self.kept:g}.",
        )

    def _draw(self, ax: "Axes", *, folds: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            folds: whether a thin line is drawn for each fold, besides the mean of the folds.
        """
        from matplotlib.ticker import MaxNLocator

        looks: dict[str, tuple[str, str, str]] = {
            "training": (VERMILION, "--", "Training faces"),
            "validation": (BLUE, "-", "Validation faces"),
        }
        for part, (color, line, label) in looks.items():
            marks: dict[str, Any] = {"color": color, "linestyle": line}
            for fold in self.folds if folds else ():
                ax.plot(range(1, len(fold[part]) + 1), fold[part], **marks, linewidth=0.9, alpha=0.4)
            if means := self.mean(part):
                marks |= {"marker": "o" if len(means) == 1 else ""}
                ax.plot(range(1, len(means) + 1), means, **marks, linewidth=2.4, label=label)
        ax.axvline(self.kept, color=GREY, linewidth=1.2, linestyle=":", label="Best epoch, mean")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="Epoch", ylabel=axis_label(self.kind).replace(" (", "\n("))
        in_unit(ax.yaxis, self.kind)
        tidy(ax, self.title, self.model, grid="y")
        legend_below(ax)
