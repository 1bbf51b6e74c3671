"""A damaged file of torch is refused in one line, in both formats that torch has written."""

import random

import pytest

from featurekit.errors import WeightsError
from featurekit.networks.state_dict import load_state
from tests.networks.made_up import saved


def make_network():
    from torch import nn

    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_file_that_was_cut_or_changed_never_ends_in_another_error(is_zip):
    data = saved(make_network().state_dict(), _use_new_zipfile_serialization=is_zip)
    chance, said = random.Random(0), []
    for number in range(200):
        content = bytearray(data)
        if number % 2:
            content = content[: chance.randrange(len(data) - 1)]
        else:
            for _ in range(3):
                content[chance.randrange(len(data))] = chance.randrange(256)
        try:
            load_state(make_network(), "made_up", bytes(content))
        except WeightsError as error:
            said.append(str(error))
        else:
            assert number % 2 == 0  # a changed number is found by the hash of the file
    assert len(said) > 120
    assert not any("\n" in line for line in said)
