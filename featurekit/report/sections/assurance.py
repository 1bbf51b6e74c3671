"""Age assurance: what evaluations of age checks ask for, the target of each point, and what was achieved.

The headings are the groups of properties in which providers of age checks state what they do, as ISO/IEC
27566-1 is summarised in public, and those points that NIST's evaluation of age estimation reports. A point is
met only if its whole confidence interval meets the target. Nothing is claimed that was not measured.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from featurekit.evaluation.ages import (
    CHALLENGE,
    MOST_PASSING,
    NEARLY,
    WITHIN,
    YOUNG_ADULTS,
    AgeCheck,
    AgeStatistics,
    GroupErrors,
    LegalAge,
    Rate,
)
from featurekit.evaluation.disparities import Disparities
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import score_kind, signed
from featurekit.report.cells import SHARE, words
from featurekit.report.model import Blocks, Cell, Column, Table, Text
from featurekit.report.select import Ranked
from featurekit.text import counted
from featurekit.uncertainty.conformal import MISSED
from featurekit.uncertainty.resampling import FEWEST, LEVEL, exact_interval

Result = Literal["met", "not met", "not shown", "no target", "stated", "not measured"]

NO_TARGET = "no target stated"
# The sources, as they are called in the table, with their names in full.
_NIST, _ISO, _OURS, _PRACTICE = "NIST", "ISO/IEC 27566-1", "this report", "practice"
_SOURCES = (
    f"{_NIST}: Face Analysis Technology Evaluation, Age Estimation and Verification (IR 8525); its best"
    f" published rates are of other images and ages. {_ISO}: as public summaries group what providers of age"
    f" checks state. {_PRACTICE.capitalize()}: what tests of age checks look at."
)
# The lowest false positive rate at Challenge 25 on NIST's page. In 2024 it was 2.4 ± 1.1 %.
_BEST_CHALLENGE = f"{NO_TARGET}; best published: 1.7 % (2026)"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point that evaluations of age checks ask for.

    Attributes:
        part: group of the point, e.g. "Accuracy".
        what: what is asked for.
        target: what should be achieved, or NO_TARGET.
        source: who states the target, or asks for the point.
        achieved: what was achieved, with its confidence interval.
        result: whether the target is met. "not shown" means that the data allow both, or are too few.
    """

    part: str
    what: str
    target: str = NO_TARGET
    source: str
    achieved: str
    result: Result


def blocks(of: Ranked) -> Blocks:
    """Return the table of all points for the best model of age, and how many targets are met."""
    found = points_of(of)
    n_of = Counter(one.result for one in found)
    n_judged = n_of["met"] + n_of["not met"] + n_of["not shown"]
    about = (
        f"{counted(n_judged, 'point has', 'points have')} a target: {n_of['met']} met, {n_of['not met']} not"
        f" met, {n_of['not shown']} not shown. {n_of['no target']} were measured without a target, because"
        f" the sources state none. {n_of['not measured']} were not measured. This page does not claim that a"
        " model conforms to a standard, or that it may be used to check anybody's age."
    )
    columns = (
        *(Column(title) for title in ("Part", "What is asked for", "Achieved", "Target", "Result", "Source")),
    )
    rows = tuple(
        (
            Cell(one.part),
            Cell(one.what),
            Cell(one.achieved),
            Cell(one.target),
            Cell(one.result, is_strong=one.result in ("met", "not met")),
            Cell(one.source),
        )
        for one in found
    )
    note = (
        f"All numbers are of {of.best_model}, for faces that it had not seen, with 95 % confidence intervals"
        " over subjects. Met: the whole interval meets the target. Not met: no part of it does. Not shown:"
        f" only a part of it does, or there are too few subjects. The lowest"
        f" thresholds were chosen on these same faces. {_SOURCES}"
    )
    return [Text(about), Table(f"{of.title}: target and achieved", columns, rows, note, n_names=2)]


