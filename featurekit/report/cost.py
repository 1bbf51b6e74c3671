"""What a model costs: which times can be compared, and who is worth its time.

Seconds say something beside seconds of the same machine only. The machine is that of
the best model; wherever a run was timed on another one, its times are left blank.
"""

from collections.abc import Sequence

from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import milliseconds
from featurekit.evaluation.trades import Trade
from featurekit.report.tables import (
    Cell,
    Column,
    ScoreKind,
    Table,
    best_first,
    count_cell,
    headline,
    mean_of,
    p_value,
    seconds_cell,
    signed,
    size_cell,
    time_words,
    timed_alike,
)


def pareto_front(runs: Sequence[Run]) -> list[Run]:
    """Return the trained models that no other beats in both score and time, the quickest first.

    Only of timed_alike().
    """
    kind = headline(runs)
    timed = [(milliseconds(run), run) for run in best_first(timed_alike(runs))]
    front: list[Run] = []
    # Of equally quick ones the best stands first.
    for time, run in sorted(((time, run) for time, run in timed if time is not None), key=lambda one: one[0]):
        mean = mean_of(run, kind.name)
        if time > 0 and mean is not None:
            before = mean_of(front[-1], kind.name) if front else None
            if before is None or kind.gain(mean, before) > 0:
                front.append(run)
    return front


def front_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence | None = None) -> Table:
    """Return what the models of the front cost, the quickest first, and what it loses where tested."""
    kind, front = headline(runs), pareto_front(runs)
    trades = {trade.name: trade for trade in evidence.trades} if evidence else {}
    columns = [
        Column("No.", is_number=True),
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column(kind.title, kind.unit, is_number=True),
        Column("A face", "ms", is_number=True, is_time=True),
        Column("Fit", "seconds", is_number=True, is_time=True),
        Column("Size", is_number=True, copied_unit="bytes"),
    ]
    is_memory_known = any(run.peak_bytes for run in front)
    if is_memory_known:
        columns.append(Column("Memory", is_number=True, is_time=True, copied_unit="bytes"))
    if trades:
        unit = "points" if kind.unit == "%" else kind.unit
        columns.append(Column("Loss against the best", unit, others=("low", "high"), is_number=True))
        columns.append(Column(f"Within {margin_words(kind, evidence)}", others=("p",)))
    rows = []
    for number, run in enumerate(front, start=1):
        mean, time = mean_of(run, kind.name), milliseconds(run)
        assert mean is not None
        assert time is not None  # pareto_front() keeps only runs that have both
        cells = [
            count_cell(number),
            Cell(run.features),
            Cell(run.classifier_name),
            Cell(kind.format(mean), round(mean * kind.scale, 6)),
            Cell(time_words(time), round(time, 6)),
            seconds_cell(run.seconds.get("fit")),
            size_cell(run.bytes_on_disk),
        ]
        if is_memory_known:
            cells.append(size_cell(run.peak_bytes))
        if trades:
            cells += _trade_cells(kind, trades.get(run.name))
        rows.append(tuple(cells))
    note = (
        "Every other trained model that was timed on this machine is no quicker and no better than one of"
        " these. A face: from the picture to the answer, the time of all divided by their number."
    )
    if trades:
        note += (
            f" Within {margin_words(kind, evidence)}: yes where the loss against the best model is shown to"
            " be smaller than that margin (non-inferiority; adjusted over all cheaper models). Only models"
            " that take clearly less time than the best are tested."
        )
    else:
        note += " Whether a difference in score is chance was not tested here."
    if is_memory_known:
        note += " Memory: what the process held at most while the folds were fitted, the vectors included."
    n_elsewhere = sum(not run.is_baseline for run in runs) - len(timed_alike(runs))
    if n_elsewhere:
        them = "model that was" if n_elsewhere == 1 else "models that were"
        note += f" Left out: {n_elsewhere} {them} timed on another machine than the best model's."
    return Table(caption, tuple(columns), tuple(rows), note, n_names=3)


def _trade_cells(kind: ScoreKind, trade: Trade | None) -> list[Cell]:
    if trade is None:
        return [Cell("—"), Cell("—")]
    ends = (trade.low, trade.high)
    loss = Cell(
        signed(kind, trade.loss),
        round(trade.loss * kind.scale, 6),
        count=" to ".join(signed(kind, end) for end in ends),
        others=tuple(round(end * kind.scale, 6) for end in ends),
    )
    shown = Cell(
        "yes" if trade.is_within else "not shown",
        count=p_value(trade.p_value),
        others=(trade.p_value,),
        is_strong=trade.is_within,
    )
    return [loss, shown]


def margin_words(kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Return the margin in words, e.g. "1 point" or "0.1 years"."""
    margin = round((evidence.margin if evidence else 0.0) * kind.scale, 6)
    if kind.unit != "%":
        return f"{margin:g} {kind.unit}"
    return f"{margin:g} point{'' if margin == 1 else 's'}"
