"""The learning curve of one model over its training faces: its score with parts of the training subjects.

The curves of a network over its epochs are in learning_curves.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.data_curve import DataCurve, Point, load_curves
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word, signed
from featurekit.report.cells import amount, axis_label, sentences
from featurekit.report.displays._drawing import BLUE, in_unit, tidy
from featurekit.report.displays.base import RunDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class DataCurveDisplay(RunDisplay):
    """The score of one model by the number of training faces, with 95 % confidence intervals.

    Create one with DataCurveDisplay.of(), or with results.plot.data_curve("svm").

    Attributes:
        kind: kind of score, such as accuracy.
        points: the score with each part of the training subjects, from the smallest part to all of them.
    """

    kind: ScoreKind
    points: tuple[Point, ...]

    _size = (7.0, 4.4)

    @classmethod
    def of(cls, run: Run, curve: DataCurve) -> Self:
        """Return the figure of one run.

        Args:
            run: the run.
            curve: its scores with parts of the training subjects.
        """
        return cls.of_run(run, kind=score_kind(curve.score), points=curve.points)

    @classmethod
    def read(cls, run: Run, folder: Path) -> Self:
        """Return the figure of one run, read from the folder of its comparison.

        Raises:
            ModelError: the run has no learning curve over its training faces.
        """
        curve = load_curves(folder, [run]).get(run.name)
        if curve is None:
            raise ModelError(
                f"{run.name} has not been fitted on parts of its training faces. Next: featurekit fit"
                f" --learning-curve --name {folder.name} with the options of the run. Networks that are"
                " trained end to end have learning curves over their epochs: results.plot.learning_curves()."
            )
        return cls.of(run, curve)

    def answer(self, name: str = "") -> str:
        """Return a sentence that says what the step from the last part to all training subjects changed.

        The step is a doubling, unless the fit was stopped before the half was done.

        Args:
            name: name of the model in the sentence; "" for its full name.
        """
        before, last = self.points[-2:]
        assert last.gain is not None
        kind, gain = self.kind, last.gain
        is_doubled = before.one_in == 2
        faces = f"from {before.n_faces:,.0f} to {last.n_faces:,.0f} faces"
        score = f"the {score_word(kind)} of {name or self.model}"
        between = f"95 % interval {signed(kind, gain.low)} to {signed(kind, gain.high)}"
        size = amount(kind, gain.value)
        if not last.is_gain_shown:
            got = f"got {size} {'better' if gain.value > 0 else 'worse'}"
            got = got if float(kind.format(abs(gain.value))) else "stayed the same after rounding"
            return (
                "It is not shown that more training faces would help: with"
                f" {'twice' if is_doubled else f'{before.one_in} times'} as many training subjects, {faces},"
                f" {score} {got} ({between}, which contains 0; above 0 is better)."
            )
        verb = "improved" if gain.value > 0 else "worsened"
        step = "Doubling the" if is_doubled else f"With {before.one_in} times as many"
        change = f"{verb} {score}" if is_doubled else f"{score} {verb}"
        so = ", so the curve has not levelled off, and more faces of the same kind may help"
        return (
            f"{step} training subjects, {faces}, {change} by {size} ({between}; above 0 is"
            f" better){so if gain.value > 0 else ''}."
        )

    @property
    def _what(self) -> str:
        return f"{score_word(self.kind)} by the number of training faces"

    def frame(self) -> pd.DataFrame:
        """Return one row for each part of the training subjects, the smallest part first.

        Columns are part (the share of the training subjects), n_faces and n_subjects (means over the folds),
        score (its name), value and std (over the folds), low and high (95 % interval over the tested
        subjects), and gain, gain_low and gain_high: by how much the score is better than in the row before.
        Shares are between 0 and 1. The gains of the first row are NaN.
        """
        rows = [
            (
                *(1 / one.one_in, one.n_faces, one.n_subjects, self.kind.name, one.value, one.std),
                *(one.low, one.high),
                *((one.gain.value, one.gain.low, one.gain.high) if one.gain else (None, None, None)),
            )
            for one in self.points
        ]
        columns = ["part", "n_faces", "n_subjects", "score", "value", "std", "low", "high"]
        columns += ["gain", "gain_low", "gain_high"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[-3:], float))

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return sentences(
            f"Each dot is the {score_word(self.kind)} of {self.model}, fitted on a part of the training"
            " subjects of each fold and scored on the same test faces. The last dot is the run itself. Each"
            " part contains the part before, and the classes have the same shares in it. The bars are 95 %"
            " confidence intervals over the tested subjects; they say nothing about which training subjects"
            " happen to be in a part, because each part is drawn once. The axis of faces is logarithmic.",
            self.answer(),
        )

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the curve.
        """
        from matplotlib.ticker import NullLocator

        faces = [one.n_faces for one in self.points]
        ax.plot(faces, [one.value for one in self.points], color=color, marker="o", markersize=7, linewidth=2)
        ax.vlines(
            faces,
            [one.low for one in self.points],
            [one.high for one in self.points],
            color=color,
            linewidth=2,
            alpha=0.5,
        )
        ax.set_xscale("log", base=2)
        ax.set_xticks(faces, [f"{one.n_faces:,.0f}\n{one.part}" for one in self.points])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(xlabel="Training faces in a fold, and share of the training subjects")
        ax.set_ylabel(axis_label(self.kind).replace(" (", "\n("))
        in_unit(ax.yaxis, self.kind)
        tidy(ax, self.title, self.model, grid="y")
