"""A shelf in memory does what a shelf of the store does."""

import numpy as np
import pytest

from featurekit.cache.shelf import MemoryShelf
from featurekit.cache.store import Store


@pytest.fixture(params=["memory", "disk"])
def shelf(request, tmp_path):
    return MemoryShelf() if request.param == "memory" else Store(tmp_path).shelf("faces", {"a": 1})


def test_rows_are_found_by_key_in_the_order_asked_and_the_first_one_stays(shelf):
    keys = np.arange(96, dtype=np.uint8).reshape(3, 32)
    assert shelf.missing(keys).tolist() == [0, 1, 2]
    shelf.append(keys[[0, 2, 2]], {"value": np.array([1.0, 3.0, 4.0]), "pair": np.eye(3, 2)})
    shelf.append(keys[[2]], {"value": np.array([9.0]), "pair": np.ones((1, 2))})
    assert shelf.missing(keys).tolist() == [1]
    found = shelf.read(keys[[2, 0, 2]])
    assert found["value"].tolist() == [3.0, 1.0, 3.0]
    assert found["pair"].tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    assert list(shelf.read(keys[[0]], ["pair"])) == ["pair"]
    shelf.append(keys[[1]], {"value": np.array([2.0]), "pair": np.zeros((1, 2))})
    assert shelf.read(keys, ["value"])["value"].tolist() == [1.0, 2.0, 3.0]