def points_of(of: Ranked) -> tuple[Point, ...]:
    """Return all points for the best model of age, in the order of the table.

    Args:
        of: runs of a target of age in years, with their evidence.
    """
    assert of.evidence is not None
    assert of.evidence.ages is not None
    evidence, ages = of.evidence, of.evidence.ages
    run = next(one for one in of.runs if one.name == evidence.sliced)
    return (
        _functionality(of, run),
        *_accuracy(ages.errors[0], evidence),
        *_limits(evidence.legal_ages),
        *_challenge(evidence.challenge),
        *_adolescents(ages),
        *_fairness(evidence, ages.errors),
        Point(
            part="Robustness",
            what="Other cameras, light, poses, glasses, make-up and masks",
            source=_PRACTICE,
            achieved="not measured",
            result="not measured",
        ),
        *_coverage(run, evidence),
        *_facts(),
    )


def _functionality(of: Ranked, run: Run) -> Point:
    assert of.evidence is not None
    years = [one.age for one in of.evidence.years]
    return Point(
        part="Functionality",
        what="What is predicted, and for whom it was tested",
        source=_ISO,
        achieved=(
            f"Age in years from an image of a face, by {of.in_words(run)}. Tested on"
            f" {counted(run.n_tested, 'face', 'faces')} of {counted(run.n_subjects, 'subject', 'subjects')}"
            f" from {min(years, default=0)} to {max(years, default=0)} years."
        ),
        result="stated",
    )


def _accuracy(errors: GroupErrors, evidence: TargetEvidence) -> Iterator[Point]:
    def point(what: str, found: Estimate | None, achieved: str) -> Point:
        return Point(
            part="Accuracy", what=what, source=_NIST, achieved=achieved, result=_without_target(found)
        )

    yield point("Mean absolute error", errors.error, _years(errors.error))
    yield from _cells(evidence)
    bias = _years(errors.bias, is_signed=True)
    yield point("Mean error (predicted minus true age)", errors.bias, bias)
    yield point("Root mean square error", errors.rmse, _years(errors.rmse))
    for years, share in zip(WITHIN, errors.within, strict=True):
        what = f"Share of faces within {counted(years, 'year', 'years')}"
        yield point(what, share, _share(share))


def _without_target(*found: object) -> Result:
    """Return the result of a point without a target: whether anything was measured."""
    return "no target" if any(one is not None for one in found) else "not measured"


def _cells(evidence: TargetEvidence) -> Iterator[Point]:
    """Yield the mean of the errors at single ages of young adults for each gender."""
    genders = {one.gender for one in evidence.years if one.gender}
    wanted = genders if len(genders) > 1 else {""}
    cells = [one for one in evidence.years if one.gender in wanted and one.age in YOUNG_ADULTS]
    known = [one.error.value for one in cells if one.error]
    n_cells = len(wanted) * len(YOUNG_ADULTS)
    if known:
        of_them = f"{n_cells} cells" if len(known) == n_cells else f"{len(known)} of {n_cells} cells"
        few = "" if len(known) == n_cells else f"; the others have fewer than {FEWEST} subjects"
        yield Point(
            part="Accuracy",
            what=f"Mean absolute error, mean over ages {YOUNG_ADULTS[0]} to {YOUNG_ADULTS[-1]}"
            f"{' × gender' if len(genders) > 1 else ''}",
            source=_NIST,
            achieved=f"{_YEARS.format(sum(known) / len(known))} years over {of_them}{few}",
            result="no target",
        )


def _limits(legal_ages: Sequence[LegalAge]) -> Iterator[Point]:
    """Yield the false positive rate at the lowest threshold for each legal age."""
    target = f"at most {100 * MOST_PASSING:.0f} %"
    for one in legal_ages:
        age, check = one.plain.legal_age, one.lowest
        yield Point(
            part="Accuracy",
            what=f"False positive rate under {age} years at the lowest threshold",
            target=target,
            source=_OURS,
            achieved=f"{_rate(check.passing)} with the threshold {check.threshold}; of those at most {NEARLY}"
            f" years under {age}: {_rate(one.lowest_nearly)}; false negative rate: {_rate(check.stopped)}"
            if check and one.lowest_nearly
            else f"{_rate(one.plain.passing)} with the threshold {age}; too few subjects to show that a"
            " higher one is enough",
            result="met" if check else "not shown",
        )


