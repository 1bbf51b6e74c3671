"""The confusion matrix of the best model, and the recall of each class."""

from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, SHARE, count_cell, finite, value_cell
from featurekit.report.displays.confusion import MOST_CLASSES, ConfusionDisplay
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked, role

N_RECALL_MODELS = 3


def blocks(of: Ranked) -> Blocks:
    """Return the confusion matrix of the best trained model, and the recall of each class."""
    best = next((run for run in of.runs if not run.is_baseline), None)
    return [
        confusion_table(best, f"{of.title}: confusion matrix of {of.named(best)}")
        if best and best.confusion and len(best.classes) <= MOST_CLASSES
        else None,
        recall_table(of, f"{of.title}: recall of each class"),
    ]


def confusion_table(run: Run, caption: str) -> Table:
    """Return the confusion matrix of a run as a table of percentages of each true class, with counts."""
    display = ConfusionDisplay.of(run)
    columns = (
        Column("True class"),
        *(Column(label, copied_unit="%", others=("faces",), is_number=True) for label in run.classes),
        Column("Faces", is_number=True),
    )

    def cell(true: int, predicted: int) -> Cell:
        share, count = display.share(true, predicted), display.counts[true][predicted]
        return Cell(
            ABSENT if share is None else f"{100 * share:.0f}",
            None if share is None else round(100 * share, 6),
            count=f"{count:,}",
            others=(count,),
            heat=-1 if share is None else round(10 * share),
            is_diagonal=true == predicted,
        )

    rows = tuple(
        (Cell(label), *(cell(i, j) for j in range(len(run.classes))), count_cell(sum(display.counts[i])))
        for i, label in enumerate(display.classes)
    )
    note = (
        "Rows are the true classes and columns are the predicted classes. Large numbers are percentages of"
        " the row, small numbers are counts of faces. Correct predictions are framed. Counts are summed over"
        " the folds."
    )
    return Table(caption, columns, rows, note)


def recall_table(of: Ranked, caption: str) -> Table | None:
    """Return the recall of each class, for the best trained models and for off-the-shelf networks."""
    ordered = [run for run in of.runs if len(run.recall) == len(run.classes) > 0]
    shown = [run for run in ordered if not role(run)][:N_RECALL_MODELS]
    shown += [run for run in ordered if role(run) == "off-the-shelf"]
    if not shown:
        return None
    columns = (
        Column("Class"),
        Column("Faces", is_number=True),
        *(Column(of.named(run), "%", is_number=True) for run in shown),
    )
    confusion = shown[0].confusion
    recalls = [[finite(run.recall[i]) for run in shown] for i in range(len(shown[0].classes))]
    rows = tuple(
        (
            Cell(label),
            count_cell(sum(confusion[i])) if confusion else Cell(ABSENT),
            *(value_cell(SHARE, recall, heat=round(10 * (recall or 0))) for recall in recalls[i]),
        )
        for i, label in enumerate(shown[0].classes)
    )
    note = (
        "Recall is the share of the faces of a class that are predicted as this class. The recall of a"
        " class with few faces is less certain."
    )
    return Table(caption, columns, rows, note, is_folded=True, is_sortable=True)
