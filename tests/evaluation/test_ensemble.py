"""Weights of an ensemble: learned on other subjects, and of use."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurekit.errors import WorkspaceError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.ensemble import combine, fold_weights
from featurekit.evaluation.results import Run

N = 600
FOLDS = np.arange(N) % 3
PEOPLE = np.arange(N)


def sure_of(y, share_right, rng):
    """Probabilities of a model that is right so often, and as sure as that."""
    said = np.where(rng.random(len(y)) < share_right, y, 1 - y)
    probabilities = np.full((len(y), 2), 1 - share_right)
    probabilities[np.arange(len(y)), said] = share_right
    return probabilities


def test_weights_are_none_negative_and_add_to_one_in_every_fold():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    weights = fold_weights([sure_of(y, share, rng) for share in (0.9, 0.8, 0.6)], y, FOLDS, PEOPLE)
    assert weights.shape == (3, 3)
    assert (weights >= 0).all()
    assert weights.sum(axis=1) == pytest.approx(1)


def test_a_model_that_says_more_counts_for_more():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, N)
    weights = fold_weights([sure_of(y, 0.95, rng), sure_of(y, 0.55, rng)], y, FOLDS, PEOPLE)
    assert (weights[:, 0] > 0.8).all()


def test_the_mixture_is_at_least_as_likely_as_the_plain_mean_where_it_was_learned():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, N)
    models = [sure_of(y, 0.9, rng), sure_of(y, 0.7, rng)]

    def loss(weights):
        mixed = sum(weight * one for weight, one in zip(weights, models, strict=True))
        return -np.log(mixed[FOLDS != 0, y[FOLDS != 0]]).mean()

    assert loss(fold_weights(models, y, FOLDS, PEOPLE)[0]) < loss([0.5, 0.5])


def test_a_fold_learns_nothing_from_its_own_faces():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, N)
    models = [sure_of(y, 0.9, rng), sure_of(y, 0.8, rng)]
    before = fold_weights(models, y, FOLDS, PEOPLE)[1]
    for one in models:
        one[FOLDS == 1] = one[FOLDS == 1][:, ::-1]  # all of it turned into its contrary
    after = fold_weights(models, y, FOLDS, PEOPLE)
    assert after[1].tolist() == before.tolist()
    assert after[0].tolist() != before.tolist()


def test_a_person_of_the_fold_teaches_nothing_for_it_wherever_she_stands():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, N)
    models = [sure_of(y, 0.9, rng), sure_of(y, 0.8, rng)]
    people = PEOPLE.copy()
    people[FOLDS == 2] = people[FOLDS == 0]  # whoever is in the last fold is in the first too
    before = fold_weights(models, y, FOLDS, people)[0]
    for one in models:
        one[FOLDS == 2] = 0.5
    assert fold_weights(models, y, FOLDS, people)[0].tolist() == before.tolist()


def test_years_that_err_to_both_sides_balance_each_other():
    years = np.linspace(1, 90, N)
    wave = np.where(np.arange(N) // 3 % 2, 1.0, -1.0)
    weights = fold_weights([years + 4 * wave, years - 2 * wave], years, FOLDS, PEOPLE)
    assert weights == pytest.approx(np.tile([1 / 3, 2 / 3], (3, 1)), abs=1e-3)


def test_a_model_that_only_harms_counts_for_nothing():
    rng = np.random.default_rng(5)
    years = rng.uniform(1, 90, N)
    error = rng.normal(0, 1, N)
    weights = fold_weights([years + error, years + 20 * error], years, FOLDS, PEOPLE)
    assert weights[:, 1] == pytest.approx(0, abs=1e-6)


def test_equal_models_and_models_without_a_mistake_are_no_trouble():
    years = np.linspace(1, 90, N)
    assert fold_weights([years, years], years, FOLDS, PEOPLE).sum(axis=1) == pytest.approx(1)
    y = np.arange(N) % 2
    right = np.eye(2)[y]
    assert fold_weights([right, right], y, FOLDS, PEOPLE) == pytest.approx(0.5)
    assert fold_weights([right, 1 - right], y, FOLDS, PEOPLE)[:, 0] == pytest.approx(1)


def test_where_nobody_else_is_left_all_count_alike():
    people = np.zeros(N, int)
    y = np.arange(N) % 2
    assert fold_weights([np.eye(2)[y]] * 4, y, FOLDS, people).tolist() == [[0.25] * 4] * 3


def test_an_ensemble_is_the_mean_of_what_its_members_said(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm", "logistic_regression"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    both = combine(comparison, runs[:2])
    assert both.classifier_name == "ensemble of svm and logistic_regression"
    assert both.features == "mean_color"
    one, two, mean = (
        pd.read_parquet(tmp_path / "report" / "predictions" / f"{run.name}.parquet")
        for run in (*runs[:2], both)
    )
    np.testing.assert_allclose(mean["p_female"], (one["p_female"] + two["p_female"]) / 2)
    assert (mean["predicted"] == np.where(mean["p_female"] >= 0.5, "female", "male")).all()
    share = float((mean["predicted"] == mean["true"]).groupby(mean["fold"]).mean().mean())
    assert both.scores["accuracy"]["mean"] == pytest.approx(share)
    assert both.seconds["fit"] == pytest.approx(sum(run.seconds["fit"] for run in runs[:2]))
    assert Run.load(tmp_path / "report" / "runs" / f"{both.name}.json") == both


def test_an_ensemble_of_years_is_the_mean_of_the_years(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm", "logistic_regression"], targets=["age"])
    both = combine(Comparison.open(tmp_path / "report", world[0], n_folds=4), runs[:2])
    assert both.confusion == ()
    assert "mae_years" in both.scores


def test_a_weighted_ensemble_says_what_its_members_count_for(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    both = combine(comparison, runs[:2], weighted=True)  # with the floor, which says the same of everybody
    assert both.classifier_name == "weighted ensemble of svm and majority"
    weights = np.array(both.parameters["weights"])
    assert weights.shape == (4, 2)
    assert (weights[:, 0] > weights[:, 1]).all()
    assert "svm, 0." in both.notes[0]
    one, two, mixed = (
        pd.read_parquet(tmp_path / "report" / "predictions" / f"{run.name}.parquet")
        for run in (*runs[:2], both)
    )
    share = weights[mixed["fold"], 0]
    expected = share * one["p_female"] + (1 - share) * two["p_female"]
    np.testing.assert_allclose(mixed["p_female"], expected, atol=1e-4)


def test_an_ensemble_takes_two_runs_of_one_target_and_the_same_folds(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report", targets=["gender", "age"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    with pytest.raises(WorkspaceError, match="at least two runs of the same target"):
        combine(comparison, [run for run in runs if run.classifier == "majority"])
    gender = [run for run in runs if run.target == "gender"]
    with pytest.raises(WorkspaceError, match="at least two"):
        combine(comparison, [gender[0], gender[0]])
    strange = replace(gender[1], folds={**gender[1].folds, "sha256": "other"})
    with pytest.raises(WorkspaceError, match="folds other than"):
        combine(comparison, [gender[0], strange])
