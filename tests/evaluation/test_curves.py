"""ROC and precision–recall curves of out-of-fold probabilities, recomputed face by face."""

import numpy as np
import pandas as pd
import pytest

from featurekit.data.targets import GENDER, Target
from featurekit.evaluation.curves import FALSE_POSITIVE_RATES, RECALLS, curves_of, stored
from featurekit.evaluation.results import Run
from featurekit.evaluation.rivals import ranked_by, rivals_of
from featurekit.uncertainty.resampling import FEWEST
from tests.report.made_up import make_evidence, make_run, score

COLORS = Target("color", ("blue", "green", "red"))


def table_of(target, n, *, rare=0, seed=0):
    """Predictions for n faces of as many subjects; the last class has only so many if rare is given."""
    rng = np.random.default_rng(seed)
    k = len(target.classes)
    true = np.arange(n) % (k - 1 if rare else k)
    true[:rare] = k - 1
    proba = rng.dirichlet(np.ones(k), n) + 0.4 * np.eye(k)[true]
    proba = np.round(proba / proba.sum(axis=1, keepdims=True), 2)
    names = np.array(target.classes)
    columns = {f"p_{label}": proba[:, i] for i, label in enumerate(target.classes)}
    facts = {"row": np.arange(n), "subject": np.arange(n), "fold": np.arange(n) % 5}
    return pd.DataFrame({**facts, "true": names[true], "predicted": names[proba.argmax(axis=1)], **columns})


@pytest.fixture(scope="module")
def genders():
    table = table_of(GENDER, 150)
    return table, curves_of(GENDER, table, seed=0)


def test_of_two_classes_the_second_is_the_positive_one(genders):
    table, (main, other) = genders
    assert (main.positive, other.positive) == ("male", "female")
    own, p = (table["true"] == "male").to_numpy(), table["p_male"].to_numpy()
    won = [(one > two) + (one == two) / 2 for one in p[own] for two in p[~own]]
    assert main.roc_auc.value == pytest.approx(np.mean(won))
    assert main.roc_auc.low < main.roc_auc.value < main.roc_auc.high < 1
    from sklearn.metrics import average_precision_score

    assert other.average_precision.value == pytest.approx(average_precision_score(~own, table["p_female"]))
    assert (main.n_faces, main.n_subjects) == (75, 75)


def test_the_points_are_the_best_that_a_threshold_reaches(genders):
    table, (main, _) = genders
    own, p = (table["true"] == "male").to_numpy(), table["p_male"].to_numpy()
    thresholds = [2.0, *sorted(set(p), reverse=True)]
    rates = [((p[~own] >= one).mean(), (p[own] >= one).mean()) for one in thresholds]
    for limit, found in zip(FALSE_POSITIVE_RATES, main.true_positive_rates, strict=True):
        assert found == max(true for false, true in rates if false <= limit + 1e-9)
    for recall, found in zip(RECALLS, main.precisions, strict=True):
        threshold = next(one for one in thresholds if (p[own] >= one).mean() >= recall - 1e-9)
        assert found == pytest.approx(own[p >= threshold].mean())


def test_of_more_classes_the_mean_comes_first_and_only_its_points_are_stored():
    from sklearn.metrics import roc_auc_score

    table = table_of(COLORS, 240)
    mean, *classes = curves_of(COLORS, table, seed=0)
    assert [curve.positive for curve in (mean, *classes)] == ["", *COLORS.classes]
    areas = [roc_auc_score(table["true"] == one, table[f"p_{one}"]) for one in COLORS.classes]
    assert mean.roc_auc.value == pytest.approx(np.mean(areas))
    assert mean.true_positive_rates == pytest.approx(
        np.mean([one.true_positive_rates for one in classes], axis=0)
    )
    widths = [one.roc_auc.high - one.roc_auc.low for one in (mean, *classes)]
    assert widths[0] < min(widths[1:])
    kept = stored((mean, *classes))
    assert kept[0] == mean
    assert [(one.roc_auc, one.precisions) for one in kept[1:]] == [(one.roc_auc, ()) for one in classes]


def test_a_class_of_few_subjects_has_no_area_and_is_not_in_the_mean():
    mean, *classes = curves_of(COLORS, table_of(COLORS, 200, rare=FEWEST - 1), seed=0)
    assert classes[2].roc_auc is None
    assert classes[2].n_subjects == FEWEST - 1
    assert mean.roc_auc.value == pytest.approx(np.mean([one.roc_auc.value for one in classes[:2]]))
    assert curves_of(GENDER, table_of(GENDER, 2 * FEWEST - 2), seed=0) == ()


def test_without_probabilities_there_are_no_curves():
    table = table_of(GENDER, 150).drop(columns="p_male")
    assert curves_of(GENDER, table, seed=0) == ()


def make_runs(*names_and_means) -> list[Run]:
    return [make_run(classifier=name, scores={"accuracy": score(mean)}) for name, mean in names_and_means]


def test_the_best_model_is_compared_with_the_network_and_with_one_that_is_not_level():
    runs = make_runs(("mlp", 0.7), ("svm", 0.9), ("xgboost", 0.8), ("off_the_shelf", 0.6), ("majority", 0.5))
    ranked = ranked_by(runs, "accuracy")
    assert [run.classifier for run in ranked] == ["svm", "xgboost", "mlp", "off_the_shelf", "majority"]
    best, second, third, shelf, _ = [run.name for run in ranked]
    level = make_evidence(runs).targets["gender"].differences
    assert rivals_of(ranked, best, level) == [shelf, second]
    shown = [one for one in make_evidence(runs, p=0.01).targets["gender"].differences if one.second != second]
    assert rivals_of(ranked, best, shown) == [shelf, third]
    assert rivals_of(ranked[:1], best, ()) == []


def test_errors_in_years_are_ranked_the_other_way_and_runs_without_a_score_last():
    runs = [
        make_run("age", classifier=name, scores={"mae_years": score(mean)})
        for name, mean in (("svm", None), ("mlp", 6.0), ("xgboost", 5.0))
    ]
    assert [run.classifier for run in ranked_by(runs, "mae_years")] == ["xgboost", "mlp", "svm"]
