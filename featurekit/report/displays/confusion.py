"""The confusion matrix of one model."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.results import Run
from featurekit.report.displays._drawing import SMALL, tidy
from featurekit.report.displays.base import RunDisplay
from featurekit.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# With more classes, the cells have no numbers, because these would be too small to be read.
MOST_CLASSES = 24


@dataclass(frozen=True, kw_only=True, repr=False)
class ConfusionDisplay(RunDisplay):
    """The confusion matrix of one model: a row for each true class, a column for each predicted class.

    Create one with ConfusionDisplay.of(), or with results.plot.confusion("svm").

    Attributes:
        classes: names of the classes in their natural order, e.g. age groups from young to old.
        counts: number of faces of each true class (rows) by predicted class (columns), over all folds.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    _what = "confusion matrix"

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the figure of one run.

        Raises:
            TargetError: the target of the run is age in years, which has no classes.
            ModelError: the file of the run has no confusion matrix.
        """
        if not run.classes:
            raise TargetError(
                f"{run.name} predicts age in years, so it has no confusion matrix. For its errors by age, use"
                " results.plot.age_error()."
            )
        if not run.confusion:
            raise ModelError(f"{run.name} was stored without a confusion matrix. Fit it again.")
        return cls.of_run(run, classes=run.classes, counts=run.confusion)

    def share(self, true: int, predicted: int) -> float | None:
        """Return the share of the faces of one class that are predicted as a given class.

        Args:
            true: position of the true class in classes.
            predicted: position of the predicted class in classes.

        Returns:
            A share between 0 and 1; None if the true class has no faces.
        """
        total = sum(self.counts[true])
        return self.counts[true][predicted] / total if total else None

    def frame(self) -> pd.DataFrame:
        """Return one row for each cell: true, predicted, n_faces, and share (of the faces of the true class).

        frame().pivot(index="true", columns="predicted", values="n_faces") returns the matrix, with the labels
        in alphabetical order.
        """
        pairs = list(product(range(len(self.classes)), repeat=2))
        return pd.DataFrame(
            {
                "true": [self.classes[i] for i, _ in pairs],
                "predicted": [self.classes[j] for _, j in pairs],
                "n_faces": [self.counts[i][j] for i, j in pairs],
                "share": pd.Series([self.share(i, j) for i, j in pairs], dtype=float),
            }
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        return (
            f"Each row is a true class of the target {self.target}, each column a class predicted by"
            f" {self.model}. A cell has the percentage of the faces of its row that are predicted as the"
            " class of its column, and below it the number of these faces; darker cells have larger"
            " percentages. The correct predictions are on the framed diagonal. Counts are summed over the"
            " folds. Each face is predicted by a model that was fitted without any face of its subject."
        )

    @property
    def _size(self) -> tuple[float, float]:
        side = min(0.72 * len(self.classes), 12.0)
        longest = max(map(len, map(visible, self.classes)))
        return max(side + 1.6 + 0.07 * longest, 5.2), max(side + 1.3, 3.4)

    def _draw(self, ax: "Axes", *, cmap: str = "Blues", values: bool = True) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            cmap: name of a Matplotlib colormap for the shares from 0 to 1.
            values: whether the numbers are written into the cells; never with more than MOST_CLASSES classes.
        """
        from matplotlib.patches import Rectangle

        n = len(self.classes)
        image = ax.imshow(self.frame()["share"].to_numpy(float).reshape(n, n), cmap=cmap, vmin=0, vmax=1)
        if values and n <= MOST_CLASSES:
            self._write(ax, image)
        elif (figure := ax.get_figure(root=True)) is not None:
            figure.colorbar(image, ax=ax, label="Share of the true class")
        for i in range(n):
            ax.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#59626c", linewidth=1))
        names = [visible(label) for label in self.classes]
        turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        is_long = max(map(len, names)) * 7.5 > _points_a_class(ax, n)
        size = SMALL if n <= MOST_CLASSES else 6
        ax.set_xticks(range(n), names, parse_math=False, fontsize=size, **(turned if is_long else {}))
        ax.set_yticks(range(n), names, parse_math=False, fontsize=size)
        ax.set(xlabel="Predicted class", ylabel="True class")
        tidy(ax, self.title, self.model, grid="both", letters=52 if n < 5 else 72)
        ax.grid(False)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)

    def _write(self, ax: "Axes", image: Any) -> None:
        """Write the percentage and the number of faces into each cell, in white if the cell is dark."""
        for i, j in product(range(len(self.classes)), repeat=2):
            share, count = self.share(i, j), self.counts[i][j]
            red, green, blue, _ = image.cmap(image.norm(share or 0.0))
            is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            ink = "white" if is_dark else "#1a1f24" if count else "#6b747d"
            percent = "—" if share is None else f"{100 * share:.0f} %"
            ax.text(j, i - 0.12, percent, ha="center", va="center", color=ink, fontsize=SMALL)
            ax.text(j, i + 0.24, f"{count:,}", ha="center", va="center", color=ink, fontsize=SMALL - 2)


def _points_a_class(ax: "Axes", n_classes: int) -> float:
    """Return an upper limit of the width of a cell in points; the layout makes the axes smaller later."""
    figure, box = ax.get_figure(root=True), ax.get_window_extent()
    return min(box.width, box.height) * 72 / (figure.dpi if figure else 100.0) / n_classes
