"""The cost of the models: their times, and the models on the Pareto front of score and time.

Times can only be compared if they were measured on the same machine. The report shows the
times from the machine of the best model; the times from other machines are left blank.
"""

from collections.abc import Sequence

from featurekit.errors import ModelError
from featurekit.evaluation.cost import Trade, milliseconds
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_word
from featurekit.report.cells import (
    ABSENT,
    gain_interval_cell,
    p_value,
    seconds_cell,
    sentences,
    size_cell,
    time_cell,
    value_cell,
)
from featurekit.report.displays.cost import CostDisplay, pareto_front
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, headline, mean_of, timed_alike
from featurekit.report.svg import Spot, cost_plot, figure
from featurekit.text import counted


def blocks(of: Ranked) -> Blocks:
    """Return the figure of scores against times, and the table of the models on the Pareto front."""
    plot = _plot(of, f"{of.title}: {score_word(headline(of.runs))} against time")
    caption = f"{of.title}: cost of the models on the Pareto front"
    return [plot, front_table(of, caption)] if plot else []


def front_table(of: Ranked, caption: str) -> Table:
    """Return a table of the cost of the models on the Pareto front, and their loss against the best model."""
    runs, evidence, kind, front = of.runs, of.evidence, headline(of.runs), pareto_front(of.runs)
    trades = {trade.name: trade for trade in evidence.trades} if evidence else {}
    is_memory_known = any(run.peak_bytes for run in front)
    margin = margin_words(kind, evidence) if trades else ""
    columns = [
        Column("No."),
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column(kind.title, kind.unit, is_number=True),
        Column("Time per face", "ms", is_number=True, is_time=True),
        Column("Fit", "seconds", is_number=True, is_time=True),
        Column("Size", is_number=True, copied_unit="bytes"),
    ]
    if is_memory_known:
        columns.append(Column("Memory", is_number=True, is_time=True, copied_unit="bytes"))
    if trades:
        columns += [
            Column("Loss against the best", kind.unit_of_difference, others=("low", "high"), is_number=True),
            Column(f"Within {margin}", others=("p",)),
        ]
    rows = tuple(
        (
            Cell(of.number(run) or str(number)),
            Cell(run.features),
            Cell(run.classifier_name),
            value_cell(kind, mean_of(run, kind.name)),
            time_cell(milliseconds(run)),
            seconds_cell(run.seconds.get("fit")),
            size_cell(run.bytes_on_disk),
            *([size_cell(run.peak_bytes)] if is_memory_known else []),
            *(_trade_cells(kind, trades.get(run.name)) if trades else []),
        )
        for number, run in enumerate(front, start=1)
    )
    note = _front_note(runs, margin=margin, is_memory_known=is_memory_known)
    return Table(caption, tuple(columns), rows, note, n_names=3, is_folded=True)


def _front_note(runs: Sequence[Run], *, margin: str, is_memory_known: bool) -> str:
    """Return how to read the table; margin is "" if nothing was tested."""
    n_elsewhere = sum(not run.is_baseline for run in runs) - len(timed_alike(runs))
    them = counted(n_elsewhere, "model that was", "models that were")
    return sentences(
        "The table has the models for which no other trained model that was timed on the same machine is both"
        " faster and better. Time per face: from the image to the prediction, as the total time"
        " divided by the number of faces. Fit: seconds for all folds.",
        f"Within {margin}: yes if a non-inferiority test shows that the loss"
        " against the best model is smaller than this margin (p-values adjusted for all faster models)."
        " Only models that are clearly faster than the best model are tested. Small numbers under the"
        " loss are its 95 % confidence interval over subjects."
        if margin
        else "The differences between the scores were not tested.",
        "Memory: peak memory of the process while the folds were fitted, including the feature vectors."
        if is_memory_known
        else "",
        f"Left out: {them} timed on another machine than the best model." if n_elsewhere else "",
    )


def _trade_cells(kind: ScoreKind, trade: Trade | None) -> list[Cell]:
    if trade is None:
        return [Cell(ABSENT), Cell(ABSENT)]
    shown = Cell(
        "yes" if trade.is_within else "not shown",
        count=p_value(trade.p_value, trade.limit),
        others=(trade.p_value,),
        is_strong=trade.is_within,
    )
    return [gain_interval_cell(kind, trade.loss, trade.low, trade.high), shown]


def margin_words(kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Return the largest acceptable loss in words, e.g. "1 point" or "0.1 years"."""
    margin = round((evidence.margin if evidence else 0.0) * kind.scale, 6)
    if kind.unit != "%":
        return f"{margin:g} {kind.unit}"
    return f"{margin:g} point{'' if margin == 1 else 's'}"


def _plot(of: Ranked, caption: str) -> Figure | None:
    """Return the scores against the times; None if fewer than three trained models have both."""
    try:
        display = CostDisplay.of(of)
    except ModelError:
        return None
    if len(display.costs) < 3:
        return None
    kind = display.kind
    spots = [
        Spot(
            one.milliseconds,
            one.value * kind.scale,
            (of.number(one.run) or str(one.number)) if one.number else "",
            of.number(one.run),
        )
        for one in display.costs
    ]
    summary = f"{caption}. {len(spots)} trained models; the table below has those on the Pareto front."
    machine = f" ({display.machine})" if display.machine else ""
    note = sentences(
        "Each dot is a trained model. The filled dots with a number are the Pareto front, the models for"
        " which no other trained model is both faster and better; the table below lists them.",
        f"All times are from the machine on which the best model was timed{machine}.",
        f"Not drawn: {display.elsewhere}." if display.n_elsewhere else "",
    )
    return figure(caption, note, summary, cost_plot, spots, kind, numbers=display.frame())
