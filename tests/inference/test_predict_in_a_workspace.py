"""What `predict` takes from the cache and leaves in it, and how its table is written as images are read."""

import os
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import Store
from featurekit.embeddings import extractor, of_photographs, open_networks, recipe
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.faces.detectors import Detection
from featurekit.faces.photographs import as_photograph
from featurekit.faces.settings import default_settings
from featurekit.inference import predict
from featurekit.inference.model import TrainedModel
from featurekit.inference.table import Collected
from tests.inference.made_up import people, read_photographs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder of a model of gender: women are reddish, men bluish."""
    root = tmp_path_factory.mktemp("fitted")
    manifest = people(root, 24, 3)
    how, store = default_settings("whole_image"), Store(root / "cache")
    recipes = make_recipes(["mean_color"], how, device="cpu")
    ledger = record_of(extract(manifest, recipes, how, store), how, {})
    plans = plan(manifest, ledger, models=["logistic_regression"], targets=["gender"])
    plans = [one for one in plans if not one.kind.is_baseline]
    Comparison.open(root / "report", manifest, n_folds=4).run(
        plans, ledger, store, models_folder=root / "models", threads=1
    )
    return root / "models" / "gender--mean_color--logistic_regression"


@pytest.fixture
def workspace(prepare_table, tmp_path):
    """The workspace of featurekit(), with the portraits as its data set."""
    prepare_table()
    return tmp_path / "work"


@pytest.fixture
def two_halves(monkeypatch):
    """A detector that finds a face in the left and in the right half of every image."""

    def find(pixels, size):
        height, width = pixels.shape[:2]
        corners = ((width / 2, 0, width, height), (0, 0, width / 2, height))
        nowhere = np.full((5, 2), np.nan, np.float32)
        return [Detection(np.array(box, np.float32), nowhere, 0.9) for box in corners]

    monkeypatch.setattr(open_networks, "_kept", OrderedDict())
    monkeypatch.setattr(open_networks, "open_finder", lambda *_, **__: find)
    monkeypatch.setattr(extractor, "open_finder", lambda *_, **__: find)


def everything_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_in(folder):
    return {shelf.kind: shelf.rows for shelf in Store(folder / "cache").shelves()}


def predicted(featurekit, portraits, model, out, *options):
    code, output, errors = featurekit(
        "predict", portraits / "photos", "--model", model, "--output", out, *options
    )
    assert code == 0, errors
    return pd.read_csv(out, keep_default_na=False), output


def test_what_was_predicted_before_opens_no_network_and_is_the_same_to_the_last_bit(
    featurekit, portraits, model, workspace, tmp_path, monkeypatch
):
    first, _ = predicted(featurekit, portraits, model, tmp_path / "first.csv", "--faces", "center")
    assert rows_in(workspace) == {"faces": 24, "embeddings": 24}
    monkeypatch.setattr(of_photographs, "Pass", lambda *_, **__: pytest.fail("an image was read"))
    again, output = predicted(
        featurekit, portraits, model, tmp_path / "again.csv", "--faces", "center", "--profile"
    )
    assert "No image was read" in output
    pd.testing.assert_frame_equal(first, again)
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()


def test_what_cannot_be_read_has_the_same_message_the_second_time(
    featurekit, portraits, model, workspace, tmp_path
):
    whole = (portraits / "photos" / "s0_0.png").read_bytes()
    (portraits / "photos" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (portraits / "photos" / "broken.png").write_bytes(b"nothing")
    (portraits / "photos" / "empty.png").write_bytes(b"")
    tables = []
    for name in ("first.csv", "second.csv"):
        asked = ("predict", portraits / "photos", "--model", model, "--output", tmp_path / name)
        assert featurekit(*asked)[0] == 1
        tables.append((tmp_path / name).read_bytes())
    assert tables[0] == tables[1]
    table = pd.read_csv(tmp_path / "first.csv", keep_default_na=False).set_index("status")
    assert set(table.index) == {"ok", "truncated", "undecodable", "empty_file"}
    assert "incomplete" in table.loc["truncated", "message"]


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a\0b.jpg"])
def test_a_name_that_no_file_can_have_is_a_row_in_a_workspace_too(portraits, model, workspace, name):
    with FileIndex(workspace / "cache" / "files.sqlite") as files:
        (reading,) = read_photographs(
            [Path(name)], [TrainedModel.load(model)], store=Store(workspace / "cache"), files=files
        )
    assert reading.face.status != "ok"
    assert reading.message


def test_an_end_in_the_middle_reads_no_image_that_was_only_waiting(portraits, model, monkeypatch):
    paths, seen = sorted((portraits / "photos").iterdir()), []
    process = extractor.Looker.several

    def slowly(looker, tasks):
        seen.extend(task.row for task in tasks)
        time.sleep(0.05)
        return process(looker, tasks)

    monkeypatch.setattr(extractor.Looker, "several", slowly)
    monkeypatch.setattr(predict, "BATCH", 1)
    given = [as_photograph(path) for path in paths]
    each = predict.Predictor(given, [TrainedModel.load(model)], threads=2).each()
    next(each)
    each.close()
    assert len(seen) < len(paths) / 2


def test_vectors_of_an_extraction_serve_a_prediction_and_the_other_way_round(
    featurekit, portraits, model, workspace, tmp_path
):
    options = ("--backbone", "mean_color", "--detector", "whole_image")
    assert featurekit("extract", *options)[0] == 0
    predicted(featurekit, portraits, model, tmp_path / "out.csv", "--faces", "center")
    assert rows_in(workspace) == {"faces": 24, "embeddings": 24}
    assert "Read 0 images" in featurekit("extract", *options)[1]


def test_without_the_cache_nothing_is_stored_and_the_predictions_are_the_same(
    featurekit, portraits, model, workspace, tmp_path
):
    before = everything_in(workspace)
    alone, _ = predicted(featurekit, portraits, model, tmp_path / "alone.csv", "--no-cache")
    assert everything_in(workspace) == before
    pd.testing.assert_frame_equal(alone, predicted(featurekit, portraits, model, tmp_path / "cached.csv")[0])


def test_outside_of_a_workspace_nothing_is_stored(featurekit, portraits, model, tmp_path):
    predicted(featurekit, portraits, model, tmp_path / "out.csv")
    assert not (tmp_path / "work" / "cache").exists()


def test_a_workspace_that_cannot_be_written_is_read_all_the_same(
    featurekit, portraits, model, workspace, tmp_path, monkeypatch
):
    may = os.access

    def read_only(path, how, **options):
        is_inside = not isinstance(path, int) and Path(path).is_relative_to(workspace)
        return not (how & os.W_OK and is_inside) and may(path, how, **options)

    monkeypatch.setattr(os, "access", read_only)
    predicted(featurekit, portraits, model, tmp_path / "out.csv")
    assert not (workspace / "cache" / "faces").exists()


def test_each_of_several_faces_is_stored_and_found_again(
    featurekit, portraits, model, workspace, tmp_path, two_halves, monkeypatch
):
    first, _ = predicted(featurekit, portraits, model, tmp_path / "first.csv")
    assert list(first["face"]) == [1, 2] * 24
    assert (first["x1"].to_numpy()[::2] < first["x1"].to_numpy()[1::2]).all()
    assert rows_in(workspace) == {"faces": 48, "embeddings": 48}
    monkeypatch.setattr(of_photographs, "Pass", lambda *_, **__: pytest.fail("an image was read"))
    again, _ = predicted(featurekit, portraits, model, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(first, again)


def test_an_image_with_very_many_faces_is_predicted_and_not_stored(
    featurekit, portraits, model, workspace, tmp_path, two_halves, monkeypatch
):
    monkeypatch.setattr(extractor, "MOST_STORED", 1)
    table, _ = predicted(featurekit, portraits, model, tmp_path / "first.csv")
    assert len(table) == 48
    assert rows_in(workspace) in ({}, {"faces": 0, "embeddings": 0})


def test_a_face_that_is_lost_from_the_cache_is_computed_again(portraits, model, workspace, two_halves):
    one = TrainedModel.load(model)
    paths = sorted((portraits / "photos").iterdir())[:3]
    store = Store(workspace / "cache")
    first = list(read_photographs(paths, [one], store=store))
    for shelf in store.shelves():
        if shelf.kind == "embeddings":
            store.forget(shelf, store.keys_on(shelf)[:1])
    again = list(read_photographs(paths, [one], store=Store(store.root)))
    assert [reading.answers for reading in again] == [reading.answers for reading in first]
    assert rows_in(workspace) == {"faces": 6, "embeddings": 6}


def test_a_purge_reaches_every_face_of_a_predicted_image(
    featurekit, portraits, model, workspace, tmp_path, two_halves
):
    stranger = tmp_path / "stranger.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (48, 40, 3), np.uint8)).save(stranger)
    predicted(featurekit, portraits, model, tmp_path / "first.csv")
    assert featurekit("predict", stranger, "--model", model)[0] == 0
    assert rows_in(workspace) == {"faces": 50, "embeddings": 50}
    known = pd.read_csv(workspace / "manifest.csv")["image_path"][0]
    code, _, errors = featurekit("cache", "purge", "--image", known)
    assert code == 0, errors
    assert rows_in(workspace) == {"faces": 48, "embeddings": 48}
    code, _, errors = featurekit("cache", "purge", "--image", stranger)
    assert code == 0, errors
    assert rows_in(workspace) == {"faces": 46, "embeddings": 46}
    assert stranger.is_file()
    code, _, errors = featurekit("cache", "purge", "--image", stranger)
    assert code == 1
    assert "stranger.png" in errors


def test_helper_processes_predict_what_threads_predict(portraits, model, monkeypatch):
    one = TrainedModel.load(model)
    (portraits / "photos" / "broken.png").write_bytes(b"nothing")
    paths = sorted((portraits / "photos").iterdir())
    found = []
    for helpers_from in (1, 10**6):
        monkeypatch.setattr(extractor, "HELPERS_FROM", helpers_from)
        readings = list(read_photographs(paths, [one], threads=2))
        found.append([(one.photograph.name, one.answers, one.face.status, one.message) for one in readings])
    assert found[0] == found[1]
    assert [status for _, _, status, _ in found[0]].count("undecodable") == 1


def test_two_files_with_the_same_bytes_are_read_once(portraits, model, monkeypatch):
    one = TrainedModel.load(model)
    path, _, third, *_ = sorted((portraits / "photos").iterdir())
    (portraits / "photos" / "copy.png").write_bytes(path.read_bytes())
    seen = []
    process = extractor.Looker.several
    monkeypatch.setattr(
        extractor.Looker,
        "several",
        lambda self, tasks: seen.extend(task.row for task in tasks) or process(self, tasks),
    )
    first, other, copy = read_photographs([path, third, portraits / "photos" / "copy.png"], [one])
    assert len(seen) == 2
    assert first.answers == copy.answers
    assert first.answers != other.answers
    assert copy.photograph.name.endswith("copy.png")


def test_the_keys_of_an_image_and_of_its_further_faces_all_differ():
    keys = recipe.face_keys(np.arange(32, dtype=np.uint8), 64)
    assert keys.shape == (64, 32)
    assert len(np.unique(keys, axis=0)) == 64
    np.testing.assert_array_equal(keys[0], np.arange(32))


# ---------------------------------------------------------------- the table is written as images are read


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_a_table_that_is_written_in_parts_is_the_table_that_is_written_at_once(
    portraits, model, tmp_path, ending, monkeypatch
):
    one = TrainedModel.load(model)
    readings = list(read_photographs(sorted((portraits / "photos").iterdir()), [one]))
    tables = []
    for n_rows in (5, 10**6):
        monkeypatch.setattr(Collected, "_ROWS", n_rows)
        out = tmp_path / f"{n_rows}.{ending}"
        collected = Collected([one], len(readings), out, probabilities=True)
        for reading in readings:
            collected.add([reading])
            assert not out.exists()
        assert (tmp_path / f"{n_rows}.{ending}.partial").exists() == (n_rows == 5)
        collected.finish()
        assert not (tmp_path / f"{n_rows}.{ending}.partial").exists()
        tables.append(out)
    if ending != "parquet":
        assert tables[0].read_bytes() == tables[1].read_bytes()
        return
    first, second = map(pd.read_parquet, tables)
    pd.testing.assert_frame_equal(first, second)
    assert first.attrs == second.attrs


def test_rows_that_are_not_printed_are_counted(featurekit, portraits, model, tmp_path, monkeypatch):
    monkeypatch.setattr(Collected, "SHOWN", 10)
    table, output = predicted(featurekit, portraits, model, tmp_path / "out.csv")
    assert len(table) == 24
    assert "… and 14 more rows" in output


# ---------------------------------------------------------------- an image without a face


@pytest.fixture
def some_without_face(monkeypatch):
    """A detector that finds no face on images of one colour."""

    def find(pixels, size):
        height, width = pixels.shape[:2]
        nowhere = np.full((5, 2), np.nan, np.float32)
        found = [Detection(np.array((0, 0, width, height), np.float32), nowhere, 0.9)]
        return found if np.ptp(pixels, axis=(0, 1)).any() else []

    monkeypatch.setattr(open_networks, "_kept", OrderedDict())
    monkeypatch.setattr(open_networks, "open_finder", lambda *_, **__: find)


def test_an_image_without_a_face_is_a_row_and_no_error_unless_it_is_asked_to_be_one(
    featurekit, portraits, model, tmp_path, some_without_face
):
    Image.new("RGB", (40, 48), (90, 120, 90)).save(portraits / "photos" / "meadow.png")
    table, output = predicted(featurekit, portraits, model, tmp_path / "out.csv")
    assert table["status"].value_counts().to_dict() == {"ok": 24, "no_face": 1}
    assert "no_face\t1\tno face was found" in output
    code, _, errors = featurekit("predict", portraits / "photos", "--model", model, "--strict")
    assert code == 1
    assert "meadow.png: no face was found" in errors
    code, _, errors = featurekit("predict", portraits / "photos" / "meadow.png", "--model", model)
    assert code == 1
    assert "meadow.png: no face was found" in errors


def test_an_image_that_cannot_be_read_is_an_error_beside_those_that_can(
    featurekit, portraits, model, tmp_path
):
    (portraits / "photos" / "broken.png").write_bytes(b"nothing")
    code, _, errors = featurekit(
        "predict", portraits / "photos", "--model", model, "--output", tmp_path / "out.csv"
    )
    assert code == 1
    assert errors.count("error:") == 1
    assert "broken.png" in errors
    assert len(pd.read_csv(tmp_path / "out.csv")) == 25
