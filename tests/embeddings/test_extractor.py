"""Embeddings: computed once, for every face, whatever stops or repeats the work."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings import extractor as library
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.networks import backbones

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}


def vectors_of(manifest, recipes, settings, store):
    return load_embeddings(manifest, list(recipes.values()), settings, store)


def test_every_row_ends_in_one_status_and_the_faces_keep_the_manifests_order(
    manifest, recipes, settings, store
):
    extraction = extract(manifest, recipes, settings, store)
    assert extraction.statuses == {"ok": 24}
    embeddings = vectors_of(manifest, recipes, settings, store)
    assert list(embeddings.face_ids) == list(manifest.table["face_id"])
    reddish = embeddings.vectors[:, 0] > embeddings.vectors[:, 2]
    np.testing.assert_array_equal(reddish, manifest.table["gender"] == "female")


def test_a_second_run_opens_no_picture(manifest, recipes, settings, store, tmp_path):
    first = extract(manifest, recipes, settings, store)
    for picture in (tmp_path / "photos").iterdir():
        picture.unlink()
    second = extract(manifest, recipes, settings, Store(store.root))
    assert (first.n_read, second.n_read) == (24, 0)
    assert second.statuses == first.statuses


def test_renamed_and_repeated_pictures_cost_nothing(portraits, recipes, settings, store):
    photos = portraits / "photos"
    manifest = prepare("table", portraits / "people.csv", root=photos, columns=COLUMNS)
    before = vectors_after(extract, manifest, recipes, settings, store)
    text = (portraits / "people.csv").read_text()
    (photos / "s0_0.png").rename(photos / "renamed.png")
    (photos / "copy.png").write_bytes((photos / "s1_0.png").read_bytes())
    text = text.replace("s0_0.png", "renamed.png") + "copy.png,s1,5,female\n"
    (portraits / "people.csv").write_text(text)
    again = prepare("table", portraits / "people.csv", root=photos, columns=COLUMNS)
    assert extract(again, recipes, settings, store).n_read == 0
    after = vectors_of(again, recipes, settings, store)
    np.testing.assert_array_equal(after.vectors[:24], before)
    np.testing.assert_array_equal(after.vectors[24], before[3])


def vectors_after(run, manifest, recipes, settings, store):
    run(manifest, recipes, settings, store)
    return vectors_of(manifest, recipes, settings, store).vectors


@pytest.mark.parametrize(("batch", "threads", "rows"), [(1, 1, 5), (7, 2, 100), (100, 3, 1)])
def test_batches_threads_and_shards_change_nothing(
    manifest, recipes, settings, tmp_path, monkeypatch, batch, threads, rows
):
    expected = vectors_after(extract, manifest, recipes, settings, Store(tmp_path / "one"))
    monkeypatch.setattr(backbones._Computed, "batch", batch)  # above 1 as on a GPU
    monkeypatch.setattr(library, "SHARD_ROWS", rows)
    store = Store(tmp_path / "other")
    extract(manifest, recipes, settings, store, threads=threads)
    np.testing.assert_array_equal(vectors_of(manifest, recipes, settings, store).vectors, expected)


def test_an_extraction_that_was_stopped_goes_on_where_it_stopped(
    manifest, recipes, settings, store, tmp_path, monkeypatch
):
    monkeypatch.setattr(library, "SHARD_ROWS", 5)

    class StoppedError(Exception):
        pass

    def stop_at_12(done, total):
        if done == 12:
            raise StoppedError

    with pytest.raises(StoppedError):
        extract(manifest, recipes, settings, store, threads=1, progress=stop_at_12)
    second = extract(manifest, recipes, settings, Store(store.root))
    assert second.n_read == 12
    expected = vectors_after(extract, manifest, recipes, settings, Store(tmp_path / "uninterrupted"))
    np.testing.assert_array_equal(vectors_of(manifest, recipes, settings, store).vectors, expected)


def test_the_first_vectors_are_kept_after_two_seconds_and_the_others_half_as_often_each(
    manifest, recipes, settings, store, monkeypatch
):
    ticks = iter(range(1000))  # a second passes each time that the clock is asked
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)), perf_counter=time.perf_counter)
    monkeypatch.setattr(library, "time", clock)
    faces, kept = Store(store.root), []

    def look(done, total):
        kept.append(len(faces.shelf("faces", settings.recipe())))

    extract(manifest, recipes, settings, store, threads=1, progress=look)
    steps = [done for done in range(1, len(kept)) if kept[done] > kept[done - 1]]
    assert steps
    assert steps[0] <= 4
    assert len(steps) <= 4


KILLER = """
import os, random, signal, sys, time
from dataclasses import asdict
from pathlib import Path
import numpy as np
import PIL.Image  # before the copies are made, which are killed too soon to import anything
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin
from PIL import PngImagePlugin, TiffImagePlugin, WebPImagePlugin
import safetensors.numpy, simplejpeg
from featurekit.embeddings import extractor
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.recipe import make_recipes, row_keys
from featurekit.faces.settings import default_settings
from featurekit.data.manifest import Manifest
from featurekit.cache.store import Store

SHARD, THREADS, KILLS = 16, 2, int(sys.argv[2])
extractor.SHARD_ROWS = SHARD
folder, chance = Path(sys.argv[1]), random.Random(0)
manifest, settings = Manifest.load(folder / "manifest.csv"), default_settings("whole_image")
recipes = make_recipes(["mean_color"], settings)
keys = row_keys(manifest, settings)

