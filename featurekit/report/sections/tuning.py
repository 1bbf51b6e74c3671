"""What the search of each tuned run chose."""

from collections.abc import Sequence

from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import SCORES
from featurekit.report.cells import ABSENT, count_cell, finite, flatten
from featurekit.report.model import Cell, Column, Table


def searches_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return which parameters each fold of the tuned runs chose, or None where nothing was tuned."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Fold", is_number=True),
        Column("Chosen", is_code=True),
        Column("Of", "candidates", is_number=True),
        Column("Score on the inner folds", is_number=True),
    )
    rows = []
    for run in runs:
        for number, found in enumerate(run.search):
            chosen = ", ".join(f"{name}={value}" for name, value in flatten(found["parameters"]).items())
            rows.append(
                (
                    Cell(run.target),
                    Cell(run.features),
                    Cell(run.classifier_name),
                    count_cell(number),
                    Cell(chosen or "the defaults"),
                    count_cell(found["candidates"]),
                    _inner_score_cell(finite(found["score"]), is_years=not run.classes),
                )
            )
    note = (
        "Each fold searches anew, on folds inside its training part that share no person. The score is the"
        " share of right answers there, for years the mean absolute error; it decides the choice and is no"
        " result: the results are those of the tables above."
    )
    return Table(caption, columns, tuple(rows), note, n_names=3, is_folded=True) if rows else None


def _inner_score_cell(score: float | None, *, is_years: bool) -> Cell:
    if score is None:
        return Cell(ABSENT)
    kind = SCORES["mae_years" if is_years else "exact"]
    return Cell(f"{kind.format(abs(score))} {kind.unit}", round(abs(score) * kind.scale, 6))
