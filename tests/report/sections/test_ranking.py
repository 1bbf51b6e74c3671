"""The best model comes first, and every score has its interval or its spread."""

import re
from dataclasses import replace

import pytest

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.slices import Slice
from featurekit.report.model import Cell, Column, Table, section_of
from featurekit.report.model_card import render_model_card
from featurekit.report.sections.ranking import scores_table
from featurekit.report.select import Ranked, best_first, ranked_targets
from tests.report.made_up import html_of, make_evidence, make_run, markdown_of, rows_of, score, trained_run


def test_the_best_run_comes_first(runs):
    for heading, wanted in (("Age group", True), ("Gender", True), ("Age in years", False)):
        means = [float(cells[2].strip("*").split()[0]) for cells in rows_of(markdown_of(runs, "t"), heading)]
        assert means == sorted(means, reverse=wanted)


def test_a_run_without_the_score_comes_last_with_a_dash():
    lost = make_run(classifier="mlp", scores={"accuracy": score(None, None), "macro_f1": score(float("nan"))})
    worst = make_run(classifier="majority", scores={"accuracy": score(0.0)})
    assert best_first([lost, worst]) == [worst, lost]
    cells = rows_of(markdown_of([lost, worst], "t"), "Gender")
    assert cells[1][1:3] == ["mlp", "—"]
    assert "nan" not in html_of([lost, worst], "t").lower()


def test_a_score_is_given_with_its_spread_and_one_fold_has_none():
    one_fold = make_run(scores={"accuracy": score(0.7, None)})
    assert "80.0 ± 1.2" in markdown_of([make_run()], "t")
    assert "| 70.0 |" in markdown_of([one_fold], "t").replace("**", "")


def test_years_have_an_error_in_years_and_no_matrix():
    text = markdown_of([make_run("age")], "t")
    assert "MAE, years" in text
    assert "**6.25 years** mean absolute error ± 0.31" in text
    assert "confusion matrix" not in text
    assert "Age in years: recall of each class" not in text


def test_a_score_that_most_runs_lack_is_no_column():
    newer = make_run(scores={"accuracy": score(0.7), "roc_auc": score(0.95)})
    older = [make_run(classifier=name) for name in ("mlp", "knn")]
    assert "ROC-AUC" in markdown_of([newer, older[0]], "t")
    assert "ROC-AUC" not in markdown_of([newer, *older], "t")


def test_an_unknown_score_is_shown_under_its_own_name():
    text = markdown_of([make_run(scores={"accuracy": score(0.7), "own_score": score(0.51234, 0.01)})], "t")
    assert "own_score" in text
    assert "0.512 ± 0.010" in text


def test_baselines_are_marked_and_only_a_trained_model_is_set_in_bold():
    runs = [
        make_run(classifier="majority", scores={"accuracy": score(0.5)}),
        make_run(classifier="off_the_shelf", scores={"accuracy": score(0.9)}),
        make_run(classifier="svm", scores={"accuracy": score(0.8)}),
    ]
    rows = rows_of(markdown_of(runs, "t"), "Gender")
    assert [cells[1] for cells in rows] == ["off_the_shelf (off-the-shelf)", "svm", "majority (baseline)"]
    assert [cells[2].startswith("**") for cells in rows] == [False, True, False]


def test_intervals_take_the_place_of_the_spread_where_there_is_evidence():
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    rows = rows_of(markdown_of(runs, "t", make_evidence(runs)), "Gender")
    assert [cells[2].replace("*", "") for cells in rows] == ["80.0 (78.0–83.0)", "78.0 (76.0–81.0)"]


