"""The parameters that the search of each tuned run has chosen."""

from collections.abc import Sequence

from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import SCORES
from featurekit.report.cells import ABSENT, count_cell, finite, listed
from featurekit.report.model import Cell, Column, Table


def searches_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return the parameters chosen in each fold of the tuned runs, or None if nothing was tuned."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Fold", is_number=True),
        Column("Chosen parameters", is_code=True),
        Column("Candidates", is_number=True),
        Column("Score on the inner folds", is_number=True),
    )
    rows = tuple(
        (
            Cell(run.target),
            Cell(run.features),
            Cell(run.classifier_name),
            count_cell(number),
            Cell(listed(found["parameters"]) or "default parameters"),
            count_cell(found["candidates"]),
            _inner_score_cell(finite(found["score"]), is_years=not run.classes),
        )
        for run in runs
        for number, found in enumerate(run.search)
    )
    note = (
        "The search is run anew in each fold, on inner folds of its training part that share no subject. The"
        " score is the accuracy on the inner folds, or the mean absolute error for years. It is used to"
        " choose the parameters and is not a result; the results are in the tables of the targets."
    )
    return Table(caption, columns, rows, note, n_names=3, is_folded=True) if rows else None


def _inner_score_cell(score: float | None, *, is_years: bool) -> Cell:
    if score is None:
        return Cell(ABSENT)
    kind = SCORES["mae_years" if is_years else "accuracy"]
    return Cell(f"{kind.format(abs(score))} {kind.unit}", round(abs(score) * kind.scale, 6))
