"""The findings of the audit of the data set and its folds."""

from collections.abc import Sequence

from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, sentences
from featurekit.report.model import Blocks, Cell, Column, Table, Text

_GRAVEST_FIRST = ("error", "warning", "note", "ok")


def blocks(audit: Audit | None, runs: Sequence[Run]) -> Blocks:
    """Return the findings of the audit, with a caution if it checked other folds than those of the runs.

    Args:
        audit: the audit of the data set; None if there is no audit.
        runs: the runs that are compared.
    """
    if audit is None:
        return [
            Text(
                "The data set has not been audited. Run featurekit audit, then featurekit report, to see the"
                " findings here."
            )
        ]
    old = "The audit checked other folds than those of these runs. Run it again: featurekit audit"
    is_old = audit.folds and {run.folds.get("sha256") for run in runs} != {audit.folds}
    grave = sum(one.severity in ("error", "warning") for one in audit.findings)
    about = sentences(
        f"{grave} of {len(audit.findings)} checks found an error or a warning. Look at these findings"
        " before you trust the scores.",
        f"Similar faces were searched for with the features {audit.features}." if audit.features else "",
    )
    columns = (Column("Severity"), Column("Finding"), Column("What to do"))
    ordered = sorted(audit.findings, key=lambda one: _GRAVEST_FIRST.index(one.severity))
    rows = tuple((Cell(one.severity), Cell(one.what), Cell(one.advice or ABSENT)) for one in ordered)
    note = "The faces that each finding is about are listed in audit_rows.csv, but not on this page."
    return [
        Text(old, is_caution=True) if is_old else None,
        Text(about),
        Table("Findings of the audit", columns, rows, note),
    ]
