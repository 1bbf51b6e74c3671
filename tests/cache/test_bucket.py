"""The cache in a bucket: nothing is lost or torn, whatever fails, and no message has a secret."""

import errno
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager

import numpy as np
import pytest

from featurekit import urls
from featurekit.cache.bucket import BucketStorage
from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.errors import FeaturekitError, StoreError, WorkspaceError
from featurekit.urls import Bucket, UrlPath, place_of
from tests.cache.made_up import (
    EVER,
    FORGOTTEN,
    MADE_UP_ROWS,
    RECIPE,
    a_life,
    again,
    assert_holds,
    assert_stands,
    columns_of,
    end,
    keys_of,
    let_go,
    start_writer,
    what_stands,
)
from tests.cache.s3_line import Line

SECRET = re.compile("hunter2", re.IGNORECASE)


@pytest.fixture(params=["in_memory", pytest.param("s3", marks=pytest.mark.slow)])
def root(request):
    """The URL of the folder of a cache in an empty bucket."""
    return request.getfixturevalue(request.param) / "team" / "cache"


def append(shelf, *numbers):
    return shelf.append(keys_of(*numbers), columns_of(*numbers))


def assert_one_plain_line(error):
    """The message of an error is one line, and neither it nor the traceback has a secret."""
    assert "\n" not in str(error)
    whole = "".join(traceback.format_exception(error))
    assert not SECRET.search(whole), whole
    assert "AKIA" not in whole


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "url", ["s3://bucket/photos", "gs://bucket/a/b", "az://container/x", "memory://bucket/cache"]
)
def test_a_url_is_a_path_that_shows_itself_as_the_url(url):
    place = place_of(url)
    assert str(place) == url
    assert str(place / "embeddings" / "a.x") == f"{url}/embeddings/a.x"
    assert (place / "a.x").parent == place
    assert str((place / "b" / "a.x").relative_to(place)) == "b/a.x"
    assert place_of(place) == place_of(f"{url}/") == place
    assert place.resolve() == place.absolute() == place


@pytest.mark.parametrize("path", ["work/cache", "/srv/cache", "C:/photos", "s3/photos", "folder:/x"])
def test_a_path_stays_a_path(path):
    assert not isinstance(place_of(path), UrlPath)
    assert str(place_of(path)) == path


def test_a_url_that_a_program_has_made_a_path_of_is_a_url_again(tmp_path):
    assert str(place_of(type(tmp_path)("s3://bucket/photos"))) == "s3://bucket/photos"


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAHUNTER2:hunter2@bucket/cache",
        "s3://hunter2@bucket",
        "s3://bucket/cache?X-Amz-Signature=hunter2",
        "gs://hunter2:x@bucket/cache",
    ],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url, tmp_path, featurekit):
    with pytest.raises(WorkspaceError, match="credentials are taken from the environment") as caught:
        place_of(url)
    assert_one_plain_line(caught.value)
    code, output, errors = featurekit("--cache", url, "cache", "ls")
    assert code == 1
    assert errors.count("\n") == 1
    assert not SECRET.search(output + errors)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///", "https://host/cache", "s3://bucket/a/../b", "s3://b/\x07"]
)
def test_a_url_that_names_no_folder_of_a_bucket_is_refused(url):
    with pytest.raises(WorkspaceError):
        place_of(url)


def test_whatever_opens_a_url_as_a_file_of_this_machine_is_told_so(in_memory):
    for use in (UrlPath.exists, UrlPath.read_bytes, UrlPath.mkdir, os.listdir, os.fsencode, open):
        with pytest.raises(WorkspaceError, match="is in a bucket"):
            use(in_memory / "x")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(WorkspaceError, match=r"pip install 'featurekit\[buckets\]' gcsfs"):
        Store(place_of("gs://bucket/cache"))


def test_a_cache_on_a_disk_imports_nothing_for_buckets(tmp_path):
    code = (
        "import sys; from pathlib import Path; from featurekit.cache.store import Store;"
        f" Store(Path({str(tmp_path)!r})).shelves();"
        " assert not {'fsspec', 's3fs', 'featurekit.cache.bucket'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- racing writers


def test_threads_that_race_for_one_key_leave_one_whole_file(root):
    """Each has looked before any has written, so that all upload the same file."""
    shelves = [again(root) for _ in range(4)]
    failures, start = [], threading.Barrier(4)

    def write(shelf):
        start.wait()
        try:
            append(shelf, *range(20))
        except FeaturekitError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[shelf]) for shelf in shelves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_holds(again(root), range(20))
    storage = BucketStorage(root)
    assert len(storage.list(shelves[0].folder, ".safetensors")) == 1
    assert not storage.files(shelves[0].folder / "quarantine")


