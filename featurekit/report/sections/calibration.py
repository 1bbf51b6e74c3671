"""Whether the best model knows when it is wrong, and how much room its answers need."""

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
    """Return whether confidence says how often the best model is right, and what its sets and ranges hold."""
    if of.evidence is None:
        return []
    found: list[Block] = []
    confidence = of.evidence.confidence
    if confidence:
        found += _knowing(of, f"{of.title}: whether {of.whose} knows when it is wrong")
        found.append(confidence_table(confidence, f"{of.title}: confidence of {of.whose}"))
    coverage = coverage_table(of.evidence, f"{of.title}: answers of {of.whose} that leave room")
    return [*found, coverage] if coverage else found


def _knowing(of: Ranked, caption: str) -> list[Figure]:
    calibration, answered = CalibrationDisplay.find(of), RiskCoverageDisplay.find(of)
    if calibration is None or answered is None:
        return []
    confidence = calibration.confidence
    bins = [(100 * one.confidence, 100 * one.right) for one in confidence.bins]
    risks = [(100 * share, 100 * risk) for share, risk in zip(SHARES, answered.risks, strict=True)]
    summary = f"{caption}. Two line plots; the table beside it has the main numbers."
    wide, narrow = (
        confidence_plot(bins, risks, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    note = (
        f"First: faces in {len(confidence.bins)} groups of equal size by the model's confidence, and how"
        " often it is right on them; on the dashed line it would be right as often as it says. Second: how"
        " often it is wrong when it answers only the faces that it is surest of."
    )
    return [Figure(caption, note, wide, narrow)]


def confidence_table(confidence: Confidence, caption: str) -> Table:
    """Return whether the best model knows when it is wrong."""
    columns = (Column("What"), Column("Value", others=("from", "to"), is_number=True))
    share = ScoreKind("share", "", "%")

    def off(error: CalibrationError) -> Cell:
        return Cell(
            f"{100 * error.value:.1f} points",
            round(100 * error.value, 6),
            count=f"{100 * error.low:.1f}–{100 * error.high:.1f}",
            others=(round(100 * error.low, 6), round(100 * error.high, 6)),
        )

    rows = [
        (Cell("Confidence is off by, as it comes"), off(confidence.before)),
        (Cell("Confidence is off by, at a temperature from other folds"), off(confidence.after)),
        (Cell("That temperature, mean"), Cell(f"{confidence.temperature:.2f}", confidence.temperature)),
    ]
    for part in (1.0, 0.9, 0.8, 0.5):
        risk = confidence.risks[SHARES.index(part)]
        rows.append(
            (
                Cell(f"Wrong among the surest {100 * part:.0f} % of faces"),
                Cell(f"{share.format(risk)} %", round(risk * share.scale, 6)),
            )
        )
    note = (
        "Confidence is the probability of the answer. It is off by the mean distance between what it says and"
        " how often it is right (expected calibration error, corrected for what chance adds; small numbers:"
        " 95 % interval over subjects). A temperature above 1 says that the model is too sure, below 1 that"
        " it is not sure enough; it changes no answer."
    )
    return Table(caption, columns, tuple(rows), note)


def coverage_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return how often answers that leave room hold the truth, and how much room they need."""
    if not evidence.coverage:
        return None
    is_years, broken = evidence.score == "mae_years", evidence.broken
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Faces with"),
        Column("Hold the truth", "%", others=("from", "to"), is_number=True),
        Column("Width" if is_years else "Size", "years" if is_years else "classes", is_number=True),
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
        "Instead of one number a model may answer with a range of completed years: the ages whose people get"
        " such a reading, so that the promise is kept for people of every age"
        if is_years
        else "Instead of one class a model may answer with a set of classes, so that the promise is kept for"
        " every class"
    )
    note = (
        f"{what}: as found on the other folds, at most {100 * MISSED:.0f} % of answers should lack the truth"
        " (conformal prediction). Small numbers: 95 % interval; subjects count alike. Bold: a broken promise,"
        " where fewer hold the truth than promised by more than chance (p ≤ 0.05, adjusted over all rows)."
    )
    return Table(caption, columns, tuple(rows), note)
