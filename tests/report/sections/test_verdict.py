"""The summary on the first screen."""

import re
from dataclasses import replace

import pytest

from featurekit.checks.audit import Audit
from featurekit.evaluation.cost import Trade
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice
from featurekit.findings import Finding
from featurekit.report.model import Answers
from featurekit.report.page import compose
from featurekit.report.select import best_first
from featurekit.text import markdown
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import Interval
from tests.report.made_up import make_evidence, make_run, markdown_of, score, trade


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (
            0.8,
            "30.0 points better than the baseline (majority, 50.0 %) and 10.0 points worse than the",
        ),
        (0.5, "no better than the baseline"),
        (0.45, "5.0 points worse than the baseline"),
    ],
)
def test_the_summary_says_how_far_the_best_is_from_the_baseline_and_off_the_shelf(accuracy, words):
    runs = [
        make_run(classifier="majority", scores={"accuracy": score(0.5)}),
        make_run(classifier="off_the_shelf", scores={"accuracy": score(0.9)}),
        make_run(classifier="svm", scores={"accuracy": score(accuracy)}),
        make_run(classifier="mlp", scores={"accuracy": score(accuracy - 0.02)}),
    ]
    text = re.sub(r" \(M\d\)", "", markdown_of(runs, "t").split("## Gender")[0])
    assert words in text
    assert (
        "· svm · dlib_age, the best of the trained models (the off-the-shelf network has a better score): **"
        in text
    )
    assert "How sure: Not tested. The second, mlp on dlib_age, is 2.0 points worse." in text
    assert "the differences between models could not be tested" in text


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.4, "Not shown to be better than mlp on dlib_age (M2): 2.0 points worse (p 0.40)."),
        (
            0.0004,
            "Better than 1 other model. The second, mlp on dlib_age (M2), is 2.0 points worse (p 0.0004).",
        ),
        (
            1 / 20_001,
            "Better than 1 other model. The second, mlp on dlib_age (M2), is 2.0 points worse (p < 0.0001).",
        ),
    ],
)
def test_the_summary_says_whether_the_best_is_shown_to_be_better(p, words):
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    text = markdown_of(runs, "t", make_evidence(runs, p=p)).split("## Gender")[0]
    assert f"How sure: {markdown(words)}" in text
    assert "**80.0 %** accuracy (78.0 to 83.0)" in text
    assert "the best of the trained models" not in text
    assert "Worst slice: age group 0-2: accuracy 30.0 % (20.0 to 40.0) for 77 subjects" in text


@pytest.mark.parametrize(("p", "is_said"), [(0.4, True), (0.001, False)])
def test_the_summary_says_where_the_best_is_not_shown_to_beat_the_baseline(p, is_said):
    runs = [make_run(), make_run(classifier="majority", scores={"accuracy": score(0.7)})]
    text = markdown_of(runs, "t", make_evidence(runs, p=p)).split("## Gender")[0]
    assert "10.0 points better than the baseline (majority, 70.0 %" in text
    assert ("70.0 %; no evidence of a difference: p 0.40)" in text) == is_said


@pytest.mark.parametrize(("p", "how"), [(0.4, "has a better score"), (0.001, "is better")])
def test_a_network_is_called_better_than_every_trained_model_only_if_a_difference_is_shown(p, how):
    runs = [make_run(), make_run(classifier="off_the_shelf", scores={"accuracy": score(0.9)})]
    text = markdown_of(runs, "t", make_evidence(runs, p=p)).split("## Gender")[0]
    assert f"the best of the trained models (the off-the-shelf network {how})" in text


def cost_of(runs: list[Run], *trades: Trade, margin: float = 0.01) -> str:
    """Return what the summary says of faster models."""
    text = markdown_of(runs, "t", make_evidence(runs, trades=trades, margin=margin))
    return text.split("    - Cost: ")[1].split("\n")[0]