@pytest.mark.slow
def test_processes_that_race_for_the_same_keys_disturb_nobody(s3):
    writers = [start_writer(s3 / "cache", 0, 60, 6) for _ in range(2)]
    for writer in writers:
        let_go(writer)
    assert [end(writer) for writer in writers] == [0, 0]
    shelf = again(s3 / "cache")
    assert_holds(shelf, range(60))
    assert not shelf.damaged
    assert len(BucketStorage(s3).list(shelf.folder, ".safetensors")) == 10


def test_a_file_of_this_name_with_other_bytes_is_moved_aside_and_replaced(root):
    storage = BucketStorage(root)
    for damaged in (b"01", b"9123", b"0123456"):
        path = root / "a.x"
        storage._bucket._files.pipe_file(str(path), damaged)
        assert storage.put(path, b"0123")[0] == 4
        assert storage.read(path) == b"0123"
        assert storage.read(root / "quarantine" / "a.x") == damaged


@pytest.mark.slow
def test_an_upload_asks_the_bucket_to_refuse_a_name_that_is_taken(s3, s3_server, monkeypatch):
    with line_to(s3_server, monkeypatch, lambda *_: "") as line:
        append(again(s3 / "cache"), 1, 2)
    uploads = [headers for method, _, headers in line.requests if method == "PUT"]
    assert len(uploads) == 2  # recipe.json and one shard
    assert {{name.lower(): value for name, value in one.items()}["if-none-match"] for one in uploads} == {"*"}


# ---------------------------------------------------------------- a line that fails


@contextmanager
def line_to(server, monkeypatch, trouble):
    """Put a line between S3 and each Store that is opened in the block."""
    from s3fs import S3FileSystem

    with monkeypatch.context() as changed, Line(server, trouble) as line:
        changed.setenv("AWS_ENDPOINT_URL", line.address)
        changed.setenv("AWS_MAX_ATTEMPTS", "1")
        changed.setattr(S3FileSystem, "retries", 1)
        S3FileSystem.clear_instance_cache()
        try:
            yield line
        finally:
            S3FileSystem.clear_instance_cache()


def is_shard(path):
    return ".safetensors" in path


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["cut", "lost", "half", "denied"])
def test_an_upload_that_fails_is_one_line_and_can_be_done_again(s3, s3_server, monkeypatch, trouble, caplog):
    """Cut in the middle, done without an answer, stored in part, and forbidden."""
    caplog.set_level(logging.DEBUG, "featurekit")
    root = s3 / "cache"
    append(again(root), *range(3))
    failing = [True]

    def meddle(method, path):
        return trouble if method == "PUT" and is_shard(path) and failing[0] else ""

    with line_to(s3_server, monkeypatch, meddle):
        shelf = again(root)
        with pytest.raises(StoreError, match="Cannot write s3://faces/cache/embeddings/") as caught:
            append(shelf, 3, 4)
        assert_one_plain_line(caught.value)
        assert not SECRET.search(caplog.text)
        fresh = again(root)
        assert_holds(fresh, range(5) if trouble == "lost" else range(3))
        assert not fresh.damaged
        failing[0] = False
        append(shelf, 3, 4)
    assert_holds(again(root), range(5))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_denied_key_is_one_line_without_what_the_server_says(s3, s3_server, monkeypatch, method, tmp_path):
    root = s3 / "cache"
    append(again(root), *range(3))

    def meddle(asked, path):
        return "denied" if asked == method and (is_shard(path) or "list-type" in path) else ""

    def work():
        append(again(root), 7)
        Store(root).forget(Store(root).shelves()[0], keys_of(1))

    with line_to(s3_server, monkeypatch, meddle):
        with pytest.raises(StoreError, match="access is denied") as caught:
            work()
        assert_one_plain_line(caught.value)
    assert {0, 1, 2} <= {number for number in range(8) if not len(again(root).missing(keys_of(number)))}


@pytest.mark.slow
def test_a_server_that_is_gone_and_credentials_that_are_missing_are_one_line_each(s3, monkeypatch):
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as without:
        without.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        without.setenv("AWS_MAX_ATTEMPTS", "1")
        without.setattr(S3FileSystem, "retries", 1)
        with pytest.raises(StoreError, match="server cannot be reached") as caught:
            again(s3 / "cache")
        assert_one_plain_line(caught.value)
    S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StoreError, match="environment has no credentials") as caught:
            again(s3 / "cache")
        assert_one_plain_line(caught.value)
    S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"s3://nobodys/cache.*: there is no such bucket"):
        again(place_of("s3://nobodys/cache"))


