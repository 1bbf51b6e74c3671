"""Recipes: whatever decides the numbers changes the key, and nothing else does."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from featurekit.embeddings import calibration
from featurekit.embeddings.recipe import Recipe, make_recipes
from featurekit.errors import EngineError, UnknownNameError, WeightsError
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES


@pytest.mark.parametrize(
    "part",
    [
        "faces",
        "backbone",
        "layer",
        "weights",
        "input_size",
        "template",
        "normalization",
        "precision",
        "engine",
        "mirrored",
        "extraction_version",
    ],
)
def test_every_part_of_the_recipe_changes_the_key(recipes, part):
    recipe = next(iter(recipes.values()))
    value = {"changed": 1} if part in ("faces", "normalization") else "changed"
    assert replace(recipe, **{part: value}).key != recipe.key


def test_every_part_of_finding_faces_changes_the_key(recipes, settings):
    key = next(iter(recipes.values())).key
    for change in ({"choose": "largest"}, {"min_face": 99}, {"attempts": ((64, 0.5),)}):
        other = make_recipes(["mean_color"], replace(settings, **change), device="cpu")
        assert next(iter(other.values())).key != key


def test_a_backbone_without_its_file_names_the_file_and_the_repair(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"resnet50.*\.pth.*weights add"):
        make_recipes(["resnet50"], settings, device="cpu")


def test_an_unknown_backbone_is_met_with_a_suggestion(settings):
    with pytest.raises(UnknownNameError, match=r"Unknown backbone 'mean_colour'\. Did you mean 'mean_color'"):
        make_recipes(["mean_colour"], settings)


def test_the_recipe_survives_json(recipes):
    recipe = next(iter(recipes.values()))
    assert Recipe(**json.loads(json.dumps(asdict(recipe)))).key == recipe.key


@pytest.fixture
def in_int8(settings, monkeypatch):
    """A function that returns the recipe of a network in int8, given the hash of the quantized network."""
    monkeypatch.setattr(calibration, "check_int8", lambda name: None)
    monkeypatch.setattr(weights, "present", lambda name: True)

    def made(digest, feature="dlib_age"):
        monkeypatch.setattr(calibration, "quantized_once", lambda backbone, on, crops: digest)
        return next(iter(make_recipes([feature], settings, device="cpu", precision="int8").values()))

    return made


def test_a_recipe_in_int8_says_which_quantization_it_is_and_what_that_was_calibrated_on(in_int8):
    recipe = in_int8("ab" * 32)
    assert (recipe.precision, recipe.quantized) == ("int8", "ab" * 32)
    assert recipe.normalization["calibrated_on"] == "300 synthetic portraits, seed 0"
    assert in_int8("cd" * 32).key != recipe.key
    assert Recipe(**json.loads(json.dumps(asdict(recipe)))) == recipe


def test_a_backbone_without_weights_is_not_quantized(in_int8):
    recipe = in_int8("ab" * 32, "mean_color")
    assert (recipe.precision, recipe.quantized) == ("fp32", "")


def test_int8_is_refused_before_anything_is_drawn(settings, monkeypatch):
    monkeypatch.setattr(weights, "present", lambda name: True)
    monkeypatch.setattr(calibration, "portraits", lambda *given, **how: pytest.fail("drawn"))
    monkeypatch.setattr("featurekit.networks.precisions.INT8_LOSSES", {})
    with pytest.raises(EngineError, match="int8"):
        make_recipes(["dlib_age"], settings, device="cpu", precision="int8")


def test_the_portraits_of_the_calibration_are_aligned_and_always_the_same(monkeypatch):
    monkeypatch.setattr(calibration, "_N_SUBJECTS", 1)
    monkeypatch.setattr(calibration, "_N_PICTURES", 2)
    crops = []
    for _ in range(2):
        calibration._portraits.cache_clear()
        crops.append(calibration.calibration_crops(BACKBONES["dlib_gender"]))
    calibration._portraits.cache_clear()
    np.testing.assert_array_equal(*crops)
    assert crops[0].shape == (2, 32, 32, 3)
    # The eyes are darker than the cheeks below them.
    eyes, cheeks = crops[0][:, 8:12, 8:12].mean(), crops[0][:, 15:19, 8:12].mean()
    assert eyes < cheeks
