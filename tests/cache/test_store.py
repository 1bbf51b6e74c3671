"""The store: what was written is served to the last bit or not at all."""

import errno
import inspect
import io
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurekit.cache import shard as shard_module
from featurekit.cache.file_index import FileIndex
from featurekit.cache.keys import recipe_key
from featurekit.cache.store import Store
from featurekit.errors import FeaturekitError, StoreError, WorkspaceError
from featurekit.files import whole_file
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
    rows_in,
    shards_of,
    start_writer,
    what_stands,
)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def shelf(root):
    """A shelf of ten rows in two shards."""
    shelf = Store(root).shelf("embeddings", RECIPE)
    shelf.append(keys_of(*range(6)), columns_of(*range(6)))
    shelf.append(keys_of(*range(6, 10)), columns_of(*range(6, 10)))
    return shelf


# ---------------------------------------------------------------- rows in, rows out


@pytest.mark.parametrize("kind", ["", "../x", "a/b", "Big", ".hidden"])
def test_a_kind_that_is_no_folder_name_is_refused(root, kind):
    with pytest.raises(StoreError, match="cannot be the name of a kind"):
        Store(root).shelf(kind, RECIPE)


def test_rows_come_back_to_the_last_bit_in_another_process_and_in_any_order(root, shelf):
    for order in (range(10), [9, 0, 5, 6, 3], [2, 2, 7, 2], [4]):
        numbers = list(order)
        got = again(root).read(keys_of(*numbers))
        for name, expected in columns_of(*numbers).items():
            np.testing.assert_array_equal(got[name], expected)
    assert_holds(again(root), range(10))


def test_keys_may_be_a_list_of_bytes(shelf):
    got = shelf.read([bytes(key) for key in keys_of(3, 8)], ["status"])
    assert got.keys() == {"status"}
    assert got["status"].tolist() == [3, 8]


def test_missing_gives_the_row_numbers_that_are_not_there(shelf):
    assert shelf.missing(keys_of(3, 77, 9, 78, 77)).tolist() == [1, 3, 4]
    assert shelf.missing([]).tolist() == []


def test_keys_that_differ_only_in_zero_bytes_are_different_rows(root):
    keys = np.zeros((4, 32), np.uint8)
    keys[1, 31], keys[2, 0], keys[3, 15] = 1, 255, 1
    shelf = Store(root).shelf("faces", RECIPE)
    shelf.append(keys, {"n": np.arange(4)})
    assert shelf.read(keys[::-1], ["n"])["n"].tolist() == [3, 2, 1, 0]
    assert sorted(map(bytes, shelf.rows())) == sorted(map(bytes, keys))


def test_a_row_that_is_not_there_is_not_served(shelf):
    with pytest.raises(
        StoreError, match=rf"Row 1 \({bytes(keys_of(77)[0]).hex()}\) is not in the cache.*1 of 2"
    ):
        shelf.read(keys_of(3, 77))


def test_a_row_that_is_there_is_not_written_again(root, shelf):
    size = sum(path.stat().st_size for path in shards_of(shelf))
    shelf.append(keys_of(0, 1), columns_of(0, 1))
    assert sum(path.stat().st_size for path in shards_of(shelf)) == size
    shelf.append(keys_of(1, 10, 10, 2), columns_of(1, 10, 10, 2))
    assert_holds(again(root), range(11))
    assert sum(len(shard) for shard in map(rows_in, shards_of(shelf))) == 11


def test_a_shard_is_an_ordinary_safetensors_file_named_by_its_hash_that_says_its_recipe(shelf):
    from safetensors import safe_open

    for path in shards_of(shelf):
        assert path.stem == sha256(path.read_bytes()).hexdigest()
        with safe_open(path, framework="numpy") as shard:
            assert set(shard.keys()) == {"row_key", "vectors", "status", "landmarks"}
            said = json.loads(shard.metadata()["featurekit"])
        assert (said["kind"], said["recipe"]) == ("embeddings", RECIPE)


def test_the_same_rows_make_the_same_file(tmp_path):
    names = set()
    for number in range(3):
        shelf = Store(tmp_path / str(number)).shelf("embeddings", RECIPE)
        shelf.append(keys_of(1, 2), columns_of(1, 2))
        names.add(shards_of(shelf)[0].name)
    assert len(names) == 1


