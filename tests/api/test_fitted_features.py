"""Eigenfaces from the images to the predictions: in runs, reports, saved models, commands and refusals."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import featurekit as fk
from featurekit.errors import ModelError, RegistrationError, UnknownNameError, WorkspaceError
from featurekit.evaluation.results import Run
from featurekit.inference.model import TrainedModel


@pytest.fixture
def embed(data, project):
    def run(features):
        return fk.embed(data, features, detector="whole_image", project=project, progress=False)

    return run


def test_the_frozen_vectors_are_the_grey_pixels(embed):
    import cv2

    X = embed("eigenfaces+mean_color")
    assert X.name == "eigenfaces+mean_color"
    assert X.features == ("eigenfaces", "mean_color:mean")
    assert [recipe.feature for recipe in X.recipes] == ["flattened_pixels:grey", "mean_color:mean"]
    assert X.blocks == (1024, 3)
    pixels = X.vectors[:, :1024]
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    # Grey of the mean colour is the mean of the grey values, but for rounding and the size of the crop.
    grey = cv2.cvtColor(X.vectors[None, :, 1024:], cv2.COLOR_RGB2GRAY)[0]
    assert pixels.mean(axis=1) == pytest.approx(grey, abs=0.02)
    assert list(X.frame().columns[[0, 1024]]) == ["flattened_pixels:grey:0", "mean_color:mean:0"]


@pytest.mark.slow
def test_a_run_says_what_was_learned_and_a_saved_model_predicts_the_same_bits(
    data, embed, how, project, portraits
):
    X = embed("eigenfaces+mean_color")
    results = fk.evaluate(data, X, "logistic_regression", target="gender", tune=True, save_models=True, **how)
    name = "gender--eigenfaces+mean_color--logistic_regression--tuned"
    run = Run.load(results.folder / "runs" / f"{name}.json")
    assert run.features == "eigenfaces+mean_color"
    assert [recipe["backbone"] for recipe in run.recipes] == ["flattened_pixels", "mean_color"]
    # Twelve training faces have eleven components.
    assert run.parameters["fitted_features"] == {"eigenfaces": 11}
    assert run.dim == 14
    assert any(note.startswith("First fold, eigenfaces: 11 principal components") for note in run.notes)
    assert len(run.search) == 2

    [again] = [one for one in results.runs if one.name == name]
    model = fk.Model(TrainedModel.load(project.folder.model(Path(name))))
    trained = results.best().fit(data, X)
    assert again.scores["accuracy"]["mean"] > 0.9
    assert model.features == ["eigenfaces of flattened_pixels:grey", "mean_color:mean"]
    assert "All faces, eigenfaces: 23 principal components" in model.card
    photos = portraits / "photos"
    one, two = (
        m.predict(photos, probabilities=True, project=project, progress=False) for m in (model, trained)
    )
    assert one.equals(two)
    assert model.explain(photos / "s0_0.png", progress=False).frame()["how"].tolist() == ["occlusion"]
    expected = trained._trained.estimator.predict_proba(X.vectors)
    assert (model._trained.estimator.predict_proba(X.vectors) == expected).all()


def test_a_model_folder_that_names_other_features_is_refused(data, embed, how, tmp_path):
    results = fk.evaluate(data, embed("eigenfaces"), "logistic_regression", target="gender", **how)
    folder = results.best().fit(data, embed("eigenfaces")).save(tmp_path / "model")
    content = json.loads((folder / "model.json").read_text())
    assert content["estimator"] == {"fitted_features": ["eigenfaces"]}
    for named, message in (
        ([], "types that are not allowed"),
        (["eigenfaces", ""], "one feature for each recipe"),
        (["fisherfaces"], "Unknown feature fitted per fold 'fisherfaces'"),
        ([{}], "one feature for each recipe"),
    ):
        text = json.dumps({**content, "estimator": {"fitted_features": named}})
        old = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
        (folder / "model.json").write_text(text)
        sums = (folder / "SHA256SUMS").read_text()
        (folder / "SHA256SUMS").write_text(sums.replace(old, hashlib.sha256(text.encode()).hexdigest()))
        with pytest.raises(ModelError, match=message):
            fk.load_model(folder)


def test_the_report_names_the_feature_and_the_components(data, embed, how):
    results = fk.evaluate(data, embed("eigenfaces"), "logistic_regression", target="gender", **how)
    page = results.report(results.folder / "report.html").with_suffix(".md")
    text = page.read_text() if page.is_file() else (results.folder / "report.html").read_text()
    assert "eigenfaces" in text
    assert "11 principal components of 1,024 pixels" in text


def test_what_needs_frozen_vectors_refuses_eigenfaces_in_one_line(data, X, project, how):
    with pytest.raises(
        WorkspaceError, match=r"^eigenfaces starts from flattened_pixels:grey, which has not be"
    ):
        fk.evaluate(data, "eigenfaces", "svm", target="gender", **how)
    message = r"^eigenfaces is learned from the training faces of each fold.* Give flattened_pixels, which it"
    with pytest.raises(UnknownNameError, match=message):
        fk.audit(data, features="eigenfaces", project=project)
    with pytest.raises(UnknownNameError, match=message):
        fk.FaceEmbedder("eigenfaces").fit(["a.jpg"])
    with pytest.raises(UnknownNameError, match=r"eigenfaces is given twice in 'eigenfaces\+eigenfaces'"):
        fk.evaluate(data, "eigenfaces+eigenfaces", "svm", target="gender", **how)
    with pytest.raises(RegistrationError, match="The name 'eigenfaces' is taken by a feature of featurekit"):
        fk.register_backbone("eigenfaces", about="no", dim=1, input_size=8)(lambda crops: np.zeros((1, 1)))


def test_the_commands_extract_what_eigenfaces_start_from_and_fit_them(featurekit, prepared, monkeypatch):
    code, _, errors = featurekit("extract", "--backbone", "eigenfaces", "--detector", "whole_image")
    assert code == 0, errors
    assert "only the vectors that it starts from are extracted: flattened_pixels:grey" in errors
    assert "To use it: featurekit fit --features eigenfaces" in errors
    fit = ("fit", "--features", "eigenfaces", "--model", "logistic_regression", "--target", "gender")
    code, output, errors = featurekit(*fit, "--folds", "2", "--no-models")
    assert code == 0, errors
    assert "eigenfaces" in output
    code, _, errors = featurekit("cache", "export", "eigenfaces", "vectors.npy")
    assert code == 1
    assert "error: eigenfaces is learned from the training faces of each fold" in errors
