"""Estimators that a user names by their import path stand in a comparison beside ours."""

import pandas as pd
import pytest

from featurekit.errors import EstimatorError, ModelError, TargetError, UnknownNameError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.ensemble import combine
from featurekit.evaluation.evidence import gather
from featurekit.evaluation.final_fit import fit_on_all
from featurekit.evaluation.planning import plan
from featurekit.evaluation.results import load_runs
from featurekit.evaluation.unused_options import unused_options
from featurekit.inference.model import TrainedModel

BAYES, TREES = "sklearn.naive_bayes.GaussianNB", "sklearn.ensemble.ExtraTreesClassifier"


def test_it_is_fitted_beside_ours_saved_and_read_again(world, tmp_path):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=[BAYES, TREES, "logistic_regression"], targets=["gender"])
    comparison.run(plans, ledger, store, models_folder=tmp_path / "models", threads=1)
    runs = {run.classifier: run for run in load_runs(tmp_path / "report")}
    assert {"GaussianNB", "ExtraTreesClassifier", "logistic_regression"} <= set(runs)
    bayes, trees = runs["GaussianNB"], runs["ExtraTreesClassifier"]
    assert bayes.name == "gender--mean_color--GaussianNB"
    assert bayes.parameters["model"] == "sklearn.naive_bayes.GaussianNB"
    assert bayes.bytes_on_disk > 0
    assert TrainedModel.load(tmp_path / "models" / bayes.name).classifier == "GaussianNB"
    # What compiled code would read from a stranger's file is not kept in one, and it is said.
    assert trees.bytes_on_disk == 0
    assert sum(note.startswith("The model was not saved: ") for note in trees.notes) == 1
    assert not (tmp_path / "models" / trees.name).exists()


def test_its_parameters_are_set_by_name_and_checked_before_anything_is_fitted(world):
    manifest, ledger, _ = world
    neighbours = "sklearn.neighbors.KNeighborsClassifier"
    given = {"models": [neighbours], "targets": ["gender"]}
    changed = plan(manifest, ledger, **given, variations=[{"n_neighbors": 3}])
    assert changed[0].parameters == {"n_neighbors": 3}
    with pytest.raises(ModelError, match="'n_neighbors' parameter of KNeighborsClassifier"):
        plan(manifest, ledger, **given, variations=[{"n_neighbors": -1}])
    with pytest.raises(UnknownNameError, match="Did you mean 'n_neighbors'"):
        plan(manifest, ledger, **given, variations=[{"n_neighbor": 3}])


def test_it_is_fitted_for_the_targets_that_it_can_learn_and_the_others_are_named(world):
    manifest, ledger, _ = world
    plans = plan(manifest, ledger, models=[BAYES], targets=["gender", "age"])
    assert [one.target.name for one in plans if one.is_asked] == ["gender"]
    assert unused_options(plans) == ["GaussianNB is not fitted for age, because it predicts only classes."]
    with pytest.raises(TargetError, match=r"^GaussianNB predicts only classes, so it cannot learn age\.$"):
        plan(manifest, ledger, models=[BAYES], targets=["age"])
    with pytest.raises(TargetError, match=r"^Ridge predicts only ages, so it cannot learn gender\.$"):
        plan(manifest, ledger, models=["sklearn.linear_model.Ridge"], targets=["gender"])


def test_two_of_one_name_cannot_be_told_apart(world):
    manifest, ledger, _ = world
    models = [
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.neighbors._classification.KNeighborsClassifier",
    ]
    with pytest.raises(ModelError, match="Two models are called KNeighborsClassifier"):
        plan(manifest, ledger, models=models, targets=["gender"])


def test_what_goes_wrong_names_the_estimator_target_features_and_fold_and_what_was_done_is_kept(
    world, tmp_path
):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(
        manifest,
        ledger,
        models=["sklearn.neighbors.KNeighborsClassifier"],
        targets=["gender"],
        variations=[{"n_neighbors": 3}, {"n_neighbors": 500}],
    )
    says = (
        r"^KNeighborsClassifier could not predict for gender on mean_color, fold \d: Expected n_neighbors <= "
    )
    with pytest.raises(EstimatorError, match=says) as refusal:
        comparison.run(plans, ledger, store, models_folder=None, threads=1)
    assert isinstance(refusal.value.__cause__, ValueError)
    assert "gender--mean_color--KNeighborsClassifier--n_neighbors-3" in {
        run.name for run in load_runs(tmp_path / "report")
    }


def test_one_without_probabilities_has_no_scores_of_them_and_it_is_said_once(world, tmp_path):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(
        manifest,
        ledger,
        models=["sklearn.linear_model.RidgeClassifier", TREES],
        targets=["gender", "age_group"],
    )
    told = []
    runs = comparison.run(plans, ledger, store, models_folder=tmp_path / "models", threads=1, say=told.append)
    ridge = {run.target: run for run in runs if run.classifier == "RidgeClassifier"}
    for run in ridge.values():
        assert not {"log_loss", "roc_auc", "ranked_probability"} & set(run.scores)
        assert "accuracy" in run.scores
        table = pd.read_parquet(tmp_path / "report" / "predictions" / f"{run.name}.parquet")
        assert not [name for name in table if name.startswith("p_")]
        assert TrainedModel.load(tmp_path / "models" / run.name).calibration is None
    assert len([text for text in told if text.startswith("RidgeClassifier gives no probabilities")]) == 1
    assert len([text for text in told if text.startswith("The model was not saved: ")]) == 1
    found = gather(tmp_path / "report", list(ridge.values()), manifest)
    assert "log_loss" not in found.targets["gender"].estimates[ridge["gender"].name]
    assert found.targets["gender"].confidence is None
    members = [run for run in runs if run.target == "gender" and not run.is_baseline]
    both = combine(comparison, members)
    assert "log_loss" not in both.scores
    model = fit_on_all(ridge["gender"], plans[0].kind, comparison.folder, manifest, ledger, store)
    assert model.calibration is None


def test_a_parameter_in_other_letters_is_recognized_and_machinery_is_not_offered(world):
    manifest, ledger, _ = world
    with pytest.raises(UnknownNameError, match=r"'c'\. Did you mean 'C'\?") as refusal:
        plan(manifest, ledger, models=["svm"], targets=["gender"], variations=[{"c": 3}])
    assert not [word for word in ("threads", "memory_limit", "feature_blocks") if word in str(refusal.value)]
    with pytest.raises(UnknownNameError, match="Unknown parameter of GaussianNB 'model'"):
        plan(manifest, ledger, models=[BAYES], targets=["gender"], variations=[{"model": 3}])
