"""How the confusion matrices of two models differ, on the faces that both models predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.confusions import ConfusionDifference, confusion_difference
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.outcomes import MOST_LABELS
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import signed
from featurekit.report.cells import ABSENT, SHARE
from featurekit.report.displays._drawing import SMALL, tidy
from featurekit.report.displays.base import Display
from featurekit.report.select import Ranked, model_name, target_title
from featurekit.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class ConfusionDifferenceDisplay(Display):
    """The confusion matrix of one model minus that of another one, in shares of the faces of each true class.

    Create one with ConfusionDifferenceDisplay.of(), or with results.plot.confusion_difference("svm", "mlp").

    Attributes:
        classes: names of the classes in their natural order.
        first, second: names of the models with their features.
        found: the counts of both models and the p-values of the differences.
    """

    classes: tuple[str, ...]
    first: str
    second: str
    found: ConfusionDifference

    _what = "difference of two confusion matrices"

    @classmethod
    def of(cls, first: Run, second: Run, tables: Mapping[str, pd.DataFrame], seed: int) -> Self:
        """Return the figure of two runs, computed from their predictions.

        Args:
            first: a run of a target that has classes.
            second: another run of the same target, which is subtracted from it.
            tables: predictions of both runs for each face, as in featurekit.evaluation.outcomes.
            seed: seed of the tests; with the seed of the report, the p-values are those of the report.

        Raises:
            TargetError: the runs have different targets, or no classes.
            ModelError: both are the same run, no face was predicted by both, or there are too many classes.
        """
        check_pair(first, second)
        found = confusion_difference(target_of(first), first.name, second.name, tables, seed)
        if found is None:
            raise ModelError(
                f"{first.name} and {second.name} predicted no common face, or there are more than"
                f" {MOST_LABELS} classes, so there is no difference to plot."
            )
        return cls._made(first, second, found)

    @classmethod
    def find(cls, ranked: Ranked) -> Self | None:
        """Return the figure of the best model and the one that the report compares it with, or None."""
        found = ranked.evidence.confusion_difference if ranked.evidence else None
        runs = {run.name: run for run in ranked.runs}
        if found is None or found.first not in runs or found.second not in runs:
            return None
        return cls._made(runs[found.first], runs[found.second], found)

    @classmethod
    def _made(cls, first: Run, second: Run, found: ConfusionDifference) -> Self:
        return cls(
            target=target_title(first.target),
            classes=first.classes,
            first=model_name(first),
            second=model_name(second),
            found=found,
        )

    def frame(self) -> pd.DataFrame:
        """Return one row for each cell of the matrices.

        Columns are true, predicted, n_first and n_second (numbers of faces), difference (n_first minus
        n_second as a share of the faces of the true class) and p_value (adjusted for all cells; NaN if the
        models predict the cell for the same faces).
        """
        found, pairs = self.found, list(product(range(len(self.classes)), repeat=2))
        return pd.DataFrame(
            {
                "true": [self.classes[i] for i, _ in pairs],
                "predicted": [self.classes[j] for _, j in pairs],
                "n_first": [found.counts_first[i][j] for i, j in pairs],
                "n_second": [found.counts_second[i][j] for i, j in pairs],
                "difference": pd.Series([found.difference(i, j) for i, j in pairs], dtype=float),
                "p_value": pd.Series([found.p_values[i][j] for i, j in pairs], dtype=float),
            }
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        n_faces = sum(map(sum, self.found.counts_first))
        return (
            f"Each row is a true class of the target {self.target}, each column a predicted class. A cell"
            f" says by how many percentage points of its row {self.first} predicts the class of the column"
            f" more often than {self.second}, on the {n_faces:,} faces that both models predicted. On the"
            " diagonal a number above 0 means that the first model is better, elsewhere that it makes this"
            " error more often. Below it are the numbers of faces of the first and of the second model."
            " Framed cells are significant (p ≤ 0.05; permutation test over subjects, adjusted for all"
            " cells)."
        )

    @property
    def _size(self) -> tuple[float, float]:
        side = min(0.82 * len(self.classes), 13.0)
        longest = max(map(len, map(visible, self.classes)))
        return max(side + 1.6 + 0.07 * longest, 5.6), max(side + 1.5, 3.6)

    def _draw(self, ax: "Axes", *, cmap: str = "RdBu", values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            cmap: name of a Matplotlib colormap whose middle stands for no difference.
            values: whether the numbers are written into the cells.
        """
        from matplotlib.patches import Rectangle

        n, frame = len(self.classes), self.frame()
        differences = frame["difference"].to_numpy(float).reshape(n, n)
        most = max(float(abs(frame["difference"]).max()), 0.01)
        ax.imshow(differences, cmap=cmap, vmin=-1.6 * most, vmax=1.6 * most)
        for i, j in product(range(n), repeat=2):
            if self.found.is_shown(i, j):
                ax.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor="#1a1f24"))
            if values:
                difference = self.found.difference(i, j)
                text = ABSENT if difference is None else signed(SHARE, difference)
                counts = f"{self.found.counts_first[i][j]:,} | {self.found.counts_second[i][j]:,}"
                centred: dict[str, Any] = {"ha": "center", "va": "center", "color": "#1a1f24"}
                ax.text(j, i - 0.12, text, fontsize=SMALL, **centred)
                ax.text(j, i + 0.26, counts, fontsize=SMALL - 3 if n > 2 else SMALL - 1, **centred)
        names = [visible(label) for label in self.classes]
        turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        is_long = max(map(len, names)) > 9
        ax.set_xticks(range(n), names, parse_math=False, fontsize=SMALL, **(turned if is_long else {}))
        ax.set_yticks(range(n), names, parse_math=False, fontsize=SMALL)
        ax.set(xlabel="Predicted class", ylabel="True class")
        letters = 22 if n < 5 else 32
        both = (
            name if len(name) <= letters else f"{name[: letters - 1]}…" for name in (self.first, self.second)
        )
        tidy(ax, self.title, " minus ".join(both), grid="both", letters=2 * letters + 8)
        ax.grid(False)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)


def check_pair(first: Run, second: Run) -> None:
    """Raise an error unless two runs can be compared class by class.

    Raises:
        TargetError: the runs have different targets, or no classes.
        ModelError: both are the same run.
    """
    if first.target != second.target:
        raise TargetError(
            f"{first.name} predicts {first.target} and {second.name} predicts {second.target}, so they cannot"
            " be compared. Name two models of one target."
        )
    if not first.classes:
        raise TargetError(f"{first.name} predicts age in years, so it has no confusion matrix.")
    if first.name == second.name:
        raise ModelError(f"Both models are {first.name}. Name two different models.")
