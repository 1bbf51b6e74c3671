"""The errors of the best model at age limits, e.g. whether a person is at least 18 years old."""

from featurekit.report.cells import SHARE, count_cell, estimate_cell
from featurekit.report.model import Blocks, Column, Table
from featurekit.report.select import Ranked


def blocks(of: Ranked) -> Blocks:
    """Return a table of the error rates of the best model at age limits; nothing if the target is not age."""
    if of.evidence is None or not of.evidence.limits:
        return []
    columns = (
        Column("Age limit", "years", is_number=True),
        Column("False positive rate", "%", others=("low", "high"), is_number=True),
        Column("Below the limit", "faces", is_number=True),
        Column("False negative rate", "%", others=("low", "high"), is_number=True),
        Column("At or above it", "faces", is_number=True),
    )
    rows = tuple(
        (
            count_cell(one.limit),
            estimate_cell(SHARE, one.called_older),
            count_cell(one.n_younger),
            estimate_cell(SHARE, one.called_younger),
            count_cell(one.n_older),
        )
        for one in of.evidence.limits
    )
    note = (
        "Each row uses the predicted age for one decision: is the person at least as old as the limit? The"
        " false positive rate is the share of faces below the limit whose predicted age is the limit or"
        " more. The false negative rate is the share of faces at or above the limit whose predicted age is"
        " less. Small numbers are 95 % confidence intervals over subjects. The rates depend on how the ages"
        " in these data are distributed."
    )
    return [Table(f"{of.title}: errors of {of.best_model} at age limits", columns, rows, note)]
