"""Targets know their classes, and every age is in one group or none."""

import re

import pytest

from featurekit.data.targets import AGE_GROUP, GENDER, MAX_AGE, age_group_of
from featurekit.errors import TargetError


def test_an_unknown_label_is_refused_by_name():
    message = "gender has labels ['man'], but only ['female', 'male'] are allowed."
    with pytest.raises(TargetError, match=re.escape(message)):
        GENDER.encode(["female", "man"])


@pytest.mark.parametrize(
    ("years", "group"),
    [
        (0, "0-2"),
        (2.99, "0-2"),
        (3, ""),
        (12.5, "8-12"),
        (13, ""),
        (32, "25-32"),
        (60, "60-100"),
        (116, "60-100"),
    ],
)
def test_an_age_between_two_groups_has_none(years, group):
    assert age_group_of(years) == group


def test_every_age_is_in_one_group_or_none():
    for years in range(MAX_AGE + 1):
        assert age_group_of(years) in {*AGE_GROUP.classes, ""}
        inside = [first <= years <= last for first, last in AGE_GROUP.years]
        assert (age_group_of(years) != "") == (any(inside) or years > 100)
