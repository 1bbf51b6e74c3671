"""Extracting in a workspace: what is asked for, and the index of what has been extracted and what it cost."""

import math
from dataclasses import replace

import pytest

from featurekit.data.manifest import Manifest
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import (
    BUILTIN_BACKBONES,
    Ledger,
    enter,
    extract_into,
    extracted_vectors,
    feature_names,
    some_ledger_of,
)
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import default_settings
from featurekit.project import ProjectFolder


def test_the_ledger_adds_up_what_a_network_cost_and_forgets_other_settings(
    manifest, recipes, settings, store, tmp_path
):
    extraction = extract(manifest, recipes, settings, store)
    asked = {"device": "cpu", "precision": "auto"}
    ledger = enter(None, extraction, settings, asked)
    ledger.save(tmp_path / "extracted.json")
    loaded = Ledger.load(tmp_path / "extracted.json")
    assert loaded == ledger
    assert loaded.costs["mean_color"]["pictures"] == 24
    cached = extract(manifest, recipes, settings, store)
    assert enter(loaded, cached, settings, asked).costs == ledger.costs  # a cached run costs nothing
    other = replace(settings, choose="largest")
    assert enter(loaded, replace(cached, recipes={}), other, asked).recipes == {}


def test_the_ledger_counts_only_what_the_present_vectors_cost(manifest, recipes, settings, store):
    asked = {"device": "cpu", "precision": "auto"}
    ledger = enter(None, extract(manifest, recipes, settings, store), settings, asked)
    shared = ledger.costs["shared"]
    mirrored = make_recipes(["mean_color"], settings, device="cpu", mirrored=True)
    second = extract(manifest, mirrored, settings, store)
    ledger = enter(ledger, second, settings, asked)
    assert ledger.costs["mean_color"]["pictures"] == 24  # not those of the plain vectors
    # It found no face: all its time was for the network's sake, none for everybody's.
    assert ledger.costs["mean_color"]["seconds"] == pytest.approx(second.seconds)
    assert ledger.costs["shared"] == shared


def test_a_damaged_index_is_one_line_that_says_what_to_do(tmp_path):
    path = tmp_path / "extracted.json"
    path.write_text('{"settings": 3}')
    with pytest.raises(
        WorkspaceError, match=r"is damaged, or was not written by featurekit .* extract again"
    ):
        Ledger.load(path)


def test_without_a_name_the_builtin_networks_are_meant():
    assert feature_names() == list(BUILTIN_BACKBONES)
    assert feature_names(["vgg16", "vgg19"], "fc6") == ["vgg16:fc6", "vgg19:fc6"]


def test_a_layer_is_named_once():
    with pytest.raises(WorkspaceError, match="--layer fc6 cannot be combined with a layer"):
        feature_names(["vgg16:fc7"], "fc6")


def test_where_nothing_was_extracted_the_next_step_is_named(tmp_path):
    assert Ledger.load(ProjectFolder(tmp_path).extracted) is None
    with pytest.raises(
        WorkspaceError,
        match=r"No vectors have been extracted in .* Next: featurekit"
        " extract",
    ):
        some_ledger_of(ProjectFolder(tmp_path))


def test_what_was_extracted_is_found_again(prepared, tmp_path, capfd):
    workspace = ProjectFolder(tmp_path / "work")
    manifest = Manifest.load(workspace.manifest)
    capfd.readouterr()
    done = extract_into(workspace, manifest, ["mean_color"], default_settings("whole_image"))
    assert done.n_read == len(manifest)
    assert list(some_ledger_of(workspace).recipes) == ["mean_color:mean"]
    assert len(extracted_vectors(workspace, manifest, "mean_color").rows) == len(manifest)
    with pytest.raises(WorkspaceError, match=r"vgg16 has not been extracted\. Next: featurekit extract"):
        extracted_vectors(workspace, manifest, "vgg16")
    assert capfd.readouterr() == ("", "")  # the library prints nothing


def test_what_a_cluster_took_says_nothing_about_one_machine(manifest, recipes, settings, store):
    extraction = extract(manifest, recipes, settings, store)
    away = replace(extraction, is_on_cluster=True)
    ledger = enter(None, away, settings, {})
    assert ledger.on_cluster == ("mean_color",)
    assert math.isnan(ledger.seconds(["mean_color:mean"]))
    again = enter(ledger, extraction, settings, {})  # here, later
    assert again.on_cluster == ()
    assert again.seconds(["mean_color:mean"]) > 0