@pytest.mark.parametrize("is_card", [False, True])
@pytest.mark.parametrize(("mean", "is_said"), [(0.79, False), (0.62, True)])
def test_a_mean_over_folds_that_is_outside_its_interval_is_explained(mean, is_said, is_card):
    run = make_run(scores={"accuracy": score(0.8), "balanced_accuracy": score(mean)})
    evidence = make_evidence([run])
    known = {**evidence.targets["gender"].estimates[run.name], "balanced_accuracy": Estimate(0.78, 0.7, 0.82)}
    target = replace(evidence.targets["gender"], estimates={run.name: known})
    evidence = replace(evidence, targets={"gender": target})
    card = render_model_card("t", [Ranked("gender", [run], target)], [run], {})
    text = card if is_card else markdown_of([run], "t", evidence)
    assert ("The mean of the balanced accuracy can be outside its interval, as it is here" in text) == is_said


def bars(page: str) -> list[str]:
    """Return the numbers beside the dots of the first figure, and its note last."""
    figure = page.split('<div class="plot wide">')[1].split("</figure>")[0]
    wide, rest = figure.split("</svg>", 1)
    numbers = re.findall(r'<text class="number"[^>]*>([^<]*)</text>', wide)
    return [*numbers, rest.split('<p class="note">')[1].split("</p>")[0]]


def test_the_bars_of_a_figure_are_all_of_one_kind():
    runs = [make_run(classifier=name) for name in ("a", "b", "c")]
    *spreads, note = bars(html_of(runs, "t"))
    assert len(spreads) == 3
    assert all("±" in one for one in spreads)
    assert "the bars are standard deviations over the folds" in note
    evidence = make_evidence(runs)
    *ends, note = bars(html_of(runs, "t", evidence))
    assert len(ends) == 3
    assert all("–" in one for one in ends)
    assert "the bars are 95 % confidence intervals over subjects" in note
    # One whose interval is of another score is named, not drawn.
    known = evidence.targets["gender"]
    lacking = replace(known, estimates={**known.estimates, runs[2].name: {}})
    *ends, note = bars(html_of(runs, "t", replace(evidence, targets={"gender": lacking})))
    assert len(ends) == 2
    assert not any("±" in one for one in ends)
    assert note.endswith("Models without a confidence interval are not drawn: c · dlib_age.")


def test_prediction_time_is_for_a_thousand_faces():
    run = make_run(n_tested=2000, n_labelled=2000, seconds={"fit": 1.0, "predict": 5.0})
    cells = rows_of(markdown_of([run], "t"), "Gender")[0]
    assert cells[-3:] == ["1.00", "2.50", "3.5 MB"]


def test_a_model_that_was_not_saved_has_no_size():
    runs = [make_run(), make_run(classifier="mlp", bytes_on_disk=0)]
    assert [cells[-1] for cells in rows_of(markdown_of(runs, "t"), "Gender")].count("—") == 1


def test_a_column_that_is_empty_for_all_models_is_not_there():
    text = markdown_of([make_run(bytes_on_disk=0), make_run(classifier="mlp", bytes_on_disk=0)], "t")
    assert "| Size |" not in text
    assert "| Size |" in markdown_of([make_run()], "t")