def test_the_fastest_model_within_the_margin_is_recommended():
    _, mlp, knn = runs = [make_run(classifier=name) for name in ("a_svm", "mlp", "knn")]
    within = cost_of(runs, trade(knn, 0.02, is_within=False), trade(mlp, 0.002, is_within=True, time=25))
    assert within == (
        "48 ms per face, from the image to the prediction. A faster one, mlp on dlib_age (M3), takes 25 ms"
        " and is shown to lose less than 1 point."
    )
    wide = cost_of(runs, trade(knn, 0.02, is_within=True), margin=0.025)
    assert "knn on dlib_age (M2), takes 21 ms and is shown to lose less than 2.5 points" in wide


def test_where_no_model_is_within_the_margin_the_nearest_is_shown_outside_it():
    _, mlp, knn = runs = [make_run(classifier=name) for name in ("a_svm", "mlp", "knn")]
    said = cost_of(runs, trade(knn, 0.05, is_within=False, p=1.0), trade(mlp, 0.009, is_within=False, p=0.4))
    assert said == (
        "48 ms per face, from the image to the prediction. No faster trained model is shown to lose less than"
        " 1 point. The closest, mlp on dlib_age (M3), takes 21 ms and loses 0.9 points (0.3 to 1.4)."
    )
    # A faster model may have predicted more faces correctly, and still not be shown to be within the margin.
    assert "loses −0.2 points (−0.8 to 0.3)" in cost_of(runs, trade(mlp, -0.002, is_within=False))


def test_a_margin_of_years_is_one_of_the_mean_absolute_error():
    runs = [make_run("age", classifier=name) for name in ("a_svm", "mlp")]
    said = cost_of(runs, trade(runs[1], 0.05, is_within=True), margin=0.1)
    assert "mlp on dlib_age (M2), takes 21 ms and is shown to lose less than 0.1 years." in said
    assert "0.04 to 0.05" not in said


def test_where_no_model_is_clearly_faster_nothing_is_recommended():
    runs = [make_run(classifier=name) for name in ("a_svm", "mlp")]
    assert cost_of(runs).endswith("No trained model that was timed on the same machine is clearly faster.")
    assert "not shown to be worse" not in markdown_of(runs, "t", make_evidence(runs))


def test_fewer_years_of_error_are_better():
    runs = [make_run("age", classifier="majority", scores={"mae_years": score(15.0)}), make_run("age")]
    assert "8.75 years better than the baseline" in markdown_of(runs, "t")


def test_baselines_alone_make_a_report():
    text = markdown_of([make_run(classifier="majority")], "t")
    assert "No trained model has a score" in text


def test_where_only_one_target_has_evidence_the_other_is_not_said_to_be_tested():
    runs = [make_run(), make_run("age")]
    text = markdown_of(runs, "t", make_evidence(runs[:1])).split("## Age in years")[0]
    assert "The predictions of Age in years are not available" in text


def test_the_summary_names_the_worst_label_and_the_worst_two_and_whether_that_is_tested():
    runs = [make_run(), make_run(classifier="mlp")]
    text = markdown_of(runs, "t", make_evidence(runs)).replace("\\_", "_")
    fails = text.split("Worst slice: ")[1].split("\n")[0]
    assert (
        "age group 0-2: accuracy 30.0 % (20.0 to 40.0) for 77 subjects, 50.0 points worse than on all other"
        " faces (no evidence of a difference, p 0.20)."
    ) in fails
    assert "With two labels, gender male, age group &lt;script&gt;" in fails
    assert fails.endswith(
        "10.0 % (5.0 to 20.0) for 39 subjects, 71.2 points worse (p &lt; 0.0001). Too few subjects"
        " for a score: 1 of 3 slices."
    )
    assert "| **−71.2 (p &lt; 0.0001)** | 40 | 39 |" in text
    assert "| −50.0 (p 0.20) | 80 | 77 |" in text
    assert "The 2 gaps are tested together" in text


def test_of_two_labels_only_what_is_worse_than_all_other_faces_is_named():
    runs = [make_run(), make_run(classifier="mlp")]
    both, one, _ = make_evidence(runs).targets["gender"].slices
    better = replace(both, gap=0.155, gap_p=0.2)
    text = markdown_of(runs, "t", make_evidence(runs, slices=(one, better))).split("Worst slice: ")[1]
    assert "With two labels" not in text.split("\n")[0]


