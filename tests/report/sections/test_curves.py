"""The curves of the best models, their areas, and the points that are quoted."""

import re
from dataclasses import replace

from featurekit.evaluation.curves import FALSE_POSITIVE_RATES
from featurekit.report.sections import curves
from featurekit.report.select import ranked_targets
from tests.report.made_up import (
    AGE_GROUPS,
    Reader,
    html_of,
    make_curves,
    make_evidence,
    make_run,
    markdown_of,
    rows_of,
    score,
)


def scored(classifier, mean, target="gender", **changes):
    scores = {"accuracy": score(mean), "roc_auc": score(0.91)}
    return make_run(target, classifier=classifier, scores=scores, **changes)


def test_the_positive_class_of_two_is_stated_with_the_rule():
    runs = [scored("svm", 0.9), scored("mlp", 0.8)]
    text = markdown_of(runs, "t", make_evidence(runs))
    assert "The positive class of the curves is male, the second of the two classes in their order" in text
    assert "| ROC-AUC | male | 600 | 0.912 (0.905–0.919) | 0.912 (0.905–0.919) |" in text
    assert "| ROC-AUC | female | 600 |" in text
    assert "| ROC-AUC, mean over the folds | male | 600 | 0.910 | 0.910 |" in text
    assert "| Average precision | male | 600 | 0.876 (0.864–0.888) |" in text
    # By hand: the fourth root of 0.01, and 1 - 0.5 ** 4 / 2.
    assert "| True positive rate at a false positive rate of 1 % | male | 600 | 31.6 % | 31.6 % |" in text
    assert "| Precision at a recall of 50 % | male | 600 | 96.9 % | 96.9 % |" in text
    assert "pooled" in text


def test_of_more_classes_the_mean_is_drawn_and_each_class_is_in_the_table():
    runs = [scored("svm", 0.9, "age_group"), scored("mlp", 0.8, "age_group")]
    text = markdown_of(runs, "t", make_evidence(runs))
    shown = re.findall(r"^\| ROC-AUC \| ([^|]+) \| 600", text, re.MULTILINE)
    assert shown == ["mean over the classes", *AGE_GROUPS]
    page = html_of(runs, "t", make_evidence(runs))
    assert "ROC and precision–recall curves, mean over the classes" in page


def test_a_class_with_too_few_subjects_is_said_and_the_mean_of_the_folds_is_left_out():
    runs = [scored("svm", 0.9, "age_group")]
    mean, first, *others = make_curves(AGE_GROUPS)
    first = replace(first, roc_auc=None, average_precision=None)
    evidence = make_evidence(runs, curves={runs[0].name: (mean, first, *others)})
    text = markdown_of(runs, "t", evidence)
    assert "| ROC-AUC | 0-2 | 600 | not enough data |" in text
    assert "are not part of the mean" in text
    assert "ROC-AUC, mean over the folds |" not in text


def test_the_figure_is_folded_and_has_a_line_for_each_model():
    runs = [scored("svm", 0.9), scored("mlp", 0.8), scored("off_the_shelf", 0.7)]
    evidence = make_evidence(runs)
    (of,) = ranked_targets(runs, evidence)
    drawn, table = curves.blocks(of)
    assert drawn.is_folded
    assert table.is_folded
    for style in ('"curve"', '"curve learned"', '"curve other"'):
        assert drawn.wide.count(f"<polyline class={style}") == 3  # two plots and the legend
    assert "Dotted line: M3 · off_the_shelf · dlib_age." in drawn.note
    assert "ROC and precision–recall" in " ".join(Reader(html_of(runs, "t", evidence)).text["summary"])


def test_a_point_lies_where_its_rates_say():
    runs = [scored("svm", 0.9)]
    straight = tuple(min(5 * rate, 1.0) for rate in FALSE_POSITIVE_RATES)
    main, other = make_curves(("female", "male"))
    evidence = make_evidence(
        runs, curves={runs[0].name: (replace(main, true_positive_rates=straight), other)}
    )
    (of,) = ranked_targets(runs, evidence)
    first = re.search(r'<polyline class="curve" points="([^"]+)"', curves.blocks(of)[0].wide)[1]
    places = [tuple(map(float, place.split(","))) for place in first.split()]
    # The axes go from 0 to 20 % and from 0 to 100 %, so the line is the diagonal of its frame.
    (left, bottom), (right, top) = places[0], places[-1]
    assert (left, right) == (44, 414)
    for x, y in places:
        assert abs((x - left) / (right - left) - (bottom - y) / (bottom - top)) < 0.002


def test_without_curves_and_for_ages_there_is_nothing():
    for runs in ([scored("svm", 0.9)], [make_run("age")]):
        text = markdown_of(runs, "t", make_evidence(runs, curves={}))
        assert "ROC-AUC, mean" not in text


def test_the_table_of_folds_has_the_score_of_each_fold_and_its_dots_are_in_the_ranking():
    folds = [0.81, 0.8, 0.83, 0.79, None]
    run = make_run(scores={"accuracy": {"mean": 0.8075, "std": 0.0148, "folds": folds}})
    runs = [run, make_run(classifier="majority", scores={"accuracy": score(0.5)})]
    text = markdown_of(runs, "t")
    rows = rows_of(text.replace("**Table 2", "## folds\n\n**Table 2"), "folds")
    assert rows[0][1:] == ["81.0", "80.0", "83.0", "79.0", "—", "1.5"]
    page = html_of(runs, "t")
    assert page.count('<circle class="fold"') == 2 * (4 + 5)  # for wide and for narrow screens
