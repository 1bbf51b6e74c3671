"""The confusion matrix of the best model, and the recall of each class."""

from collections.abc import Sequence

from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, count_cell, finite
from featurekit.report.displays.confusion import MOST_CLASSES, ConfusionDisplay
from featurekit.report.model import Block, Cell, Column, Table
from featurekit.report.select import Ranked, best_first, model_name, role

N_RECALL_MODELS = 3


def blocks(of: Ranked) -> list[Block]:
    """Return the confusion matrix of the best trained model, and the recall of each class."""
    found: list[Block] = []
    trained = [run for run in of.runs if not run.is_baseline]
    if trained and trained[0].confusion and len(of.runs[0].classes) <= MOST_CLASSES:
        best = trained[0]
        found.append(confusion_table(best, f"{of.title}: confusion matrix of {model_name(best)}"))
    recall = recall_table(of.runs, f"{of.title}: recall of each class")
    return [*found, recall] if recall else found


def confusion_table(run: Run, caption: str) -> Table:
    """Return the confusion matrix of a run: percentages of each true class, with counts."""
    display = ConfusionDisplay.of(run)
    columns = [Column("True class")]
    columns += [Column(label, copied_unit="%", others=("faces",), is_number=True) for label in run.classes]
    columns.append(Column("Faces", is_number=True))
    rows = []
    for i, label in enumerate(display.classes):
        counts = display.counts[i]
        cells = [Cell(label)]
        for j, count in enumerate(counts):
            share = display.share(i, j)
            cells.append(
                Cell(
                    ABSENT if share is None else f"{100 * share:.0f}",
                    None if share is None else round(100 * share, 6),
                    count=f"{count:,}",
                    others=(count,),
                    heat=-1 if share is None else round(10 * share),
                    is_diagonal=i == j,
                )
            )
        rows.append((*cells, count_cell(sum(counts))))
    note = (
        "Rows are the true classes and columns are the predicted classes. Large numbers are percentages of"
        " the row, small numbers are counts of faces. Correct predictions are framed. Counts are summed over"
        " the folds."
    )
    return Table(caption, tuple(columns), tuple(rows), note)


def recall_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return the recall of each class, for the best trained models and the off-the-shelf network."""
    ordered = [run for run in best_first(runs) if len(run.recall) == len(run.classes) > 0]
    shown = [run for run in ordered if not role(run)][:N_RECALL_MODELS]
    shown += [run for run in ordered if role(run) == "off-the-shelf"]
    if not shown:
        return None
    columns = [Column("Class"), Column("Faces", is_number=True)]
    columns += [Column(model_name(run), "%", is_number=True) for run in shown]
    rows = []
    for i, label in enumerate(shown[0].classes):
        recalls = [finite(run.recall[i]) for run in shown]
        confusion = shown[0].confusion
        cells = [Cell(label), count_cell(sum(confusion[i])) if confusion else Cell(ABSENT)]
        for recall in recalls:
            if recall is None:
                cells.append(Cell(ABSENT))
            else:
                heat = round(10 * recall)
                cells.append(Cell(f"{100 * recall:.1f}", round(100 * recall, 6), heat=heat))
        rows.append(tuple(cells))
    note = (
        "Recall is the share of the faces of a class that are predicted as this class. It is less certain for"
        " classes with few faces."
    )
    return Table(caption, tuple(columns), tuple(rows), note, is_sortable=True)
