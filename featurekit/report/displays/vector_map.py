"""The map of the vectors of a feature set: two dimensions, colored by label and by the error of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import csv_of
from featurekit.embeddings.plane import N_FOR_UMAP, Plane
from featurekit.errors import EmbeddingError, ModelError, UnknownNameError
from featurekit.files import refuse_to_replace, whole_file, write_text
from featurekit.registry import unknown
from featurekit.report.cells import sentences
from featurekit.report.displays._drawing import BLUE, SMALL, VERMILION, legend_below, short_names, tidy
from featurekit.report.displays.base import Display

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DRAWN = 20_000  # faces; more would cover each other, and the table has all
_MOST_CLASSES = 10  # with a color of their own
_LETTERS = 24  # of a class in the legend
_LEFT = "#c9ced3"  # faces without a label, or that are predicted correctly
# The colours of Okabe and Ito, without those that are too light on white.
_COLORS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_COLORED = ("label", "error")
_NO_LABEL = "no label, or not used"
_HEAD = b"face_id,image_path,x,y,label,error"


def check_map(path: Path) -> None:
    """Raise WorkspaceError if a map that is saved at a path would replace other files."""
    refuse_to_replace(path.with_suffix(".csv"), _HEAD, "a map", beside=[path])


@dataclass(frozen=True, kw_only=True, repr=False)
class VectorMapDisplay(Display):
    """A map of the faces by their vectors, colored by label or by the error of a model.

    Create one with ``X.map()``, where X is from `fk.embed`.

    Attributes:
        features: name of the feature set.
        plane: the place of each face.
        table: one row for each face: face_id, image_path, x, y, label and error.
        label: name of the label.
        classes: the labels that occur, in their order; empty for a label that is a number.
        is_ordered: whether the classes have an order, which the colors show.
        model: name of the model whose errors are shown; "" for none.
        error_of: name of the target of this model; "" for none.
    """

    features: str
    plane: Plane
    table: pd.DataFrame
    label: str
    classes: tuple[str, ...]
    is_ordered: bool
    model: str = ""
    error_of: str = ""

    @property
    def _size(self) -> tuple[float, float]:
        names = short_names(list(self.classes), _LETTERS) if self.classes else []
        n_rows = -(-min(len(names) + 1, _MOST_CLASSES) // _columns(max(map(len, names), default=0) + 8))
        return 6.4, 7.1 + 0.22 * n_rows

    @property
    def _what(self) -> str:
        n = len(self.table)
        return f"{self._method} map of {n:,} faces"

    @property
    def _method(self) -> str:
        return self.plane.method.upper()

    @property
    def _is_in_years(self) -> bool:
        return self.table["error"].dtype.kind == "f"

    def frame(self) -> pd.DataFrame:
        """Return one row for each face: face_id, image_path, x, y, label and error.

        The label is "" or NaN for a face without a label. The error is "right" or "wrong" ("" for a face
        without a prediction) or, for age in years, the predicted minus the true age (NaN without a
        prediction). It is empty for all faces if no model was given.
        """
        return self.table.copy()

    def save(self, path: Path) -> list[Path]:
        """Write the figure as PNG and its table as CSV beside it, and return the two paths.

        Raises:
            WorkspaceError: one of the two files exists and is not of such a map, so that it would be lost; or
                they cannot be written.
        """
        check_map(path)
        png, _ = self._repr_png_()
        with whole_file(path) as file:
            file.write(png)
        write_text(path.with_suffix(".csv"), csv_of(self.table))
        return [path, path.with_suffix(".csv")]

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        plane, n = self.plane, len(self.table)
        several = " Each network has the same total variance." if "+" in self.features else ""
        fitted = (
            f" They were fitted on {plane.n_fitted:,} of {plane.n_all:,} vectors, drawn at random."
            if plane.n_fitted < plane.n_all
            else ""
        )
        how = (
            f"The axes are the first two principal components of the standardized vectors of {self.features}"
            f" ({plane.length:,} numbers).{several}{fitted} They have"
            f" {100 * sum(plane.shares):.1f} % of the variance, so most differences between faces are not on"
            " the map."
            if plane.shares
            else f"UMAP places faces with similar vectors of {self.features} close to each other. It starts"
            f" from the first {min(N_FOR_UMAP, plane.length)} principal components of the standardized"
            f" vectors.{several}{fitted} Neighbours are meaningful. The distances between far clusters, their"
            " sizes and the axes mean little."
        )
        return sentences(
            f"Each dot is a face.{' ' + how}",
            f"{n:,} of {plane.n_all:,} faces, drawn at random, are on the map." if n < plane.n_all else "",
            f"{MOST_DRAWN:,} of them, drawn at random, are drawn; the table has all."
            if n > MOST_DRAWN
            else "",
            f"On the left the faces are colored by {self.label}, on the right by the error of {self.model}"
            f" for {self.error_of}, by models that were fitted without the subject of the face. Larger errors"
            " are drawn above smaller ones, so that they look more frequent than they are."
            f"{' The darkest color is that of the largest 2 % of the errors.' if self._is_in_years else ''}"
            if self.model
            else f"The faces are colored by {self.label}.",
        )

    @property
    def _size_of_all(self) -> tuple[float, float]:
        width, height = self._size
        return (2 * width, height) if self.model else (width, height)

    def _draw_all(self, figure: "Figure") -> None:
        parts = _COLORED if self.model else _COLORED[:1]
        for ax, by in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
            self._draw(ax, by=by)

    def _draw(self, ax: "Axes", *, by: str = "label") -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            by: what the faces are colored by, "label" or "error".
        """
        if by not in _COLORED:
            raise UnknownNameError(unknown("coloring", by, list(_COLORED)))
        if by == "error" and not self.model:
            raise ModelError("No model was given, so the map has no errors. Give results to map().")
        drawn = self._drawn()
        marks = _marks(len(drawn))
        if by == "label" and self.classes:
            self._draw_classes(ax, drawn, marks)
        elif by == "label":
            values = drawn["label"].to_numpy(float)
            left = f"{_NO_LABEL} ({int(self.table['label'].isna().sum()):,})"
            _draw_numbers(ax, drawn, values, marks, self.target, extend="neither", left=left)
        elif self._is_in_years:
            values = np.abs(drawn["error"].to_numpy(float))
            left = f"no prediction ({int(self.table['error'].isna().sum()):,})"
            _draw_numbers(ax, drawn, values, marks, "Absolute error, years", extend="max", left=left)
        else:
            groups = {"right": ("Right", _LEFT), "wrong": ("Wrong", VERMILION)}
            _draw_groups(ax, drawn, "error", groups, self.table["error"], marks)
        self._finish(ax, by)

    def _drawn(self) -> pd.DataFrame:
        """Return the faces that are drawn, in random order, so that no class covers another."""
        return self.table.sample(min(len(self.table), MOST_DRAWN), random_state=0)

    def _draw_classes(self, ax: "Axes", drawn: pd.DataFrame, marks: Mapping[str, Any]) -> None:
        counts = self.table["label"].value_counts()
        kept = list(self.classes)
        if len(kept) > _MOST_CLASSES:
            kept = [name for name in kept if name in counts.index[: _MOST_CLASSES - 1]]
        groups = dict(zip(kept, zip(kept, self._colors(len(kept)), strict=True), strict=True))
        left = int((~self.table["label"].isin(kept)).sum())
        whole, shown = self.table["label"], drawn
        if left:
            others = f"{len(self.classes) - len(kept)} other classes" if len(kept) < len(self.classes) else ""
            name = others or _NO_LABEL
            whole = whole.where(whole.isin(kept), "")
            shown = drawn.assign(label=drawn["label"].where(drawn["label"].isin(kept), ""))
            groups[""] = (name, _LEFT)
        _draw_groups(ax, shown, "label", groups, whole, marks, is_mixed=True)

    def _colors(self, n: int) -> list[str]:
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        if not self.is_ordered and n <= len(_COLORS):
            return list(_COLORS[:n])
        return [to_hex(colormaps["viridis"](place)) for place in np.linspace(0, 0.93, n)]

    def _finish(self, ax: "Axes", by: str) -> None:
        """Set the axes, the title and the legend."""
        names = ("UMAP 1", "UMAP 2")
        if self.plane.shares:
            names = ("First principal component", "Second principal component")
            shares = [f", {100 * share:.1f} % of the variance" for share in self.plane.shares]
            names = (names[0] + shares[0], names[1] + shares[1])
        ax.set_xlabel(names[0], fontsize=SMALL)
        ax.set_ylabel(names[1], fontsize=SMALL)
        ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
        # A square with the same scale on both axes.
        x, y = (self.table[name].to_numpy() for name in ("x", "y"))
        half = 0.52 * max(np.ptp(x), np.ptp(y), 1e-9)
        ax.set_xlim((x.min() + x.max()) / 2 - half, (x.min() + x.max()) / 2 + half)
        ax.set_ylim((y.min() + y.max()) / 2 - half, (y.min() + y.max()) / 2 + half)
        ax.set_box_aspect(1)
        title = self.title if by == "label" else f"{self.error_of}: error of the model"
        tidy(ax, title, self.features if by == "label" else self.model, grid="both", letters=60)
        ax.grid(visible=False)
        longest = max(map(len, ax.get_legend_handles_labels()[1]), default=0)
        legend_below(ax, points=26, columns=_columns(longest))


