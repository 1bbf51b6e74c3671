"""Recipes: equal ones have one key, and whatever differs has another."""

from pathlib import Path

import numpy as np
import pytest

from featurekit.cache.keys import recipe_key
from featurekit.errors import StoreError


def test_equal_recipes_have_one_key_whatever_the_order_of_their_parts():
    assert recipe_key({"a": 1, "b": {"c": (1, 2), "d": None}}) == recipe_key(
        {"b": {"d": None, "c": [1, 2]}, "a": 1}
    )


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1.5}, {"a": "1"}, {"a": True}, {"b": 1}, {"a": [1]}, {}])
def test_another_recipe_has_another_key(other):
    assert recipe_key(other) != recipe_key({"a": 1})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (float("nan"), "a.b is nan"),
        (float("inf"), "a.b is inf"),
        (np.float32(1), "a.b is a float32"),
        (Path("x"), "a.b is a"),
        ({1, 2}, "a.b is a set"),
        ({1: 2}, "a.b has the key 1"),
        ([1, b"x"], r"a.b\[1\] is a bytes"),
    ],
)
def test_a_recipe_that_is_not_plain_json_is_refused(part, message):
    with pytest.raises(StoreError, match=message):
        recipe_key({"a": {"b": part}})
