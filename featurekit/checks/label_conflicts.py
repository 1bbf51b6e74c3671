"""Check for identical files with different labels."""

import numpy as np
import pandas as pd

from featurekit.checks.base import LABELS, Given, check
from featurekit.findings import Finding

NAME = "label_conflicts"


@check(NAME, "identical files with different labels", "error", 40)
def look(given: Given) -> Finding:
    """Find groups of identical files with different labels."""
    keys, repeated = given.identical()
    rows = np.flatnonzero(repeated)
    groups = pd.Series(keys[rows])
    judged = given.manifest.table["reason"].to_numpy(dtype=str)[rows] == "conflicting_labels"
    conflicting, used, details = judged.copy(), np.zeros(len(rows), bool), {}
    for label in LABELS:
        values = pd.Series(given.column(label)[rows])
        different = np.asarray(values.where(values != "").groupby(groups).transform("nunique") > 1)
        of_used = values.where(given.manifest.usable[rows] & (values != "")).groupby(groups)
        used |= np.asarray(of_used.transform("nunique") > 1)
        conflicting |= different
        if n := groups[different].nunique():
            details[label] = {"groups": float(n)}
    n_groups, n_conflicting = groups.nunique(), groups[conflicting].nunique()
    said = ", ".join(f"{one['groups']:.0f} in {label}" for label, one in details.items())
    what = (
        "No two files are identical, so no labels can contradict each other."
        if not n_groups
        else f"In all {n_groups:,} groups of identical files, the labels agree."
        if not n_conflicting
        else f"In {n_conflicting:,} of {n_groups:,} groups of identical files"
        f" ({n_conflicting / n_groups:.0%}) the labels differ{(f' ({said})' if said else '')};"
        f" {'these rows are' if used.any() else 'none of these rows is'} used."
    )
    return Finding(
        name=NAME,
        severity="error" if used.any() else "warning" if n_conflicting else "ok",
        count=n_conflicting,
        of=n_groups,
        what=what,
        advice=("Run featurekit prepare again, which leaves these rows out. " if used.any() else "")
        + (
            "Correct these labels in the data set. How many identical images have different labels also"
            " shows how reliable the other labels are."
        )
        if n_conflicting
        else "",
        details=details,
        rows=given.ids(rows[np.flatnonzero(conflicting)[np.argsort(groups[conflicting], kind="stable")]]),
    )
