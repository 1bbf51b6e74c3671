"""The base classes of the figures: plot(), frame(), help(), and an image for notebooks.

Matplotlib is imported only when a figure is drawn. A figure that plot() creates is white
with dark text, also in a notebook with a dark theme, so that it can be pasted into a
document. Axes that the user passes keep their own style.
"""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from featurekit.errors import UnknownNameError
from featurekit.evaluation.results import Run
from featurekit.registry import unknown
from featurekit.report.select import model_name, target_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Style of a figure that is made here; all other settings of the user (fonts, sizes) are kept.
_ON_WHITE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "auto",
    "axes.edgecolor": "#59626c",
    "axes.labelcolor": "#1a1f24",
    "axes.titlecolor": "auto",
    "text.color": "#1a1f24",
    "xtick.color": "#3b434b",
    "xtick.labelcolor": "inherit",
    "ytick.color": "#3b434b",
    "ytick.labelcolor": "inherit",
    "legend.facecolor": "inherit",
    "legend.labelcolor": "None",
}
# Resolution of a figure in a notebook; it is drawn with twice as many pixels for sharp screens.
_PIXELS_AN_INCH = 100


@dataclass(frozen=True, kw_only=True, repr=False)
class Display(ABC):
    """A figure of results: plot() draws it, frame() returns its numbers, help() explains how to read it.

    A notebook shows the figure if the display is the last line of a cell.

    Attributes:
        target: name of the target as it is written in the title, e.g. "Age group".
    """

    target: str

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the figure and return the axes.

        Args:
            ax: Matplotlib axes to draw in; None creates a new figure with pyplot. If axes are given, the
                state of pyplot and the other axes of the figure do not change.
            **options: options of this kind of figure, such as color.

        Raises:
            UnknownNameError: this kind of figure does not have one of the options.
        """
        known = [name for name in inspect.signature(self._draw).parameters if name != "ax"]
        for name in options:
            if name not in known:
                raise UnknownNameError(unknown(f"option of {type(self).__name__}.plot()", name, known))
        if ax is not None:
            self._draw(ax, **options)
            return ax
        from matplotlib import pyplot

        with pyplot.rc_context(_ON_WHITE):
            _, own = pyplot.subplots(figsize=self._size, layout="constrained")
            self._draw(own, **options)
        return own

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Return the numbers that the figure draws, as a new DataFrame."""

    @abstractmethod
    def help(self) -> str:
        """Return an explanation of the figure: what is drawn, and what its marks and bars are."""

    @property
    def title(self) -> str:
        """Title of the figure."""
        return f"{self.target}: {self._what}"

    @property
    @abstractmethod
    def _what(self) -> str:
        """What is shown: the second part of the title."""

    @property
    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Width and height of a figure of its own, in inches."""

    @abstractmethod
    def _draw(self, ax: "Axes", *args: Any, **options: Any) -> None:
        """Draw it in some axes."""

    @property
    def _size_of_all(self) -> tuple[float, float]:
        """Width and height, in inches, of the image for a notebook; larger if it has several parts."""
        return self._size

    def _draw_all(self, figure: "Figure") -> None:
        """Draw the image for a notebook."""
        self._draw(figure.subplots())

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as a PNG for a notebook, with the size to show it in; pyplot is not used."""
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        with rc_context(_ON_WHITE):
            figure = Figure(figsize=self._size_of_all, layout="constrained")
            self._draw_all(figure)
            file = BytesIO()
            figure.savefig(file, format="png", dpi=2 * _PIXELS_AN_INCH)
        width, height = (round(side * _PIXELS_AN_INCH) for side in self._size_of_all)
        return file.getvalue(), {"width": width, "height": height}

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.title}. .plot() draws it, .frame() returns its numbers,"
            " .help() explains how to read it.>"
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class RunDisplay(Display):
    """A figure of the results of one run.

    Attributes:
        run: name of the run.
        model: name of the model with its features.
    """

    run: str
    model: str

    @classmethod
    def of_run(cls, run: Run, **values: Any) -> Self:
        """Return the figure of one run.

        Args:
            run: the run.
            **values: values of the other attributes of the class.
        """
        return cls(run=run.name, model=model_name(run), target=target_title(run.target), **values)