# ---------------------------------------------------------------- a listing that lags


class Lagging:
    """The listings of a bucket, which do not change until somebody says so."""

    def __init__(self, monkeypatch):
        self.real, self.old = Bucket.listed, {}
        monkeypatch.setattr(Bucket, "listed", lambda bucket, folder: self(bucket, folder))

    def __call__(self, bucket, folder):
        if folder not in self.old:
            self.old[folder] = self.real(bucket, folder)
        files, folders = self.old[folder]
        return dict(files), list(folders)

    def catch_up(self):
        self.old.clear()


def test_a_listing_that_lags_hides_no_row_that_this_process_has_written(root, monkeypatch):
    lagging = Lagging(monkeypatch)
    shelf = again(root)
    append(shelf, *range(5))
    shelf.refresh()
    assert_holds(shelf, range(5))
    other = again(root)  # it cannot know of them yet
    assert other.missing(keys_of(*range(5))).tolist() == [0, 1, 2, 3, 4]
    append(other, *range(5))  # and computes the same
    append(other, 5)
    shelf.refresh()
    assert_holds(shelf, range(5))
    lagging.catch_up()
    shelf.refresh()
    for one in (shelf, other, again(root)):
        assert_holds(one, range(6))
        assert not one.damaged


def test_a_listing_that_lags_brings_no_deleted_row_back(root, monkeypatch):
    append(again(root), *range(5))
    lagging = Lagging(monkeypatch)
    reader, store = again(root), Store(root)
    store.forget(store.shelves()[0], keys_of(3))
    # The rows that stay are in a file that no listing shows yet, except to the one who wrote it.
    mine = store.shelf("embeddings", RECIPE)
    assert mine.missing(keys_of(*range(5))).tolist() == [3]
    with pytest.raises(StoreError, match="is not in the cache"):
        reader.read(keys_of(3))
    lagging.catch_up()
    reader.refresh()
    assert reader.missing(keys_of(*range(5))).tolist() == [3]


# ---------------------------------------------------------------- every call to the bucket

CALLS = ("signature", "read", "create", "listed", "copy", "delete")


class Calls:
    """Stands between the cache and a bucket: numbers the calls, and may meddle.

    meddle is told the number and the name of a call, and a function that makes it.
    """

    def __init__(self, meddle=None):
        self.names, self.meddle = [], meddle

    def __enter__(self):
        self._real = {name: getattr(urls.Bucket, name) for name in CALLS}
        for name, real in self._real.items():
            setattr(urls.Bucket, name, self._instead(name, real))
        return self

    def __exit__(self, *_):
        for name, real in self._real.items():
            setattr(urls.Bucket, name, real)

    def _instead(self, name, real):
        def instead(bucket, *given):
            self.names.append(name)
            number = len(self.names) - 1
            return (
                self.meddle(number, name, lambda: real(bucket, *given))
                if self.meddle
                else real(bucket, *given)
            )

        return instead


def live(root, meddle=None, ending=FeaturekitError):
    """Return what was told in a life, its calls, and the error it ended with, None of a whole one."""
    events = []
    with Calls(meddle) as calls:
        try:
            a_life(root, lambda *event: events.append(event))
        except ending as error:
            return events, calls.names, error
    return events, calls.names, None


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY])
def test_whatever_call_fails_it_is_one_line_and_nothing_is_lost(in_memory, number, for_good, monkeypatch):
    """A folder that may not be used, or a server that is busy: at every call in turn."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    _, calls, error = live(in_memory / "whole")
    assert error is None
    assert len(calls) > 60
    n_refused = 0
    for at in range(len(calls)):

        def meddle(call, name, do, at=at):
            if call == at or (for_good and call > at):
                raise OSError(number, os.strerror(number), "s3://bucket/file")
            return do()

        events, _, error = live(in_memory / f"{at}", meddle)
        if error:
            n_refused += 1
            assert "\n" not in str(error)
            assert os.strerror(number) in str(error) or "other programs" in str(error)
        assert_stands(in_memory / f"{at}", events)
    assert n_refused > len(calls) / 3


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@pytest.mark.parametrize("how", ["before", "after"])
def test_an_end_before_and_after_every_call_loses_nothing(in_memory, how):
    _, calls, _ = live(in_memory / "whole")
    for at in range(len(calls)):

        def meddle(call, name, do, at=at):
            if call == at and how == "after":
                do()
            if call >= at:
                raise Killed
            return do()

        events, _, error = live(in_memory / f"{at}", meddle, Killed)
        assert isinstance(error, Killed)
        assert_stands(in_memory / f"{at}", events)


KILLER = """
import os, signal, sys, traceback
import s3fs
from featurekit import urls
from featurekit.errors import FeaturekitError
from featurekit.cache.store import Store
from featurekit.urls import place_of

