"""Helper processes: the same numbers, one picture lost where one is lost, and nobody left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings import extractor as library
from featurekit.embeddings import pool as _helper
from featurekit.embeddings.extractor import extract, load_embeddings, make_recipes
from featurekit.embeddings.pool import Helper, HelperDiedError
from featurekit.embeddings.worker import Looker, Task, unpacked
from featurekit.errors import EngineError, WeightsError
from featurekit.faces.face import Face
from featurekit.faces.settings import default_settings


@pytest.fixture
def job(manifest, settings, recipes):
    return {
        "root": str(manifest.root),
        "settings": asdict(settings),
        "recipes": [asdict(recipe) for recipe in recipes.values()],
        "kept": [],
    }


@pytest.fixture
def helper(job):
    one = Helper("featurekit.embeddings.extractor:look_for_another", job)
    one.ready()
    yield one
    one.close()


@pytest.fixture
def with_helpers(monkeypatch):
    """Let every extraction use helpers, however few its pictures are."""
    monkeypatch.setattr(library, "HELPERS_FROM", 1)


def tasks_of(manifest, rows):
    table = manifest.table
    return [Task(row, table["image_path"][row], table["content"][row], "", None) for row in rows]


def test_helpers_give_the_bits_that_threads_give(manifest, recipes, settings, tmp_path, monkeypatch):
    found = []
    for helpers_from in (1, 10**6):
        monkeypatch.setattr(library, "HELPERS_FROM", helpers_from)
        store = Store(tmp_path / str(helpers_from))
        extraction = extract(manifest, recipes, settings, store, threads=2)
        embeddings = load_embeddings(manifest, list(recipes.values()), settings, store)
        found.append((extraction.statuses, extraction.achieved, extraction.n_detected, embeddings.vectors))
    assert found[0][:3] == found[1][:3]
    np.testing.assert_array_equal(found[0][3], found[1][3])


@pytest.mark.weights
@pytest.mark.real_data
def test_helpers_give_the_bits_that_threads_give_on_photographs(real_data, tmp_path, monkeypatch):
    for number, path in enumerate(sorted((real_data / "utkface" / "UTKFace").iterdir())[:4000:200]):
        (tmp_path / "faces").mkdir(exist_ok=True)
        (tmp_path / "faces" / f"{number}.jpg").write_bytes(path.read_bytes())
    lines = [f"{number}.jpg,30,female" for number in range(20)]
    (tmp_path / "people.csv").write_text("\n".join(["image_path,age,gender", *lines]) + "\n")
    manifest = prepare("table", tmp_path / "people.csv", root=tmp_path / "faces")
    settings = default_settings()
    recipes = make_recipes(["dlib_age", "dlib_gender"], settings, device="cpu", precision="fp32")
    vectors = []
    for helpers_from in (1, 10**6):
        monkeypatch.setattr(library, "HELPERS_FROM", helpers_from)
        store = Store(tmp_path / str(helpers_from))
        extract(manifest, recipes, settings, store, threads=2)
        vectors.append(load_embeddings(manifest, list(recipes.values()), settings, store).vectors)
    np.testing.assert_array_equal(*vectors)


def test_what_needs_many_faces_at_once_gets_the_crops_that_a_helper_cut(manifest, job, settings):
    kept = [("dlib", 32), ("imagenet", 48)]
    helper = Helper("featurekit.embeddings.extractor:look_for_another", {**job, "recipes": [], "kept": kept})
    helper.ready()
    tasks = tasks_of(manifest, [0, 5])
    looked, seconds = unpacked(helper.ask([task.to_json() for task in tasks], seconds=60))
    helper.close()
    here = Looker(manifest.root, settings, library.open_finder(settings), [], kept)
    for one, task in zip(looked, tasks, strict=True):
        for kind in kept:
            np.testing.assert_array_equal(one.crops[kind], here(task).crops[kind])
    assert seconds["decode"] > 0


def test_a_broken_or_changed_picture_is_told_by_a_helper_as_by_a_thread(
    manifest, recipes, settings, tmp_path, with_helpers
):
    (manifest.root / manifest.table["image_path"][3]).write_bytes(b"changed")
    extraction = extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=2)
    assert extraction.statuses == {"ok": 23, "not_extracted": 1}
    assert extraction.unread == ((manifest.table["face_id"][3], "changed since `featurekit prepare`"),)


def test_a_known_face_survives_the_pipe_to_the_last_bit():
    box = np.array([1 / 3, 2, 3, 4], np.float32)
    face = Face("ok", box, np.full((5, 2), np.nan, np.float32), float(np.float32(0.1)), 2, 1)
    back = Task.from_json(Task(7, "ä\udcff.jpg", "00", "1 2 3 4", face).to_json())
    assert (back.row, back.path, back.box) == (7, "ä\udcff.jpg", "1 2 3 4")
    np.testing.assert_array_equal(back.known.box, box)
    assert back.known.box.dtype == np.float32
    assert (back.known.confidence, back.known.n_found, back.known.attempt) == (face.confidence, 2, 1)


def test_what_a_helper_raises_on_purpose_is_raised_here(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    recipe = {**job["recipes"][0], "backbone": "dlib_age", "layer": "pooled"}
    helper = Helper("featurekit.embeddings.extractor:look_for_another", {**job, "recipes": [recipe]})
    with pytest.raises(WeightsError, match="weights fetch builtin"):
        helper.ready()
    helper.close()


def test_a_helper_that_dies_or_is_stuck_is_an_error_of_one_question(helper, manifest):
    (task,) = tasks_of(manifest, [0])
    os.kill(helper._process.pid, signal.SIGSTOP)
    with pytest.raises(HelperDiedError, match="took too long"):
        helper.ask([task.to_json()], seconds=0.3)
    assert helper._process.poll() is not None


def test_how_a_helper_died_is_said(helper, manifest):
    (task,) = tasks_of(manifest, [0])
    os.kill(helper._process.pid, signal.SIGKILL)
    helper._process.wait()
    with pytest.raises(HelperDiedError, match="ended by SIGKILL"):
        helper.ask([task.to_json()], seconds=60)


class Fragile(Helper):
    """A helper that is killed by pictures, as by a decoder with a fault."""

    deadly: tuple[int, ...] = ()

    def ask(self, question, *, seconds):
        if any(task[0] in self.deadly for task in question):
            self._process.kill()
            self._process.wait()
        return super().ask(question, seconds=seconds)


def test_a_picture_that_kills_its_helper_costs_its_own_row(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers
):
    monkeypatch.setattr(library, "Helper", Fragile)
    monkeypatch.setattr(Fragile, "deadly", (2, 3, 20))
    store = Store(tmp_path / "cache")
    extraction = extract(manifest, recipes, settings, store, threads=2)
    assert extraction.statuses == {"ok": 21, "undecodable": 3}
    rows = load_embeddings(manifest, list(recipes.values()), settings, store).rows
    assert set(range(24)) - set(rows) == {2, 3, 20}


def test_where_every_picture_kills_its_helper_it_is_not_the_pictures_fault(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers
):
    monkeypatch.setattr(library, "Helper", Fragile)
    monkeypatch.setattr(Fragile, "deadly", tuple(range(24)))
    monkeypatch.setattr(library, "_MOST_DEATHS", 2)
    with pytest.raises(EngineError, match=r"ended the process that read them.*SIGKILL.*--threads 1"):
        extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=2)


@pytest.fixture
def started(monkeypatch):
    """Every process of a helper that an extraction starts."""
    processes = []

    class Noted(Helper):
        def __init__(self, function, job):
            super().__init__(function, job)
            processes.append(self._process)

    monkeypatch.setattr(library, "Helper", Noted)
    return processes


def test_a_helper_that_does_not_get_ready_ends_the_extraction_and_the_others(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers, started
):
    start = library._Pass._start_helper

    def start_and_lose(self):
        helper = start(self)
        if len(started) == 2:
            helper._process.kill()
        return helper

    monkeypatch.setattr(library._Pass, "_start_helper", start_and_lose)
    with pytest.raises(EngineError, match=r"ended by SIGKILL before it was ready; use --threads 1"):
        extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=3)
    assert len(started) == 3
    assert all(process.poll() is not None for process in started)


def test_a_stopped_extraction_keeps_what_helpers_computed_and_leaves_none_behind(
    manifest, recipes, settings, tmp_path, with_helpers, started
):

    class StoppedError(Exception):
        pass

    def stop_at_12(done, total):
        if done == 12:
            raise StoppedError

    store = Store(tmp_path / "cache")
    with pytest.raises(StoppedError):
        extract(manifest, recipes, settings, store, threads=2, progress=stop_at_12)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
    assert extract(manifest, recipes, settings, Store(store.root), threads=2).n_read == 12


def test_helpers_end_when_the_process_they_work_for_is_killed(job, tmp_path):
    script = (
        "import json, sys, time\n"
        "from featurekit.embeddings.pool import Helper\n"
        "helper = Helper('featurekit.embeddings.extractor:look_for_another', json.loads(sys.argv[1]))\n"
        "helper.ready(); print(helper._process.pid, flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(job)], stdout=subprocess.PIPE, text=True
    )
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_only_featurekits_own_functions_are_run():
    with pytest.raises(ValueError, match="functions of featurekit"):
        _helper._resolve("os", "system")


def test_members_that_a_program_registered_itself_stay_in_its_process(settings, monkeypatch):
    from featurekit.networks.backbones import BACKBONES, Backbone

    member = Backbone(
        name="own", about="a test's", layers={"all": 3}, input_size=32, template="dlib", compute=lambda c: c
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, "own", member)
    assert library._fit_for_helpers(make_recipes(["mean_color"], settings, device="cpu"), settings)
    assert not library._fit_for_helpers(make_recipes(["own"], settings, device="cpu"), settings)
