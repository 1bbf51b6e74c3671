"""What a report for age assurance says of targets: each is met, not met, or it says why neither is shown."""

from dataclasses import replace

import pytest

from featurekit.evaluation.ages import Rate
from featurekit.evaluation.disparities import Disparities, Disparity, Group
from featurekit.evaluation.estimates import Estimate
from featurekit.report.model import Table
from featurekit.report.page import compose
from featurekit.report.sections.assurance import NO_TARGET, points_of
from featurekit.report.select import Ranked
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import Interval
from tests.report.made_up import AGES, make_evidence, make_run, markdown_of, rows_of

RUNS = [make_run("age"), make_run("age", classifier="mlp")]
FAIRNESS = "Bias and fairness"
PROFILE = {"profile": "age-assurance"}
EVERYBODY = ("", Coverage("all faces", 1234, 1200, 0.91, Interval(0.9, 0.92), 9.0, 1.0))
FEW = ("gender", Coverage("other", 9, 4, None, None, None))


def points(**changes):
    evidence = make_evidence(RUNS, **changes).targets["age"]
    return {one.what: one for one in points_of(Ranked("age", RUNS, evidence))}


def test_ages_come_first_and_nothing_is_there_twice():
    evidence = make_evidence(RUNS)
    titles = [section.title for section in compose(RUNS, "t", evidence, **PROFILE).sections]
    assert titles[:4] == [
        "Summary",
        "Age in years: errors and legal ages",
        "Age assurance: target and achieved",
        "Age in years",
    ]
    pages = [compose(RUNS, "t", evidence, **options) for options in ({}, PROFILE)]
    plain, arranged = (
        [
            block.caption.split(". ", 1)[1]
            for section in page.sections
            for block in section.blocks
            if isinstance(block, Table)
        ]
        for page in pages
    )
    assert sorted([*plain, "Age in years: target and achieved"]) == sorted(arranged)


def test_only_what_was_measured_has_a_number():
    rows = rows_of(
        markdown_of(RUNS, "t", make_evidence(RUNS), **PROFILE), "Age assurance: target and achieved"
    )
    parts = list(dict.fromkeys(row[0] for row in rows))
    assert parts == [
        "Functionality",
        "Accuracy",
        "Bias and fairness",
        "Robustness",
        "Coverage",
        "Privacy",
        "Security",
        "Acceptability and accessibility",
    ]
    for part, _, achieved, target, result, source in rows:
        assert source, part
        assert (result in ("**met**", "**not met**", "not shown")) == (not target.startswith(NO_TARGET))
        if result == "not measured":
            assert achieved.startswith(("not measured", "not enough data"))
    assert [row[4] for row in rows if row[0] == "Robustness"] == ["not measured"]
    found = points()
    assert found["Mean absolute error"].achieved == "4.00 years (3.00 to 5.00)"
    assert found["Share of faces within 3 years"].achieved == "50.0 % (40.0 to 60.0)"
    assert found["People under 13 who are predicted to be 13 to 16"].achieved == "not enough data"
    assert found["People 17 and older who are predicted to be 13 to 16"].achieved == "25.0 % (20.0 to 30.0)"


@pytest.mark.parametrize(
    ("low", "high", "result"), [(0.901, 0.92, "met"), (0.89, 0.91, "not shown"), (0.8, 0.899, "not met")]
)
def test_a_target_is_met_only_by_the_whole_interval(low, high, result):
    coverage = (("", Coverage("all faces", 1234, 1200, (low + high) / 2, Interval(low, high), 9.0, 1.0)),)
    assert points(coverage=coverage)["Coverage of the prediction intervals"].result == result


def test_one_slice_with_a_low_coverage_is_enough_for_a_target_that_is_not_met():
    low = Coverage("female", 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.0001)
    point = points(coverage=(EVERYBODY, ("gender", low)))["The same for each age and label"]
    assert point.result == "not met"
    assert "the lowest is 74.4 % for gender female" in point.achieved


def covered(label, low, high, p_value=1.0):
    """A slice whose prediction intervals contain the true age of so many faces."""
    return "gender", Coverage(label, 400, 390, (low + high) / 2, Interval(low, high), 18.0, p_value=p_value)


@pytest.mark.parametrize(
    ("slices", "result", "achieved"),
    [
        (
            [covered("a", 0.9, 0.95), covered("b", 0.93, 0.97)],
            "met",
            "shown to be at least 90 % for 2 of 2 slices",
        ),
        # An interval that contains the promise shows nothing, however high the coverage is.
        (
            [covered("a", 0.9, 0.95), covered("b", 0.899, 0.999)],
            "not shown",
            "shown to be at least 90 % for 1 of 2 slices",
        ),
        (
            [covered("a", 0.9, 0.95), FEW],
            "not shown",
            "shown to be at least 90 % for 1 of 2 slices; 1 slice has too few subjects",
        ),
        # The p-values hold for all slices together, so an interval under the promise may be chance.
        ([covered("a", 0.85, 0.899, 0.06)], "not shown", "shown to be at least 90 % for 0 of 1 slice"),
        (
            [covered("a", 0.9, 0.95), covered("b", 0.8, 0.86, 0.05), FEW],
            "not met",
            "shown to be at least 90 % for 1 of 3 slices and under it for 1:"
            " the lowest is 83.0 % for gender b",
        ),
        ([], "not measured", "not measured"),
    ],
)
def test_the_coverage_of_slices_is_met_only_where_every_interval_keeps_the_promise(slices, result, achieved):
    point = points(coverage=(EVERYBODY, *slices))["The same for each age and label"]
    assert (point.result, point.achieved) == (result, achieved)


