"""How the best model decides limits of age."""

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.score_kinds import ScoreKind
from featurekit.report.cells import count_cell, in_range
from featurekit.report.model import Block, Cell, Column, Table
from featurekit.report.select import Ranked


def blocks(of: Ranked) -> list[Block]:
    """Return how the best model decides limits of age."""
    caption = f"{of.title}: limits of age as {of.whose} would decide them" if of.evidence else ""
    table = limits_table(of.evidence, caption) if of.evidence else None
    return [table] if table else []


def limits_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return how the best model decides limits of age, or None where years are not what is read."""
    if not evidence.limits:
        return None
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Limit", "years", is_number=True),
        Column("Called older though younger", "%", others=("from", "to"), is_number=True),
        Column("Younger", "faces", is_number=True),
        Column("Called younger though older", "%", others=("from", "to"), is_number=True),
        Column("Older", "faces", is_number=True),
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
        "As if whoever is read as the limit or older were let through. Small numbers: the 95 % interval over"
        " subjects. The shares are those of the ages in these data; other ages give other shares."
    )
    return Table(caption, columns, rows, note)
