"""Every data set says what it is, and ids are unique."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurekit.data.datasets import DATASETS, unique_ids

# ---------------------------------------------------------------- names that are written in another way


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "b", ""])))
def test_ids_are_made_unique_and_the_first_keeps_its_name(names):
    ids = unique_ids(names)
    assert len(set(ids)) == len(names)
    assert all(ids[names.index(name)] == name for name in names)
    assert all(made.startswith(name) for made, name in zip(ids, names, strict=True))


# ---------------------------------------------------------------- prepare


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_data_set_says_what_it_is_and_who_allows_it(name):
    assert DATASETS[name].about
    assert DATASETS[name].licence