def _challenge(checks: Sequence[AgeCheck]) -> Iterator[Point]:
    legal_age, threshold = CHALLENGE
    everybody = next((one for one in checks if not one.column), None)
    if everybody is None:
        return
    for what, target, rate in (
        (f"false positive rate under {legal_age} years", _BEST_CHALLENGE, everybody.passing),
        (f"false negative rate of {legal_age} years or older", NO_TARGET, everybody.stopped),
    ):
        yield Point(
            part="Accuracy",
            what=f"Challenge {threshold}: {what}",
            target=target,
            source=_NIST,
            achieved=_rate(rate),
            result=_without_target(rate.share),
        )


def _adolescents(ages: AgeStatistics) -> Iterator[Point]:
    """Yield how often people outside of the band from 13 to 16 years are taken to be in it."""
    _, band, _ = (one.band for one in ages.adolescents)
    for one in (ages.adolescents[0], ages.adolescents[2]):
        share = one.shares[1]
        yield Point(
            part="Accuracy",
            what=f"People {one.band} who are predicted to be {band.replace('-', ' to ')}",
            source=_NIST,
            achieved=_share(share),
            result=_without_target(share),
        )


def _fairness(evidence: TargetEvidence, errors: Sequence[GroupErrors]) -> Iterator[Point]:
    """Yield the largest gaps between genders, between age groups and between the values of other labels."""

    def point(what: str, found: Iterable[object], achieved: str) -> Point:
        result = _without_target(*found)
        return Point(part="Bias and fairness", what=what, source=_NIST, achieved=achieved, result=result)

    def gap(what: str, is_wanted: Callable[[str], bool]) -> Point:
        found = _largest(evidence.disparities, is_wanted)
        return point(what, [found], _gap(*found) if found else _NOT_TESTED)

    yield gap("Largest gap between genders", lambda name: name == "gender")
    of_gender = [one for one in errors if one.gender]
    if of_gender:
        biases = [one.bias for one in of_gender]
        said = [f"{one.gender} {_years(one.bias, is_signed=True)}" for one in of_gender]
        yield point("Mean error by gender", biases, "; ".join(said) if any(biases) else _FEW)
    checks = [one for one in evidence.challenge if one.column == "gender" and one.label]
    if checks:
        shares = [one.passing.share for one in checks]
        what = f"Challenge {CHALLENGE[1]}: false positive rate by gender"
        said = [f"{one.label} {_rate(one.passing)}" for one in checks]
        yield point(what, shares, "; ".join(said) if any(shares) else _FEW)
    yield gap("Largest gap between age groups", lambda name: name == "age_group")
    what = "Largest gap between the values of another label"
    yield gap(what, lambda name: name not in ("gender", "age_group"))


def _largest(
    disparities: Sequence[Disparities], is_wanted: Callable[[str], bool]
) -> tuple[Disparities, Estimate] | None:
    """Return the label whose groups differ most, with the largest difference between two of its groups."""
    found = [
        (of, one.value)
        for of in disparities
        if is_wanted(of.column)
        for one in of.disparities
        if one.name == "difference"
    ]
    return max(found, key=lambda one: one[1].value, default=None)


def _gap(of: Disparities, difference: Estimate) -> str:
    """Return the groups of a label that differ most, with their errors and the difference."""
    errors = {group.label: group.score for group in of.groups if group.score}
    ordered = sorted(errors, key=lambda label: errors[label].value)
    ends = f"{_YEARS.format(difference.low)} to {_YEARS.format(difference.high)}".replace("-", "−")
    return (
        f"{_YEARS.format(difference.value)} years ({ends}) between {words(of.column)} {ordered[-1]}, mean"
        f" absolute error {_years(errors[ordered[-1]])}, and {ordered[0]}, {_years(errors[ordered[0]])}"
    )


