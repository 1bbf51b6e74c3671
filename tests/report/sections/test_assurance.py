"""What a report for age assurance says of targets: each is met, not met, or it says why neither is shown."""

from dataclasses import replace

import pytest

from featurekit.evaluation.ages import Rate
from featurekit.evaluation.estimates import Estimate
from featurekit.report.model import Table
from featurekit.report.page import compose
from featurekit.report.sections.assurance import NO_TARGET, points_of
from featurekit.report.select import Ranked
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import Interval
from tests.report.made_up import make_evidence, make_run, markdown_of, rows_of

RUNS = [make_run("age"), make_run("age", classifier="mlp")]
PROFILE = {"profile": "age-assurance"}


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
    coverage = (("", Coverage("all faces", 1234, 1200, 0.91, Interval(0.9, 0.92), 9.0, 1.0)), ("gender", low))
    point = points(coverage=coverage)["The same for each age and label"]
    assert point.result == "not met"
    assert "the lowest is 74.4 % for gender female" in point.achieved


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
