"""The figure of the score of every trained model against its time per face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from featurekit.errors import ModelError
from featurekit.evaluation.cost import milliseconds
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_word
from featurekit.report.cells import axis_label, better, sentences
from featurekit.report.displays._drawing import (
    BLUE,
    GREY,
    SMALL,
    in_unit,
    legend_below,
    short_names,
    tidy,
)
from featurekit.report.displays.base import Display
from featurekit.report.select import (
    Ranked,
    best_first,
    headline,
    machine_of,
    mean_of,
    model_name,
    timed_alike,
)
from featurekit.text import counted, readable_name, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The time per face of one model, and its score.

    Attributes:
        run: the run of the model.
        milliseconds: time per face, from the image to the prediction; equal to the seconds for 1,000 faces.
        value: mean score over the folds: a share between 0 and 1, or an error in years.
        number: number of the model in the figure, from 1, if it is on the Pareto front; 0 if it is not.
    """

    run: Run
    milliseconds: float
    value: float
    number: int


@dataclass(frozen=True, kw_only=True, repr=False)
class CostDisplay(Display):
    """The trained models of a target by score and time; a line connects the models on the Pareto front.

    Create one with CostDisplay.of(), or with results.plot.cost().

    Attributes:
        kind: kind of score, such as accuracy.
        costs: time and score of each model that is drawn, the fastest first.
        machine: name of the machine on which the times were measured; "" if it is not known.
        n_elsewhere: number of trained models that are left out because they were timed on another machine.
    """

    kind: ScoreKind
    costs: tuple[Cost, ...]
    machine: str
    n_elsewhere: int

    @classmethod
    def of(cls, ranked: Ranked) -> Self:
        """Return the figure of one target.

        Raises:
            ModelError: no trained model has both a score and a time.
        """
        runs = ranked.runs
        kind, alike = headline(runs), timed_alike(runs)
        front = [run.name for run in pareto_front(runs)]
        costs = [
            Cost(
                run=run,
                milliseconds=time,
                value=mean,
                number=front.index(run.name) + 1 if run.name in front else 0,
            )
            for run in alike
            if (time := milliseconds(run)) and (mean := mean_of(run, kind.name)) is not None
        ]
        if not costs:
            raise ModelError(
                f"No trained model of {ranked.name} has both a score and a time, so there is nothing to plot."
            )
        return cls(
            target=ranked.title,
            kind=kind,
            costs=tuple(sorted(costs, key=lambda one: one.milliseconds)),
            machine=machine_of(runs),
            n_elsewhere=sum(not run.is_baseline for run in runs) - len(alike),
        )

    @property
    def _what(self) -> str:
        return f"{score_word(self.kind)} against time"

    def frame(self) -> pd.DataFrame:
        """Return one row for each model, the fastest first.

        Columns are run, model, features, seconds_per_1000_faces, score (its name), value (shares are between
        0 and 1), and is_on_front (whether the model is on the Pareto front).
        """
        return pd.DataFrame(
            [
                (
                    *map(readable_name, (one.run.name, one.run.classifier_name, one.run.features)),
                    one.milliseconds,
                    *(self.kind.name, one.value, one.number > 0),
                )
                for one in self.costs
            ],
            columns=[
                *("run", "model", "features", "seconds_per_1000_faces"),
                *("score", "value", "is_on_front"),
            ],
        )

    def help(self) -> str:
        """Return an explanation of how to read the figure."""
        machine = f" ({self.machine})" if self.machine else ""
        return sentences(
            f"Each dot is a trained model for the target {self.target}: its {score_word(self.kind)}, as the"
            f" mean over the folds ({better(self.kind)} is better), against the seconds for 1,000 faces, from"
            " the image to the prediction, on a logarithmic scale. The filled dots with a number are the"
            " Pareto front: for these models, no other trained model is both faster and better. The figure"
            " does not say whether a difference in score may be due to chance; differences() tests this. All"
            f" times are from the machine on which the best model was timed{machine}.",
            f"Not drawn: {self.elsewhere}." if self.n_elsewhere else "",
        )

    @property
    def elsewhere(self) -> str:
        """How many models are left out and why, as part of a sentence."""
        return counted(self.n_elsewhere, "model that was", "models that were") + " timed on another machine"

    @property
    def _size(self) -> tuple[float, float]:
        return 8.0, 4.4 + 0.2 * (len([one for one in self.costs if one.number]) + bool(self.n_elsewhere))

    def _draw(self, ax: "Axes", *, color: str = BLUE) -> None:
        """Draw the figure.

        Args:
            ax: the axes.
            color: color of the models on the Pareto front.
        """
        front = [one for one in self.costs if one.number]
        rest = [one for one in self.costs if not one.number]
        ax.set_xscale("log")
        ax.plot(
            *_places(rest),
            marker="o",
            linestyle="none",
            markerfacecolor="none",
            color=GREY,
            label="Another model is faster and better" if rest else "_nolegend_",
        )
        ax.plot(*_places(front), color=color, marker="o", markersize=8, linewidth=1.2)
        _ticks_of_times(ax, [one.milliseconds for one in self.costs])
        for one, name in zip(front, short_names([model_name(one.run) for one in front], 90), strict=True):
            ax.plot([], [], linestyle="none", label=f"{one.number}  {name}")
        if self.n_elsewhere:
            ax.plot([], [], linestyle="none", label=f"Left out: {self.elsewhere}")
        ax.margins(x=0.05, y=0.12)
        _write_numbers(ax, front, rest)
        ax.set(
            xlabel="Seconds per 1,000 faces, logarithmic scale (lower is better)",
            ylabel=axis_label(self.kind).replace(" (", "\n("),
        )
        in_unit(ax.yaxis, self.kind)
        tidy(ax, self.title, grid="both")
        legend_below(ax, columns=1, handlelength=1.0)