def test_looking_for_a_recipe_nobody_used_leaves_no_folder(root):
    shelf = Store(root).shelf("embeddings", RECIPE)
    assert len(shelf) == 0
    assert shelf.missing(keys_of(1)).tolist() == [0]
    assert shelf.read([], None) == {}
    assert not root.exists()
    with pytest.raises(StoreError, match="has no columns"):
        shelf.read([], ["vectors"])


def test_no_rows_write_no_shard(root):
    shelf = Store(root).shelf("embeddings", RECIPE)
    shelf.append([], {"vectors": np.zeros((0, 4), np.float32)})
    assert not root.exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vectors": np.zeros((2, 4), np.float32)}, "differ from the columns of"),
        (
            {**columns_of(1, 2), "vectors": np.zeros((2, 5))},
            r"vectors float64 \(5,\).*vectors float32 \(5,\)",
        ),
        ({**columns_of(1, 2), "more": np.zeros(2)}, "more float64"),
        (columns_of(1, 2, 3), r"shape \(3, 5\) for 2 rows"),
        ({"vectors": np.float32(1)}, r"shape \(\) for 2 rows"),
        ({"names": np.array(["a", "b"])}, "names is <U1"),
        ({"things": np.array([None, None])}, "things is object"),
        ({"row_key": np.zeros(2)}, "must not be called row_key"),
    ],
)
def test_columns_of_another_shape_are_refused(shelf, columns, message):
    with pytest.raises(StoreError, match=message):
        shelf.append(keys_of(101, 102), columns)
    assert len(shelf) == 10


@pytest.mark.parametrize("keys", [np.zeros((2, 31), np.uint8), np.zeros((2, 32), np.int64), [b"short"]])
def test_keys_that_are_not_32_bytes_are_refused(shelf, keys):
    with pytest.raises(StoreError, match="32"):
        shelf.missing(keys)


def test_an_unknown_column_is_refused_with_those_there_are(shelf):
    with pytest.raises(StoreError, match=r"has no columns \['vector'\].*'vectors'"):
        shelf.read(keys_of(1), ["vector"])


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", ">f4"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 1)])
def test_every_dtype_and_shape_comes_back(root, dtype, shape):
    values = (np.arange(4 * int(np.prod(shape))) % 3).reshape(4, *shape).astype(dtype)
    Store(root).shelf("faces", RECIPE).append(keys_of(*range(4)), {"x": values})
    got = Store(root).shelf("faces", RECIPE).read(keys_of(3, 1, 1), ["x"])["x"]
    assert got.dtype == values.dtype.newbyteorder("<")
    np.testing.assert_array_equal(got, values[[3, 1, 1]])


def test_a_shard_larger_than_a_block_is_read_in_pieces(root, monkeypatch):
    monkeypatch.setattr(shard_module, "BLOCK", 64)
    shelf = Store(root).shelf("embeddings", RECIPE)
    shelf.append(keys_of(*range(50)), columns_of(*range(50)))
    order = np.random.default_rng(0).permutation(50).tolist()
    assert_holds(shelf, order)
    got = shelf.read(keys_of(49, 0, 25), ["vectors"])["vectors"]
    np.testing.assert_array_equal(got, columns_of(49, 0, 25)["vectors"])


