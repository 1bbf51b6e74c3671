"""Merging caches: every row of the others is here once, to the last bit, and the others stay as they are."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from featurekit.cache.merge import merge_shelf
from featurekit.cache.store import Store
from featurekit.errors import StoreError, WorkspaceError
from tests.cache.made_up import RECIPE, again, assert_holds, columns_of, keys_of, rows_in, shards_of
from tests.ops.made_up import everything_in


def cache_of(root, *shards):
    """Write a cache with one shelf, and return it; each shard has these rows."""
    store = Store(root)
    for numbers in shards:
        store.shelf("embeddings", RECIPE).append(keys_of(*numbers), columns_of(*numbers))
    return Store(root, read_only=True)


def merged(root, other):
    """Merge the only shelf of a cache into another one, and return what was added and what is damaged."""
    files = []
    [info] = other.shelves()
    added, damaged = merge_shelf(Store(root), other, info, lambda: files.append(1))
    assert len(files) == len(other.files_on(info))
    return (added.rows, added.files, added.bytes), damaged


def test_files_of_which_no_row_is_here_are_copied_with_their_names(tmp_path):
    cache_of(tmp_path / "here", range(3))
    other = cache_of(tmp_path / "other", range(3, 6), range(6, 10))
    (rows, files, size), damaged = merged(tmp_path / "here", other)
    copied = shards_of(other.shelf("embeddings", RECIPE))
    assert (rows, files, size, damaged) == (7, 2, sum(one.stat().st_size for one in copied), [])
    assert_holds(again(tmp_path / "here"), range(10))
    here = {one.name: one.read_bytes() for one in shards_of(again(tmp_path / "here"))}
    assert {one.name: one.read_bytes() for one in copied}.items() <= here.items()


def test_into_an_empty_cache(tmp_path):
    other = cache_of(tmp_path / "other", range(4))
    assert merged(tmp_path / "here", other)[0][:2] == (4, 1)
    assert_holds(again(tmp_path / "here"), range(4))
    for path in (tmp_path / "here").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0  # as for all faces: only the user may look


def test_a_second_time_copies_nothing_and_reads_no_file(tmp_path, monkeypatch):
    other = cache_of(tmp_path / "other", range(3), range(3, 6))
    merged(tmp_path / "here", other)
    before = everything_in(tmp_path / "here")
    monkeypatch.setattr("featurekit.cache.store.load_shard", lambda *_: pytest.fail("a file was read"))
    assert merged(tmp_path / "here", other) == ((0, 0, 0), [])
    assert everything_in(tmp_path / "here") == before


def test_rows_that_are_here_already_are_not_doubled(tmp_path):
    cache_of(tmp_path / "here", range(4))
    other = cache_of(tmp_path / "other", range(2, 7), range(4))
    assert merged(tmp_path / "here", other)[0][:2] == (3, 1)
    assert_holds(again(tmp_path / "here"), range(7))
    assert sum(len(one) for one in map(rows_in, shards_of(again(tmp_path / "here")))) == 7
    assert merged(tmp_path / "here", other)[0] == (0, 0, 0)


@pytest.mark.parametrize("harm", ["one byte", "cut", "empty", "another name"])
def test_a_damaged_file_is_left_out_and_stays_where_it_is(tmp_path, harm):
    other = cache_of(tmp_path / "other", range(3), range(3, 6))
    path = shards_of(other.shelf("embeddings", RECIPE))[0]
    data = path.read_bytes()
    left = 3 if keys_of(0)[0].tobytes() in data else 0
    path.write_bytes(
        {"one byte": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-5], "empty": b""}.get(harm, data)
    )
    if harm == "another name":
        path = path.rename(path.with_name(f"{'0' * 64}.safetensors"))
    before = everything_in(tmp_path / "other")
    (rows, files, _), [damage] = merged(tmp_path / "here", Store(tmp_path / "other", read_only=True))
    assert (rows, files, damage.path) == (3, 1, path)
    assert damage.why == "has changed since it was written: its hash differs from its name"
    assert_holds(again(tmp_path / "here"), range(left, left + 3))
    assert everything_in(tmp_path / "other") == before


def test_a_file_of_another_recipe_is_left_out(tmp_path):
    other = cache_of(tmp_path / "other", range(3))
    strange = Store(tmp_path / "strange").shelf("embeddings", {**RECIPE, "layer": "other"})
    path = strange.append(keys_of(5), columns_of(5))
    shutil.copy(path, other.shelf("embeddings", RECIPE).folder)
    (rows, _, _), [damage] = merged(tmp_path / "here", other)
    assert rows == 3
    assert "belongs to another recipe" in damage.why


def test_the_other_cache_is_not_changed(tmp_path):
    other = cache_of(tmp_path / "other", range(3), range(3, 6))
    cache_of(tmp_path / "here", range(2))

    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in other.root.rglob("*")}

    before = state()
    merged(tmp_path / "here", other)
    assert state() == before


def test_a_merge_that_is_stopped_is_completed_by_the_next(tmp_path, monkeypatch):
    other = cache_of(tmp_path / "other", range(3), range(3, 6), range(6, 9))
    replaced, calls = os.replace, []

    def fail(self, target):
        if str(target).endswith(".safetensors"):
            calls.append(target)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
        return replaced(self, target)

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", fail)
        with pytest.raises(WorkspaceError, match="No space left"):
            merged(tmp_path / "here", other)
    assert len(again(tmp_path / "here")) == 3
    assert merged(tmp_path / "here", other)[0][:2] == (6, 2)
    assert_holds(again(tmp_path / "here"), range(9))


def test_rows_with_other_columns_are_refused_in_one_line(tmp_path):
    cache_of(tmp_path / "here", range(3))
    Store(tmp_path / "other").shelf("embeddings", RECIPE).append(keys_of(7), {"vectors": np.zeros((1, 9))})
    with pytest.raises(StoreError, match="differ from the columns of"):
        merged(tmp_path / "here", Store(tmp_path / "other", read_only=True))
    assert_holds(again(tmp_path / "here"), range(3))


def test_a_file_that_disappears_meanwhile_is_no_error(tmp_path):
    other = cache_of(tmp_path / "other", range(3), range(3, 6))
    [info] = other.shelves()
    there = other.files_on(info)

    class Late(Store):
        def files_on(self, shelf):
            there[0].unlink()
            return there

    added, damaged = merge_shelf(Store(tmp_path / "here"), Late(other.root), replace(info), lambda: None)
    assert (added.rows, damaged) == (3, [])
