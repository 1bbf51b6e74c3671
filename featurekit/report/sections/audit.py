"""What is wrong with the data, as the audit found it."""

from collections.abc import Sequence

from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT
from featurekit.report.model import Block, Cell, Column, Table, Text

_GRAVEST_FIRST = ("error", "warning", "note", "ok")


def blocks(audit: Audit | None, runs: Sequence[Run]) -> list[Block]:
    """Return the findings of the audit, and whether it looked at the folds of these runs.

    Args:
        audit: None where nobody looked.
        runs: that are compared.
    """
    if audit is None:
        nobody = "No audit is stored beside these runs. Next: featurekit audit, then featurekit report."
        return [Text(nobody)]
    found: list[Block] = []
    folds = {run.folds.get("sha256") for run in runs}
    if audit.folds and folds != {audit.folds}:
        old = "The audit looked at other folds than the runs were scored on. Run it again: featurekit audit"
        found.append(Text(old, is_caution=True))
    grave = sum(one.severity in ("error", "warning") for one in audit.findings)
    about = f"{grave} of {len(audit.findings)} checks found something to look at before scores are believed."
    if audit.features:
        about += f" Close faces were looked for in {audit.features}."
    return [*found, Text(about), audit_table(audit, "Findings of the audit")]


def audit_table(audit: Audit, caption: str) -> Table:
    """Return what was found wrong with the data and the folds, the gravest first."""
    columns = (Column("Severity"), Column("Found"), Column("What to do"))
    ordered = sorted(audit.findings, key=lambda one: _GRAVEST_FIRST.index(one.severity))
    rows = tuple((Cell(one.severity), Cell(one.what), Cell(one.advice or ABSENT)) for one in ordered)
    note = "Which faces are meant stands in audit_rows.csv, which names them and is kept out of this page."
    return Table(caption, columns, rows, note)