def test_a_difference_on_the_first_screen_is_that_of_the_tables():
    runs = [
        make_run(scores={"accuracy": score(0.9)}),
        make_run(classifier="majority", scores={"accuracy": score(0.5)}),
    ]
    known = make_evidence(runs, p=0.01)
    (pair,) = known.targets["gender"].differences
    known = replace(
        known, targets={"gender": replace(known.targets["gender"], differences=(replace(pair, gain=0.411),))}
    )
    text = markdown_of(runs, "t", known)
    # The mean over the folds is 90 %, so a reader who subtracts 50 % is told where 41.1 comes from.
    assert (
        "Baselines: 41.1 points better, on pooled predictions, than the baseline (majority, 50.0 %)" in text
    )
    assert text.count("41.1") >= 2


def test_for_age_assurance_ages_come_first_on_the_first_screen():
    runs = [make_run(), make_run("age")]
    for profile, first in ((None, "Gender"), ("age-assurance", "Age in years")):
        page = compose(runs, "t", profile=profile)
        answers = next(block for block in page.sections[0].blocks if isinstance(block, Answers))
        assert answers.items[0].target == first


def test_a_gap_that_was_not_tested_is_said_to_be_untested():
    runs = [make_run(), make_run(classifier="mlp")]
    alone = Slice(
        columns=("hat",), labels=("yes",), n_faces=80, n_subjects=77, estimate=Estimate(0.3, 0.2, 0.4)
    )
    text = markdown_of(runs, "t", make_evidence(runs, slices=(alone,)))
    assert (
        "hat yes: accuracy 30.0 % (20.0 to 40.0) for 77 subjects; the gap to all other faces is not" in text
    )


def test_a_coverage_that_is_too_low_is_in_the_summary():
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    young = Coverage("15-20", 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.0001)
    kept = Coverage("48-53", 400, 390, 0.88, Interval(0.85, 0.91), 20.0, p_value=0.2)
    evidence = make_evidence(runs, coverage=(("age_band", young), ("age_band", kept)))
    text = markdown_of(runs, "t", evidence)
    assert (
        "    - Low coverage: Prediction intervals that should contain the true age of 90 % of the faces do so"
        " for only 74.4 % (70.1 to 78.3) of ages 15-20.\n"
    ) in text.split("\n## ")[1]
    assert "| **74.4 (70.1–78.3)** |" in text
    assert "make up for" not in text
    assert "Low coverage" not in markdown_of(runs, "t", make_evidence(runs, coverage=(("age_band", kept),)))


def test_of_many_low_coverages_the_lowest_are_named_and_the_others_counted():
    runs = [make_run(), make_run(classifier="mlp")]
    broken = tuple(
        (
            "age_group",
            Coverage(label, 400, 390, value, Interval(value - 0.05, value + 0.05), 1.3, p_value=0.01),
        )
        for label, value in (("0-2", 0.8), ("4-6", 0.7), ("8-12", 0.75), ("15-20", 0.6))
    )
    text = markdown_of(runs, "t", make_evidence(runs, coverage=broken))
    assert (
        "Prediction sets that should contain the true class of 90 % of the faces do so for only 60.0 % (55.0"
        " to 65.0) of age group 15-20 and 70.0 % (65.0 to 75.0) of age group 4-6; 2 more slices are too low."
    ) in text


def test_two_models_with_the_same_score_are_called_equal():
    runs = [make_run(classifier=name, scores={"accuracy": score(0.8)}) for name in ("svm", "mlp")]
    assert "equal after rounding" in markdown_of(runs, "x")
    assert "0.0 points" not in markdown_of(runs, "x")


def test_models_that_cannot_be_told_from_the_best_are_counted_and_the_farthest_of_them_is_measured():
    runs = [make_run(classifier=f"m{n}", scores={"accuracy": score(0.8 - n / 100)}) for n in range(7)]
    text = markdown_of(runs, "t", make_evidence(runs, p=0.3)).split("## Gender")[0]
    assert (
        "How sure: Not shown to be better than 6 other models (M2, M3, M4, M5 and 2 more): up to 6.0 points"
        " worse (p 0.30 or more)."
    ) in text