def _columns(longest: int) -> int:
    """Return the number of columns of a legend, by the number of letters of its longest text."""
    return int(np.clip(74 // (longest + 6), 1, 3))


def _marks(n: int) -> dict[str, Any]:
    """Return size and transparency of the dots, which are smaller and more transparent if there are many."""
    return {
        "s": float(np.clip(330 / np.sqrt(n), 3, 18)),
        "alpha": float(np.clip(40 / np.sqrt(n), 0.35, 0.7)),
        "linewidths": 0,
        "rasterized": True,
    }


def _draw_groups(
    ax: "Axes",
    drawn: pd.DataFrame,
    column: str,
    groups: Mapping[str, tuple[str, str]],
    whole: "pd.Series[Any]",
    marks: Mapping[str, Any],
    *,
    is_mixed: bool = False,
) -> None:
    """Draw groups of faces, and give each a name with its number of faces in the legend.

    Args:
        ax: the axes.
        drawn: the faces to draw.
        column: column with the group of each face; faces of other groups are not drawn.
        groups: group → name in the legend and color.
        whole: the group of every face, for the numbers.
        marks: properties of the dots.
        is_mixed: whether no group is drawn above the others; the group "" is always the lowest.
    """
    lower = [""] if is_mixed else list(groups)
    for group in filter(groups.__contains__, lower):
        those = drawn[drawn[column] == group]
        ax.scatter(those["x"], those["y"], color=groups[group][1], **marks)
    if is_mixed:
        those = drawn[drawn[column].isin(set(groups) - {""})]
        colors = those[column].map({group: color for group, (_, color) in groups.items()})
        ax.scatter(those["x"], those["y"], color=list(colors), **marks)
    for group, (name, color) in groups.items():
        text = f"{short_names([name], _LETTERS)[0]} ({int((whole == group).sum()):,})"
        ax.plot([], [], "o", color=color, markersize=6, label=text)


def _draw_numbers(
    ax: "Axes",
    drawn: pd.DataFrame,
    values: NDArray[np.float64],
    marks: Mapping[str, Any],
    title: str,
    *,
    extend: str,
    left: str,
) -> None:
    """Draw faces with a color for a number, the largest above the others, and faces without one in grey."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    known = np.isfinite(values)
    if not known.any():
        raise EmbeddingError("No face on the map has a value, so there is nothing to color.")
    x, y = drawn["x"].to_numpy(), drawn["y"].to_numpy()
    if not known.all():
        ax.scatter(x[~known], y[~known], color=_LEFT, **marks)
        ax.plot([], [], "o", color=_LEFT, markersize=6, label=left)
    order = np.flatnonzero(known)
    top = float(values[known].max())
    if extend == "max":
        order = order[np.argsort(values[order], kind="stable")]
        top = float(np.quantile(values[known], 0.98))
    low = 0.0 if extend == "max" else float(values[known].min())
    points = ax.scatter(
        x[order], y[order], c=values[order], cmap="viridis_r", vmin=low, vmax=max(top, low + 1e-9), **marks
    )
    bar = figure.colorbar(points, ax=ax, shrink=0.6, pad=0.02, extend=extend)
    bar.set_label(title, fontsize=SMALL)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
