"""featurekit predict: one clear line for each mistake."""

import json

import pandas as pd
import pytest
from PIL import Image

from featurekit.inference.inputs import listed

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")


@pytest.mark.weights
def test_a_listing_names_images_and_one_that_is_gone_is_a_row(featurekit, portraits, tmp_path):
    photos = sorted((portraits / "photos").iterdir())[:2]
    listing = tmp_path / "images.txt"
    listing.write_text("\n".join([str(photos[0]), "", str(photos[1]), str(photos[0]), "gone.jpg"]) + "\n")
    code, _, errors = featurekit("predict", "--listing", listing, "--output", tmp_path / "out.csv")
    assert code == 1
    assert "gone.jpg" in errors
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table["photograph"].unique()) == [str(photos[0]), str(photos[1]), "gone.jpg"]


def test_a_manifest_is_a_listing_of_its_images(prepared, tmp_path):
    found = listed(tmp_path / "work" / "manifest.csv")
    assert sorted(path.name for path in found) == sorted(
        path.name for path in (prepared / "photos").iterdir()
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", None])
def test_a_listing_that_lists_nothing_or_cannot_be_read_is_one_line(featurekit, one_line, tmp_path, content):
    path = tmp_path / "images.txt"
    if content is not None:
        path.write_bytes(content)
    one_line(featurekit("predict", "--listing", path), str(path))


def test_a_model_that_was_fitted_on_too_few_subjects_cannot_abstain(
    featurekit, one_line, extracted, tmp_path
):
    assert featurekit(*FIT)[0] == 0
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    photo = extracted / "photos" / "s1_0.png"
    asked = ("predict", photo, "--model", model, "--abstain-above", "0.05")
    one_line(featurekit(*asked), "cannot abstain", "leave --abstain-above out")
    one_line(
        featurekit("predict", photo, "--model", model, "--sets"),
        "--sets has no effect",
        "leave the option out",
    )


def test_an_unreadable_picture_in_predict(featurekit, one_line, extracted, tmp_path):
    featurekit(*FIT)
    (tmp_path / "broken.jpg").write_bytes(b"nonsense")
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    good = extracted / "photos" / "s0_0.png"
    result = featurekit("predict", tmp_path / "broken.jpg", good, "--model", model)
    one_line(result, "broken.jpg")
    assert "s0_0.png" in result[1]  # the good one has its answer all the same


def test_a_photograph_that_is_not_there(featurekit, one_line, tmp_path):
    one_line(featurekit("predict", tmp_path / "nowhere.jpg"), "nowhere.jpg")


@pytest.mark.weights
def test_no_face_in_predict(featurekit, one_line, tmp_path):
    Image.new("RGB", (300, 300), (90, 120, 90)).save(tmp_path / "meadow.png")
    one_line(featurekit("predict", tmp_path / "meadow.png"), "meadow.png", "no face was found")


@pytest.mark.weights
def test_the_sample_portrait_is_read_without_a_fitted_model(featurekit, tmp_path):
    code, output, errors = featurekit("predict", "--sample-portrait", "--draw", tmp_path / "drawn")
    assert code == 0, errors
    assert "female" in output
    assert (tmp_path / "drawn" / "astronaut.png").is_file()


def test_a_model_of_another_recipe(featurekit, one_line, extracted, tmp_path, seal):
    featurekit(*FIT)
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    content = json.loads((model / "model.json").read_text())
    content["recipes"][0]["extraction_version"] = 0
    (model / "model.json").write_text(json.dumps(content))
    seal(model)
    result = featurekit("predict", extracted / "photos", "--model", model)
    one_line(result, "other settings", "extraction_version was 0")


def test_a_folder_that_is_no_model(featurekit, one_line, extracted):
    one_line(featurekit("predict", extracted / "photos", "--model", extracted), "not a saved model")


@pytest.mark.weights
def test_the_networks_that_predict_without_a_model_are_named(featurekit, extracted, tmp_path):
    """They are other networks than those that the user has extracted and fitted."""
    own = "gender--mean_color--logistic_regression"
    said = "note: No model is given, so the off-the-shelf networks dlib_age and dlib_gender predict. To use"
    in_work = f"featurekit --workspace {tmp_path / 'work'}"
    asked = ("predict", extracted / "photos" / "s0_0.png")
    # A comparison whose models were not saved is no model.
    assert featurekit(*FIT, "--no-models")[0] == 0
    _, output, errors = featurekit(*asked, "--json")
    before = f"{said} a model of your own, fit it with {in_work} fit; then: "
    assert errors.splitlines()[0] == f"{before}{in_work} predict IMAGE --model models/NAME"
    assert {"gender", "age_group", "age"} <= set(json.loads(output)[0])
    assert featurekit(*FIT)[0] == 0
    _, _, errors = featurekit(*asked)
    which = f"one of the 2 models in {tmp_path / 'work' / 'models'}"
    assert errors.splitlines()[0] == f"{said} {which}: {in_work} predict IMAGE --model models/NAME"
    for given in (("--model", own), (tmp_path / "work" / "models" / own,)):
        assert "off-the-shelf" not in featurekit(*asked, *given)[2]
