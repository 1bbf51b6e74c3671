"""How the displays draw: colours, dots with bars, axes in percent, and names that fit.

Roles differ in shape and not only in colour; the colours are those of Okabe and Ito, which
people with any kind of colour vision can distinguish. Labels and names of features are
drawn literally: a dollar sign does not start a formula.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featurekit.evaluation.scores import ScoreKind
from featurekit.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#7f878f"
SMALL = 9  # points
MOST_LETTERS = 54  # of a name beside a figure
_LEAST_LETTERS = 12  # of the features in a name; if there is room for fewer, the features are left out

# How each role of a run is marked: a filled circle for a trained model, hollow marks for baselines.
MARKS: dict[str, dict[str, Any]] = {
    "": {"marker": "o", "color": BLUE},
    "baseline": {"marker": "s", "color": VERMILION, "markerfacecolor": "none"},
    "off-the-shelf": {"marker": "D", "color": VERMILION, "markerfacecolor": "none"},
}
# Name of each role of a run in a legend.
LEGEND = {
    "": "Trained model",
    "baseline": "Baseline: same prediction for all faces",
    "off-the-shelf": "Off-the-shelf network",
}


def in_unit(axis: "Axis", kind: ScoreKind) -> None:
    """Write the ticks of an axis in the unit of a score; shares between 0 and 1 are written as percent."""
    if kind.unit == "%":
        in_percent(axis)


def in_percent(*axes: "Axis") -> None:
    """Write the ticks of axes of shares as percent."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{100 * value:.6g}")


def tidy(ax: "Axes", title: str, model: str = "", *, grid: str, letters: int = 72) -> None:
    """Set the title and a faint grid, and remove the upper and the right line of the frame.

    Args:
        ax: the axes.
        title: title of the figure, drawn literally.
        model: name of the model, in a line below the title; "" for no such line.
        grid: the grid lines that are drawn: "x", "y" or "both".
        letters: number of characters that there is room for in the line of the model.
    """
    style: dict[str, Any] = {"loc": "left", "fontsize": "medium", "fontweight": "bold", "parse_math": False}
    ax.set_title(visible(title), **style, pad=22 if model else 8)
    if model:
        ax.annotate(
            short_names([model], letters)[0],
            (0, 1),
            xytext=(0, 7),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=SMALL,
            annotation_clip=False,
            parse_math=False,
        )
    lines: Any = grid
    ax.grid(True, axis=lines, color=GREY, alpha=0.25, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def legend_below(ax: "Axes", *, points: float = 42, columns: int = 3, **options: Any) -> None:
    """Put the legend below the axes, where it covers nothing.

    Args:
        ax: the axes; they get no legend if nothing in them has a label.
        points: distance from the axes, so that the ticks and the axis label fit in between.
        columns: number of columns of the legend.
        **options: further options of Matplotlib's legend().
    """
    from matplotlib.transforms import ScaledTranslation

    handles, names = ax.get_legend_handles_labels()
    if not handles:
        return
    figure = ax.get_figure(root=True)
    assert figure is not None
    lower = ax.transAxes + ScaledTranslation(0, -points / 72, figure.dpi_scale_trans)
    legend = ax.legend(
        handles,
        names,
        loc="upper center" if columns > 1 else "upper left",
        bbox_to_anchor=(0.5 if columns > 1 else 0, 0),
        bbox_transform=lower,
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0,
        **options,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def dots(
    ax: "Axes",
    places: Sequence[tuple[float, float, float]],
    heights: Sequence[float],
    *,
    label: str = "",
    **marks: Any,
) -> None:
    """Draw values with their bars, one below the other.

    Args:
        ax: the axes.
        places: each value with the ends of its bar; there is no bar if both are the value.
        heights: vertical position of each value.
        label: label in the legend; "" for none.
        **marks: properties of the dots, e.g. marker and color.
    """
    color = marks.get("color", BLUE)
    for (_, low, high), height in zip(places, heights, strict=True):
        if high > low:
            ax.hlines(height, low, high, color=color, linewidth=2, alpha=0.65)
    ax.plot(
        [value for value, *_ in places],
        heights,
        **{"linestyle": "none", "markersize": 7, "markeredgewidth": 1.6, **marks},
        label=label or "_nolegend_",
    )


def names_at_left(ax: "Axes", names: Sequence[str], shown: Sequence[str]) -> None:
    """Write a name on the left of each line of a dot plot, and its numbers on the right."""
    ax.set_yticks(range(len(names)), short_names(names), parse_math=False, fontsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    for height, text in enumerate(shown):
        ax.annotate(
            text,
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=SMALL,
            annotation_clip=False,
            parse_math=False,
        )


def short_names(names: Sequence[str], most: int = MOST_LETTERS) -> list[str]:
    """Return names that fit beside a figure; names that are different stay different.

    A name is the model and its features, with a dot between them. If it is too long, the middle of the
    features is cut out. They are left out if the model takes all the room, as the name of an ensemble does.

    >>> short_names(["svm · one_network+another", "svm · one_network"], most=20)
    ['svm · one_net…nother', 'svm · one_network']
    >>> short_names(["a-long-a-name", "a-long-b-name"], most=9)
    ['a-long-a-name', 'a-long-b-name']
    """
    texts = [visible(name) for name in names]
    while True:
        cut = [_shortened(text, most) for text in texts]
        if len(set(cut)) == len(set(texts)):
            return cut
        most += 8


def _shortened(text: str, most: int) -> str:
    front, dot, rest = text.partition(" · ")
    room = most - len(front) - len(dot)
    if len(text) <= most or not dot:
        return _without_middle(text, most)
    if room < _LEAST_LETTERS:
        return _without_middle(front, most)
    return f"{front}{dot}{_without_middle(rest, room)}"


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def height_of(n_lines: int, *, around: float = 1.5, line: float = 0.29) -> float:
    """Return the height of a dot plot in inches."""
    return around + line * n_lines