def test_the_first_columns_are_those_by_which_a_model_is_chosen():
    scores = {name: score(0.8) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    timed = {"extract": 5.0, "fit": 1.0, "predict": 1.0}
    runs = [make_run(scores=scores, seconds=timed), make_run(classifier="mlp", scores=scores, seconds=timed)]
    table = scores_table(Ranked("gender", runs, make_evidence(runs).targets["gender"]), "c")
    first = [column.title for column in table.columns if not column.is_more]
    assert first == [
        "Features",
        "Model",
        "Accuracy",
        "Balanced accuracy",
        "Against the best",
        "Time per face",
    ]
    assert [column.is_more for column in table.columns] == sorted(column.is_more for column in table.columns)
    assert {column.title for column in table.columns if column.is_low_best} >= {
        "Time per face",
        "Fit",
        "Size",
    }


def test_a_table_names_where_its_columns_stand(runs):
    table = scores_table(Ranked("gender", [run for run in runs if run.target == "gender"], None), "c")
    assert sum(span for _, _, span in table.groups) == len(table.columns)
    groups = [(title, is_more) for title, is_more, _ in table.groups if title]
    assert groups == [
        ("on the faces found", False),
        ("on the faces found", True),
        ("on all rows", True),
        ("seconds", True),
    ]


def test_a_face_that_is_a_subject_of_its_own_is_not_said_to_have_one():
    assert "fitted without this face." in markdown_of([make_run(n_subjects=1234)], "t")
    assert "fitted without any face of its subject." in markdown_of([make_run()], "t")


def test_a_changed_parameter_stands_beside_the_classifier():
    runs = [trained_run(variation={"epochs": epochs}) for epochs in (20, 40)]
    text = markdown_of(runs, "x")
    assert "(epochs 20)" in text
    assert "(epochs 40)" in text


def test_the_ranking_names_the_worst_slice_of_each_model_with_its_score():
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.7)})]
    worst = Slice(
        columns=("age_group",), labels=("0-2",), n_faces=90, n_subjects=80, estimate=Estimate(0.3, 0.2, 0.4)
    )
    evidence = make_evidence(runs, worst_slices={runs[0].name: worst})
    text = markdown_of(runs, "t", evidence)
    assert "| 30.0 (age group 0-2) |" in text
    (of,) = ranked_targets(runs, evidence)
    table = scores_table(of, "t")
    place = [column.title for column in table.columns].index("Worst slice")
    assert [row[place].others for row in table.rows] == [(20.0, 40.0), ()]
    without = scores_table(ranked_targets(runs, None)[0], "t")
    assert "Worst slice" not in [column.title for column in without.columns]


def test_the_note_explains_the_columns_of_the_table_and_no_other():
    runs = [make_run(), make_run(classifier="mlp")]
    some = make_evidence(runs).targets["gender"].slices
    worst = {run.name: next(one for one in some if one.estimate) for run in runs}
    (of,) = ranked_targets(runs, make_evidence(runs, worst_slices=worst))
    note = scores_table(of, "t").note
    assert (
        "Against the best: by how much the model is better than the best trained one, with the p-value of the"
        " difference; bold where there is evidence of a difference. It is the difference on the pooled"
        " predictions of all folds, so it can differ from that of the two means over the folds."
    ) in note
    assert "Worst slice: the score" in note
    (of,) = ranked_targets(runs, make_evidence(runs))
    table = scores_table(of, "t")
    assert "Worst slice" not in [column.title for column in table.columns]
    assert "Worst slice: " not in table.note
    (of,) = ranked_targets(runs[:1], make_evidence(runs[:1]))
    assert "Against the best: " not in scores_table(of, "t").note


def test_a_table_without_rows_is_not_shown():
    empty = Table("Nothing", (Column("Name"),), ())
    full = replace(empty, caption="Something", rows=((Cell("one"),),))
    assert section_of("t", [empty, None, full, empty]).blocks == (full,)


def test_the_classes_that_are_left_out_are_named_with_their_faces_and_rows_without_a_label_are_counted():
    run = make_run("age_group", n_labelled=1228)
    beginning = "There are 8 classes: 0-2, 4-6, 8-12, 15-20, 25-32, 38-43, 48-53, 60-100"
    two = replace(run, left_out={"61-70": 1, "71-80": 3})
    assert (
        f"{beginning}; 61-70 (1 face) and 71-80 (3 faces) are left out, because too few subjects have them."
        " 10 of the 1,242 usable rows have no label of this target."
    ) in markdown_of([two], "t")
    one = replace(run, left_out={"61-70": 13})
    assert (
        f"{beginning}; 61-70 (13 faces) is left out, because too few subjects have it."
        " 1 of the 1,242 usable rows has no label of this target."
    ) in markdown_of([one], "t")
    every = markdown_of([replace(run, n_labelled=1242)], "t")
    assert f"{beginning}. The scores are computed on" in every
    assert "no label of this target" not in every