def test_a_low_coverage_of_all_faces_is_not_one_of_a_slice():
    low = ("", replace(EVERYBODY[1], value=0.88, between=Interval(0.87, 0.89), p_value=0.001))
    found = points(coverage=(low, covered("a", 0.9, 0.95)))
    assert found["Coverage of the prediction intervals"].result == "not met"
    point = found["The same for each age and label"]
    assert (point.result, point.achieved) == ("met", "shown to be at least 90 % for 1 of 1 slice")


def groups(column, difference, **errors):
    """How the groups of a label differ: the mean absolute error of each group in years."""
    ends = Estimate(difference, difference - 0.25, difference + 0.25)
    return Disparities(
        column=column,
        reference=next(iter(errors)),
        groups=tuple(
            Group(
                label=label,
                n_faces=80,
                n_subjects=77,
                score=value and Estimate(value, value - 0.5, value + 0.5),
            )
            for label, value in errors.items()
        ),
        disparities=(
            Disparity(name="ratio", predicted="", value=Estimate(99.0, 98.0, 100.0)),
            Disparity(name="difference", predicted="", value=ends),
        ),
    )


def test_the_largest_gap_is_the_difference_between_the_two_groups_that_it_names():
    found = points(
        disparities=(
            groups("gender", 1.5, female=6.5, male=5.0, other=None),
            groups("glasses", 2.0, no=4.0, yes=6.0),
            groups("hat", 3.25, no=4.0, cap=5.0, helmet=7.25),
        )
    )
    gap = found["Largest gap between genders"]
    assert gap.achieved == (
        "1.50 years (1.25 to 1.75) between gender female, mean absolute error 6.50 years (6.00 to 7.00), and"
        " male, 5.00 years (4.50 to 5.50)"
    )
    assert gap.result == "no target"
    # Of several labels, the one whose groups differ most.
    other = found["Largest gap between the values of another label"]
    assert other.achieved.startswith("3.25 years (3.00 to 3.50) between hat helmet, mean absolute error 7.25")
    assert other.achieved.endswith("and no, 4.00 years (3.50 to 4.50)")
    ages = found["Largest gap between age groups"]
    assert (ages.result, ages.achieved[:13]) == ("not measured", "not measured:")


def test_a_point_of_which_no_value_was_measured_says_so():
    nothing = {"error": None, "bias": None, "rmse": None, "within": (None,) * 3}
    ages = replace(
        AGES,
        errors=tuple(replace(one, **nothing) for one in AGES.errors),
        adolescents=tuple(replace(one, shares=(None,) * 3) for one in AGES.adolescents),
    )
    known = make_evidence(RUNS).targets["age"].challenge[0]
    few = Rate(n_faces=3, n_subjects=3, share=None)
    checks = tuple(
        replace(known, column=column, label=label, passing=few, stopped=few)
        for column, label in (("", ""), ("gender", "female"), ("gender", "male"))
    )
    found = points(ages=ages, challenge=checks, disparities=(), coverage=())
    unmeasured = {what: one.achieved for what, one in found.items() if one.part in ("Accuracy", FAIRNESS)}
    for what, achieved in unmeasured.items():
        # Years of young adults and the legal ages have values of their own.
        is_known = "mean over ages" in what or "lowest threshold" in what
        assert (found[what].result == "not measured") != is_known, what
        assert achieved.startswith("not ") != is_known, what
    assert len(unmeasured) > 12
    coverage = found["Coverage of the prediction intervals"]
    assert (coverage.result, coverage.achieved) == ("not measured", "not measured")
    # One measured value is enough for a point without a target.
    some = (*ages.errors[:-1], replace(ages.errors[-1], bias=Estimate(-0.4, -0.9, 0.1)))
    by_gender = points(ages=replace(ages, errors=some))["Mean error by gender"]
    assert by_gender.result == "no target"
    assert "female not enough data; male −0.40 years" in by_gender.achieved


def test_a_threshold_that_cannot_be_shown_to_be_enough_meets_nothing():
    name = "False positive rate under 18 years at the lowest threshold"
    known = make_evidence(RUNS).targets["age"].legal_ages[0]
    assert points()[name].result == "not shown"
    rate = Rate(n_faces=200, n_subjects=190, share=Estimate(0.004, 0.001, 0.009))
    found = replace(known, lowest=replace(known.plain, threshold=31, passing=rate), lowest_nearly=rate)
    point = points(legal_ages=(found,))[name]
    assert (point.target, point.result) == ("at most 1 %", "met")
    assert point.achieved.startswith(
        "0.4 % (0.1 to 0.9) with the threshold 31; of those at most 2 years under"
    )