def start(cache):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        done = lambda n, of: n and os.write(writer, b".")  # one a picture
        extract(manifest, recipes, settings, Store(cache), threads=THREADS, progress=done)
        os._exit(0)
    os.close(writer)
    return child, reader

def look(cache):
    store = Store(cache)
    assert not store.verify().damaged
    faces = store.shelf("faces", settings.recipe())
    shelf = store.shelf("embeddings", asdict(recipes["mean_color:mean"]))
    there = [row for row in range(len(keys)) if row not in set(shelf.missing(keys))]
    assert not len(faces.missing(keys[there]))  # whose vector is there, whose face is
    return there, shelf.read(keys[there])["vectors"] if there else None, len(shelf)

child, reader = start(folder / "whole")
started = time.monotonic()
assert os.waitpid(child, 0)[1] == 0
whole = time.monotonic() - started
rows, vectors, n_rows = look(folder / "whole")
assert len(rows) == len(keys)
kills, finished, most, cache = 0, 0, 0, folder / "cache0"
while kills < KILLS:
    before = len(look(cache)[0])
    child, reader = start(cache)
    time.sleep(chance.uniform(0, whole / 2))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as told:
        computed = len(told.read())
    there, values, n = look(cache)
    assert n == len(there) <= n_rows  # none twice
    if there:
        assert (values == vectors[there]).all()
    if os.WIFSIGNALED(status):
        kills += 1
        most = max(most, before + computed - len(there))
    if len(there) == len(keys):
        finished += 1
        cache = folder / f"cache{finished}"
print(kills, finished, most)
"""


@pytest.mark.slow
def test_fifty_kills_of_an_extraction_lose_no_row_and_a_shard_of_work_at_most(tmp_path):
    """In a process of its own, which can be copied: it has no threads until it extracts."""
    photos, n = tmp_path / "photos", 160
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(n):
        Image.fromarray(rng.integers(0, 256, (90, 80, 3), dtype=np.uint8)).save(photos / f"{number}.png")
    lines = ["file,sex", *(f"{number}.png,{('female', 'male')[number % 2]}" for number in range(n))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    columns = {"image_path": "file", "gender": "sex"}
    prepare("table", tmp_path / "table.csv", root=photos, columns=columns).save(tmp_path / "manifest.csv")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), "50"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    kills, finished, most = map(int, done.stdout.split())
    assert kills == 50
    assert finished >= 1  # so that the last rows were met too
    assert 0 < most <= 16 + 2 * 8


def test_another_backbone_detects_no_face_again(manifest, settings, store, corner_color):
    extract(manifest, make_recipes(["mean_color"], settings, device="cpu"), settings, store)
    both = make_recipes(["mean_color", corner_color], settings, device="cpu")
    extraction = extract(manifest, both, settings, store)
    assert (extraction.n_read, extraction.n_detected) == (24, 0)
    joined = vectors_of(manifest, both, settings, store)
    assert joined.vectors.shape == (24, 6)
    assert joined.blocks == (3, 3)


def test_several_backbones_come_out_of_one_pass(manifest, settings, store, corner_color):
    both = make_recipes(["mean_color", corner_color], settings, device="cpu")
    extraction = extract(manifest, both, settings, store)
    assert (extraction.n_read, extraction.n_detected) == (24, 24)


def test_a_broken_picture_costs_its_row_and_no_other(portraits, recipes, settings, store):
    (portraits / "photos" / "s0_0.png").write_bytes(b"not a picture")
    data = (portraits / "photos" / "s0_1.png").read_bytes()
    (portraits / "photos" / "s0_1.png").write_bytes(data[: len(data) // 2])
    (portraits / "photos" / "s0_2.png").unlink()
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    extraction = extract(manifest, recipes, settings, store)
    assert extraction.statuses["missing_file"] == 1
    assert extraction.statuses["ok"] == 21
    assert sum(extraction.statuses.values()) == len(manifest)
    assert extract(manifest, recipes, settings, store).n_read == 0  # a broken picture is not tried again
    assert list(vectors_of(manifest, recipes, settings, store).rows) == list(range(3, 24))


def test_where_no_picture_has_a_face_the_statuses_say_so_and_nothing_was_spent(
    portraits, recipes, settings, store
):
    for path in (portraits / "photos").iterdir():
        path.write_bytes(path.name.encode())
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    extraction = extract(manifest, recipes, settings, store)
    assert extraction.statuses == {"undecodable": 24}
    ledger = record_of(extraction, settings, {"device": "cpu", "precision": "auto"})
    assert ledger.costs["mean_color"]["seconds"] == 0


def test_a_picture_that_changed_after_prepare_is_named_and_not_used(manifest, recipes, settings, store):
    changed, gone = (manifest.root / name for name in manifest.table["image_path"].iloc[[4, 7]])
    changed.write_bytes((manifest.root / manifest.table["image_path"].iloc[5]).read_bytes())
    gone.unlink()
    extraction = extract(manifest, recipes, settings, store)
    assert extraction.statuses == {"ok": 22, "not_extracted": 2}
    assert [why for _, why in extraction.unread] == [
        "changed since `featurekit prepare`",
        "No such file or directory",
    ]


def test_mirrored_vectors_are_not_taken_for_plain_ones(manifest, settings, store):
    for mirrored in (False, True):
        recipes = make_recipes(["mean_color"], settings, device="cpu", mirrored=mirrored)
        assert extract(manifest, recipes, settings, store).n_read == 24
