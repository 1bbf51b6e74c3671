"""Calibration of the best models, and the coverage of the best one's prediction sets and intervals."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from featurekit.evaluation.confidence import SHARES, Confidence
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.report.cells import ABSENT, SHARE, count_cell, interval_cell, words
from featurekit.report.displays.calibration import CalibrationDisplay
from featurekit.report.displays.risk_coverage import RiskCoverageDisplay
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked
from featurekit.report.svg import confidence_plot, figure
from featurekit.uncertainty.conformal import MISSED, Coverage
from featurekit.uncertainty.reliability import CalibrationError


def blocks(of: Ranked) -> Blocks:
    """Return the calibration of the best model, and the coverage of its prediction sets or intervals."""
    if of.evidence is None:
        return []
    confidence = of.evidence.confidence
    what = "prediction intervals" if of.evidence.score == "mae_years" else "prediction sets"
    coverage = coverage_table(of.evidence, f"{of.title}: {what} of {of.best_model}")
    if confidence is None:
        return [coverage]
    return [
        _figure(
            of, confidence, f"{of.title}: reliability diagram and risk–coverage curve of {of.best_model}"
        ),
        confidence_table(_by_model(of, confidence), f"{of.title}: calibration and risk, models side by side"),
        coverage,
    ]


def _by_model(of: Ranked, confidence: Confidence) -> dict[str, Confidence]:
    """Return the calibration of the best model and of those that are looked at beside it, by their names."""
    assert of.evidence is not None
    runs = {run.name: run for run in of.runs}
    beside = {of.named(runs[name]): one.confidence for name, one in of.evidence.beside.items()}
    return {of.named(runs[of.evidence.sliced]): confidence} | {
        name: one for name, one in beside.items() if one
    }


def _figure(of: Ranked, confidence: Confidence, caption: str) -> Figure:
    bins = [(100 * one.confidence, 100 * one.right) for one in confidence.bins]
    risks = [(100 * share, 100 * risk) for share, risk in zip(SHARES, confidence.risks, strict=True)]
    summary = f"{caption}. Two line plots; the table below has the main numbers."
    note = (
        f"First plot: the faces are sorted by the model's confidence into {len(confidence.bins)} bins of"
        " equal size, and the accuracy of each bin is drawn against its mean confidence. A perfectly"
        " calibrated model is on the dashed line. Second plot: coverage is the share of faces that the model"
        " predicts if it abstains on the faces it is least confident of; risk is the share of wrong"
        " predictions among them."
    )
    displays = (CalibrationDisplay.find(of), RiskCoverageDisplay.find(of))
    numbers = pd.concat([display.frame() for display in displays if display])
    return figure(caption, note, summary, confidence_plot, bins, risks, numbers=numbers)


def confidence_table(found: Mapping[str, Confidence], caption: str) -> Table:
    """Return a table of the calibration error of some models, and their risk at several coverages.

    Args:
        found: calibration of each model, by the name in the heading of its column.
        caption: caption of the table.
    """
    columns = (
        Column("Measure"),
        *(Column(name, others=("low", "high"), is_number=True) for name in found),
    )
    rows = (
        (Cell("Calibration error"), *(_points_off(one.before) for one in found.values())),
        (
            Cell("Calibration error after temperature scaling"),
            *(_points_off(one.after) for one in found.values()),
        ),
        (
            Cell("Temperature, mean over the folds"),
            *(Cell(f"{one.temperature:.2f}", one.temperature) for one in found.values()),
        ),
        *(
            (
                Cell(f"Risk at a coverage of {100 * share:.0f} %"),
                *(_risk_cell(one, share) for one in found.values()),
            )
            for share in (1.0, 0.9, 0.8, 0.5)
        ),
    )
    note = (
        "Confidence is the predicted probability of the predicted class. The (expected) calibration error is"
        " the mean distance between confidence and accuracy, corrected for the bias due to chance; small"
        " numbers are its 95 % confidence interval over subjects. The temperature of each fold is fitted on"
        " the other folds. A temperature above 1 means that the model is overconfident, below 1 that it is"
        " underconfident. Temperature scaling does not change the predicted class. Coverage is the"
        " share of faces that the model predicts, the most confident first, and risk is the share of wrong"
        " predictions among them."
    )
    return Table(caption, columns, rows, note, is_folded=True)


def _points_off(error: CalibrationError) -> Cell:
    cell = interval_cell(SHARE, error.value, error.low, error.high)
    return replace(cell, text=f"{cell.text} points")


def _risk_cell(one: Confidence, share: float) -> Cell:
    risk = 100 * one.risks[SHARES.index(share)]
    return Cell(f"{risk:.1f} %", round(risk, 6))


def coverage_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return a table of the coverage and the mean size of prediction sets, or of prediction intervals."""
    if not evidence.coverage:
        return None
    is_years, broken = evidence.score == "mae_years", evidence.broken
    columns = (
        Column("Slice"),
        Column("Coverage", "%", others=("low", "high"), is_number=True),
        Column("Mean width" if is_years else "Mean size", "years" if is_years else "classes", is_number=True),
        Column("Faces", is_number=True),
    )
    rows = tuple(
        (
            Cell({"": one.label, "age_band": f"age {one.label}"}.get(column, f"{words(column)} {one.label}")),
            *_coverage_cells(one, is_years=is_years, is_broken=(column, one) in broken),
            count_cell(one.n_faces),
        )
        for column, one in evidence.coverage
    )
    what = (
        "A prediction interval is a range of completed years instead of a single age. Its coverage is the"
        " share of faces whose true age is in the interval."
        if is_years
        else "A prediction set is a set of classes instead of a single class. Its coverage is the share of"
        " faces whose true class is in the set."
    )
    note = (
        f"{what} Conformal prediction chooses the {'interval' if is_years else 'set'}s from the errors on the"
        f" other folds, for a coverage of at least {100 * (1 - MISSED):.0f} %"
        f" {'at every age' if is_years else 'in every class'}. Every subject has the same weight. Small"
        " numbers are 95 % confidence intervals. Bold: the coverage is significantly too low (p ≤ 0.05,"
        " adjusted for all rows)."
    )
    return Table(caption, columns, rows, note, is_folded=True)


def _coverage_cells(one: Coverage, *, is_years: bool, is_broken: bool) -> tuple[Cell, Cell]:
    if one.value is None or one.between is None or one.size is None:
        return Cell("not enough data"), Cell(ABSENT)
    held = interval_cell(SHARE, one.value, one.between.low, one.between.high, is_strong=is_broken)
    return held, Cell(f"{one.size:.1f}" if is_years else f"{one.size:.2f}", round(one.size, 6))
