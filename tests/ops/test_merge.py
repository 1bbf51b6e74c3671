"""Merging workspaces: what was extracted in several is as if it had been extracted in one."""

import json
import shutil
from dataclasses import asdict

import pandas as pd
import pytest

import featurekit as fk
from featurekit.cache.store import Store
from featurekit.embeddings.index import Ledger, entries_at
from featurekit.errors import WorkspaceError
from featurekit.evaluation.results import load_runs
from featurekit.project import ComparisonFolder, ProjectFolder
from tests.ops.made_up import everything_in

EXTRACT = ("extract", "--backbone", "mean_color", "--detector", "whole_image")
FIT = ("fit", "--model", "svm", "--target", "gender", "--folds", "2", "--no-models")


@pytest.fixture
def parts(featurekit, prepared, tmp_path):
    """Three workspaces with the same manifest, each with a third of the vectors; tmp_path/work has none."""
    names = [tmp_path / f"part{i}" for i in (1, 2, 3)]
    for i, name in enumerate(names, start=1):
        shutil.copytree(tmp_path / "work", name)
        code, _, errors = featurekit("-w", name, *EXTRACT, "--shard", f"{i}/3")
        assert code == 0, errors
    return names


def outcome(folder):
    """Return all that a fit computes, by run: the scores, the parameters and the predictions."""
    comparison = ComparisonFolder(ProjectFolder(folder).report("table"))
    runs = load_runs(comparison.root)
    predictions = {run.name: pd.read_parquet(comparison.prediction(run.name)) for run in runs}
    return {run.name: (run.scores, run.parameters) for run in runs}, predictions


def test_three_shards_in_three_workspaces_give_what_one_extraction_gives(featurekit, parts, tmp_path):
    shutil.copytree(tmp_path / "work", tmp_path / "whole")
    for folder, commands in (
        (tmp_path / "whole", [EXTRACT, FIT]),
        (tmp_path / "work", [("cache", "merge", *parts), FIT]),
    ):
        for command in commands:
            code, _, errors = featurekit("-w", folder, *command)
            assert code == 0, errors
    (runs, predictions), (expected, exactly) = outcome(tmp_path / "work"), outcome(tmp_path / "whole")
    assert any("svm" in name for name in expected)
    assert runs == expected
    for name, frame in exactly.items():
        pd.testing.assert_frame_equal(predictions[name], frame, check_exact=True)
    assert "Read 0 images" in featurekit(*EXTRACT)[1]


def test_the_merged_record_has_the_costs_of_all_and_a_second_merge_adds_nothing(parts, tmp_path):
    work = tmp_path / "work"
    merged = fk.merge_caches(parts, project=work, progress=False)
    assert merged.n_extractions == 3
    assert merged.frame()[["kind", "what", "rows"]].to_numpy().tolist() == [
        ["embeddings", "mean_color:mean", 24],
        ["faces", "whole_image", 24],
    ]
    ledger = Ledger.load(ProjectFolder(work).extracted)
    costs = [Ledger.load(ProjectFolder(part).extracted).costs["shared"] for part in parts]
    assert ledger.costs["shared"]["pictures"] == 24
    assert ledger.costs["shared"]["seconds"] == pytest.approx(sum(one["seconds"] for one in costs))
    before = everything_in(work)
    again = fk.merge_caches([parts[0], parts[1] / "cache", parts[2]], project=work, progress=False)
    assert again.n_extractions == again.frame()["files"].sum() == again.frame()["rows"].sum() == 0
    assert everything_in(work) == before


def test_the_other_workspaces_are_not_changed(parts, tmp_path):
    before = [everything_in(part) for part in parts]
    fk.merge_caches(parts, project=tmp_path / "work", progress=False)
    assert [everything_in(part) for part in parts] == before


