"""The index of photographs: a wrong hash never, a remembered one wherever it can be."""

import os
import random
import sqlite3
import time
from hashlib import sha256
from pathlib import Path

import pytest

from featurekit.cache.file_index import FileIndex


@pytest.fixture
def photo(tmp_path):
    """A file that has been left in peace."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"pixels")
    rest(path)
    return path


def rest(path):
    """Let a file rest for longer than the index asks, without waiting: the index asks for less."""
    time.sleep(0.02)


@pytest.fixture
def index_path(tmp_path, monkeypatch):
    monkeypatch.setattr(FileIndex, "PEACE", 10**7)
    monkeypatch.setattr(FileIndex, "PATIENCE", 0.05)
    return tmp_path / "cache" / "files.sqlite"


def test_a_file_is_read_once(index_path, photo):
    content = sha256(b"pixels").hexdigest()
    with FileIndex(index_path) as index:
        assert index.known(photo) is None
        assert index.content_of(photo) == content
        assert index.known(photo) == content
    with FileIndex(index_path) as index:
        assert index.known(photo) == content
        assert index.known(photo.with_name("other")) is None


@pytest.mark.parametrize("change", ["content", "same_size_and_mtime", "touch", "replaced"])
def test_a_changed_file_is_read_again(index_path, photo, change):
    with FileIndex(index_path) as index:
        index.content_of(photo)
        assert index.known(photo) is not None
    status = photo.stat()
    if change == "content":
        photo.write_bytes(b"other")
    elif change == "same_size_and_mtime":
        photo.write_bytes(b"PIXELS")
        os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touch":
        os.utime(photo)
    else:
        twin = photo.with_name("twin")
        twin.write_bytes(b"PIXELS")
        os.utime(twin, ns=(status.st_atime_ns, status.st_mtime_ns))
        twin.replace(photo)
    with FileIndex(index_path) as index:
        assert index.known(photo) is None
        assert index.content_of(photo) == sha256(photo.read_bytes()).hexdigest()


def test_a_file_touched_a_moment_ago_is_not_remembered(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"pixels")
    with FileIndex(tmp_path / "files.sqlite") as index:
        index.content_of(path)
        assert index.known(path) is None


def test_a_file_that_changes_while_it_is_read_is_not_remembered(index_path, photo):
    status = photo.stat()
    photo.write_bytes(b"changed while it was read")
    time.sleep(0.02)
    with FileIndex(index_path) as index:
        index.remember(photo, status, sha256(b"pixels").hexdigest())
        assert index.known(photo) is None


@pytest.mark.parametrize(
    "content",
    [b"no database at all, and longer than any header of sqlite would be" * 40, b"SQLite format 3\0", b"x"],
)
def test_an_index_that_is_no_database_is_made_anew(index_path, photo, content):
    index_path.parent.mkdir()
    index_path.write_bytes(content)
    for _ in range(2):
        with FileIndex(index_path) as index:
            known = index.known(photo)
            assert index.content_of(photo) == sha256(b"pixels").hexdigest()
    assert known is not None


@pytest.mark.parametrize("seed", range(15))
def test_a_damaged_index_never_gives_a_wrong_hash(index_path, tmp_path, seed):
    photos = [tmp_path / f"{number}.jpg" for number in range(300)]
    for number, path in enumerate(photos):
        path.write_bytes(b"%d" % number)
    time.sleep(0.02)
    with FileIndex(index_path) as index:
        for path in photos:
            index.content_of(path)
    chance = random.Random(seed)
    data = bytearray(index_path.read_bytes())
    if seed % 5 == 4:
        del data[chance.randrange(len(data)) :]
    for _ in range([1, 10, 100, 2000, 0][seed % 5]):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    index_path.write_bytes(data)
    for _ in range(2):
        with FileIndex(index_path) as index:
            for number, path in enumerate(photos):
                assert index.content_of(path) == sha256(b"%d" % number).hexdigest()


def test_a_locked_index_is_done_without(index_path, photo):
    with FileIndex(index_path) as index:
        index.content_of(photo)
    blocker = sqlite3.connect(index_path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with FileIndex(index_path) as index:
        assert index.content_of(photo) == sha256(b"pixels").hexdigest()
        assert index.known(photo) is not None
    blocker.execute("ROLLBACK")
    blocker.close()
    with FileIndex(index_path) as index:
        assert index.known(photo) is not None


def test_an_index_where_nothing_can_be_written_is_done_without(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(FileIndex, "PEACE", 10**7)
    (tmp_path / "file").write_text("not a folder")
    with FileIndex(tmp_path / "file" / "files.sqlite") as index:
        assert index.content_of(photo) == sha256(b"pixels").hexdigest()
        assert index.known(photo) is not None


def test_many_files_are_written_in_batches(index_path, tmp_path, monkeypatch):
    monkeypatch.setattr(FileIndex, "BATCH", 7)
    photos = [tmp_path / f"{number}.jpg" for number in range(30)]
    for path in photos:
        path.write_bytes(path.name.encode())
    time.sleep(0.02)
    index = FileIndex(index_path)
    for path in photos:
        index.content_of(path)
    with FileIndex(index_path) as other:  # the first one has not been closed yet
        assert sum(other.known(path) is not None for path in photos) == 28
    index.close()


def test_a_name_that_is_no_text_is_remembered_too(index_path, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg"))
    path.write_bytes(b"pixels")
    time.sleep(0.02)
    with FileIndex(index_path) as index:
        index.content_of(path)
    with FileIndex(index_path) as index:
        assert index.known(path) == sha256(b"pixels").hexdigest()


def test_a_pipe_or_a_missing_file_raises_instead_of_waiting(index_path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with FileIndex(index_path) as index:
        with pytest.raises(OSError, match="not a plain file"):
            index.content_of(tmp_path / "pipe")
        with pytest.raises(FileNotFoundError):
            index.content_of(tmp_path / "missing")
