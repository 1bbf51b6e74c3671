"""What every data set promises, tried on each member of the registry."""

import pytest

from featurekit.data.datasets import DATASETS
from featurekit.data.prepare import prepare
from featurekit.errors import FeaturekitError

NAMES = DATASETS.names()
# Those that make their pictures themselves where there are none.
READING = [name for name in NAMES if name != "synthetic"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_what_its_owners_allow(name):
    dataset = DATASETS[name]
    assert dataset.about
    assert "\n" not in dataset.about
    assert dataset.licence


@pytest.mark.parametrize("name", NAMES)
def test_its_options_can_be_typed_and_missing_is_one_of_them(name):
    options = DATASETS[name].options
    assert all(option.isidentifier() for option in options)
    assert options[-1] == "missing"


@pytest.mark.parametrize("name", READING)
def test_where_nothing_is_it_refuses_in_one_line(name, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FeaturekitError) as refused:
            prepare(name, path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_that_it_does_not_have_is_refused_with_those_it_has(name, tmp_path):
    with pytest.raises(FeaturekitError, match="nonesuch"):
        prepare(name, tmp_path, nonesuch="1")