def test_reading_a_large_shelf_needs_little_memory_beside_the_answer(root):
    made = """
        import resource, sys
        import numpy as np
        from pathlib import Path
        from featurekit.cache.store import Store
        keys = np.random.default_rng(0).integers(0, 256, (8000, 32), dtype=np.uint8)
        shelf = Store(Path(sys.argv[1])).shelf("embeddings", {"large": True})
        for start in range(0, len(keys), 1000):
            rows = slice(start, start + 1000)
            shelf.append(keys[rows], {"vectors": np.full((1000, 4096), start, np.float32)})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = shelf.read(keys)["vectors"]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert (answer[:, 0] == np.arange(8000) // 1000 * 1000).all()
        print((grown - answer.nbytes) >> 20)
    """
    extra = int(run_python(made, root).stdout)
    assert extra < 64  # MB beside an answer of 131


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_sequence_of_steps_equals_a_dict(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("store")
    stores = [Store(root), Store(root)]
    shelves = [store.shelf("embeddings", RECIPE) for store in stores]
    remembered: set[int] = set()
    seen: list[set[int]] = [set(), set()]
    rows = st.lists(st.integers(0, 12), max_size=8)
    for _ in range(data.draw(st.integers(1, 12))):
        step = data.draw(st.sampled_from(["append", "append", "read", "missing", "refresh", "gc", "verify"]))
        who = data.draw(st.integers(0, 1))
        numbers = data.draw(rows)
        if step == "append":
            shelves[who].append(keys_of(*numbers), columns_of(*numbers))
            remembered |= set(numbers)
            seen[who] |= set(numbers)
        elif step == "read" and seen[who]:
            numbers = [number for number in numbers if number in seen[who]]
            got = shelves[who].read(keys_of(*numbers))
            for name, expected in columns_of(*numbers).items():
                np.testing.assert_array_equal(got[name], expected)
        elif step == "missing":
            absent = [at for at, number in enumerate(numbers) if number not in seen[who]]
            assert shelves[who].missing(keys_of(*numbers)).tolist() == absent
        elif step == "refresh":
            shelves[who].refresh()
            seen[who] = set(remembered)
        elif step == "gc":
            stores[who].gc()
            # A shard may have gone that the other one's answer came from: it looks again by itself.
        elif step == "verify":
            assert not stores[who].verify().damaged
    if remembered:
        assert_holds(again(root), sorted(remembered))


# ---------------------------------------------------------------- a file that exists is whole


def test_a_write_that_fails_before_the_rename_leaves_nothing_to_see(root, shelf):
    before = sorted(shelf.folder.iterdir())
    path = shelf.folder / f"{'0' * 64}.safetensors"

    def write_half():
        with whole_file(path) as file:
            file.write(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert sorted(shelf.folder.iterdir()) == before
    assert_holds(again(root), range(10))


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", MADE_UP_ROWS + textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("n_writers", [2, 4, 8])
def test_processes_that_write_the_same_rows_at_once_disturb_nobody(root, n_writers):
    jobs = [(0, 200, 10), (95, 300, 7), (0, 200, 10), (40, 300, 9)] * 2
    writers = [start_writer(root, *job) for job in jobs[:n_writers]]
    for writer in writers:
        let_go(writer)
    assert [end(writer) for writer in writers] == [0] * n_writers
    shelf = again(root)
    assert_holds(shelf, range(300))
    assert not shelf.damaged
    Store(root).gc()
    assert_holds(again(root), range(300))


def test_threads_that_write_the_same_rows_at_once_disturb_nobody(root):
    failures = []

    def write():
        try:
            shelf = Store(root).shelf("embeddings", RECIPE)
            for first in range(0, 60, 6):
                shelf.append(keys_of(*range(first, first + 6)), columns_of(*range(first, first + 6)))
        except FeaturekitError as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert_holds(again(root), range(60))


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_only_rows_that_are_right(root):
    chance = random.Random(0)
    done = 0
    for _ in range(12):
        writer = start_writer(root, done, 4000, 3)
        let_go(writer)
        time.sleep(chance.uniform(0, 0.12))
        writer.kill()
        assert end(writer) == -signal.SIGKILL
        shelf = again(root)
        assert not shelf.damaged
        done = len(shelf)
        if done:
            assert_holds(shelf, range(done))
    assert 0 < done < 4000
    assert not Store(root).verify().damaged


def test_another_writers_rows_are_seen_after_refresh(root, shelf):
    other = again(root)
    other.append(keys_of(50), columns_of(50))
    assert shelf.missing(keys_of(50)).tolist() == [0]
    shelf.refresh()
    assert_holds(shelf, [*range(10), 50])


def test_asking_the_store_again_sees_the_rows_of_others(root):
    store = Store(root)
    store.shelf("embeddings", RECIPE)
    again(root).append(keys_of(1), columns_of(1))
    assert_holds(store.shelf("embeddings", RECIPE), [1])


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_is_one_line_and_loses_nothing(root, shelf):
    code = """
        import resource, sys
        from pathlib import Path
        from featurekit.errors import FeaturekitError
        from featurekit.cache.store import Store
        shelf = Store(Path(sys.argv[1])).shelf("embeddings", RECIPE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        numbers = range(100, 400)
        try:
            shelf.append(keys_of(*numbers), columns_of(*numbers))
        except FeaturekitError as error:
            print(type(error).__name__, error)
        assert len(shelf.missing(keys_of(*numbers))) == 300
        shelf.append(keys_of(*range(100, 110)), columns_of(*range(100, 110)))
    """
    said = run_python(code, root).stdout
    assert said.startswith("WorkspaceError Cannot write ")
    assert said.count("\n") == 1
    assert "File too large" in said
    assert not list(shelf.folder.glob(".*"))
    assert_holds(again(root), [*range(10), *range(100, 110)])


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises((StoreError, WorkspaceError), match="cache"):
        Store(tmp_path / "cache").shelf("embeddings", RECIPE).append(keys_of(1), columns_of(1))


# ---------------------------------------------------------------- every call to the operating system


class Disk:
    """Stands between Python and the operating system: numbers the calls about one folder, and may meddle.

    As a context it takes the place of the functions that open, write, rename, remove and look. A call is
    told to `meddle` with its number, its name, the path, a function that makes it and, of a write, one that
    writes half; what meddle returns or raises is what the caller gets.
    """

    def __init__(self, root, meddle=None):
        self.root, self.meddle, self.calls = str(root), meddle, []

    def meet(self, name, path, do, half=None):
        if not os.fspath(path).startswith(self.root):
            return do()
        self.calls.append((name, os.fspath(path)))
        return self.meddle(len(self.calls) - 1, name, os.fspath(path), do, half) if self.meddle else do()

    def __enter__(self):
        names = ("stat", "lstat", "scandir", "mkdir", "replace", "unlink", "rmdir", "open", "fsync", "fchmod")
        self._real = {name: getattr(os, name) for name in names}
        self._open = io.open
        for name in names:
            setattr(os, name, self._instead(name))
        io.open = self._opened
        return self

    def __exit__(self, *_):
        io.open = self._open
        for name, function in self._real.items():
            setattr(os, name, function)

    def _instead(self, name):
        real = self._real[name]

        def instead(*given, **named):
            path = given[0]
            if isinstance(path, int):
                path = Path(f"/proc/self/fd/{path}").readlink()
            elif named.get("dir_fd") is not None:
                path = Path(f"/proc/self/fd/{named['dir_fd']}").readlink() / path
            said = name
            if name == "fsync" and not Path(path).name.startswith("."):
                said = "fsync of a folder"  # every file is synced under its unfinished name
            if name == "replace":
                return self.meet(said, given[1], lambda: real(*given, **named))
            return self.meet(said, path, lambda: real(*given, **named))

        return instead

    def _opened(self, file, mode="r", buffering=-1, *text, **more):
        if isinstance(file, int) or not os.fspath(file).startswith(self.root):
            return self._open(file, mode, buffering, *text, **more)
        disk, path = self, os.fspath(file)

        class Raw(io.FileIO):
            def write(self, data):
                do, data = super().write, bytes(data)
                disk.last_written = data
                return disk.meet("write", path, lambda: do(data), lambda: do(data[: len(data) // 2]))

            def readinto(self, buffer):
                do = super().readinto
                return disk.meet("read", path, lambda: do(buffer))

            def readall(self):
                do = super().readall
                return disk.meet("read", path, lambda: do())

        plain = mode.replace("b", "").replace("t", "")
        raw = self.meet("open" if plain == "r" else "create", path, lambda: Raw(path, plain))
        if buffering == 0:
            return raw
        buffered = io.BufferedReader(raw) if plain == "r" else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **more)


def live(root, meddle=None):
    """Return what was told in a life, its calls, and the error it ended with, None of a whole one."""
    events, disk = [], Disk(root, meddle)
    with disk:
        try:
            a_life(root, lambda *event: events.append(event))
        except FeaturekitError as error:
            return events, disk.calls, error
    return events, disk.calls, None


WRITES = ("create", "write", "fsync", "fsync of a folder", "replace", "mkdir")
TROUBLES = {
    "ENOSPC": WRITES,
    "EACCES": ("open", "create", "stat", "lstat", "scandir", "mkdir", "replace", "unlink", "rmdir", "fchmod"),
    "EIO": ("open", "read", "stat", "scandir", "unlink", "rmdir", *WRITES),
}


@pytest.mark.parametrize(
    ("trouble", "for_good"),
    [
        pytest.param("ENOSPC", False, id="ENOSPC once"),
        pytest.param("ENOSPC", True, id="ENOSPC from then on", marks=pytest.mark.slow),
        pytest.param("EACCES", False, id="EACCES once", marks=pytest.mark.slow),
        pytest.param("EACCES", True, id="EACCES from then on", marks=pytest.mark.slow),
        pytest.param("EIO", False, id="EIO once", marks=pytest.mark.slow),
        pytest.param("EIO", True, id="EIO from then on"),
    ],
)
def test_whatever_call_fails_it_is_one_line_and_nothing_is_lost(tmp_path, trouble, for_good):
    """A full disk, a folder that may not be read or written, a drive that has gone: at every call in turn."""
    number = getattr(errno, trouble)
    _, calls, error = live(tmp_path / "whole")
    assert error is None
    assert len(calls) > 100
    asked = [at for at, (name, _) in enumerate(calls) if name in TROUBLES[trouble]]
    n_refused = 0
    for at in asked:

        def meddle(call, name, path, do, half, at=at):
            if call == at or (for_good and call > at and name in TROUBLES[trouble]):
                if half and trouble == "ENOSPC":
                    half()
                raise OSError(number, os.strerror(number), path)
            return do()

        root = tmp_path / f"{at}"
        events, _, error = live(root, meddle)
        if error:
            n_refused += 1
            assert "\n" not in str(error)
            assert os.strerror(number) in str(error) or (
                trouble == "EIO" and "Run featurekit extract again" in str(error)
            )
        # What a disk cannot read any more is put aside and computed again.
        assert_stands(root, events, may_lack=trouble == "EIO")
    assert n_refused > len(asked) / 3


KILLER = """
import os, signal, sys
from pathlib import Path
from featurekit.errors import FeaturekitError
from featurekit.cache.store import Store

folder = Path(sys.argv[1])
_, calls, error = live(folder / "whole")
assert error is None
kills = 0
for how in ("before", "half-way", "after"):
    for at, (name, _) in enumerate(calls):
        if name in ("stat", "lstat", "scandir", "open", "read") or (how == "half-way" and name != "write"):
            continue
        root = folder / f"{how}-{at}"
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            def meddle(call, name, path, do, half):
                if call == at and how == "half-way":
                    half()
                try:
                    return None if call == at and how != "after" else do()
                finally:
                    if call == at:
                        os.kill(os.getpid(), signal.SIGKILL)

            with Disk(root, meddle):
                a_life(root, lambda *event: os.write(writer, repr(event).encode() + b"\\n"))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            events = [eval(line) for line in told]
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, (how, at, name, status)
        try:
            assert_stands(root, events)
        except BaseException as error:
            raise AssertionError(f"killed {how} call {at}, {calls[at]}") from error
        kills += 1
print(kills)
"""


@pytest.mark.slow
def test_a_kill_before_in_and_after_every_call_loses_nothing(tmp_path):
    """In a process of its own, which can be copied: it has no threads."""
    own = (Disk, a_life, what_stands, assert_holds, assert_stands, live)
    sources = [f"FORGOTTEN, EVER = {FORGOTTEN}, {EVER}\nimport io", *map(inspect.getsource, own)]
    code = MADE_UP_ROWS + "\n\n".join(sources) + KILLER
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


class Recorder:
    """Notes what is asked of a disk, to tell afterwards what a power cut could have left of it."""

    def __init__(self, root):
        self.root, self.log, self.files, self.n_files = str(root), [], {}, 0

    def meddle(self, number, name, path, do, half):
        if name == "create":
            self.files[path] = self.n_files = self.n_files + 1
            self.log.append(("entry", str(Path(path).parent), path, self.files[path]))
        elif name == "replace":
            before = self._unfinished(path)
            self.files[path] = self.files.pop(before)
            self.log.append(("move", str(Path(path).parent), before, path))
        elif name == "write":
            self.log.append(("data", self.files[path], self.disk.last_written))
        elif name == "fsync":
            self.log.append(("sync", self.files[path]))
        elif name == "fsync of a folder":
            self.log.append(("sync", path))
        elif name in ("unlink", "rmdir") and os.path.lexists(path):
            self.log.append(("entry", str(Path(path).parent), path, None))
        elif name == "mkdir" and not os.path.lexists(path):
            self.log.append(("entry", str(Path(path).parent), path, "folder"))
        return do()

    def _unfinished(self, path):
        start = str(Path(path).with_name(f".{Path(path).name}."))
        return next(one for one in self.files if one.startswith(start))


def left_by_a_power_cut(log, root, target, chance):
    """Make the folder as it could be after a power cut: what was not synced is there only by chance.

    Of a file some first part of what was written since its last sync is there, of a folder's changes some
    first ones since its own. chance is 0 for none of these, 1 for all (a kill without a power cut), or a
    generator.
    """
    synced = {}
    for number, event in enumerate(log):
        if event[0] == "sync":
            synced[event[1]] = number

    limits = {}

    def stays(owner, number):
        if number < synced.get(owner, -1) or chance == 1:
            return True
        if chance == 0:
            return False
        return number < limits.setdefault(owner, chance.randrange(len(log) + 1))

    entries, contents = {}, {}
    for number, event in enumerate(log):
        if event[0] == "data":
            data = event[2]
            if not stays(event[1], number):
                data = b"" if chance == 0 else data[: chance.randrange(len(data) + 1)]
            contents[event[1]] = contents.get(event[1], b"") + data
        elif event[0] == "entry" and stays(event[1], number):
            entries[event[2]] = event[3]
        elif event[0] == "move" and stays(event[1], number) and entries.get(event[2]) is not None:
            entries[event[3]] = entries.pop(event[2])
    for path, what in sorted(entries.items()):
        made = target / os.path.relpath(path, root)
        if what == "folder" and made.parent.is_dir():
            made.mkdir()
        elif isinstance(what, int) and made.parent.is_dir():
            made.write_bytes(contents.get(what, b""))


def test_no_power_cut_loses_what_was_promised_or_brings_back_what_was_forgotten(tmp_path):
    """After every call in turn: with nothing kept that was not synced, with everything, and by chance."""
    root = tmp_path / "recorded"
    root.mkdir()  # a workspace is there before its cache
    recorder = Recorder(root)
    disk = recorder.disk = Disk(root, recorder.meddle)
    with disk:
        a_life(root, lambda *event: recorder.log.append(("told", event)))
    n_states = 0
    for n_calls in range(len(recorder.log) + 1):
        log = recorder.log[:n_calls]
        events = [event[1] for event in log if event[0] == "told"]
        for chance in (0, 1, random.Random(n_calls), random.Random(n_calls + 1000)):
            target = tmp_path / f"state-{n_states}"
            target.mkdir()
            left_by_a_power_cut(log, root, target, chance)
            try:
                assert_stands(target, events)
            except BaseException as error:
                raise AssertionError(f"after {n_calls} calls, {log[-1:]}, by {chance}") from error
            n_states += 1
    assert n_states > 150


# ---------------------------------------------------------------- damage


def flip(path, chance):
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def truncate(path, chance):
    with path.open("r+b") as file:
        file.truncate(chance.randrange(path.stat().st_size))


def lengthen(path, chance):
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.randrange(1, 9)))


def overwrite(path, chance):
    path.write_bytes(chance.randbytes(path.stat().st_size))


def zero(path, chance):
    start = chance.randrange(path.stat().st_size // 2)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(path.stat().st_size - start))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("damage", [flip, truncate, lengthen, overwrite, zero])
def test_a_damaged_shard_is_found_not_served_and_written_again(root, shelf, damage, seed):
    chance = random.Random(seed)
    path = chance.choice(shards_of(shelf))
    kept = [number for number in range(10) if bytes(keys_of(number)[0]) not in set(map(bytes, rows_in(path)))]
    damage(path, chance)
    fresh = again(root)
    assert [found.path.name for found in fresh.damaged] == [path.name]
    assert not path.exists()
    assert (path.parent / "quarantine" / path.name).exists()
    assert_holds(fresh, kept)
    fresh.append(keys_of(*range(10)), columns_of(*range(10)))
    assert_holds(again(root), range(10))


def test_damage_after_the_first_look_is_found_by_verify_and_by_refresh(root, shelf):
    path = shards_of(shelf)[0]
    flip(path, random.Random(0))
    verified = Store(root).verify()
    assert verified.shards == 1
    assert [found.path for found in verified.damaged] == [path]
    assert "hash" in verified.damaged[0].why
    shelf.refresh()
    assert len(shelf) in (4, 6)


def test_a_shard_cut_short_while_it_is_in_use_is_not_served(shelf):
    for path in shards_of(shelf):
        os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(StoreError, match="is not in the cache"):
        shelf.read(keys_of(*range(10)))
    assert len(shelf.damaged) == 2


def test_shards_with_swapped_names_are_both_found(root, shelf):
    one, two = shards_of(shelf)
    one.rename(one.with_suffix(".x"))
    two.rename(one)
    one.with_suffix(".x").rename(two)
    fresh = again(root)
    assert len(fresh) == 0
    assert len(fresh.damaged) == 2


def test_a_shard_of_another_recipe_is_not_served(root, shelf):
    other = Store(root).shelf("embeddings", {**RECIPE, "layer": "other"})
    other.append(keys_of(70), columns_of(70))
    stray = shards_of(other)[0]
    stray.rename(shelf.folder / stray.name)
    fresh = again(root)
    assert_holds(fresh, range(10))
    assert "belongs to another recipe" in fresh.damaged[0].why


def test_a_shard_of_another_kind_is_not_served(root, shelf):
    faces = Store(root).shelf("faces", RECIPE)
    faces.append(keys_of(70), columns_of(70))
    shards_of(faces)[0].rename(shelf.folder / shards_of(faces)[0].name)
    assert "belongs to another recipe" in again(root).damaged[0].why


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 40,
        b"\xff" * 40,
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x04\0\0\0\0\0\0\0null",
        b"\x05\0\0\0\0\0\0\0[1,2]",
    ],
)
def test_a_file_with_the_right_name_that_is_no_shard_is_not_served(root, shelf, content):
    (shelf.folder / f"{sha256(content).hexdigest()}.safetensors").write_bytes(content)
    fresh = again(root)
    assert len(fresh.damaged) == 1
    assert_holds(fresh, range(10))


def test_shards_that_disagree_about_a_column_are_refused(root, shelf, tmp_path):
    other = Store(tmp_path / "other").shelf("embeddings", RECIPE)
    other.append(keys_of(70), columns_of(70, dim=6))
    shards_of(other)[0].rename(shelf.folder / shards_of(other)[0].name)
    with pytest.raises(
        StoreError, match=r"Column vectors of .* differs from the column of .*cache gc --drop"
    ):
        again(root).read(keys_of(*range(10), 70))


@pytest.mark.parametrize("text", ["{", "", "[1]", '"x"', '{"backbone": "other"}', "\udcff", '{"a": NaN}'])
def test_a_folder_with_another_recipe_is_refused_until_it_is_verified(root, shelf, text):
    (shelf.folder / "recipe.json").write_text(text, errors="surrogateescape")
    with pytest.raises(StoreError, match=r"recipe.json.*cache verify"):
        again(root)
    assert [info.damaged for info in Store(root).shelves()] == [1]
    assert [found.path.name for found in Store(root).verify().damaged] == ["recipe.json"]
    assert json.loads((shelf.folder / "recipe.json").read_text()) == RECIPE
    assert_holds(again(root), range(10))


def test_the_shards_alone_are_enough(root, shelf):
    (shelf.folder / "recipe.json").unlink()
    assert_holds(again(root), range(10))
    assert Store(root).shelves()[0].recipe == RECIPE


def test_a_folder_under_another_recipes_name_serves_nothing(root, shelf):
    other = {**RECIPE, "layer": "other"}
    shelf.folder.rename(shelf.folder.with_name(recipe_key(other)[:16]))
    with pytest.raises(StoreError, match="belongs to another recipe"):
        Store(root).shelf("embeddings", other)
    assert len(Store(root).verify().damaged) == 3
    assert len(Store(root).shelf("embeddings", other)) == 0


def test_a_shelf_that_cannot_be_read_is_one_line(root, shelf):
    path = shards_of(shelf)[0]
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match=r"Cannot read .*safetensors: Is a directory"):
        again(root)


