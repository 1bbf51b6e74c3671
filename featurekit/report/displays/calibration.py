"""The calibration of one model: its accuracy by its confidence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.confidence import Confidence, confidence_of
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.outcomes import gives_probabilities
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import BLUE, GREY, in_percent, legend_below, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.report.select import Ranked, model_name, target_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class CalibrationDisplay(RunDisplay):
    """A reliability diagram of one model: its accuracy by its confidence.

    Make one with CalibrationDisplay.of(), or with results.plot.calibration("svm").

    Attributes:
        confidence: the confidence and the accuracy of the model.
    """

    confidence: Confidence

    _what = "confidence and accuracy"
    _size = (6.0, 5.4)

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame, seed: int) -> Self:
        """Return the display of any run, computed from its outcomes.

        Args:
            run: a run that predicts classes.
            table: predictions of the run for each face, as in featurekit.evaluation.outcomes.
            seed: seed of the random numbers; the seed of the evidence gives the numbers of the report.

        Raises:
            TargetError: its target is in years.
            ModelError: there are no probabilities, or a fold has no other subjects to fit a temperature on.
        """
        check_probabilities(run, table)
        found = confidence_of(target_of(run), table, seed)
        if found is None:
            raise ModelError(
                f"{run.name} has a fold without other subjects in the other folds, so no temperature can be"
                " fitted for it. Evaluate on more subjects."
            )
        return cls._made(run, found)

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the display of the best run of a target from its evidence, or None where it has none."""
        best, confidence = best_with_confidence(ranked)
        return cls._made(best, confidence) if best and confidence else None

    @classmethod
    def _made(cls, run: Run, confidence: Confidence) -> Self:
        return cls(
            run=run.name, model=model_name(run), target=target_title(run.target), confidence=confidence
        )

    def frame(self) -> pd.DataFrame:
        """Return a row a dot, the least confident faces first: confidence, accuracy and n_faces.

        confidence is the mean probability of the predicted class, accuracy the share of correct predictions.
        """
        return pd.DataFrame(
            [(one.confidence, one.right, one.n_faces) for one in self.confidence.bins],
            columns=["confidence", "accuracy", "n_faces"],
        )

    def help(self) -> str:
        """Return how to read the figure."""
        before, after = _in_words(self.confidence.before), _in_words(self.confidence.after)
        return (
            f"The faces are sorted by the confidence of {self.model} (the predicted probability of the"
            " predicted class) into bins of about equal size. Each dot is a bin: its mean confidence and its"
            " accuracy. A perfectly calibrated model is on the dashed line; below the line the model is"
            " overconfident. The (expected) calibration error is the mean distance between confidence and"
            f" accuracy, corrected for the bias due to chance: {before} for the model itself and"
            f" {after} after temperature scaling (95 % confidence intervals over subjects). The"
            f" temperature, {self.confidence.temperature:.2f} on average, is fitted on the other folds; a"
            " temperature above 1 means that the model is overconfident."
        )

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the dots.
        """
        table = self.frame()
        low = max(float(table[["confidence", "accuracy"]].min().min()) - 0.03, 0.0)
        ax.plot([low, 1], [low, 1], linestyle="--", color=GREY, linewidth=1.2, label="Perfectly calibrated")
        label = (
            f"Calibration error {_in_words(self.confidence.before)};\n"
            f"after temperature scaling {_in_words(self.confidence.after)} (95 % confidence intervals)"
        )
        marks: dict[str, Any] = {"marker": "o", "markersize": 7, "linewidth": 1.5}
        ax.plot(table["confidence"], table["accuracy"], color=color, label=label, **marks)
        ax.set(xlim=(low, 1.01), xlabel="Confidence: probability of the predicted class, %")
        ax.set(ylim=(low, 1.01), ylabel="Accuracy, %")
        in_percent(ax.xaxis, ax.yaxis)
        tidy(ax, self.title, self.model, grid="both", letters=64)
        legend_below(ax, columns=1)


def best_with_confidence(ranked: Ranked) -> tuple[Run | None, Confidence | None]:
    """Return the run of a target whose confidence is in the evidence, and its confidence; None if absent."""
    if ranked.evidence is None:
        return None, None
    best = next((run for run in ranked.runs if run.name == ranked.evidence.sliced), None)
    return best, ranked.evidence.confidence


def check_probabilities(run: Run, table: pd.DataFrame) -> None:
    """Raise an error unless a run predicts classes and its outcomes hold their probabilities.

    Raises:
        TargetError: its target is in years.
        ModelError: there are no probabilities.
    """
    if not run.classes:
        raise TargetError(
            f"{run.name} predicts years, so it has no probabilities to calibrate. Its errors by age:"
            " results.plot.age_error()."
        )
    if not gives_probabilities(table, run.classes):
        raise ModelError(f"The outcomes of {run.name} hold no probabilities, so there is nothing to plot.")


def _in_words(error: Any) -> str:
    return f"{100 * error.value:.1f} ({100 * error.low:.1f}–{100 * error.high:.1f}) points"
