"""Runs that are not in the ranking, the reasons, and the commands that fit them again.

If some runs of a target have been tested and others have not, a ranking of all could
begin with a model that was not tested. So only the runs that can be compared with each
other are in the ranking, and the others are in a table of their own.
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
