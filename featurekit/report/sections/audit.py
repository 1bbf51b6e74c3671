"""The findings of the audit of the data set and its folds."""

from collections.abc import Sequence

from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.findings import Finding
from featurekit.report.cells import ABSENT, sentences
from featurekit.report.model import Blocks, Cell, Column, Table, Text
from featurekit.text import counted

_GRAVEST_FIRST = ("error", "warning", "note", "ok")


def why_old(audit: Audit, runs: Sequence[Run]) -> str:
    """Return a sentence if an audit checked other folds or rows than those of some runs, else "".

    An audit without folds can be of any folds, and one that does not say which rows it checked, of any rows.
    """
    if audit.folds and {run.folds.get("sha256") for run in runs} != {audit.folds}:
        what = "folds"
    elif audit.rows and any(rows and rows != audit.rows for rows in map(_rows_of, runs)):
        what = "rows"
    else:
        return ""
    return f"The audit checked other {what} than those of these runs. Run it again: featurekit audit"


def _rows_of(run: Run) -> dict[str, int]:
    """Return the number of rows by reason, as in Audit.rows; empty if the run does not know its rows."""
    n_rows, tally = run.dataset.get("n_rows"), run.dataset.get("tally")
    if not n_rows or tally is None:
        return {}
    rows = {**tally, "": n_rows - sum(tally.values())}
    return {reason: n for reason, n in rows.items() if n}


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
    """Return the findings of the audit, with a caution if it checked other folds or rows than the runs.

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
    old = why_old(audit, runs)
    return [
        Text(old, is_caution=True) if old else None,
        Text(about),
        Table("Findings of the audit", columns, rows, note),
    ]
