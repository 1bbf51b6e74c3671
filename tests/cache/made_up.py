"""Rows of a made-up cache, and its life, for the tests of every place that a cache can be in."""

import inspect
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
