"""The index of what has been extracted, and what it cost."""

from dataclasses import replace

import pytest

from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import Ledger, enter
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import WorkspaceError


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
