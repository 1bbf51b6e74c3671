"""Age limits as decisions: how often the best model decides them wrongly."""

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.score_kinds import ScoreKind
from featurekit.report.cells import count_cell, in_range
from featurekit.report.model import Block, Cell, Column, Table
from featurekit.report.select import Ranked


def blocks(of: Ranked) -> list[Block]:
    """Return the error rates of the best model at age limits."""
    caption = f"{of.title}: errors of {of.whose} at age limits" if of.evidence else ""
    table = limits_table(of.evidence, caption) if of.evidence else None
    return [table] if table else []


def limits_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return the error rates of the best model at age limits, or None if the target is not in years."""
    if not evidence.limits:
        return None
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Age limit", "years", is_number=True),
        Column("False positive rate", "%", others=("low", "high"), is_number=True),
        Column("Below the limit", "faces", is_number=True),
        Column("False negative rate", "%", others=("low", "high"), is_number=True),
        Column("At or above it", "faces", is_number=True),
    )

    def cell(estimate: Estimate | None) -> Cell:
        if estimate is None:
            return Cell("not enough data")
        value = round(estimate.value * share.scale, 6)
        return Cell(share.format(estimate.value), value, **in_range(share, estimate))

    rows = tuple(
        (
            count_cell(one.limit),
            cell(one.called_older),
            count_cell(one.n_younger),
            cell(one.called_younger),
            count_cell(one.n_older),
        )
        for one in evidence.limits
    )
    note = (
        "Each row uses the predicted age for one decision: is the person at least as old as the limit? The"
        " false positive rate is the share of faces below the limit whose predicted age is the limit or"
        " more. The false negative rate is the share of faces at or above the limit whose predicted age is"
        " less. Small numbers are 95 % confidence intervals over subjects. The rates depend on how the ages"
        " in these data are distributed."
    )
    return Table(caption, columns, rows, note)
