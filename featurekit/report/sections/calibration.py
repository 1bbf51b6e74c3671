"""Calibration of the best model, and the coverage of its prediction sets and prediction intervals."""

from featurekit.evaluation.confidence import SHARES, Confidence
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.score_kinds import ScoreKind
from featurekit.report.cells import ABSENT, count_cell, in_range, words
from featurekit.report.displays.calibration import CalibrationDisplay
from featurekit.report.displays.risk_coverage import RiskCoverageDisplay
from featurekit.report.model import Block, Cell, Column, Figure, Table
from featurekit.report.select import Ranked
from featurekit.report.svg import confidence_plot
from featurekit.uncertainty.conformal import MISSED
from featurekit.uncertainty.reliability import CalibrationError


def blocks(of: Ranked) -> list[Block]:
    """Return the calibration of the best model, and the coverage of its prediction sets or intervals."""
    if of.evidence is None:
        return []
    found: list[Block] = []
    confidence = of.evidence.confidence
    if confidence:
        found += _figure(of, f"{of.title}: reliability diagram and risk–coverage curve of {of.whose}")
        found.append(confidence_table(confidence, f"{of.title}: calibration and risk of {of.whose}"))
    what = "prediction intervals" if of.evidence.score == "mae_years" else "prediction sets"
    coverage = coverage_table(of.evidence, f"{of.title}: {what} of {of.whose}")
    return [*found, coverage] if coverage else found


def _figure(of: Ranked, caption: str) -> list[Figure]:
    calibration, answered = CalibrationDisplay.find(of), RiskCoverageDisplay.find(of)
    if calibration is None or answered is None:
        return []
    confidence = calibration.confidence
    bins = [(100 * one.confidence, 100 * one.right) for one in confidence.bins]
    risks = [(100 * share, 100 * risk) for share, risk in zip(SHARES, answered.risks, strict=True)]
    summary = f"{caption}. Two line plots; the table below has the main numbers."
    wide, narrow = (
        confidence_plot(bins, risks, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    note = (
        f"First plot: the faces are sorted by the model's confidence into {len(confidence.bins)} bins of"
        " equal size, and the accuracy of each bin is drawn against its mean confidence. A perfectly"
        " calibrated model is on the dashed line. Second plot: coverage is the share of faces that the model"
        " predicts if it abstains on the faces it is least confident of; risk is the share of wrong"
        " predictions among them."
    )
    return [Figure(caption, note, wide, narrow)]


def confidence_table(confidence: Confidence, caption: str) -> Table:
    """Return the calibration error of the best model, and its risk at several coverages."""
    columns = (Column("Measure"), Column("Value", others=("low", "high"), is_number=True))
    share = ScoreKind("share", "", "%")

    def off(error: CalibrationError) -> Cell:
        return Cell(
            f"{100 * error.value:.1f} points",
            round(100 * error.value, 6),
            count=f"{100 * error.low:.1f}–{100 * error.high:.1f}",
            others=(round(100 * error.low, 6), round(100 * error.high, 6)),
        )

    rows = [
        (Cell("Calibration error"), off(confidence.before)),
        (Cell("Calibration error after temperature scaling"), off(confidence.after)),
        (
            Cell("Temperature, mean over the folds"),
            Cell(f"{confidence.temperature:.2f}", confidence.temperature),
        ),
    ]
    for part in (1.0, 0.9, 0.8, 0.5):
        risk = confidence.risks[SHARES.index(part)]
        rows.append(
            (
                Cell(f"Risk at a coverage of {100 * part:.0f} %"),
                Cell(f"{share.format(risk)} %", round(risk * share.scale, 6)),
            )
        )
    note = (
        "Confidence is the predicted probability of the predicted class. The (expected) calibration error is"
        " the mean distance between confidence and accuracy, corrected for the bias due to chance; small"
        " numbers are its 95 % confidence interval over subjects. The temperature of each fold is fitted on"
        " the other folds. A temperature above 1 means that the model is overconfident, below 1 that it is"
        " underconfident. Temperature scaling does not change the predicted class. Risk is the share of"
        " wrong predictions among the most confident faces, and coverage is the share of all faces that"
        " these are."
    )
    return Table(caption, columns, tuple(rows), note)


def coverage_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return the coverage and the mean size of prediction sets, or of prediction intervals for years."""
    if not evidence.coverage:
        return None
    is_years, broken = evidence.score == "mae_years", evidence.broken
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Slice"),
        Column("Coverage", "%", others=("low", "high"), is_number=True),
        Column("Mean width" if is_years else "Mean size", "years" if is_years else "classes", is_number=True),
        Column("Faces", is_number=True),
    )
    rows = []
    for column, one in evidence.coverage:
        label = {"": one.label, "age_band": f"age {one.label}"}.get(column, f"{words(column)} {one.label}")
        held, size = Cell("not enough data"), Cell(ABSENT)
        if one.value is not None and one.between is not None and one.size is not None:
            estimate = Estimate(one.value, one.between.low, one.between.high)
            held = Cell(
                share.format(one.value),
                round(one.value * share.scale, 6),
                **in_range(share, estimate),
                is_strong=(column, one) in broken,
            )
            size = Cell(f"{one.size:.1f}" if is_years else f"{one.size:.2f}", round(one.size, 6))
        rows.append((Cell(label), held, size, count_cell(one.n_faces)))
    what = (
        "A prediction interval is a range of completed years instead of a single age. Its coverage is the"
        " share of faces whose true age is inside."
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
    return Table(caption, columns, tuple(rows), note)
