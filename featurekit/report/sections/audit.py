"""The findings of the audit of the data set and its folds."""

from collections.abc import Sequence

from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.findings import Finding
from featurekit.report.cells import ABSENT, sentences
from featurekit.report.model import Blocks, Cell, Column, Table, Text
from featurekit.text import counted

_GRAVEST_FIRST = ("error", "warning", "note", "ok")
OLD = "The audit checked other folds than those of these runs. Run it again: featurekit audit"


def is_old(audit: Audit, runs: Sequence[Run]) -> bool:
    """Whether an audit checked other folds than those of some runs; an audit without folds is not old."""
    return bool(audit.folds) and {run.folds.get("sha256") for run in runs} != {audit.folds}


def grave(audit: Audit) -> list[Finding]:
    """Return the findings that should be looked at before the scores are trusted."""
    return [one for one in audit.findings if one.severity in ("error", "warning")]


def n_idle(audit: Audit) -> int:
    """Return the number of checks that had nothing to check, e.g. because there are no folds yet."""
    return sum(not one.of and one.severity not in ("error", "warning") for one in audit.findings)


def not_run(audit: Audit) -> str:
    """Return a sentence on the checks that could not run beside others that could; "" if there are none."""
    n_not = n_idle(audit)
    is_some = 0 < n_not < len(audit.findings)
    return f"{counted(n_not, 'check', 'checks')} could not run." if is_some else ""


def outcome_of(audit: Audit) -> str:
    """Return a sentence on how many of the checks that could run found an error or a warning."""
    n_ran, n_grave = len(audit.findings) - n_idle(audit), len(grave(audit))
    if not n_ran:
        return "No check of the audit could run."
    if not n_grave:
        return f"None of the {n_ran} checks of the audit found an error or a warning."
    return f"{n_grave} of {n_ran} checks found an error or a warning."


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
    about = sentences(
        outcome_of(audit),
        "Look at these findings before you trust the scores." if grave(audit) else "",
        not_run(audit),
        f"Similar faces were searched for with the features {audit.features}." if audit.features else "",
    )
    columns = (Column("Severity"), Column("Finding"), Column("What to do"))
    ordered = sorted(audit.findings, key=lambda one: _GRAVEST_FIRST.index(one.severity))
    rows = tuple((Cell(one.severity), Cell(one.what), Cell(one.advice or ABSENT)) for one in ordered)
    note = "The faces that each finding is about are listed in audit_rows.csv, but not on this page."
    return [
        Text(OLD, is_caution=True) if is_old(audit, runs) else None,
        Text(about),
        Table("Findings of the audit", columns, rows, note),
    ]