def _coverage(run: Run, evidence: TargetEvidence) -> Iterator[Point]:
    """Yield the share of images with a prediction, and how often prediction intervals are right."""
    share = run.n_tested / run.n_labelled if run.n_labelled else 0.0
    # The subjects of rows without a face are not known here, unless each row has a subject of its own.
    ends = exact_interval(share, run.n_labelled, 1 - LEVEL) if run.n_subjects == run.n_tested else None
    yield Point(
        part="Coverage",
        what="Share of labelled images with a face and a predicted age",
        source=_OURS,
        achieved=f"{_share(Estimate(share, ends.low, ends.high)) if ends else f'{SHARE.format(share)} %'}:"
        f" {run.n_tested:,} of {run.n_labelled:,}",
        result="no target",
    )
    found = next((one for column, one in evidence.coverage if not column), None)
    promised = f"{100 * (1 - MISSED):.0f} %"
    if found is None or found.value is None or found.between is None:
        yield Point(
            part="Coverage",
            what=_INTERVALS,
            target=f"at least {promised}",
            source=_OURS,
            achieved="not measured",
            result="not measured",
        )
        return
    yield Point(
        part="Coverage",
        what=_INTERVALS,
        target=f"at least {promised}",
        source=_OURS,
        achieved=_share(Estimate(found.value, found.between.low, found.between.high)),
        result=_at_least(found.between.low, found.between.high, 1 - MISSED),
    )
    yield _coverage_of_slices(evidence, promised)


def _coverage_of_slices(evidence: TargetEvidence, promised: str) -> Point:
    """Return the point that the coverage of each slice is as high as promised, also of the worst one."""
    low = [(column, one) for column, one in evidence.broken if column]
    slices = [one for column, one in evidence.coverage if column]
    n_shown = sum(one.between is not None and one.between.low >= 1 - MISSED for one in slices)
    n_few = sum(one.between is None for one in slices)
    achieved = f"shown to be at least {promised} for {n_shown} of {counted(len(slices), 'slice', 'slices')}"
    if low:
        achieved += (
            f" and under it for {len(low)}: the lowest is {SHARE.format(low[0][1].value or 0.0)} % for"
            f" {words(low[0][0])} {low[0][1].label}"
        )
    elif n_few:
        achieved += f"; {counted(n_few, 'slice has', 'slices have')} too few subjects"
    is_met = n_shown == len(slices)
    return Point(
        part="Coverage",
        what="The same for each age and label",
        target=f"at least {promised} for each",
        source=_OURS,
        achieved=achieved if slices else "not measured",
        result="not measured" if not slices else "not met" if low else "met" if is_met else "not shown",
    )


_INTERVALS = "Coverage of the prediction intervals"


def _at_least(low: float, high: float, target: float) -> Result:
    return "met" if low >= target else "not met" if high < target else "not shown"


def _facts() -> Iterator[Point]:
    """Yield what featurekit does with images, and what this report does not know."""
    for part, what, achieved, result in _FACTS:
        yield Point(part=part, what=what, source=_ISO, achieved=achieved, result=result)


_FACTS: tuple[tuple[str, str, str, Result], ...] = (
    (
        "Privacy",
        "Where images go",
        "Nowhere: of featurekit, only weights fetch, and log-mlflow with a server, use a network.",
        "stated",
    ),
    (
        "Privacy",
        "What is stored",
        "Vectors, aligned faces for networks that are trained end to end, and predictions with the ids of"
        " faces. The outcomes from which this report is made have row numbers instead of names.",
        "stated",
    ),
    (
        "Privacy",
        "Removal of a person",
        "featurekit cache purge removes a subject from all of these; fitted models cannot forget one.",
        "stated",
    ),
    (
        "Security",
        "Attacks with shown, printed or generated faces",
        "not measured; featurekit has no detection of such attacks",
        "not measured",
    ),
    (
        "Security",
        "Files of others",
        "Models are stored without pickle, and a folder of a model whose hashes do not match is refused.",
        "stated",
    ),
    (
        "Acceptability and accessibility",
        "Whether all people can and want to use it",
        "not measured",
        "not measured",
    ),
)

_FEW = "not enough data"
_NOT_TESTED = "not measured: no such label, or too few subjects"
_YEARS = score_kind("mae_years")


def _years(estimate: Estimate | None, *, is_signed: bool = False) -> str:
    if estimate is None:
        return _FEW
    value, low, high = (
        signed(_YEARS, one) if is_signed else _YEARS.format(one)
        for one in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} years ({low} to {high})"


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return _FEW
    return f"{SHARE.format(estimate.value)} % ({SHARE.format(estimate.low)} to {SHARE.format(estimate.high)})"


def _rate(rate: Rate) -> str:
    return _share(rate.share)
