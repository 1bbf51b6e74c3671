"""The reliability diagram of one model: its accuracy by its confidence."""

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
from featurekit.report.select import Ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class CalibrationDisplay(RunDisplay):
    """A reliability diagram of one model: its accuracy by its confidence.

    Create one with CalibrationDisplay.of(), or with results.plot.calibration("svm").

    Attributes:
        confidence: bins of faces with their mean confidence and accuracy, the calibration errors, and the
            temperature.
    """

    confidence: Confidence

    _what = "confidence and accuracy"
    _size = (6.0, 5.4)

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame, seed: int) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: a run that predicts classes.
            table: prediction of the run for each face, as in featurekit.evaluation.outcomes.
            seed: seed of the bootstrap; with the seed of the report, the intervals are those of the report.

        Raises:
            TargetError: the target of the run is age in years.
            ModelError: the predictions have no probabilities, or one fold contains all subjects, so that no
                temperature can be fitted on other subjects.
        """
        check_probabilities(run, table)
        found = confidence_of(target_of(run), table, seed)
        if found is None:
            raise ModelError(
                f"One fold of {run.name} contains all subjects, so no temperature can be fitted on other"
                " subjects. Evaluate on more subjects."
            )
        return cls.of_run(run, confidence=found)

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the figure of the best model of a target, or None if its confidence is not known."""
        best, confidence = best_with_confidence(ranked)
        return cls.of_run(best, confidence=confidence) if best and confidence else None

    def frame(self) -> pd.DataFrame:
        """Return one row for each dot, the least confident faces first: confidence, accuracy and n_faces.

        The confidence is the mean probability of the predicted class, and the accuracy is the share of
        correct predictions; both are between 0 and 1.
        """
        return pd.DataFrame(
            [(one.confidence, one.right, one.n_faces) for one in self.confidence.bins],
            columns=["confidence", "accuracy", "n_faces"],
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
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
    """Return the run of the best model of a target and its confidence; None for each that is not known."""
    if ranked.evidence is None:
        return None, None
    best = next((run for run in ranked.runs if run.name == ranked.evidence.sliced), None)
    return best, ranked.evidence.confidence


def check_probabilities(run: Run, table: pd.DataFrame) -> None:
    """Raise an error unless a run predicts classes and its predictions have probabilities.

    Raises:
        TargetError: the target of the run is age in years.
        ModelError: the predictions have no probabilities.
    """
    if not run.classes:
        raise TargetError(
            f"{run.name} predicts age in years, so it has no probabilities. For its errors by age, use"
            " results.plot.age_error()."
        )
    if not gives_probabilities(table, run.classes):
        raise ModelError(f"The predictions of {run.name} have no probabilities, so there is nothing to plot.")


def _in_words(error: Any) -> str:
    return f"{100 * error.value:.1f} ({100 * error.low:.1f}–{100 * error.high:.1f}) points"
