"""The score of each model in each fold, which the figure of the ranking shows as small dots."""

from featurekit.errors import ModelError
from featurekit.evaluation.scores import score_word
from featurekit.report.cells import ABSENT, finite, value_cell
from featurekit.report.displays.folds import FoldsDisplay
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked, role


def blocks(of: Ranked) -> Blocks:
    """Return a table of the score of each model in each fold; nothing without scores of folds."""
    try:
        display = FoldsDisplay.of(of)
    except ModelError:
        return []
    return [folds_table(of, display)]


def folds_table(of: Ranked, display: FoldsDisplay) -> Table:
    """Return a table of the score of each model of the figure in each fold."""
    kind = display.kind
    columns = (
        Column("Model"),
        *(
            Column(f"Fold {number}", kind.unit, is_number=True, is_low_best=kind.best is min)
            for number in range(display.n_folds)
        ),
        Column("Standard deviation", kind.unit_of_difference, is_number=True, is_low_best=True),
    )
    rows = tuple(
        (
            Cell(of.named(one.run), tag=role(one.run)),
            *(value_cell(kind, value) for value in one.folds),
            *[Cell(ABSENT)] * (display.n_folds - len(one.folds)),
            value_cell(kind, finite(one.run.scores[kind.name].get("std"))),
        )
        for one in display.scores
    )
    caption = f"{of.title}: {score_word(kind)} in each fold"
    if len(display.scores) < display.n_scored:
        caption += f", {len(display.scores)} of {display.n_scored} models"
    note = (
        "All models are tested on the same folds, so differences between models are best compared within a"
        " column. The standard deviation over the folds is not a confidence interval, because the training"
        " parts of the folds overlap."
    )
    return Table(caption, columns, rows, note, is_folded=True, is_sortable=True)
