"""Scores, against numbers worked out by hand."""

import numpy as np
import pytest

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.evaluation.scores import (
    NO_FACE,
    balanced_accuracy,
    counts_of,
    from_counts,
    log_losses,
    macro_f1,
    quadratic_kappa,
    ranked_probabilities,
    recalls,
    roc_auc,
    score,
    score_all_rows,
    summarize,
)


def test_a_plain_target_has_no_neighbours():
    scores = score(GENDER, np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    # F1: female 2·2/(3+2), male 2·1/(1+2)
    assert scores == pytest.approx(
        {"accuracy": 0.75, "balanced_accuracy": 5 / 6, "macro_f1": (4 / 5 + 2 / 3) / 2}
    )


def test_an_ordered_target_counts_neighbours_and_distance_in_groups():
    scores = score(AGE_GROUP, np.array([0, 1, 5, 7]), np.array([1, 1, 3, 7]))
    assert scores["accuracy"] == 0.5
    assert scores["within_one_group"] == 0.75
    assert scores["mae_groups"] == 0.75
    assert scores["balanced_accuracy"] == 0.5  # of the four classes that occur
    assert "log_loss" not in scores


def test_years_are_scored_in_years_alone():
    assert score(AGE, np.array([20.0, 40.0]), np.array([25.0, 39.0])) == {"mae_years": 3.0}


def test_probabilities_add_the_log_loss():
    proba = np.array([[0.5, 0.5], [0.2, 0.8]])
    scores = score(GENDER, np.array([0, 1]), np.array([0, 1]), proba)
    assert scores["log_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)


def test_a_class_that_was_thought_impossible_does_not_make_the_loss_infinite():
    assert log_losses(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(np.log(1e6))


def test_a_test_fold_of_one_class_has_that_class_alone_in_its_averages():
    scores = score(GENDER, np.array([1, 1, 1, 1]), np.array([1, 1, 1, 0]))
    assert scores["balanced_accuracy"] == 0.75
    assert scores["macro_f1"] == pytest.approx((0 + 6 / 7) / 2)  # a class that was only given has F1 0


def test_a_class_without_faces_has_no_recall():
    recall = recalls(counts_of(np.array([0, 0, 2]), np.array([0, 2, 2]), 4))
    assert recall[[0, 2]].tolist() == [0.5, 1.0]
    assert np.isnan(recall[[1, 3]]).all()


def test_counts_have_true_classes_in_rows():
    counts = counts_of(np.array([0, 0, 1, 2]), np.array([2, 0, 1, 0]), 3)
    assert counts.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]


def test_an_answer_outside_of_the_classes_is_counted_apart():
    assert counts_of(np.array([0, 1]), np.array([NO_FACE, 5]), 2).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_many_tables_of_counts_score_as_each_alone():
    rng = np.random.default_rng(0)
    tables = np.array([counts_of(*rng.integers(0, 8, (2, 50)), 8) for _ in range(6)])
    together = from_counts(tables.reshape(2, 3, 8, 9), ordered=True)
    for name, values in together.items():
        alone = [float(from_counts(table, ordered=True)[name]) for table in tables]
        assert values.ravel().tolist() == pytest.approx(alone)


def test_a_face_that_was_not_found_is_wrong_even_for_the_first_group():
    # -1 lies beside class 0: taken as a number it would be one off.
    y_true, y_pred = np.array([0, 0, 7, 3]), np.array([NO_FACE, 0, NO_FACE, 4])
    scores = score_all_rows(AGE_GROUP, y_true, y_pred)
    assert scores["accuracy"] == 0.25
    assert scores["within_one_group"] == 0.5
    assert scores["balanced_accuracy"] == pytest.approx((0.5 + 0 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0 + 0 + 0) / 4)  # classes 0, 3, 4 and 7
    assert "mae_groups" not in scores


def test_all_rows_are_not_scored_in_years():
    assert score_all_rows(AGE, np.array([3]), np.array([NO_FACE])) == {}


def test_with_every_face_found_all_rows_score_the_same():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 8, (2, 100))
    on_faces = score(AGE_GROUP, y_true, y_pred)
    assert score_all_rows(AGE_GROUP, y_true, y_pred) == {
        name: value for name, value in on_faces.items() if name not in ("mae_groups", "quadratic_kappa")
    }


def test_scores_agree_with_scikit_learns():
    from sklearn import metrics

    rng = np.random.default_rng(1)
    y_true, y_pred = rng.integers(0, 5, (2, 200))
    counts = counts_of(y_true, y_pred, 5)
    assert balanced_accuracy(counts) == pytest.approx(metrics.balanced_accuracy_score(y_true, y_pred))
    assert macro_f1(counts) == pytest.approx(metrics.f1_score(y_true, y_pred, average="macro"))
    kappa = metrics.cohen_kappa_score(y_true, y_pred, weights="quadratic")
    assert quadratic_kappa(counts) == pytest.approx(kappa)
    proba = rng.dirichlet(np.ones(5), 200)
    loss = metrics.log_loss(y_true, proba, labels=range(5))
    assert log_losses(y_true, proba).mean() == pytest.approx(loss)
    area = metrics.roc_auc_score(y_true, proba, multi_class="ovr", average="macro")
    assert roc_auc(y_true, proba) == pytest.approx(area)
    two = proba[:, :2] / proba[:, :2].sum(axis=1, keepdims=True)
    assert roc_auc(y_true % 2, two) == pytest.approx(metrics.roc_auc_score(y_true % 2, two[:, 1]))


def test_ties_count_half_in_the_area_under_the_curve():
    assert roc_auc(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])) == 0.5
    assert np.isnan(roc_auc(np.array([1, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])))


def test_a_probability_near_the_truth_is_a_smaller_mistake_than_one_far_off():
    proba = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
    assert ranked_probabilities(np.zeros(3, int), proba).tolist() == pytest.approx([0, 1 / 3, 1])


def test_kappa_is_nothing_where_all_is_one_class():
    counts = counts_of(np.zeros(4, int), np.zeros(4, int), 3)
    assert np.isnan(quadratic_kappa(counts))
    assert np.isnan(score(AGE_GROUP, np.zeros(4, int), np.zeros(4, int))["quadratic_kappa"])


@pytest.mark.parametrize(
    ("target", "y_true", "y_pred"),
    [
        (GENDER, [], []),
        (GENDER, [0, 1], [0]),
        (GENDER, [0, 1], [0, NO_FACE]),
        (AGE, [20.0, 30.0], [20.0, np.nan]),
    ],
)
def test_nothing_to_score_and_missing_predictions_are_bugs(target, y_true, y_pred):
    with pytest.raises(ValueError, match="predict"):
        score(target, np.array(y_true), np.array(y_pred))


def test_the_summary_gives_mean_spread_and_folds():
    summary = summarize([{"accuracy": 0.7, "mae_years": 3.0}, {"accuracy": 0.9, "mae_years": 5.0}])
    assert summary["accuracy"] == {"mean": pytest.approx(0.8), "std": pytest.approx(0.1), "folds": [0.7, 0.9]}
    assert summary["mae_years"]["mean"] == 4.0


def test_a_fold_without_a_score_is_left_out_of_the_mean_and_stays_visible():
    summary = summarize([{"accuracy": 0.5}, {"accuracy": float("nan")}, {}])
    assert summary["accuracy"] == {"mean": 0.5, "std": 0.0, "folds": [0.5, None, None]}
    assert summarize([{"accuracy": float("nan")}])["accuracy"]["mean"] is None
