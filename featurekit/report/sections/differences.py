"""The differences between the models of a target, and the tests of these differences."""

from collections.abc import Sequence

from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import score_kind
from featurekit.report.cells import ABSENT, difference_cell, gain_interval_cell, p_value
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked, best_first, role

# The test of every difference between two models, as a part of a sentence.
HOW_TESTED = (
    "a permutation test that flips the signs of the differences of whole subjects at random, with p-values"
    " adjusted for all pairs of models of the target (step-down max-T)"
)
N_COMPARED = 8  # trained models that are compared with each other in a table


def blocks(of: Ranked) -> Blocks:
    """Return two tables of the differences between the models; nothing if the differences were not tested."""
    if of.evidence is None:
        return []
    return [
        differences_table(of, f"{of.title}: differences between models"),
        p_values_table(of, f"{of.title}: the best model against the others, with two tests"),
    ]


def _compared(runs: Sequence[Run], evidence: TargetEvidence) -> tuple[list[Run], bool]:
    """Return the runs that are compared, best first, and whether these are all runs.

    If there are more than N_COMPARED trained models, the best of them are compared, and all baselines.
    """
    ordered = [run for run in best_first(runs) if run.name in evidence.estimates]
    kept = [run.name for run in ordered if not run.is_baseline][:N_COMPARED]
    shown = [run for run in ordered if run.is_baseline or run.name in kept]
    return shown, len(shown) == len(ordered)


def differences_table(of: Ranked, caption: str) -> Table | None:
    """Return a table of the differences between each two of the best models, with p-values."""
    evidence = of.evidence
    assert evidence is not None
    kind = score_kind(evidence.score)
    shown, are_all = _compared(of.runs, evidence)
    if len(shown) < 2:
        return None
    labels = [of.number(run) or str(place) for place, run in enumerate(shown, start=1)]
    columns = (
        *([] if of.numbers else [Column("No.")]),
        Column("Model"),
        *(
            Column(f"vs. {label}", copied_unit=kind.unit_of_difference, others=("p",), is_number=True)
            for label in labels
        ),
    )
    rows = tuple(
        (
            *([] if of.numbers else [Cell(label)]),
            Cell(of.named(run), tag=role(run)),
            # A model is not compared with itself.
            *(difference_cell(kind, evidence.between(run.name, other.name), absent="·") for other in shown),
        )
        for label, run in zip(labels, shown, strict=True)
    )
    note = (
        f"Each cell says by how many {kind.unit_of_difference} the model of the row is better than the model"
        f" with the number of the column, and the p-value of the difference. The test is {HOW_TESTED}."
        " Bold: there is evidence of a difference (p ≤ 0.05). Otherwise there is no evidence of a difference,"
        " which does not mean that the two models are equal."
    )
    if not are_all:
        note += (
            f" The table has the best {N_COMPARED} trained models and the baselines; evidence.json has every"
            " pair."
        )
    return Table(caption, columns, rows, note, n_names=1 if of.numbers else 2, is_folded=True)


def p_values_table(of: Ranked, caption: str) -> Table | None:
    """Return a table of two tests of the best model against each other model."""
    evidence = of.evidence
    assert evidence is not None
    kind = score_kind(evidence.score)
    shown, _ = _compared(of.runs, evidence)
    best = next((run for run in shown if not run.is_baseline), None)
    if best is None:
        return None
    found = [(run, pair) for run in shown if (pair := evidence.between(best.name, run.name))]
    if not found:
        return None
    columns = (
        Column("Compared with"),
        Column("Better by", kind.unit_of_difference, others=("low", "high"), is_number=True),
        Column("Test over subjects", others=("unadjusted",), is_number=True),
        Column("Test over folds", is_number=True),
    )
    rows = tuple(
        (
            Cell(of.named(run), tag=role(run)),
            gain_interval_cell(kind, pair.gain, pair.low, pair.high),
            Cell(
                p_value(pair.adjusted, pair.limit),
                pair.adjusted,
                others=(pair.p_value,),
                is_strong=pair.is_shown,
            ),
            Cell(ABSENT) if pair.by_folds is None else Cell(p_value(pair.by_folds), pair.by_folds),
        )
        for run, pair in found
    )
    note = (
        f"The table shows by how many {kind.unit_of_difference} {of.named(best)} is better than each other"
        " model, with the"
        " 95 % confidence interval over subjects and the p-values of two tests. The interval is that of one"
        " pair, while p is adjusted for all pairs, so the interval may leave out 0 although there is no"
        " evidence of a difference. The test over subjects, on"
        f" which this page relies, is {HOW_TESTED}. The test over folds is the t-test corrected for"
        " overlapping training parts (Nadeau and Bengio), not adjusted for other pairs; with few folds it"
        " detects large differences only."
    )
    return Table(caption, columns, rows, note, is_folded=True)