def test_a_p_value_of_one_is_not_said_to_be_one_or_more():
    runs = [make_run(classifier=f"m{n}") for n in range(3)]
    text = markdown_of(runs, "t", make_evidence(runs, p=1.0)).split("## Gender")[0]
    assert "(p 1.00)" in text
    assert "1.00 or more" not in text


def test_the_first_screen_says_what_the_audit_warns_of_and_what_it_does_to_the_score():
    runs = [make_run(), make_run(classifier="mlp")]
    best = best_first(runs)[0].name
    found = Finding(
        name="suspiciously_close",
        severity="warning",
        count=38,
        of=360,
        what="Many.",
        details={best: {"accuracy": 0.8, "accuracy without": 0.777}},
    )
    fine = Finding(name="class_balance", severity="ok", count=0, of=8, what="Fine.")
    audit = Audit(findings=(found, fine), folds="", features="dlib_face", runs=(), seed=0)
    text = markdown_of(runs, "t", make_evidence(runs), audit).split("## Gender")[0]
    assert (
        "Data: 77.7 % (2.3 points worse) without the test faces that are suspiciously close to a training"
        " face (38 of the 360 test faces that were checked)."
    ) in text
    assert (
        "1 of 2 checks of the audit warn: test faces suspiciously close to a training face: 38 of 360" in text
    )
    fine = replace(audit, findings=(fine,))
    assert "None of the 1 checks" in markdown_of(runs, "t", make_evidence(runs), fine)
    assert "has not been audited: run featurekit audit" in markdown_of(runs, "t", make_evidence(runs))


def test_a_worst_slice_that_may_be_chance_is_said_not_to_be_shown():
    runs = [make_run(), make_run(classifier="mlp")]
    one = make_evidence(runs).targets["gender"].slices[1]
    for p, is_shown in ((0.3, False), (0.01, True)):
        slices = (replace(one, gap=-0.5, gap_p=p),)
        text = markdown_of(runs, "t", make_evidence(runs, slices=slices))
        assert ("None is shown to be worse than all other faces. The worst is" in text) != is_shown


def of_tested(runs: list[Run], n_tested: int, p: float) -> str:
    """Return what the summary says if the best model was compared with only some of the others."""
    evidence = make_evidence(runs, p=p)
    known = evidence.targets["gender"]
    tested = {run.name for run in best_first(runs)[: n_tested + 1]}
    differences = tuple(one for one in known.differences if {one.first, one.second} <= tested)
    evidence = replace(evidence, targets={"gender": replace(known, differences=differences)})
    return markdown_of(runs, "t", evidence).split("How sure: ")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("n_tested", "p", "words"),
    [
        (
            2,
            0.4,
            "Not shown to be better than 2 other models (M2, M3): up to 2.0 points worse (p 0.40 or more)",
        ),
        (1, 0.4, "Not shown to be better than m1 on dlib_age (M2): 1.0 points worse (p 0.40); 2 not tested."),
        (2, 0.01, "Better than 2 other models; 1 not tested. The second, m1 on dlib_age (M2), is 1.0 points"),
        (3, 0.01, "Better than 3 other models. The second"),
        (0, 0.01, "Not tested. The second, m1 on dlib_age (M2), is 1.0 points worse."),
    ],
)
def test_models_that_were_not_tested_are_counted_apart(n_tested, p, words):
    """A model without a test is neither one that the best is better than, nor one level with it."""
    runs = [make_run(classifier=f"m{n}", scores={"accuracy": score(0.8 - n / 100)}) for n in range(4)]
    said = of_tested(runs, n_tested, p)
    assert said.startswith(markdown(words))
    assert said.count("not tested") == (n_tested in (1, 2))


