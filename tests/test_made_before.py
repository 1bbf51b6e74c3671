"""What the version before the tree was laid out anew wrote is read, and nothing of it is computed again.

tests/made_before was made by that version, with

    featurekit prepare synthetic photos -o n_subjects=20 -o n_pictures=2
    featurekit extract --backbone mean_color --backbone dlib_age --detector whole_image
    featurekit fit --target gender --model logistic_regression --model svm --features dlib_age --threads 1
"""

import json
import shutil
from pathlib import Path

import pytest

from featurekit.data.datasets.synthetic import write_synthetic
from featurekit.evaluation.results import load_runs

BEFORE = Path(__file__).parent / "made_before"
SVM = "gender--dlib_age--svm"
HOW = ("--features", "dlib_age", "--threads", "1", "--no-models")


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """The same portraits, drawn anew."""
    photos = tmp_path_factory.mktemp("drawn") / "photos"
    write_synthetic(photos, n_subjects=20, n_pictures=2)
    return photos


@pytest.fixture
def work(tmp_path, portraits):
    """A copy of what was written then."""
    folder = tmp_path / "work"
    shutil.copytree(BEFORE, folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("PHOTOS", portraits.as_posix()))
    return folder


def shards(folder):
    return sorted(path.relative_to(folder) for path in (folder / "cache").rglob("*.safetensors"))


@pytest.mark.weights
def test_an_extraction_of_before_is_not_computed_anew(featurekit, work):
    there = shards(work)
    asked = ("--backbone", "mean_color", "--backbone", "dlib_age", "--detector", "whole_image")
    code, output, errors = featurekit("extract", *asked, "--precision", "fp32")
    assert code == 0, errors
    assert "Read 0 images" in output
    assert shards(work) == there


@pytest.mark.weights
def test_a_fit_of_before_gives_the_same_scores_again(featurekit, work):
    folder = work / "reports" / "synthetic"
    before = {run.name: run for run in load_runs(folder)}
    models = ("--model", "svm", "--model", "logistic_regression")
    code, _, errors = featurekit("fit", "--target", "gender", *models, *HOW)
    assert code == 0, errors
    after = {run.name: run for run in load_runs(folder)}
    assert after.keys() == before.keys()
    for name, run in after.items():
        assert run.created > before[name].created
        assert run.confusion == before[name].confusion
        assert json.loads(json.dumps(run.parameters)) == before[name].parameters
        for score, found in run.scores.items():
            assert found["folds"] == pytest.approx(before[name].scores[score]["folds"], rel=1e-9), score


def test_scores_of_before_are_read_under_the_names_of_today(work):
    folder = work / "reports" / "synthetic"
    written = json.loads((folder / "runs" / f"{SVM}.json").read_text())
    read = next(run for run in load_runs(folder) if run.name == SVM)
    for then, now in ((written["scores"], read.scores), (written["scores_all_rows"], read.scores_all_rows)):
        assert {"exact", "balanced_accuracy"} <= set(then)
        assert [*now] == ["accuracy" if name == "exact" else name for name in then]
        assert [one["std"] for one in now.values()] == [one["spread"] for one in then.values()]
        assert now["accuracy"]["folds"] == then["exact"]["folds"]


def test_runs_of_before_are_averaged_and_reported(featurekit, work):
    code, _, errors = featurekit("ensemble", "*logistic_regression", "*svm")
    assert code == 0, errors
    code, output, errors = featurekit("report")
    assert code == 0, errors
    assert "set apart" not in errors
    assert "ensemble of logistic_regression and svm" in output


def test_a_model_of_before_says_that_it_has_to_be_fitted_again(featurekit, work):
    model = work / "models" / SVM
    code, _, errors = featurekit("predict", "--sample-portrait", "--model", model)
    assert code == 1
    assert errors == f"error: {model} is a model of another version of featurekit. Fit it again.\n"