# ---------------------------------------------------------------- what is there, and cleaning


def test_shelves_lists_what_is_there(root, shelf):
    Store(root).shelf("faces", {"detector": "none"}).append(keys_of(1), {"status": np.zeros(1, np.uint8)})
    embeddings, faces = Store(root).shelves()
    assert (embeddings.kind, embeddings.recipe, embeddings.rows, embeddings.shards) == (
        "embeddings",
        RECIPE,
        10,
        2,
    )
    assert embeddings.bytes == sum(path.stat().st_size for path in shards_of(shelf))
    assert embeddings.key == recipe_key(RECIPE)[:16]
    assert (faces.kind, faces.recipe, faces.rows, faces.damaged) == ("faces", {"detector": "none"}, 1, 0)
    assert Store(root / "nowhere").shelves() == []


def test_gc_removes_a_shard_whose_rows_stand_in_others_and_no_row(root, shelf, tmp_path):
    twice = Store(tmp_path / "other").shelf("embeddings", RECIPE)
    twice.append(keys_of(4, 5, 6, 7), columns_of(4, 5, 6, 7))
    twice.append(keys_of(9, 20), columns_of(9, 20))
    for path in shards_of(twice):
        path.rename(shelf.folder / path.name)
    freed = Store(root).gc()
    assert len(freed.files) == 1
    assert freed.bytes > 0
    assert not freed.files[0].exists()
    assert_holds(again(root), [*range(10), 20])
    assert Store(root).gc().files == ()
    # A reader that had looked at the shard before finds its rows in the others.
    assert_holds(shelf, range(10))


