"""The ROC curves and the precision–recall curves of models, one class against all others."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import ModelError, UnknownNameError
from featurekit.evaluation.curves import FALSE_POSITIVE_RATES, RECALLS, Curve, curves_of
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.outcomes import MOST_LABELS
from featurekit.evaluation.results import Run
from featurekit.registry import unknown
from featurekit.report.cells import sentences
from featurekit.report.displays._drawing import (
    BLUE,
    GREY,
    VERMILION,
    in_percent,
    legend_below,
    short_names,
    tidy,
)
from featurekit.report.displays.base import Display
from featurekit.report.displays.calibration import check_probabilities
from featurekit.report.select import Ranked, model_name, target_title
from featurekit.text import readable_name
from featurekit.uncertainty.resampling import FEWEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEAN = "mean over the classes"
# How the curves of up to three models differ, in color and in the kind of the line.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": VERMILION, "linestyle": "--"},
    {"color": GREY, "linestyle": ":"},
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve of the figure.

    Attributes:
        run: name of the run.
        model: name of the model with its features.
        curve: the curve, with its points.
    """

    run: str
    model: str
    curve: Curve

    @property
    def positive(self) -> str:
        """The class against all others, or MEAN."""
        return self.curve.positive or MEAN


@dataclass(frozen=True, kw_only=True, repr=False)
class CurvesDisplay(Display):
    """What the figures of ROC curves and of precision–recall curves have in common.

    Attributes:
        lines: the curves that are drawn: of several models, or of the classes of one model.
    """

    lines: tuple[Line, ...]

    _size = (6.2, 5.6)

    @classmethod
    def of(cls, run: Run, table: pd.DataFrame, seed: int, *, positive: str | None = None) -> Self:
        """Return the figure of one run, computed from its predictions.

        Args:
            run: a run that predicts classes.
            table: prediction of the run for each face, as in featurekit.evaluation.outcomes.
            seed: seed of the bootstrap; with the seed of the report, the intervals are those of the report.
            positive: the class against all others; None for the second of two classes, or for each of more
                classes and their mean.

        Raises:
            TargetError: the target of the run is age in years.
            UnknownNameError: positive is not a class of the target.
            ModelError: the predictions have no probabilities, there are too many classes, or too few subjects
                have the class.
        """
        check_probabilities(run, table)
        if positive is not None and positive not in run.classes:
            raise UnknownNameError(unknown(f"class of {run.target}", positive, list(run.classes)))
        if len(run.classes) > MOST_LABELS:
            raise ModelError(
                f"{run.target} has {len(run.classes)} classes. There are curves for at most {MOST_LABELS}."
            )
        found = curves_of(target_of(run), table, seed)
        if positive is not None:
            found = tuple(curve for curve in found if curve.positive == positive)
        elif len(run.classes) == 2:
            found = found[:1]
        drawn = [curve for curve in found if curve.roc_auc]
        if not drawn:
            raise ModelError(
                f"Fewer than {FEWEST} subjects of {run.name} have {positive or 'a class'}, or do not have it,"
                " so there are no curves to plot. Evaluate on more subjects."
            )
        lines = tuple(Line(run=run.name, model=model_name(run), curve=curve) for curve in drawn)
        return cls(target=target_title(run.target), lines=lines)

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the figure of the best model of a target and up to two others, or None without curves."""
        known = ranked.evidence.curves if ranked.evidence else {}
        lines = tuple(
            Line(run=run.name, model=model_name(run), curve=known[run.name][0])
            for run in ranked.runs
            if known.get(run.name)
        )
        return cls(target=ranked.title, lines=lines) if lines else None

    @property
    def _are_models(self) -> bool:
        """Whether the curves are those of several models, and not of the classes of one model."""
        return len({line.run for line in self.lines}) > 1

    @property
    def _of_what(self) -> str:
        """What the curves show, as a part of the title."""
        if len(self.lines) > 1 and not self._are_models:
            return " of each class"
        positive = self.lines[0].curve.positive
        return f", positive class {positive}" if positive else f", {MEAN}"

    @staticmethod
    @abstractmethod
    def area_of(curve: Curve) -> Estimate:
        """Return the number that summarizes a curve, with its interval."""

    @staticmethod
    @abstractmethod
    def points_of(curve: Curve) -> Iterator[tuple[float, float]]:
        """Yield the points of a curve, from left to right."""

    def _frame(self, x: str, y: str, area: str) -> pd.DataFrame:
        """Return the points of all curves with these names of the axes and of the area."""
        rows = [
            (
                *(*map(readable_name, (line.run, line.model, line.positive)), *point),
                *(number.value, number.low, number.high),
            )
            for line in self.lines
            for number in (self.area_of(line.curve),)
            for point in self.points_of(line.curve)
        ]
        columns = ["run", "model", "positive", x, y, area, f"{area}_low", f"{area}_high"]
        return pd.DataFrame(rows, columns=columns)

    def _draw_lines(self, ax: "Axes", *, area: str) -> None:
        """Draw the curves with their areas in the legend."""
        from matplotlib import colormaps

        n_lines, colors = len(self.lines), colormaps["viridis"]
        names = short_names([line.model if self._are_models else line.positive for line in self.lines], 46)
        for number, (line, name) in enumerate(zip(self.lines, names, strict=True)):
            found = self.area_of(line.curve)
            style: dict[str, Any] = {"linewidth": 1.8}
            if self._are_models or n_lines == 1:
                style |= _STYLES[number % len(_STYLES)]
            elif line.curve.positive:
                style |= {"color": colors(number / n_lines), "linewidth": 1.2}
            else:
                style |= {"color": "#1a1f24", "linestyle": "--"}
            # A class has a short name, so that both fit on one line.
            between = "\n" if self._are_models else ": "
            label = f"{name}{between}{area} {found.value:.3f} ({found.low:.3f}–{found.high:.3f})"
            places = list(self.points_of(line.curve))
            ax.plot([x for x, _ in places], [y for _, y in places], label=label, **style)
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        in_percent(ax.xaxis, ax.yaxis)
        model = "" if self._are_models else self.lines[0].model
        tidy(ax, self.title, model, grid="both", letters=64)
        legend_below(ax, columns=1)

    def _words(self) -> Sequence[str]:
        """Return sentences on the positive class and on the pooled folds."""
        is_mean = any(not line.curve.positive for line in self.lines)
        return (
            "The mean over the classes gives each class with enough subjects the same weight."
            if is_mean
            else f"The positive class is {self.lines[0].positive}."
            if len(self.lines) == 1 or self._are_models
            else "",
            "The predictions of all folds are pooled, so the probabilities of models of different folds are"
            " compared with each other. Intervals are 95 % confidence intervals over subjects.",
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class RocDisplay(CurvesDisplay):
    """ROC curves: the share of the faces of a class that is found, by the share of false alarms.

    Create one with RocDisplay.of(), or with results.plot.roc().
    """

    @property
    def _what(self) -> str:
        return f"ROC curve{'s' if len(self.lines) > 1 else ''}{self._of_what}"

    @staticmethod
    def area_of(curve: Curve) -> Estimate:
        """Return the area under the ROC curve, with its interval."""
        assert curve.roc_auc is not None
        return curve.roc_auc

    @staticmethod
    def points_of(curve: Curve) -> Iterator[tuple[float, float]]:
        """Yield the false positive rate and the true positive rate of each point, from left to right."""
        return zip(FALSE_POSITIVE_RATES, curve.true_positive_rates, strict=True)

    def frame(self) -> pd.DataFrame:
        """Return one row for each point of each curve, as shares between 0 and 1.

        Columns are run, model, positive (the class against all others, or "mean over the classes"),
        false_positive_rate, true_positive_rate (the largest one that is reached with at most this false
        positive rate), roc_auc, roc_auc_low and roc_auc_high (95 % interval over subjects).
        """
        return self._frame("false_positive_rate", "true_positive_rate", "roc_auc")

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return sentences(
            "A face counts as a class if the predicted probability of the class is above a threshold. Each"
            " point of a curve is a threshold: the share of the faces of the class that count as it (true"
            " positive rate) against the share of all other faces that do (false positive rate). Higher"
            " curves are better; guessing would be on the dashed line. The area under the curve (ROC-AUC) is"
            " the probability that a face of the class has a higher score than another face.",
            *self._words(),
        )

    def _draw(self, ax: "Axes") -> None:
        """Draw the figure in some axes."""
        ax.plot([0, 1], [0, 1], linestyle="--", color=GREY, linewidth=1, label="Guessing: area 0.5")
        ax.set(xlabel="False positive rate, %", ylabel="True positive rate (recall), %")
        self._draw_lines(ax, area="area")


@dataclass(frozen=True, kw_only=True, repr=False)
class PrecisionRecallDisplay(CurvesDisplay):
    """Precision–recall curves: the share of correct alarms by the share of a class that is found.

    Create one with PrecisionRecallDisplay.of(), or with results.plot.precision_recall().
    """

    @property
    def _what(self) -> str:
        return f"precision–recall curve{'s' if len(self.lines) > 1 else ''}{self._of_what}"

    @staticmethod
    def area_of(curve: Curve) -> Estimate:
        """Return the average precision, with its interval."""
        assert curve.average_precision is not None
        return curve.average_precision

    @staticmethod
    def points_of(curve: Curve) -> Iterator[tuple[float, float]]:
        """Yield the recall and the precision of each point, from left to right."""
        return zip(RECALLS, curve.precisions, strict=True)

    def frame(self) -> pd.DataFrame:
        """Return one row for each point of each curve, as shares between 0 and 1.

        Columns are run, model, positive (the class against all others, or "mean over the classes"), recall,
        precision (with the highest threshold that gives at least this recall), average_precision,
        average_precision_low and average_precision_high (95 % interval over subjects).
        """
        return self._frame("recall", "precision", "average_precision")

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return sentences(
            "A face counts as a class if the predicted probability of the class is above a threshold. Each"
            " point of a curve is a threshold: the share of the faces that count as the class which really"
            " are of it (precision) against the share of the faces of the class that count as it (recall)."
            " Higher curves are better. The average precision is the mean precision over all recalls."
            " Guessing would give the share of the class among all faces, so the rarer a class is, the lower"
            " it is.",
            *self._words(),
        )

    def _draw(self, ax: "Axes") -> None:
        """Draw the figure in some axes."""
        ax.set(xlabel="Recall, %", ylabel="Precision, %")
        self._draw_lines(ax, area="average precision")