root = place_of(sys.argv[1])

def in_a_child(do):
    # The library of the bucket has threads, so that only this process, which never used it, can be copied.
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            do(writer)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        lines = told.read().splitlines()
    return lines, os.waitpid(child, 0)[1]

def count(writer):
    _, calls, error = live(root / "whole")
    assert error is None, error
    os.write(writer, "\\n".join(calls).encode())

calls, status = in_a_child(count)
assert status == 0
kills = 0
for how in ("before", "after"):
    for at, name in enumerate(calls):
        if name not in ("create", "copy", "delete"):
            continue

        def be_killed(writer):
            def meddle(call, name, do):
                if call == at and how == "after":
                    do()
                if call == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return do()

            with Calls(meddle):
                a_life(root / f"{how}-{at}", lambda *event: os.write(writer, repr(event).encode() + b"\\n"))

        told, status = in_a_child(be_killed)
        assert os.WTERMSIG(status) == signal.SIGKILL, (how, at, name, status)
        events = [eval(line) for line in told]
        _, status = in_a_child(lambda writer: assert_stands(root / f"{how}-{at}", events))
        assert status == 0, f"killed {how} call {at}, {name}"
        kills += 1
print(kills)
"""


@pytest.mark.slow
def test_a_kill_before_and_after_every_change_of_a_bucket_loses_nothing(s3):
    own = (Calls, a_life, what_stands, assert_holds, assert_stands, live)
    sources = [f"FORGOTTEN, EVER, CALLS = {FORGOTTEN}, {EVER}, {CALLS}", *map(inspect.getsource, own)]
    # The default of live() is an error that the child imports.
    code = "from featurekit.errors import FeaturekitError\n" + MADE_UP_ROWS + "\n\n".join(sources) + KILLER
    done = subprocess.run([sys.executable, "-c", code, str(s3)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 16


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_only_rows_that_are_right(s3):
    writer = start_writer(s3 / "cache", 0, 6000, 6)
    let_go(writer)
    while not len(again(s3 / "cache")):
        assert writer.poll() is None  # it is still writing
    writer.kill()
    assert end(writer) == -signal.SIGKILL
    shelf = again(s3 / "cache")
    assert not shelf.damaged
    assert_holds(shelf, range(len(shelf)))


# ---------------------------------------------------------------- what a bucket cannot promise


@pytest.mark.slow
@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_a_bucket_that_keeps_what_is_deleted_promises_no_purge(s3, status):
    root = s3 / "cache"
    append(again(root), 1)
    store = Store(root)
    store.check_forgets()
    files = store._storage._bucket._files
    for one in dict.fromkeys(["Enabled", status]):
        files.call_s3("put_bucket_versioning", Bucket="faces", VersioningConfiguration={"Status": one})
    with pytest.raises(StoreError, match="keeps old versions of deleted files") as caught:
        store.check_forgets()
    assert_one_plain_line(caught.value)
    for version in files.call_s3("list_object_versions", Bucket="faces")["Versions"]:
        files.call_s3("delete_object", Bucket="faces", Key=version["Key"], VersionId=version["VersionId"])


def test_a_bucket_of_which_this_is_not_known_promises_none_either(in_memory, monkeypatch):
    monkeypatch.setattr(Bucket, "keeps_versions", lambda *_: None)
    with pytest.raises(StoreError, match=r"not known whether the bucket .* keeps deleted files"):
        Store(in_memory).check_forgets()


# ---------------------------------------------------------------- requests


def test_a_shard_is_read_in_few_requests(in_memory):
    shelf = again(in_memory)
    values = np.random.default_rng(0).standard_normal((600, 4096), dtype=np.float32)  # 10 MB
    shelf.append(keys_of(*range(600)), {"vectors": values})
    with Calls() as calls:
        fresh = Shelf(shelf.folder, "embeddings", RECIPE, BucketStorage(in_memory))
    assert calls.names.count("read") <= 8
    with Calls() as calls:
        got = fresh.read(keys_of(5, 3, 599))["vectors"]
    np.testing.assert_array_equal(got, values[[5, 3, 599]])
    assert calls.names.count("read") <= 2
