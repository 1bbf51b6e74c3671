"""The learning curves of the networks, and the cost of their training."""

from collections.abc import Sequence

from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import timed_on
from featurekit.report.cells import ABSENT, count_cell
from featurekit.report.displays.learning_curves import LearningCurvesDisplay, Measure
from featurekit.report.displays.words import score_title
from featurekit.report.model import Block, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, elsewhere_note, machine_of
from featurekit.report.svg import Panel, learning_curves

_MAX_CURVES = 6  # networks whose learning curves are drawn, for each target
_MEASURES: tuple[Measure, ...] = ("loss", "score")

# Entries of an epoch in the history of a training, besides a score of each target.
_OF_EPOCH = {"loss", "rate", "learning_rate", "stage"}


def blocks(of: Ranked) -> list[Block]:
    """Return the learning curves of the networks, and the cost of their training."""
    networks = [run for run in of.runs if run.training]
    if not networks:
        return []
    took = f"{of.title}: training of the networks"
    return [
        _curves(networks, f"{of.title}: learning curves of the networks"),
        trainings_table(networks, took, machine_of(of.runs)),
    ]


def _curves(runs: Sequence[Run], caption: str) -> Figure:
    """Return the loss and the score of each epoch, means over the folds; runs are best first."""
    if len(runs) > _MAX_CURVES:
        caption += f", the best {_MAX_CURVES} of {len(runs)}"
    panels, shares = [], []
    for run in runs[:_MAX_CURVES]:
        for display in (LearningCurvesDisplay.of(run, measure=one) for one in _MEASURES):
            kind = display.kind
            what = f"{score_title(kind)}, {kind.unit}" if kind.unit else score_title(kind)
            learned, held_out = (
                tuple(kind.scale * value for value in display.mean(part))
                for part in ("training", "validation")
            )
            limit = 100.0 if kind.unit == "%" else float("inf")
            panels.append(Panel(f"{what}: {display.model}", learned, held_out, display.kept, limit))
            shares.append(display.held_out_percent)
    summary = f"{caption}. {len(panels)} line plots over the epochs; the table below has the numbers."
    wide, narrow = (
        learning_curves(panels, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    drawn = runs[:_MAX_CURVES]
    are_changed = all(run.parameters.get("augment") for run in drawn)
    note = (
        "Means over the folds. Dashed lines: on the training faces, during the epoch"
        f"{' and with data augmentation' if are_changed else ''}."
    )
    if any(shares):
        low, high = min(filter(None, shares)), max(shares)
        part = f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
        note += (
            f" Solid lines: on validation faces, {part} % of the training part, which are held out to choose"
            " the epoch. These values are not a result, because the epoch was chosen by them."
        )
    note += " The vertical line is the epoch whose weights were kept, as the mean over the folds."
    return Figure(caption, note, wide, narrow)


def trainings_table(runs: Sequence[Run], caption: str, machine: str) -> Table:
    """Return the cost of training each network; runs are of one target, times of one machine."""
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
    rows = []
    for run in runs:
        of = run.training
        rates = [line["rate"] for one in of for line in one["history"] if line.get("stage") == "all"]
        rates = rates or [line["rate"] for one in of for line in one["history"]]
        minutes = sum(one["seconds"] for one in of) / 60
        got = dict.fromkeys(f"{one['engine']}, {one['device']}, {one['precision']}" for one in of)
        rate = sorted(rates)[len(rates) // 2] if rates else None
        is_here = timed_on(run) == machine
        rows.append(
            (
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
        )
    note = (
        "The best epoch is the one whose weights were kept. The numbers of faces are means over the folds."
        " The speed is the median of the epochs in which the whole network was trained."
    )
    together = sorted({name for run in runs for name in learned_together(run)})
    if together:
        note += (
            f" A network that learns {', '.join(together)} together is trained once for all these targets;"
            " the minutes are those of this one training."
        )
    note += elsewhere_note(runs, machine)
    return Table(caption, columns, tuple(rows), note, n_names=2)


def learned_together(run: Run) -> tuple[str, ...]:
    """Return the targets that a network learned together, by its history; none if it learned one."""
    names = {name for one in run.training for line in one["history"] for name in line}
    targets = {name for name in names - _OF_EPOCH if not name.startswith("held_out_")}
    return tuple(sorted(targets)) if len(targets) > 1 else ()


def _listed_numbers(numbers: Sequence[int]) -> str:
    """Return the numbers of the folds as text; a single one if all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else ", ".join(map(str, numbers))
