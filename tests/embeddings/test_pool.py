"""Helper processes: the same numbers, one picture lost where one is lost, and nobody left behind."""

import numpy as np
import pytest

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings import extractor, pool
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.helper import Helper
from featurekit.embeddings.of_photographs import PhotographReader
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import EngineError
from featurekit.faces.photographs import Photograph
from featurekit.faces.settings import default_settings


@pytest.fixture
def with_helpers(monkeypatch):
    """Let every extraction use helpers, however few its pictures are."""
    monkeypatch.setattr(extractor, "HELPERS_FROM", 1)


def test_helpers_give_the_bits_that_threads_give(manifest, recipes, settings, tmp_path, monkeypatch):
    found = []
    for helpers_from in (1, 10**6):
        monkeypatch.setattr(extractor, "HELPERS_FROM", helpers_from)
        store = Store(tmp_path / str(helpers_from))
        extraction = extract(manifest, recipes, settings, store, threads=2)
        embeddings = load_embeddings(manifest, list(recipes.values()), settings, store)
        found.append((extraction.statuses, extraction.achieved, extraction.n_detected, embeddings.vectors))
    assert found[0][:3] == found[1][:3]
    np.testing.assert_array_equal(found[0][3], found[1][3])


@pytest.mark.slow
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
    names = ["dlib_age", "dlib_gender", "landmarks"]
    recipes = make_recipes(names, settings, device="cpu", precision="fp32")
    vectors = []
    for helpers_from in (1, 10**6):
        monkeypatch.setattr(extractor, "HELPERS_FROM", helpers_from)
        store = Store(tmp_path / str(helpers_from))
        extract(manifest, recipes, settings, store, threads=2)
        vectors.append(load_embeddings(manifest, list(recipes.values()), settings, store).vectors)
    np.testing.assert_array_equal(*vectors)


def test_a_broken_or_changed_picture_is_told_by_a_helper_as_by_a_thread(
    manifest, recipes, settings, tmp_path, with_helpers
):
    (manifest.root / manifest.table["image_path"][3]).write_bytes(b"changed")
    extraction = extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=2)
    assert extraction.statuses == {"ok": 23, "not_extracted": 1}
    assert extraction.unread == ((manifest.table["face_id"][3], "changed since `featurekit prepare`"),)


class Fragile(Helper):
    """A helper that is killed by pictures, as by a decoder with a fault."""

    deadly: tuple[int, ...] = ()

    def ask(self, question, *, seconds):
        if any(task[0] in self.deadly for task in question):
            self._process.kill()
            self._process.wait()
        return super().ask(question, seconds=seconds)


@pytest.mark.slow
def test_a_picture_that_kills_its_helper_costs_its_own_row(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers
):
    monkeypatch.setattr(pool, "Helper", Fragile)
    monkeypatch.setattr(Fragile, "deadly", (2, 3, 20))
    store = Store(tmp_path / "cache")
    extraction = extract(manifest, recipes, settings, store, threads=2)
    assert extraction.statuses == {"ok": 21, "undecodable": 3}
    rows = load_embeddings(manifest, list(recipes.values()), settings, store).rows
    assert set(range(24)) - set(rows) == {2, 3, 20}


@pytest.mark.slow
def test_where_every_picture_kills_its_helper_it_is_not_the_pictures_fault(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers
):
    monkeypatch.setattr(pool, "Helper", Fragile)
    monkeypatch.setattr(Fragile, "deadly", tuple(range(24)))
    monkeypatch.setattr(pool, "_MOST_DEATHS", 2)
    with pytest.raises(EngineError, match=r"crashed the process that read them.*SIGKILL.*--threads 1"):
        extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=2)


@pytest.mark.slow
def test_helpers_that_crash_again_and_again_end_the_extraction_though_no_picture_alone_crashes_one(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers
):
    class FragileWithSeveral(Helper):
        def ask(self, question, *, seconds):
            if len(question) > 1:
                self._process.kill()
                self._process.wait()
            return super().ask(question, seconds=seconds)

    monkeypatch.setattr(pool, "Helper", FragileWithSeveral)
    monkeypatch.setattr(pool, "_MOST_DEATHS", 1)
    with pytest.raises(EngineError, match=r"crashed the process that read them 2 times.*it ended by SIGKILL"):
        extract(manifest, recipes, settings, Store(tmp_path / "cache"), threads=2)


@pytest.fixture
def started(monkeypatch):
    """Every process of a helper that an extraction starts."""
    processes = []

    class Noted(Helper):
        def __init__(self, function, job):
            super().__init__(function, job)
            processes.append(self._process)

    monkeypatch.setattr(pool, "Helper", Noted)
    return processes


def test_a_helper_that_does_not_get_ready_ends_the_extraction_and_the_others(
    manifest, recipes, settings, tmp_path, monkeypatch, with_helpers, started
):
    start = pool.HelperPool._start

    def start_and_lose(self):
        helper = start(self)
        if len(started) == 2:
            helper._process.kill()
        return helper

    monkeypatch.setattr(pool.HelperPool, "_start", start_and_lose)
    with pytest.raises(EngineError, match=r"ended by SIGKILL before it was ready\. Use --threads 1"):
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
    assert extract(manifest, recipes, settings, Store(store.root), threads=2).n_read == 8  # 2 × 8 were done


def test_copies_are_not_sent_to_helpers_and_cost_none_of_them(
    manifest, recipes, settings, monkeypatch, with_helpers, started
):
    asked, ask = [], Helper.ask

    def noted(helper, question, *, seconds):
        asked.append([path for _, path, *_ in question])
        return ask(helper, question, seconds=seconds)

    monkeypatch.setattr(Helper, "ask", noted)
    paths = [manifest.root / path for path in manifest.table["image_path"][:2]]
    copies = [Photograph(path.name, path) for path in paths for _ in range(3 * pool.CHUNK)]
    looked = list(PhotographReader(copies, recipes, settings, threads=2).each())
    assert sorted(asked) == sorted([str(path)] for path in paths)
    assert len(started) == 2
    for number, one in enumerate(looked):
        first = looked[number // (3 * pool.CHUNK) * 3 * pool.CHUNK]
        assert one.row == number
        assert one.faces[0].vectors
        assert one.faces == first.faces


def test_members_that_a_program_registered_itself_stay_in_its_process(settings, monkeypatch):
    from featurekit.networks.backbones import BACKBONES, Backbone
    from featurekit.registry import SESSION

    member = Backbone(
        name="own", about="a test's", layers={"all": 3}, input_size=32, template="dlib", compute=lambda c: c
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, "own", member)
    monkeypatch.setitem(BACKBONES._origins, "own", (SESSION, __name__))
    assert pool.fit_for_helpers(make_recipes(["mean_color"], settings, device="cpu"), settings)
    assert not pool.fit_for_helpers(make_recipes(["own"], settings, device="cpu"), settings)
