"""The confusion matrix of the best model, how another model differs from it, and the recall of each class."""

from dataclasses import replace

from featurekit.evaluation.differences import ALPHA
from featurekit.evaluation.results import Run
from featurekit.evaluation.rivals import in_detail
from featurekit.evaluation.scores import signed
from featurekit.report.cells import ABSENT, SHARE, count_cell, finite, value_cell
from featurekit.report.displays.confusion import MOST_CLASSES, ConfusionDisplay
from featurekit.report.displays.confusion_difference import ConfusionDifferenceDisplay
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked, role


def blocks(of: Ranked) -> Blocks:
    """Return confusion matrices, the difference of two of them, and the recalls.

    The matrix of the best model is shown. Those of the next ones, and of off-the-shelf networks, are folded.
    """
    shown = [run for run in in_detail(of.runs) if run.confusion and len(run.classes) <= MOST_CLASSES]
    best = next((run for run in shown if not role(run)), None)
    return [
        *(
            replace(
                confusion_table(run, f"{of.title}: confusion matrix of {of.named(run)}"),
                is_folded=run is not best,
            )
            for run in shown
        ),
        difference_table(of),
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


def difference_table(of: Ranked) -> Table | None:
    """Return a table of how the confusion matrices of the best model and of another one differ."""
    display = ConfusionDifferenceDisplay.find(of)
    if display is None:
        return None
    found, classes = display.found, display.classes
    runs = {run.name: run for run in of.runs}
    first, second = of.named(runs[found.first]), of.named(runs[found.second])
    columns = (
        Column("True class"),
        *(
            Column(
                label,
                copied_unit="points",
                others=("faces of the first", "faces of the second"),
                is_number=True,
            )
            for label in classes
        ),
        Column("Faces", is_number=True),
    )

    def cell(true: int, predicted: int) -> Cell:
        difference = found.difference(true, predicted)
        counts = found.counts_first[true][predicted], found.counts_second[true][predicted]
        return Cell(
            ABSENT if difference is None else signed(SHARE, difference),
            None if difference is None else round(100 * difference, 6),
            count=" / ".join(f"{count:,}" for count in counts),
            others=counts,
            is_strong=found.is_shown(true, predicted),
            is_diagonal=true == predicted,
        )

    rows = tuple(
        (Cell(label), *(cell(i, j) for j in range(len(classes))), count_cell(sum(found.counts_first[i])))
        for i, label in enumerate(classes)
    )
    note = (
        f"Each number says by how many percentage points of its row {first} predicts the class of the column"
        f" more often than {second}, on the faces that both models predicted. On the diagonal, which is"
        " framed, a number above 0 means that the first model is better; elsewhere it means that it makes"
        " this error more often. Small numbers are the faces of the first and of the second model. Bold:"
        f" there is evidence of a difference (p ≤ {ALPHA:g}, permutation test over subjects, adjusted for all"
        " cells)."
    )
    short = (of.number(runs[name]) or of.named(runs[name]) for name in (found.first, found.second))
    caption = f"{of.title}: difference of two confusion matrices, {' minus '.join(short)}"
    return Table(caption, columns, rows, note, is_folded=True)


def recall_table(of: Ranked, caption: str) -> Table | None:
    """Return the recall of each class, for the best trained models and for off-the-shelf networks."""
    shown = [run for run in in_detail(of.runs) if len(run.recall) == len(run.classes) > 0]
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
