"""Runs that cannot stand in the ranking, why that is, and what to fit again.

Where one run has been tested and another has not, a ranking of both would name as best
a model of which nothing is known. So there is one ranking, of runs that can be
compared with each other, and one table of the others.
"""

from collections.abc import Mapping, Sequence

from featurekit.evaluation.comparable import NO_OUTCOMES, set_apart
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.report.tables import Cell, Column, Table


def apart_from(
    runs: Sequence[Run], evidence: Evidence | None, apart: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the runs that are set apart, each with the reason.

    Args:
        runs: all of them.
        evidence: what is known beyond their scores; None where nothing was tested.
        apart: name of a run → why it cannot be compared; None to find that out from the runs.
    """
    found = dict(set_apart(runs) if apart is None else apart)
    known = evidence.targets if evidence else {}
    for run in runs:
        if run.name not in found and run.target in known and run.name not in known[run.target].estimates:
            found[run.name] = NO_OUTCOMES
    return found


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
