"""Whatever holds shelves keeps the promises of featurekit.cache.storage.Storage.

They are tried on a folder of this machine, in a bucket that is in memory, and in one of S3 (moto's, on this
machine): a shelf works over all, so it asks a storage for nothing that only a disk can do.
"""

import os

import numpy as np
import pytest

from featurekit.cache.bucket import BucketStorage
from featurekit.cache.shelf import Shelf
from featurekit.cache.storage import Storage
from featurekit.cache.store import Store
from featurekit.errors import StoreError
from featurekit.urls import UrlPath
from tests.cache.made_up import keys_of

RECIPE = {"backbone": "mean_color", "layer": "mean"}


class BucketOfTests(BucketStorage):
    """A bucket in which a test may let a file have other bytes, as no writer does."""

    def replace(self, path, data):
        self._bucket._files.pipe_file(str(path), bytes(data))


class ReplacingStorage(Storage):
    """A folder in which a test may let a file have other bytes, as no writer does."""

    def replace(self, path, data):
        path.write_bytes(data)


PLACES = ["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)]


@pytest.fixture(params=PLACES)
def root(request, tmp_path):
    """The folder of a cache, which nobody has made."""
    if request.param == "folder":
        return tmp_path / "cache"
    return request.getfixturevalue("in_memory" if request.param == "memory" else "s3") / "cache"


@pytest.fixture
def storage(root) -> Storage:
    return BucketOfTests(root) if isinstance(root, UrlPath) else ReplacingStorage()


@pytest.fixture
def folder(root):
    """A folder that nobody has made."""
    return root / "embeddings" / "0123456789abcdef"


# ---------------------------------------------------------------- files


def test_what_was_put_is_read_whole_and_in_any_part(storage, folder):
    data = bytes(range(256)) * 5000
    storage.put(folder / "a.x", data)
    assert storage.read(folder / "a.x") == data
    with storage.open(folder / "a.x") as (file, _):
        for start, size in ((0, 8), (1_000_000, 300), (len(data) - 3, 3), (5, 0)):
            file.seek(start)
            assert file.read(size) == data[start : start + size]
        buffer = bytearray(1000)
        file.seek(777)
        assert file.readinto(buffer) == 1000
        assert buffer == data[777:1777]


def test_a_part_behind_the_end_is_shorter_than_asked(storage, folder):
    storage.put(folder / "a.x", b"0123456789")
    with storage.open(folder / "a.x") as (file, _):
        file.seek(7)
        assert file.read(100) == b"789"
        file.seek(7)
        assert file.readinto(bytearray(100)) == 3
        file.seek(50)
        assert file.read(1) == b""


def test_a_file_has_one_signature_wherever_it_is_asked_for(storage, folder):
    signature = storage.put(folder / "a.x", b"0123")
    assert signature[0] == 4
    assert storage.list(folder, ".x") == {folder / "a.x": signature}
    with storage.open(folder / "a.x") as (_, again):
        assert again == signature


def test_a_file_that_was_written_again_has_another_signature(storage, folder):
    storage.put(folder / "a.x", b"0123")
    before = storage.list(folder, ".x")
    storage.replace(folder / "a.x", b"01234")
    assert storage.list(folder, ".x") != before


def test_putting_the_same_file_twice_leaves_one(storage, folder):
    for _ in range(2):
        storage.put(folder / "a.x", b"0123")
    assert list(storage.list(folder, ".x")) == [folder / "a.x"]
    assert storage.read(folder / "a.x") == b"0123"


def test_a_list_has_the_files_of_one_folder_and_one_ending(storage, folder):
    for name in ("a.x", "b.x", "c.y", "deeper/d.x"):
        storage.put(folder / name, name.encode())
    assert set(storage.list(folder, ".x")) == {folder / "a.x", folder / "b.x"}
    assert set(storage.list(folder / "deeper", ".x")) == {folder / "deeper/d.x"}
    assert set(storage.list(folder, "c.y")) == {folder / "c.y"}


def test_where_there_is_no_folder_there_is_no_file(storage, folder):
    assert storage.list(folder, ".x") == {}
    assert not storage.exists(folder / "a.x")


@pytest.mark.parametrize("ask", ["read", "delete"])
def test_a_file_that_is_not_there_is_told_by_its_error(storage, folder, ask):
    with pytest.raises(FileNotFoundError):
        getattr(storage, ask)(folder / "a.x")


def test_opening_a_file_that_is_not_there_is_told_by_its_error(storage, folder):
    with pytest.raises(FileNotFoundError), storage.open(folder / "a.x"):
        pass


def test_a_deleted_file_is_gone_and_no_other(storage, folder):
    storage.put(folder / "a.x", b"a")
    storage.put(folder / "b.x", b"b")
    storage.delete(folder / "a.x")
    assert not storage.exists(folder / "a.x")
    assert list(storage.list(folder, ".x")) == [folder / "b.x"]


def test_a_moved_file_is_there_under_its_new_name_alone(storage, folder):
    storage.put(folder / "a.x", b"a")
    storage.move(folder / "a.x", folder / "aside" / "a.x")
    assert storage.list(folder, ".x") == {}
    assert storage.read(folder / "aside" / "a.x") == b"a"


# ---------------------------------------------------------------- a shelf over them


def vectors_of(*numbers):
    return np.array(numbers, np.float32)[:, None] + np.arange(3, dtype=np.float32)


@pytest.fixture
def shelf(storage, folder):
    """A shelf of five rows in two shards."""
    shelf = Shelf(folder, "embeddings", RECIPE, storage)
    for numbers in ((0, 1, 2), (3, 4)):
        shelf.append(keys_of(*numbers), {"vectors": vectors_of(*numbers)})
    return shelf


def test_rows_come_back_in_any_order_also_to_another_process(storage, folder, shelf):
    for one in (shelf, Shelf(folder, "embeddings", RECIPE, storage)):
        got = one.read(keys_of(4, 0, 0, 2))["vectors"]
        np.testing.assert_array_equal(got, vectors_of(4, 0, 0, 2))
        assert one.missing(keys_of(1, 7)).tolist() == [1]


def test_another_writers_rows_are_seen_after_refresh(storage, folder, shelf):
    other = Shelf(folder, "embeddings", RECIPE, storage)
    other.append(keys_of(9), {"vectors": vectors_of(9)})
    assert shelf.missing(keys_of(9)).tolist() == [0]
    shelf.refresh()
    np.testing.assert_array_equal(shelf.read(keys_of(9))["vectors"], vectors_of(9))


def test_a_damaged_shard_is_put_aside_and_its_rows_can_be_written_again(storage, folder, shelf):
    path = sorted(storage.list(folder, ".safetensors"))[0]
    data = bytearray(storage.read(path))
    data[-1] ^= 1
    storage.replace(path, data)
    fresh = Shelf(folder, "embeddings", RECIPE, storage)
    assert [damage.path for damage in fresh.damaged] == [path]
    assert storage.read(folder / "quarantine" / path.name) == data
    absent = fresh.missing(keys_of(*range(5)))
    assert 0 < len(absent) < 5
    with pytest.raises(StoreError, match="is not in the cache"):
        fresh.read(keys_of(*range(5)))
    fresh.append(keys_of(*range(5)), {"vectors": vectors_of(*range(5))})
    np.testing.assert_array_equal(fresh.read(keys_of(*range(5)))["vectors"], vectors_of(*range(5)))


def test_one_who_only_looks_moves_nothing(storage, folder, shelf):
    path = sorted(storage.list(folder, ".safetensors"))[0]
    storage.replace(path, b"no shard")
    fresh = Shelf(folder, "embeddings", RECIPE, storage, read_only=True)
    assert [damage.path for damage in fresh.damaged] == [path]
    assert storage.read(path) == b"no shard"


def test_each_place_holds_the_same_files(storage, folder, tmp_path):
    """What a shelf writes is decided by its rows and its recipe, not by what it is written to."""
    found = []
    for one, where in ((Storage(), tmp_path / "elsewhere"), (storage, folder)):
        shelf = Shelf(where, "embeddings", RECIPE, one)
        shelf.append(keys_of(1, 2), {"vectors": vectors_of(1, 2)})
        found.append({path.name: one.read(path) for path in one.list(where, "")})
    assert found[0] == found[1]
    assert len(found[0]) == 2


# ---------------------------------------------------------------- removing


def test_folders_and_files_are_found_at_any_depth(storage, folder, root):
    storage.put(folder / "a.x", b"0123")
    storage.put(folder / "deeper" / "b.x", b"01")
    assert list(storage.folders(root)) == [folder.parent]
    assert storage.files(root) == {folder / "a.x": 4, folder / "deeper" / "b.x": 2}
    assert list(storage.folders(root / "nowhere")) == []
    assert storage.files(root / "nowhere") == {}


def test_a_folder_is_removed_with_all_that_is_below(storage, folder, root):
    storage.put(folder / "a.x", b"0123")
    storage.put(folder / "deeper" / "b.x", b"01")
    storage.put(root / "other" / "c.x", b"0")
    assert dict(storage.remove_folder(folder)) == {folder / "a.x": 4, folder / "deeper" / "b.x": 2}
    assert storage.files(root) == {root / "other" / "c.x": 1}
    assert list(storage.remove_folder(folder)) == []


def test_what_a_killed_writer_left_is_a_file_too_but_is_no_finished_one(storage, folder):
    """It is found by those who must find every file: the removal of a shelf, and the last look of a purge."""
    dead = folder / ".a.x.999999999-1.tmp"
    storage.put(folder / "a.x", b"0123")
    storage.put(dead, b"01")
    if not isinstance(folder, UrlPath):
        os.utime(dead, (0, 0))
    assert list(storage.list(folder, "")) == [folder / "a.x"]
    assert storage.files(folder) == {folder / "a.x": 4, dead: 2}
    assert list(storage.unfinished(folder)) == [dead]
    assert dict(storage.remove_folder(folder)) == {folder / "a.x": 4, dead: 2}
    assert storage.files(folder) == {}


@pytest.mark.parametrize("by", ["gc", "gc(drop)", "purge"])
def test_what_a_killed_writer_left_goes_with_gc_and_purge(root, storage, by):
    path = Store(root).shelf("embeddings", RECIPE).append(keys_of(0), {"vectors": vectors_of(0)})
    dead = path.with_name(".a.999999999-1.tmp")
    storage.put(dead, keys_of(0).tobytes())
    if not isinstance(root, UrlPath):
        os.utime(dead, (0, 0))
    store = Store(root)
    assert dead in dict(store.other_files())
    if by == "purge":
        assert store.unfinished() == [dead]
        store.clear_unfinished()
    else:
        assert dead in store.gc(drop=[path.parent.name] if by == "gc(drop)" else []).files
    assert not storage.exists(dead)
    assert storage.exists(path) == (by != "gc(drop)")


def test_deleting_returns_the_size(storage, folder):
    storage.put(folder / "a.x", b"0123")
    assert storage.delete(folder / "a.x") == 4


def test_removing_what_another_has_removed_frees_nothing(storage, folder):
    storage.put(folder / "a.x", b"0123")
    assert [storage.remove(folder / "a.x") for _ in range(2)] == [4, 0]


def test_a_store_is_listed_checked_cleaned_and_forgets(root):
    """The whole life of a cache: rows that stand twice, damage, a subject that is to be forgotten."""
    shelf = Store(root).shelf("embeddings", RECIPE)
    late = Store(root).shelf("embeddings", RECIPE)
    shelf.append(keys_of(0, 1), {"vectors": vectors_of(0, 1)})
    late.append(keys_of(0, 1, 2, 3), {"vectors": vectors_of(0, 1, 2, 3)})
    store = Store(root)
    (info,) = store.shelves()
    assert (info.rows, info.shards, info.damaged) == (4, 2, 0)
    assert len(store.gc().files) == 1
    store.forget(info, keys_of(2))
    left = Store(root).shelf("embeddings", RECIPE)
    assert left.missing(keys_of(0, 1, 2, 3)).tolist() == [2]
    np.testing.assert_array_equal(left.read(keys_of(3, 0))["vectors"], vectors_of(3, 0))
    assert not store.verify().damaged
    store.check_forgets()
    with pytest.raises(StoreError, match="has no key beef"):
        store.gc(drop=["beef"])
    assert len(store.gc(drop=[info.key]).files) == 2
    assert store.shelves() == []


def test_a_damaged_file_is_counted_and_cleared(root, storage):
    shelf = Store(root).shelf("embeddings", RECIPE)
    path = shelf.append(keys_of(0, 1), {"vectors": vectors_of(0, 1)})
    storage.replace(path, b"no shard")
    assert [found.path for found in Store(root).verify().damaged] == [path]
    store = Store(root)
    assert [info.damaged for info in store.shelves()] == [1]
    assert store.quarantined() == [path.parent / "quarantine" / path.name]
    store.clear_quarantine()
    assert store.quarantined() == []
    assert len(Store(root).shelf("embeddings", RECIPE)) == 0
