"""Extracting in a workspace: what is asked for, and the index of what has been extracted and what it cost."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import (
    BUILTIN_BACKBONES,
    Ledger,
    add_to_record,
    entries_at,
    extract_into,
    extracted_vectors,
    feature_names,
    joined,
    record_of,
    some_ledger_of,
    write_entry,
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
    ledger = record_of(extraction, settings, asked)
    add_to_record(tmp_path / "extracted.json", ledger)
    loaded = Ledger.load(tmp_path / "extracted.json")
    assert loaded == ledger
    assert loaded.costs["mean_color"]["pictures"] == 24
    cached = extract(manifest, recipes, settings, store)
    assert (
        joined([loaded, record_of(cached, settings, asked)]).costs == ledger.costs
    )  # a cached run costs nothing
    other = replace(settings, choose="largest")
    assert joined([loaded, record_of(replace(cached, recipes={}), other, asked)]).recipes == {}


def test_the_ledger_counts_only_what_the_present_vectors_cost(manifest, recipes, settings, store):
    asked = {"device": "cpu", "precision": "auto"}
    ledger = record_of(extract(manifest, recipes, settings, store), settings, asked)
    shared = ledger.costs["shared"]
    mirrored = make_recipes(["mean_color"], settings, device="cpu", mirrored=True)
    second = extract(manifest, mirrored, settings, store)
    ledger = joined([ledger, record_of(second, settings, asked)])
    assert ledger.costs["mean_color"]["pictures"] == 24  # not those of the plain vectors
    # It found no face: all its time was for the network's sake, none for everybody's.
    assert ledger.costs["mean_color"]["seconds"] == pytest.approx(second.seconds)
    assert ledger.costs["shared"] == shared


def a_record(settings, seconds=1.0, **others):
    """Return the record of one made-up extraction without vectors."""
    costs = {"shared": {"seconds": seconds, "pictures": 1}}
    return Ledger(settings, **{"recipes": {}, "costs": costs, "achieved": {}, "asked": {}, **others})


ADDS = """
import sys, time
from pathlib import Path
from featurekit.embeddings.index import Ledger, add_to_record
from featurekit.faces.settings import default_settings

path, own, other = map(Path, sys.argv[1:])
own.touch()
while not other.exists():
    time.sleep(0.01)
for _ in range(25):
    costs = {"shared": {"seconds": 1.0, "pictures": 1}}
    add_to_record(path, Ledger(default_settings("whole_image"), {}, costs, {}, {}))
"""


def test_two_processes_that_record_at_the_same_time_lose_no_costs(tmp_path):
    path, names = ProjectFolder(tmp_path).extracted, (tmp_path / "a", tmp_path / "b")
    started = [
        subprocess.Popen([sys.executable, "-c", ADDS, path, *order]) for order in (names, reversed(names))
    ]
    assert [one.wait(60) for one in started] == [0, 0]
    assert Ledger.load(path).costs == {"shared": {"seconds": 50.0, "pictures": 50}}


def test_shards_in_two_processes_at_the_same_time_are_one_extraction(prepared, tmp_path):
    command = [sys.executable, "-c", "from featurekit.cli.app import main; main()", "-w", tmp_path / "work"]
    command += ["extract", "--backbone", "mean_color", "--detector", "whole_image", "--shard"]
    started = [subprocess.Popen([*command, shard], stdout=subprocess.PIPE) for shard in ("1/2", "2/2")]
    assert [(one.communicate(timeout=60), one.returncode)[1] for one in started] == [0, 0]
    workspace = ProjectFolder(tmp_path / "work")
    manifest = Manifest.load(workspace.manifest)
    ledger = some_ledger_of(workspace)
    assert {name: cost["pictures"] for name, cost in ledger.costs.items()} == {"mean_color": 24, "shared": 24}
    assert len(extracted_vectors(workspace, manifest, "mean_color").rows) == 24
    assert [shelf.rows for shelf in Store(workspace.cache).shelves()] == [24, 24]


def test_what_an_older_version_has_recorded_is_counted_once(settings, tmp_path):
    path = tmp_path / "extracted.json"
    path.write_text(json.dumps(asdict(a_record(settings, 2.0))))
    assert Ledger.load(path) == a_record(settings, 2.0)
    add_to_record(path, a_record(settings, 3.0))
    assert Ledger.load(path).costs["shared"] == {"seconds": 5.0, "pictures": 2}
    [(_, older), _] = entries_at(path).items()
    write_entry(path, older)  # as it comes back from a workspace into which it was merged
    assert Ledger.load(path).costs["shared"] == {"seconds": 5.0, "pictures": 2}


def test_an_extraction_that_computes_nothing_new_adds_no_file(settings, tmp_path):
    path = tmp_path / "extracted.json"
    add_to_record(path, a_record(settings))
    add_to_record(path, a_record(settings, costs={}))
    assert len(entries_at(path)) == 1


def test_the_last_extraction_decides_even_if_the_clock_was_put_back(settings, tmp_path, monkeypatch):
    path, other = tmp_path / "extracted.json", replace(settings, choose="largest")
    add_to_record(path, a_record(settings))
    monkeypatch.setattr("time.time_ns", lambda: 1)
    add_to_record(path, a_record(other))
    assert Ledger.load(path).settings == other
    add_to_record(path, a_record(settings, costs={}))  # and the first settings again: their costs are known
    assert Ledger.load(path) == a_record(settings)


def test_a_changed_record_is_damaged(settings, tmp_path):
    path = tmp_path / "extracted.json"
    add_to_record(path, a_record(settings))
    [file] = (tmp_path / "extracted").iterdir()
    file.write_text(file.read_text().replace("1.0", "9.0"))
    with pytest.raises(WorkspaceError, match=r"is damaged.*its hash differs from its name.*extract again"):
        Ledger.load(path)


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
        match=r"No extraction has been completed in this workspace yet\. Next: featurekit extract, which",
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
    ledger = record_of(away, settings, {})
    assert ledger.on_cluster == ("mean_color",)
    assert math.isnan(ledger.seconds(["mean_color:mean"]))
    again = joined([ledger, record_of(extraction, settings, {})])  # here, later
    assert again.on_cluster == ()
    assert again.seconds(["mean_color:mean"]) > 0
