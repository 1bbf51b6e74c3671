"""Fits on parts of the training subjects: nested, without people who are tested, and ending in the run."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit.data.splits import Fold
from featurekit.data.targets import AGE, GENDER
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import Resources
from featurekit.evaluation import curve_fits
from featurekit.evaluation.curve_fits import nested_folds, parts_of
from featurekit.evaluation.data_curve import DataCurve, load_curves
from featurekit.ops.purge import look, purge
from featurekit.ops.traces import find_traces
from featurekit.project import ComparisonFolder
from featurekit.report.displays.data_curve import DataCurveDisplay


@pytest.fixture
def people():
    """150 faces of 60 people, a fifth of class 1, in three folds: labels, subjects and folds."""
    rng = np.random.default_rng(0)
    subjects = rng.permutation(np.concatenate([np.arange(60), rng.integers(0, 60, 90)]))
    numbers = subjects % 3
    folds = [Fold(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in range(3)]
    return (subjects % 5 == 0).astype(np.intp), subjects.astype(str), folds


@pytest.mark.parametrize("is_regression", [False, True])
def test_parts_are_nested_and_share_no_subject_with_the_test_part(people, is_regression):
    y, subjects, folds = people
    parts = {
        one_in: nested_folds(folds, y, subjects, one_in, is_regression=is_regression, seed=3)
        for one_in in (16, 8, 4, 2, 1)
    }
    for number, fold in enumerate(folds):
        inside = set()
        for one_in, of in parts.items():
            mine = set(subjects[of[number].train])
            assert inside <= mine
            assert len(mine) == -(-40 // one_in)
            assert not mine & set(subjects[fold.test])
            # All faces of a subject come together, in their order.
            rows = fold.train[np.isin(subjects[fold.train], list(mine))]
            np.testing.assert_array_equal(of[number].train, rows)
            np.testing.assert_array_equal(of[number].test, fold.test)
            inside = mine
        np.testing.assert_array_equal(parts[1][number].train, fold.train)
    again = nested_folds(folds, y, subjects, 4, is_regression=is_regression, seed=4)
    assert set(subjects[again[0].train]) != set(subjects[parts[4][0].train])


def test_each_class_keeps_its_share_of_the_subjects(people):
    y, subjects, folds = people
    for one_in, n_rare in ((8, 1), (4, 2), (2, 4)):
        for fold in nested_folds(folds, y, subjects, one_in, is_regression=False, seed=0):
            rare = np.unique(subjects[fold.train][y[fold.train] == 1])
            assert len(rare) == n_rare


def test_a_part_with_too_few_subjects_of_a_class_is_left_out(people):
    y, subjects, folds = people  # 8 subjects of the rare class in each training part
    assert parts_of(folds, y, subjects, GENDER, tune=False, seed=0)[-1] == 2
    assert 16 not in parts_of(folds, y, subjects, GENDER, tune=False, seed=0)
    assert parts_of(folds, y, subjects, GENDER, tune=True, seed=0) == [2]
    assert parts_of(folds, np.arange(150.0), subjects, AGE, tune=False, seed=0) == [4, 2]


def test_the_parts_are_fitted_on_the_device_of_the_run():
    plan = SimpleNamespace(feature_name="f", fitted=None, parameters={})
    for parameters, device in (({"device": "cuda:0"}, "cuda"), ({"device": "cpu"}, "cpu"), ({}, None)):
        run = SimpleNamespace(parameters=parameters, seed=0, tuned=False)
        assert curve_fits._fitting(run, plan, Resources(threads=2)).resources == Resources(
            threads=2, device=device
        )


@pytest.fixture
def counts_faces():
    """A model that predicts as age how many faces it was fitted on; every score can be computed by hand."""
    from sklearn.base import BaseEstimator, RegressorMixin

    class CountsFaces(RegressorMixin, BaseEstimator):
        n_fits = 0

        def fit(self, X, y):
            type(self).n_fits += 1
            self.n_faces_ = float(len(y))
            return self

        def predict(self, X):
            return np.full(len(X), self.n_faces_)

    return CountsFaces()


@pytest.fixture
def evaluate(portraits, tmp_path, monkeypatch):
    """Evaluate models in a project of 24 portraits of eight people, on two folds, with learning curves."""
    for name, fewest in (("FEWEST", 1), ("FEWEST_FOR_AGES", 2)):  # eight people are enough for a curve
        monkeypatch.setattr(curve_fits, name, fewest)
    project = fk.Project(tmp_path / "work")
    table = pd.read_csv(portraits / "people.csv")
    labels = {"age": "years", "gender": "sex"}
    data = fk.Dataset.from_frame(
        table, images="file", labels=labels, subject="person", root=portraits / "photos", project=project
    )
    X = fk.embed(data, "mean_color", detector="whole_image", project=project)

    def run(models, target, **options):
        options = {"learning_curve": True, "folds": 2, "project": project, **options}
        return fk.evaluate(data, X, models, target=target, **options)

    return run


def test_scores_and_gains_are_those_computed_by_hand_and_what_is_stored_is_not_fitted_again(
    evaluate, counts_faces
):
    fits = []
    options = {"progress": lambda done, total: fits.append((done, total))}
    results = evaluate(counts_faces, "age", **options)
    run = results["CountsFaces"].run
    table = pd.read_parquet(ComparisonFolder(results.folder).prediction(run.name))
    ages = [table["true"][table["fold"] == number].to_numpy() for number in (0, 1)]
    assert min(map(min, ages)) >= 0
    points = load_curves(results.folder, [run])[run.name].points
    # Each person has three images; four people are in each training part.
    for point, one_in, n_faces in zip(points, (2, 1), (6, 12), strict=True):
        by_hand = [np.abs(age - n_faces).mean() for age in ages]
        assert (point.one_in, point.n_faces, point.n_subjects) == (one_in, n_faces, n_faces / 3)
        assert point.folds == pytest.approx(by_hand)
        assert point.value == pytest.approx(np.mean(by_hand))
        assert point.low <= point.value <= point.high
    gains = np.concatenate([np.abs(age - 6) - np.abs(age - 12) for age in ages])
    assert points[0].gain is None
    assert points[1].gain.value == pytest.approx(gains.mean())
    assert points[1].is_gain_shown is (points[1].gain.low > 0)

    assert counts_faces.n_fits == 4  # two folds of the run, and of one part
    assert fits[-1] == (2, 2)
    files = ComparisonFolder(results.folder)
    before = files.curve(run.name).read_bytes()
    evaluate(counts_faces, "age")
    assert counts_faces.n_fits == 4
    # As after a command that was killed before the part was complete.
    content = json.loads(before)
    files.curve_part(run.name, 2).unlink()
    files.curve(run.name).write_text(json.dumps({**content, "points": content["points"][1:]}))
    evaluate(counts_faces, "age")
    assert counts_faces.n_fits == 6
    assert files.curve(run.name).read_bytes() == before


@pytest.mark.slow
def test_the_last_point_is_the_run_and_a_removed_subject_is_in_no_curve(evaluate, monkeypatch):
    results = evaluate(["xgboost"], "gender")
    run = results["xgboost"].run
    last = load_curves(results.folder, results.runs)[run.name].points[-1]
    stored = run.scores["accuracy"]
    assert load_curves(results.folder, results.runs)[run.name].points[0].value < last.value < 1
    assert (last.value, last.std, list(last.folds)) == (stored["mean"], stored["std"], stored["folds"])
    fits = []
    evaluate(["xgboost"], "gender", progress=lambda *told: fits.append(told))
    assert not fits  # neither the run nor the baseline, which are stored
    with pytest.raises(WorkspaceError, match="--learning-curve has no effect: none of majority is a trained"):
        evaluate(["majority"], "gender")
    monkeypatch.setattr(curve_fits, "FEWEST", 2)
    with pytest.raises(WorkspaceError, match="--learning-curve has no effect, because half of the subjects"):
        evaluate(["xgboost"], "gender")

    files = ComparisonFolder(results.folder)
    assert len(files.all_learning()) == 2
    traces = find_traces(files.project, ["s1"], [])
    place = f"reports/{results.folder.name}/outcomes"
    assert place in {name for name, *_ in look(files.project, traces).places}
    purge(files.project, traces)
    assert not files.all_learning()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["svm", "xgboost"])
def test_the_whole_as_a_part_predicts_what_the_run_predicts(evaluate, monkeypatch, model):
    results = evaluate([model], "gender")
    run = results[model].run
    last = load_curves(results.folder, results.runs)[run.name].points[-1]
    estimate = results.evidence.targets["gender"].estimates[run.name]["accuracy"]
    assert (last.low, last.high) == pytest.approx((estimate.low, estimate.high), abs=1e-6)
    # All subjects, fitted as a part.
    monkeypatch.setattr(curve_fits, "nested_folds", lambda folds, *_, **__: list(folds))
    files = ComparisonFolder(results.folder)
    files.curve(run.name).unlink()
    half = load_curves(evaluate([model], "gender").folder, [run])[run.name].points[0]
    assert (half.folds, half.low, half.high) == (last.folds, last.low, last.high)
    assert half.gain is None


@pytest.mark.slow
def test_a_run_with_other_settings_has_no_curve_of_the_old_ones(evaluate):
    from sklearn.linear_model import Ridge

    results = evaluate({"model": Ridge(alpha=1.0)}, "age")
    fits = []
    evaluate({"model": Ridge(alpha=1.0)}, "age", progress=lambda *told: fits.append(told))
    assert not fits
    saved = {"progress": lambda *told: fits.append(told), "save_models": True}
    evaluate({"model": Ridge(alpha=1.0)}, "age", **saved)
    assert fits[-1] == (6, 6)  # the run and the baseline, whose models were not saved yet
    assert len(DataCurveDisplay.read(results["model"].run, results.folder).points) == 2
    later = evaluate({"model": Ridge(alpha=100.0)}, "age", learning_curve=False)
    with pytest.raises(ModelError, match="has not been fitted on parts of its training faces"):
        DataCurveDisplay.read(later["model"].run, later.folder)
    run = later["model"].run
    assert DataCurve.load(later.folder, run) is None
    again = evaluate({"model": Ridge(alpha=100.0)}, "age")
    curve = DataCurveDisplay.read(again["model"].run, again.folder)
    assert curve.points[0].value != curve.points[-1].value
    assert curve.points[-1].value == run.scores["mae_years"]["mean"]