def pareto_front(runs: Sequence[Run]) -> list[Run]:
    """Return the trained models on the Pareto front of score and time, the fastest first.

    Only models that were timed on the same machine are compared; see timed_alike().
    """
    kind = headline(runs)
    timed = [(milliseconds(run), run) for run in best_first(timed_alike(runs))]
    known = [(time, mean_of(run, kind.name), run) for time, run in timed if time]
    front: list[Run] = []
    best = None
    # The sort is stable: of models that are equally fast, the best is first.
    for _, mean, run in sorted(known, key=lambda one: one[0]):
        if mean is not None and (best is None or kind.gain(mean, best) > 0):
            best = mean
            front.append(run)
    return front


def _places(costs: Sequence[Cost]) -> tuple[list[float], list[float]]:
    return [one.milliseconds for one in costs], [one.value for one in costs]


def _write_numbers(ax: "Axes", front: Sequence[Cost], rest: Sequence[Cost]) -> None:
    """Write the number of each model on the front next to its dot, where it covers no dot or number."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    ax.autoscale_view()
    points = 72 / figure.dpi  # per pixel
    taken = [tuple(points * ax.transData.transform((one.milliseconds, one.value))) for one in [*front, *rest]]
    for one, (x, y) in zip(front, taken[: len(front)], strict=True):
        around = ((0, 11), (11, 0), (-11, 0), (0, -12))
        free = [
            (right, up)
            for right, up in around
            if all(abs(x + right - other) > 9 or abs(y + up - above) > 10 for other, above in taken)
        ]
        right, up = free[0] if free else around[0]
        taken.append((x + right, y + up))
        ax.annotate(
            str(one.number),
            (one.milliseconds, one.value),
            xytext=(right, up),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=SMALL,
            fontweight="bold",
        )


def _ticks_of_times(ax: "Axes", times: Sequence[float]) -> None:
    """Label an axis of times at 10, 20, 50, … if they are far apart, and else at round numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    range_of = max(times) / min(times)
    rounds = (1.0, 2.0, 5.0) if range_of > 30 else (1.0, 2.0, 3.0, 5.0, 7.0)
    ax.xaxis.set_major_locator(LogLocator(subs=rounds) if range_of > 4 else MaxNLocator(5))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: visible(f"{value:,g}"))
