"""Runs that are not in the ranking, the reasons, and the commands that fit them again.

If one run has been tested and another has not, a ranking of both could put a model first
of which nothing is known. So there is one ranking, of the runs that can be compared with
each other, and one table of the others.
"""

from collections.abc import Mapping, Sequence

from featurekit.evaluation.results import Run
from featurekit.report.model import Cell, Column, Table


def apart_table(runs: Sequence[Run], reasons: Mapping[str, str], caption: str) -> Table:
    """Return the runs of one target that are set apart, by name."""
    columns = (
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Why it cannot be compared"),
        Column("Command to fit it again", is_code=True),
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
    note = "These runs are not part of any ranking, test or figure on this page."
    return Table(caption, columns, rows, note, n_names=2)