def test_gc_removes_quarantine_and_leftovers_of_the_dead_only(root, shelf):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    long_ago = time.time() - 3600
    names = {
        "dead": f".{'a' * 64}.safetensors.{dead.pid}-140.tmp",
        "just_now": f".{'b' * 64}.safetensors.{dead.pid}-140.tmp",
        "living": f".{'c' * 64}.safetensors.{os.getpid()}-140.tmp",
        "reused": f".{'d' * 64}.safetensors.{os.getpid()}-140.tmp",
        "old_style": f".recipe.json.{dead.pid}.tmp",
    }
    for name in names.values():
        (shelf.folder / name).write_bytes(b"unfinished")
    for name in ("dead", "living", "old_style"):
        os.utime(shelf.folder / names[name], (long_ago, long_ago))
    os.utime(shelf.folder / names["reused"], (long_ago - 2 * 86400,) * 2)
    flip(shards_of(shelf)[0], random.Random(0))
    again(root)
    freed = Store(root).gc()
    assert {path.name for path in freed.files} >= {names["dead"], names["old_style"], names["reused"]}
    left = {path.name for path in shelf.folder.iterdir()}
    assert {name for name in left if name.startswith(".")} == {names["just_now"], names["living"]}
    assert "quarantine" not in left


@pytest.mark.parametrize("folder", [".", "extracted", "training"])
def test_gc_removes_leftovers_of_the_record_and_of_other_files_too(root, shelf, folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = root / folder / f".{'a' * 64}.json.{dead.pid}-140.tmp"
    left.parent.mkdir(exist_ok=True)
    left.touch()
    os.utime(left, (time.time() - 3600,) * 2)
    assert Store(root).gc().files == (left,)


def test_gc_drops_whole_shelves(root, shelf):
    other = Store(root).shelf("embeddings", {"other": 1})
    other.append(keys_of(1), columns_of(1))
    freed = Store(root).gc(drop=[recipe_key({"other": 1})])
    assert not other.folder.exists()
    assert len(freed.files) == 2
    assert_holds(again(root), range(10))


def test_gc_refuses_a_key_that_is_not_there(root, shelf):
    with pytest.raises(StoreError, match=rf"The cache has no key beef\. Its keys are: {shelf.folder.name}\."):
        Store(root).gc(drop=["beef"])
    assert_holds(again(root), range(10))


def test_only_the_user_may_read_what_is_stored(root, shelf):
    index = FileIndex(root / "files.sqlite")
    index.close()
    flip(shards_of(shelf)[0], random.Random(0))
    again(root)
    paths = [root, *root.rglob("*")]
    assert len(paths) > 4
    for path in paths:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


# ---------------------------------------------------------------- through the command line


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_extraction_whose_disk_fails_at_any_call_ends_in_one_line_and_can_be_finished(
    featurekit, prepared, tmp_path, trouble
):
    command = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--threads", "1")
    cache, number = tmp_path / "work" / "cache", getattr(errno, trouble)
    with Disk(cache) as whole:
        assert featurekit(*command)[0] == 0
    stored = {path.name for path in cache.rglob("*.safetensors")}
    asked = [at for at, (name, _) in enumerate(whole.calls) if name in TROUBLES[trouble]]
    n_refused = 0
    for at in asked:

        def meddle(call, name, path, do, half, at=at):
            if call == at:
                raise OSError(number, os.strerror(number), path)
            return do()

        shutil.rmtree(cache)
        with Disk(cache, meddle):
            code, _, errors = featurekit(*command)
        assert code in (0, 1), errors
        if code:
            n_refused += 1
            assert "Traceback" not in errors
            assert sum(line.startswith("error: ") for line in errors.splitlines()) == 1
        code, _, errors = featurekit(*command)
        assert code == 0, errors
        assert {
            path.name for path in cache.rglob("*.safetensors") if path.parent.name != "quarantine"
        } == stored
    assert n_refused