def test_a_merge_adds_to_an_extraction_of_ones_own(featurekit, parts, tmp_path):
    assert featurekit("-w", parts[0], "cache", "merge", parts[1], parts[2])[0] == 0
    assert [shelf.rows for shelf in Store(parts[0] / "cache").shelves()] == [24, 24]
    assert len(entries_at(ProjectFolder(parts[0]).extracted)) == 3


def test_a_record_of_an_older_version_is_merged_once(parts, tmp_path):
    other, work = ProjectFolder(parts[0]), ProjectFolder(tmp_path / "work")
    ledger = Ledger.load(other.extracted)
    shutil.rmtree(other.extracted.with_suffix(""))
    other.extracted.write_text(json.dumps(asdict(ledger)))
    for n in (1, 0):
        assert fk.merge_caches([parts[0]], project=work.root, progress=False).n_extractions == n
    assert Ledger.load(work.extracted) == ledger


def test_damaged_files_are_named_and_the_rest_is_merged(featurekit, parts, tmp_path):
    shard = next((parts[0] / "cache" / "embeddings").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    [record] = (parts[1] / "cache" / "extracted").iterdir()
    record.write_text(record.read_text() + " ")
    code, output, errors = featurekit("cache", "merge", *parts)
    assert code == 1
    assert f"{shard} has changed since it was written" in errors
    assert f"{record} is damaged" in errors
    assert "error: 2 files were left out, as named above." in errors
    assert "Added 2 extractions" in output
    faces, vectors = (
        next(shelf.rows for shelf in Store(tmp_path / "work" / "cache").shelves() if shelf.kind == kind)
        for kind in ("faces", "embeddings")
    )
    assert faces == 24
    assert 0 < vectors < 24
    assert featurekit(*EXTRACT)[0] == 0  # computes the rows of the damaged file
    assert Store(tmp_path / "work" / "cache").verify().damaged == ()
    assert Store(tmp_path / "work" / "cache").shelves()[0].rows == 24


def test_a_record_with_other_settings_is_left_out_but_its_rows_are_merged(featurekit, parts, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "work", other)
    assert featurekit("-w", other, *EXTRACT, "--mirror")[0] == 0
    code, output, errors = featurekit("cache", "merge", *parts, other)
    assert code == 0
    assert f"warning: The record of {other / 'cache'} was left out: its vectors of mean_color:mean" in errors
    assert "Added 3 extractions" in output
    assert "Read 0 images" in featurekit(*EXTRACT)[1]
    assert "Read 0 images" in featurekit(*EXTRACT, "--mirror")[1]


def test_faces_that_were_found_otherwise_do_not_replace_those_here(featurekit, parts, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "work", other)
    assert featurekit("-w", other, "extract", "--backbone", "mean_color")[0] == 0
    merged = fk.merge_caches([*parts, other], project=tmp_path / "work", progress=False)
    assert merged.n_extractions == 3
    assert "faces were found with other settings" in merged.left_out[0]
    assert Ledger.load(ProjectFolder(tmp_path / "work").extracted).settings.detector == "whole_image"


def test_what_cannot_be_merged_is_one_line_and_nothing_is_copied(featurekit, parts, tmp_path):
    work, empty = tmp_path / "work", tmp_path / "empty"
    empty.mkdir()
    before = everything_in(work)
    for others, said in (
        ([parts[0], work], "is the cache to merge into"),
        ([parts[0], work / "cache"], "is the cache to merge into"),
        ([parts[0], parts[0] / "cache"], "is named twice"),
        ([parts[0], empty], "has no faces and no vectors"),
        ([parts[0], tmp_path / "nowhere"], "has no faces and no vectors"),
    ):
        (work / "cache").mkdir(exist_ok=True)
        code, _, errors = featurekit("cache", "merge", *others)
        assert code == 1
        assert errors.count("\n") == 1, errors
        assert said in errors
    assert everything_in(work) == before
    for given, said in (([], "No cache is given"), ("part1", "others must be a list of paths")):
        with pytest.raises(fk.FeaturekitError, match=said):
            fk.merge_caches(given, project=work)


def run(featurekit, *arguments):
    code, output, errors = featurekit(*arguments)
    assert code == 0, errors
    return output + errors


def move_cache(project, to):
    """Move the rows of a project to another place, as docs/buckets.md says."""
    for kind in ("faces", "embeddings"):
        for path in sorted((project / "cache" / kind).rglob("*")):
            if path.is_file():
                Store(to)._storage.put(to / path.relative_to(project / "cache"), path.read_bytes())
        shutil.rmtree(project / "cache" / kind)
    fk.Project(project, cache=to)


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_a_workspace_with_its_cache_elsewhere_is_merged_with_its_record(
    featurekit, parts, place, tmp_path, in_memory
):
    move_cache(parts[0], (in_memory if place == "memory" else tmp_path) / "elsewhere")
    merged = fk.merge_caches(parts, project=tmp_path / "work", progress=False)
    assert (merged.n_extractions, merged.left_out) == (3, ())
    assert merged.frame()["rows"].to_list() == [24, 24]
    assert "Read 0 images" in run(featurekit, *EXTRACT)
    (parts[0] / "purge.json").write_text("{}")
    with pytest.raises(WorkspaceError, match=r"part1/purge\.json exists: a purge has not ended"):
        fk.merge_caches([parts[0]], project=tmp_path / "work", progress=False)


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_a_cache_elsewhere_is_merged_into(featurekit, parts, place, tmp_path, in_memory):
    place = (in_memory if place == "memory" else tmp_path) / "elsewhere"
    output = run(featurekit, "--cache", place, "cache", "merge", *parts)
    assert "Added 3 extractions" in output
    assert {shelf.rows for shelf in Store(place).shelves()} == {24}
    assert "Read 0 images" in run(featurekit, *EXTRACT)
    assert not list((tmp_path / "work" / "cache").rglob("*.safetensors"))
    again = fk.merge_caches(parts, project=tmp_path / "work", progress=False)
    assert again.n_extractions == again.frame()["rows"].sum() == 0


def test_the_url_of_a_cache_is_merged_without_a_record_and_says_so(featurekit, parts, tmp_path, in_memory):
    cache = in_memory / "elsewhere"
    move_cache(parts[0], cache)
    output = run(featurekit, "cache", "merge", cache)
    assert "memory://bucket/elsewhere has no record of its extractions" in output
    assert "name such a workspace instead" in output
    rows = {shelf.rows for shelf in Store(cache).shelves()}
    assert {shelf.rows for shelf in Store(tmp_path / "work" / "cache").shelves()} == rows
    for others, said in (
        ([str(cache), parts[0]], "is named twice"),
        (["memory://bucket/nothing"], "memory://bucket/nothing has no faces and no vectors"),
    ):
        with pytest.raises(WorkspaceError, match=said):
            fk.merge_caches(others, project=tmp_path / "work", progress=False)
    with pytest.raises(WorkspaceError, match="is the cache to merge into"):
        fk.merge_caches([str(cache)], project=parts[0], progress=False)


def test_the_progress_counts_every_file_once(parts, tmp_path):
    shard = next((parts[0] / "cache" / "embeddings").glob("*/*.safetensors"))
    shard.write_bytes(b"")
    aside = shard.parent / "quarantine"
    aside.mkdir()
    (aside / "x.safetensors").write_bytes(b"")
    told = []
    fk.merge_caches(parts, project=tmp_path / "work", progress=lambda *counts: told.append(counts))
    n = len([path for part in parts for path in part.rglob("*.safetensors")]) - 1
    assert told[-1] == (n, n)


def test_while_a_purge_has_not_ended_nothing_is_merged(parts, tmp_path):
    (parts[1] / "purge.json").write_text("{}")
    with pytest.raises(WorkspaceError, match=r"purge\.json exists: a purge has not ended"):
        fk.merge_caches([parts[0], parts[1] / "cache"], project=tmp_path / "work", progress=False)
