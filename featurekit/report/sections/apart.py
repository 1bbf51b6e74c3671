"""Runs that cannot stand in the ranking, why that is, and what to fit again.

Where one run has been tested and another has not, a ranking of both would name as best
a model of which nothing is known. So there is one ranking, of runs that can be
compared with each other, and one table of the others.
"""

from collections.abc import Mapping, Sequence

from featurekit.evaluation.results import Run
from featurekit.report.model import Cell, Column, Table


def apart_table(runs: Sequence[Run], reasons: Mapping[str, str], caption: str) -> Table:
    """Return the runs of one target that are set apart, by name."""
    columns = (
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Why it cannot be compared"),
        Column("What to run again", is_code=True),
    )
    rows = tuple(
        (
            Cell(run.features),
            Cell(run.classifier_name),
            Cell(reasons[run.name]),
            Cell(run.command or "featurekit fit"),
        )
        for run in sorted(runs, key=lambda run: run.name)
    )
    note = "These runs stand in no ranking, no test and no figure of this page."
    return Table(caption, columns, rows, note, n_names=2)
