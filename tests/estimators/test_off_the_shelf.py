"""The heads that come with dlib's networks."""

from dataclasses import replace

import numpy as np
import pytest

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import TargetError
from featurekit.estimators import CLASSIFIERS
from featurekit.estimators._off_the_shelf import YEARS


def years_with(**shares):
    """Probabilities of the 81 outputs, e.g. y28=1.0."""
    X = np.zeros((1, 81), np.float32)
    for name, share in shares.items():
        X[0, int(name[1:])] = share
    return X


def shelf(target):
    X = np.zeros((1, 2 if target is GENDER else 81), np.float32)
    return CLASSIFIERS["off_the_shelf"].make(target, 0, 1).fit(X, np.zeros(1), groups=np.array(["s"]))


@pytest.mark.parametrize(
    ("year", "group"), [(0, 0), (2, 0), (4, 1), (12, 2), (15, 3), (25, 4), (43, 5), (50, 6), (60, 7), (80, 7)]
)
def test_a_year_falls_into_its_group(year, group):
    assert shelf(AGE_GROUP).predict(years_with(**{f"y{year}": 1.0})).tolist() == [group]


def test_years_between_the_groups_are_left_out():
    proba = shelf(AGE_GROUP).predict_proba(years_with(y23=0.5, y28=0.3, y40=0.2))
    assert proba[0, [4, 5]] == pytest.approx([0.6, 0.4])
    assert shelf(AGE_GROUP).predict_proba(years_with(y23=1.0)) == pytest.approx(np.full((1, 8), 1 / 8))


def test_the_age_is_the_expected_one():
    assert YEARS[[0, 1, 80]].tolist() == [0.25, 1.0, 80.0]
    assert shelf(AGE).predict(years_with(y20=0.5, y30=0.5)) == pytest.approx([25.0])
    assert shelf(AGE).predict(years_with(y0=1.0)) == pytest.approx([0.25])


def test_the_second_probability_of_the_gender_head_is_male():
    assert shelf(GENDER).predict(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)).tolist() == [0, 1]


def test_the_heads_are_features_of_their_networks():
    kind = CLASSIFIERS["off_the_shelf"]
    mood = replace(GENDER, name="mood")
    assert [kind.features(target) for target in (AGE, AGE_GROUP, GENDER, mood)] == [
        "dlib_age:probabilities",
        "dlib_age:probabilities",
        "dlib_gender:probabilities",
        None,
    ]


def test_a_target_without_a_head_is_refused():
    with pytest.raises(
        TargetError,
        match=r"^off_the_shelf cannot predict mood, because dlib's networks"
        " predict age, ",
    ):
        CLASSIFIERS["off_the_shelf"].make(replace(GENDER, name="mood"), 0, 1)


def test_vectors_of_another_network_are_a_bug():
    with pytest.raises(
        ValueError,
        match="age is predicted from the 81 probabilities of a dlib network, but the vectors",
    ):
        shelf(AGE).predict(np.zeros((2, 5), np.float32))
