"""Rows of a made-up cache, and its life, for the tests of every place that a cache can be in."""

import inspect
import subprocess
import sys
from hashlib import sha256

import numpy as np

from featurekit.cache.store import Store

RECIPE = {"backbone": "mean_color", "layer": "mean", "faces": {"size": [320, 640], "threshold": 0.4}}


def keys_of(*numbers):
    """Return one made-up row key a number."""
    digests = [sha256(str(number).encode()).digest() for number in numbers]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def columns_of(*numbers, dim=5):
    """Return columns that follow from the row's number, as vectors follow from a picture."""
    vectors = [np.random.default_rng(number).standard_normal(dim, dtype=np.float32) for number in numbers]
    return {
        "vectors": np.array(vectors, np.float32).reshape(-1, dim),
        "status": np.array([number % 200 for number in numbers], np.uint8),
        "landmarks": np.array(numbers, np.float32).reshape(-1, 1, 1)
        + np.arange(10, dtype=np.float32).reshape(5, 2),
    }


# The same for a child process, which starts much faster without this module's imports.
MADE_UP_ROWS = f"""
from hashlib import sha256
import numpy as np
RECIPE = {RECIPE}
{inspect.getsource(keys_of)}
{inspect.getsource(columns_of)}
"""


# A program that writes rows when it is told to: give it the place, first and last number, and rows a shard.
WRITER = """
import sys
from featurekit.cache.store import Store
from featurekit.urls import place_of
shelf = Store(place_of(sys.argv[1])).shelf("embeddings", RECIPE)
start, stop, size = map(int, sys.argv[2:5])
print("ready", flush=True)
sys.stdin.readline()
for first in range(start, stop, size):
    numbers = range(first, min(first + size, stop))
    shelf.append(keys_of(*numbers), columns_of(*numbers))
"""


def start_writer(root, start, stop, size):
    """Return a process that will write rows, with size rows a shard, as soon as it is let go."""
    writer = subprocess.Popen(
        [sys.executable, "-c", MADE_UP_ROWS + WRITER, str(root), str(start), str(stop), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout.readline() == b"ready\n"
    return writer


def let_go(writer):
    writer.stdin.write(b"\n")
    writer.stdin.close()


def end(writer):
    writer.wait()
    writer.stdout.close()
    return writer.returncode


def again(root):
    """The shelf as another process would see it."""
    return Store(root).shelf("embeddings", RECIPE)


def shards_of(shelf):
    return sorted(shelf.folder.glob("*.safetensors"))


def rows_in(path):
    """Return the row keys in one shard of this machine."""
    from safetensors.numpy import load_file

    return load_file(path)["row_key"]


def assert_holds(shelf, numbers):
    numbers = list(numbers)
    assert len(shelf) == len(set(numbers))
    assert not len(shelf.missing(keys_of(*numbers)))
    got, expected = shelf.read(keys_of(*numbers)), columns_of(*numbers)
    assert got.keys() == expected.keys()
    for name in expected:
        assert got[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(got[name], expected[name])


FORGOTTEN = 5


def a_life(root, told):
    """Rows come, stand twice, are tidied up, and one is forgotten; told hears what stands fast."""
    store, other = Store(root), Store(root)
    shelf, theirs = (one.shelf("embeddings", RECIPE) for one in (store, other))
    for writer, numbers in ((shelf, range(4)), (shelf, range(4, 8)), (theirs, range(10))):
        writer.append(keys_of(*numbers), columns_of(*numbers))
        told("there", set(numbers))
    store.gc()  # two shards whose rows stand in the third
    info = store.shelves()[0]
    told("going", {FORGOTTEN})
    store.forget(info, keys_of(FORGOTTEN))
    told("gone", {FORGOTTEN})
    shelf.refresh()
    shelf.read(keys_of(0, 9))
    shelf.append(keys_of(20), columns_of(20))
    told("there", {20})
    store.verify()


EVER = [*range(10), 20]


def what_stands(events):
    """Return which rows must be there and which must not, by what was told."""
    there = set().union(*(rows for what, rows in events if what == "there"))
    going = set().union(*(rows for what, rows in events if what == "going"))
    gone = set().union(*(rows for what, rows in events if what == "gone"))
    return there - going, gone


def assert_stands(root, events, *, may_lack=False):
    """What was promised is there to the last bit, nothing else is wrong, and the work can be finished."""
    sure, gone = what_stands(events)
    shelf = Store(root).shelf("embeddings", RECIPE)
    absent = set(np.array(EVER)[shelf.missing(keys_of(*EVER))])
    assert may_lack or not sure & absent, f"lost: {sure & absent}"
    assert gone <= absent, f"not forgotten: {gone - absent}"
    here = [number for number in EVER if number not in absent]
    if here:
        got = shelf.read(keys_of(*here))
        for name, values in columns_of(*here).items():
            np.testing.assert_array_equal(got[name], values)
    assert may_lack or not shelf.damaged
    wanted = [number for number in EVER if number not in gone]
    shelf.append(keys_of(*wanted), columns_of(*wanted))
    Store(root).gc()
    assert_holds(Store(root).shelf("embeddings", RECIPE), wanted)
