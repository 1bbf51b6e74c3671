"""Check for files with the same bytes."""

import numpy as np
import pandas as pd

from featurekit.checks.base import Given, check
from featurekit.findings import Finding, Severity
from featurekit.text import counted

NAME = "exact_duplicates"


@check(NAME, "identical files", "error", 30)
def look(given: Given) -> Finding:
    """Find groups of files with the same bytes."""
    keys, repeated = given.identical()
    usable = given.manifest.usable
    n_rows = int((given.manifest.table["content"] != "").sum())
    n_groups, n_repeated = len(np.unique(keys[repeated])), int(repeated.sum())
    left = repeated & usable
    doubled = np.asarray(left & pd.Series(keys).where(left).duplicated(keep=False))
    n_across = len(np.unique(keys[given.across(np.where(left, keys, ""))]))
    severity: Severity = "error" if n_across else "warning" if doubled.any() else "note" if n_groups else "ok"
    used = (
        f"and {counted(n_across, 'group is', 'groups are')} in several folds."
        if n_across
        else "several rows of some groups, but no group is in two folds."
        if doubled.any()
        else f"{'' if left.sum() == n_groups else 'at most '}one row of each group."
    )
    are_used = f"{left.sum():,} of these rows {'is' if left.sum() == 1 else 'are'} used"
    what = (
        f"{n_repeated:,} of {n_rows:,} rows ({n_repeated / n_rows:.1%}) are in"
        f" {counted(n_groups, 'group', 'groups')} of identical files. {are_used}, {used}"
        if n_groups
        else f"No two of {n_rows:,} files are identical."
    )
    return Finding(
        name=NAME,
        severity=severity,
        count=n_repeated,
        of=n_rows,
        what=what,
        advice=(
            "Run featurekit prepare again, which uses one image of each group, and then featurekit fit"
            " --new-folds."
        )
        if doubled.any()
        else "",
        details={"groups": {"all": float(n_groups), "across folds": float(n_across)}} if n_groups else {},
        rows=given.ids_by(keys, repeated),
    )
