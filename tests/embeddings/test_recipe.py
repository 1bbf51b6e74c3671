"""Recipes: whatever decides the numbers changes the key, and nothing else does."""

import json
from dataclasses import asdict, replace

import pytest

from featurekit.embeddings.recipe import Recipe, make_recipes
from featurekit.errors import UnknownNameError, WeightsError


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
