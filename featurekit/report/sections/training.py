"""The learning curves of the networks, and the cost of their training."""

from collections.abc import Sequence
from statistics import median_high

import pandas as pd

from featurekit.evaluation.cost import timed_on
from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, count_cell, sentences
from featurekit.report.displays.learning_curves import LearningCurvesDisplay, Measure
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, elsewhere_note, machine_of
from featurekit.report.svg import Panel, figure, learning_curves
from featurekit.text import readable_name

_MAX_CURVES = 6  # networks whose learning curves are drawn, for each target
_MEASURES: tuple[Measure, ...] = ("loss", "score")

# Entries of an epoch in the history of a training, besides a score of each target.
_OF_EPOCH = {"loss", "rate", "learning_rate", "stage"}


def blocks(of: Ranked) -> Blocks:
    """Return the figure of the learning curves of the networks, and a table of the cost of their training."""
    networks = [run for run in of.runs if run.training]
    if not networks:
        return []
    return [
        _curves(of, networks, f"{of.title}: learning curves of the networks"),
        trainings_table(networks, f"{of.title}: training of the networks", machine_of(of.runs)),
    ]


def _curves(of: Ranked, runs: Sequence[Run], caption: str) -> Figure:
    """Return the loss and the score of each epoch, means over the folds; runs are best first."""
    if len(runs) > _MAX_CURVES:
        caption += f", the best {_MAX_CURVES} of {len(runs)}"
    drawn = runs[:_MAX_CURVES]
    displays = [LearningCurvesDisplay.of(run, measure=measure) for run in drawn for measure in _MEASURES]
    names = {run.name: of.named(run) for run in drawn}
    panels = [
        Panel(
            kind=display.kind,
            model=names[display.run],
            learned=tuple(display.kind.scale * value for value in display.mean("training")),
            held_out=tuple(display.kind.scale * value for value in display.mean("validation")),
            kept=display.kept,
        )
        for display in displays
    ]
    summary = f"{caption}. {len(panels)} line plots over the epochs; the table below has the numbers."
    are_changed = all(run.parameters.get("augment") for run in drawn)
    shares = [display.held_out_percent for display in displays if display.held_out_percent]
    low, high = (f"{end(shares, default=0):.0f}" for end in (min, max))
    part = low if low == high else f"{low} to {high}"
    note = sentences(
        "Means over the folds. Dashed lines: on the training faces, measured during the epoch"
        f"{' and with data augmentation' if are_changed else ''}.",
        f"Solid lines: on validation faces, {part} % of the training part, which are held out to choose the"
        " epoch. These values are too optimistic, because they were used to choose the epoch."
        if shares
        else "",
        "The vertical line is the epoch whose weights were kept, as the mean over the folds.",
    )
    frames = [display.frame().assign(model=readable_name(names[display.run])) for display in displays]
    means = pd.concat([frame[frame["fold"] == "mean"] for frame in frames])
    numbers = means[["model", "part", "epoch", "measure", "value"]]
    return figure(caption, note, summary, learning_curves, panels, is_folded=True, numbers=numbers)


def trainings_table(runs: Sequence[Run], caption: str, machine: str) -> Table:
    """Return a table of the cost of training each network of one target."""
    columns = (
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Epochs"),
        Column("Best epoch"),
        Column("Training", "faces", is_number=True),
        Column("Validation", "faces", is_number=True),
        Column("Speed", "faces/s", is_number=True, is_time=True),
        Column("All folds", "min", is_number=True, is_time=True),
        Column("Device"),
    )
    together = sorted({name for run in runs for name in _learned_together(run)})
    note = sentences(
        "The best epoch is the one whose weights were kept. The numbers of faces are means over the folds."
        " The speed is the median of the epochs in which the whole network was trained.",
        f"A network that learns {', '.join(together)} together is trained once for all these targets; the"
        " minutes are those of this one training."
        if together
        else "",
        elsewhere_note(runs, machine),
    )
    rows = tuple(_training_cells(run, machine) for run in runs)
    return Table(caption, columns, rows, note, n_names=2, is_folded=True)


def _training_cells(run: Run, machine: str) -> tuple[Cell, ...]:
    of = run.training
    epochs = [epoch for one in of for epoch in one["history"]]
    rates = [one["rate"] for one in epochs if one.get("stage") == "all"] or [one["rate"] for one in epochs]
    rate = median_high(rates) if rates else None
    minutes = sum(one["seconds"] for one in of) / 60
    got = dict.fromkeys(f"{one['engine']}, {one['device']}, {one['precision']}" for one in of)
    is_here = timed_on(run) == machine
    return (
        Cell(run.features),
        Cell(run.classifier_name),
        Cell(_listed_numbers([one["epochs"] for one in of])),
        Cell(_listed_numbers([one["best_epoch"] for one in of])),
        count_cell(round(sum(one["faces"] for one in of) / len(of))),
        count_cell(round(sum(one["held_out_faces"] for one in of) / len(of))),
        Cell(f"{rate:,.0f}", rate) if rate is not None and is_here else Cell(ABSENT),
        Cell(f"{minutes:,.1f}", round(minutes, 6)) if is_here else Cell(ABSENT),
        Cell("; ".join(got)),
    )


def _learned_together(run: Run) -> tuple[str, ...]:
    """Return the targets that a network learned together, by its history; none if it learned one."""
    names = {name for one in run.training for line in one["history"] for name in line}
    targets = {name for name in names - _OF_EPOCH if not name.startswith("held_out_")}
    return tuple(sorted(targets)) if len(targets) > 1 else ()


def _listed_numbers(numbers: Sequence[int]) -> str:
    """Return the numbers of the folds as text; a single one if all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else ", ".join(map(str, numbers))