IDLE = Finding(name="label_suspects", severity="ok", count=0, of=0, what="No predictions are available.")
CLEAN = Finding(name="class_balance", severity="ok", count=0, of=8, what="Fine.")
WARNING = Finding(name="near_duplicates", severity="warning", count=3, of=8, what="Some.")
FAILED = Finding(name="unreadable_files", severity="error", count=0, of=0, what="No file can be read.")


@pytest.mark.parametrize(
    ("findings", "words", "section"),
    [
        (
            [CLEAN, IDLE, CLEAN],
            "None of the 2 checks of the audit found an error or a warning. 1 check could not run.",
            "None of the 2 checks of the audit found an error or a warning. 1 check could not run.",
        ),
        (
            [IDLE, WARNING, IDLE],
            "Look at the data: 1 of 1 checks of the audit warn: faces with a near duplicate: 3 of 8. 2 checks"
            " could not run.",
            "1 of 1 checks found an error or a warning. Look at these findings before you trust the scores. 2"
            " checks could not run.",
        ),
        # What found an error without a case to count did run.
        (
            [CLEAN, FAILED],
            "1 of 2 checks of the audit warn: unreadable files: 0 of 0.",
            "1 of 2 checks found",
        ),
        (
            [IDLE, IDLE],
            "No check of the audit could run. The section on the audit says what is missing.",
            "No check of the audit could run.",
        ),
        (
            [CLEAN],
            "None of the 1 checks of the audit found an error or a warning.",
            "None of the 1 checks of the audit found an error or a warning.",
        ),
    ],
)
def test_checks_that_could_not_run_are_not_counted_as_clean(findings, words, section):
    runs = [make_run(), make_run(classifier="mlp")]
    audit = Audit(findings=tuple(findings), folds="", features="", runs=(), seed=0)
    text = markdown_of(runs, "t", make_evidence(runs), audit)
    first = text.split("\n## ")[1]
    assert words in first
    own = text.split("## Audit of the data")[1].split("\n## ")[0]
    assert section in own
    assert ("Look at these findings" in own) == ("Look at the data" in first)
    if IDLE not in findings:
        assert "could not run" not in text


def test_an_audit_of_other_folds_is_said_on_the_first_screen_and_its_numbers_are_not():
    runs = [make_run(), make_run(classifier="mlp")]
    close = {best_first(runs)[0].name: {"accuracy": 0.8, "accuracy without": 0.777}}
    found = replace(WARNING, name="suspiciously_close", details=close)
    own, other = (
        Audit(findings=(found,), folds=folds, features="dlib_face", runs=(), seed=0)
        for folds in (runs[0].folds["sha256"], "0" * 64)
    )
    for audit, is_own in ((own, True), (other, False)):
        first = markdown_of(runs, "t", make_evidence(runs), audit).split("\n## ")[1]
        old = "The audit checked other folds than those of these runs. Run it again: featurekit audit"
        assert (old in first) != is_own
        assert ("Data: 77.7 %" in first) == is_own
        assert ("suspiciously close" in first) == is_own
        assert ("checks of the audit" in first) == is_own


def test_an_audit_made_before_faces_were_excluded_is_said_to_be_of_other_rows_and_its_numbers_are_not_shown():
    runs = [make_run(), make_run(classifier="mlp")]
    close = {best_first(runs)[0].name: {"accuracy": 0.8, "accuracy without": 0.777}}
    found = replace(WARNING, name="suspiciously_close", details=close)
    own = Audit(findings=(found,), folds=runs[0].folds["sha256"], features="dlib_face", runs=(), seed=0)
    rows = {"duplicate": 40, "conflicting_labels": 18, "": 1242}
    before = {**rows, "": 1254}
    for audit, is_own in ((own, True), (replace(own, rows=rows), True), (replace(own, rows=before), False)):
        text = markdown_of(runs, "t", make_evidence(runs), audit)
        old = "The audit checked other rows than those of these runs. Run it again: featurekit audit"
        first = text.split("\n## ")[1]
        assert (old in first) != is_own
        assert ("Data: 77.7 %" in first) == is_own
        assert ("checks of the audit" in first) == is_own
        assert (old in text.split("## Audit of the data")[1]) != is_own
