"""Disparities between groups are those of fairlearn, on the same faces."""

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn

from featurekit.data.targets import AGE, GENDER, Target
from featurekit.errors import ModelError, UnknownNameError
from featurekit.evaluation import disparities
from featurekit.evaluation.disparities import OF_CLASSES, OF_SCORE, disparities_of
from featurekit.evaluation.outcomes import Outcomes
from featurekit.uncertainty.resampling import FEWEST

HAT = Target("hat", ("no", "yes"))


def outcomes(true, predicted, subjects=None, **labels):
    rows = np.arange(len(true))
    table = pd.DataFrame({"row": rows, "true": np.asarray(true), "predicted": np.asarray(predicted)})
    table["subject"] = rows if subjects is None else subjects
    return Outcomes({"m": table}, pd.DataFrame(labels, index=rows)), table


def at_random(n_groups, target):
    """Faces of so many groups and a rare one; how many are wrong depends on the group."""
    rng = np.random.default_rng(n_groups)
    n = int(rng.integers(300, 900))
    place = rng.integers(0, n_groups, n)
    place[: FEWEST - 1] = n_groups  # the rare one
    if target.is_regression:
        true = rng.uniform(1, 80, n)
        said = true + rng.normal(0, 2 + place, n)
    else:
        true = rng.random(n) < 0.2 + 0.1 * place
        said = true ^ (rng.random(n) < 0.05 + 0.05 * place)
        true, said = (np.array(target.classes)[one.astype(int)] for one in (true, said))
    return (*outcomes(true, said, skin=np.array(list("abcdef"))[place]), np.array(list("abcdef"))[place])


def numbers_of(found):
    return {(one.name, one.predicted): one.value.value for one in found.disparities}


def by_fairlearn(target, true, said, groups):
    from sklearn.metrics import accuracy_score, mean_absolute_error

    score = mean_absolute_error if target.is_regression else accuracy_score
    frame = fairlearn.MetricFrame(metrics=score, y_true=true, y_pred=said, sensitive_features=groups)
    found = {
        ("difference", ""): frame.difference(method="between_groups"),
        ("ratio", ""): frame.ratio(method="between_groups"),
        ("difference_to_overall", ""): frame.difference(method="to_overall"),
        ("ratio_to_overall", ""): frame.ratio(method="to_overall"),
    }
    for label in target.classes:
        own = {"y_true": true == label, "y_pred": said == label, "sensitive_features": groups}
        for name in OF_CLASSES:
            of_class = label if name.endswith("ratio") else ""
            if (name, of_class) not in found:
                found[name, of_class] = getattr(fairlearn, name)(**own)
    return found, frame.by_group


@pytest.mark.parametrize(("target", "n_groups"), [(HAT, 3), (AGE, 4)])
def test_the_values_are_those_of_fairlearn(target, n_groups):
    """On the faces of the groups that have enough subjects; differences are equal for both classes."""
    kept, table, groups = at_random(n_groups, target)
    (found,) = disparities_of(kept, target, table, 0)
    rare = [one.label for one in found.small]
    assert len(rare) == 1
    own = groups != rare[0]
    true, said = (table[name].to_numpy()[own] for name in ("true", "predicted"))
    expected, by_group = by_fairlearn(target, true, said, groups[own])
    assert numbers_of(found) == pytest.approx(expected, abs=1e-12)
    scores = {one.label: one.score.value for one in found.groups if one.score}
    assert scores == pytest.approx(by_group.to_dict())
    sign = -1 if target.is_regression else 1
    for one in found.groups:
        if one.score and one.label != found.reference:
            assert one.gap.value == pytest.approx(sign * (scores[one.label] - scores[found.reference]))
            assert one.ratio.value == pytest.approx(scores[one.label] / scores[found.reference])


def test_twelve_faces_by_hand(monkeypatch):
    """Six women, of whom four are predicted correctly, and six men, of whom five are."""
    monkeypatch.setattr(disparities, "FEWEST", 6)
    gender = ["female"] * 6 + ["male"] * 6
    hat = ["yes", "yes", "yes", "no", "no", "no"] * 2
    said = [*("yes", "yes", "no", "no", "no", "yes"), *("yes", "yes", "yes", "yes", "no", "no")]
    (found,) = disparities_of(*_with(HAT, hat, said, gender=gender), 0)
    assert numbers_of(found) == pytest.approx(
        {
            ("difference", ""): 5 / 6 - 4 / 6,
            ("ratio", ""): 4 / 5,
            ("difference_to_overall", ""): 9 / 12 - 4 / 6,
            ("ratio_to_overall", ""): (4 / 6) / (9 / 12),
            # Three women and four men are said to wear a hat.
            ("demographic_parity_difference", ""): 1 / 6,
            ("demographic_parity_ratio", "yes"): 3 / 4,
            ("demographic_parity_ratio", "no"): 2 / 3,
            # Of three women with a hat two are found, and of three without one, one is said to wear it; all
            # three men with a hat are found, and of three without one, one is said to wear it.
            ("equalized_odds_difference", ""): 1 / 3,
            ("equalized_odds_ratio", "yes"): 2 / 3,
            # One woman with a hat is said to wear none, and no man.
            ("equalized_odds_ratio", "no"): 0.0,
        }
    )


def _with(target, true, said, subjects=None, **labels):
    kept, table = outcomes(true, said, subjects, **labels)
    return kept, target, table


def test_the_reference_is_the_group_with_most_subjects_or_the_one_that_is_asked_for():
    """Ten faces of each of forty men are fewer subjects than sixty women."""
    gender = ["male"] * 400 + ["female"] * 60 + ["other"] * 5
    subjects = np.concatenate([np.repeat(np.arange(40), 10), np.arange(100, 165)])
    given = _with(HAT, ["no", "yes"] * 232 + ["no"], ["no"] * 465, subjects, gender=gender)
    (found,) = disparities_of(*given, 0)
    assert (found.reference, [one.label for one in found.small]) == ("female", ["other"])
    assert [one.gap is None for one in found.groups] == [True, False, True]
    (other,) = disparities_of(*given, 0, column="gender", reference="male")
    assert other.reference == "male"
    assert other.groups[0].gap.value == -found.groups[1].gap.value
    assert other.disparities == found.disparities
    with pytest.raises(ModelError, match=r"other of gender has 5 subjects.* at least 30"):
        disparities_of(*given, 0, column="gender", reference="other")
    with pytest.raises(UnknownNameError, match=r"label of gender 'males'.*male"):
        disparities_of(*given, 0, column="gender", reference="males")
    with pytest.raises(UnknownNameError, match="column of labels 'sex'"):
        disparities_of(*given, 0, column="sex")
    with pytest.raises(ModelError, match="Name the column"):
        disparities_of(*given, 0, reference="male")


def test_the_faces_of_one_subject_count_once_in_an_interval():
    rng = np.random.default_rng(1)
    hat = np.repeat(np.where(rng.random(200) < 0.5, "yes", "no"), 9)
    said = np.where(np.repeat(rng.random(200) < 0.2, 9), "no", hat)  # all faces of a subject alike
    gender = np.repeat(np.where(np.arange(200) % 2, "male", "female"), 9)
    widths = []
    for subjects in (np.repeat(np.arange(200), 9), None):
        (found,) = disparities_of(*_with(HAT, hat, said, subjects, gender=gender), 0)
        gap = next(one.gap for one in found.groups if one.gap)
        assert gap.low < gap.value < gap.high
        widths.append(gap.high - gap.low)
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.2)  # the root of nine faces


def test_the_interval_of_a_gap_is_that_of_two_shares():
    rng = np.random.default_rng(2)
    n, gender = 4000, np.where(np.arange(4000) % 2, "male", "female")
    said = np.where(rng.random(n) < np.where(gender == "male", 0.1, 0.2), "no", "yes")
    (found,) = disparities_of(*_with(HAT, ["yes"] * n, said, gender=gender), 0)
    gap = next(one.gap for one in found.groups if one.gap)
    shares = [one.score.value for one in found.groups]
    half = 1.96 * np.sqrt(sum(share * (1 - share) / (n / 2) for share in shares))
    assert (gap.value - gap.low, gap.high - gap.value) == pytest.approx((half, half), rel=0.1)


def test_where_groups_are_equal_an_interval_says_so():
    """A difference of 0 is inside its interval, and that of two groups is the interval of their gap."""
    hat, gender = ["yes", "no"] * 60, ["male"] * 60 + ["female"] * 60
    said = np.where(np.isin(np.arange(120) % 10, (1, 4)), "other", hat)
    said = np.where(said == "other", np.where(np.array(hat) == "yes", "no", "yes"), said)
    (found,) = disparities_of(*_with(HAT, hat, said, gender=gender), 0)
    intervals = {(one.name, one.predicted): one.value for one in found.disparities}
    gap = next(one.gap for one in found.groups if one.gap)
    assert intervals["difference", ""].value == gap.value == 0
    for (name, _), one in intervals.items():
        assert one.low < one.value == (1 if "ratio" in name else 0) < one.high
    ends = {abs(gap.low), abs(gap.high)}
    assert {abs(intervals["difference", ""].low), abs(intervals["difference", ""].high)} == ends


def test_classes_are_not_compared_where_the_groups_are_the_classes():
    """Of gender by gender, the scores of the groups are the recalls, and that is all there is."""
    gender = np.array(["male", "female"] * 50)
    said = np.where(np.arange(100) % 10 == 0, "female", gender)
    for name in ("gender", "sex"):
        (found,) = disparities_of(*_with(GENDER, gender, said, **{name: gender}), 0)
        assert {one.name for one in found.disparities} == set(OF_SCORE)
        assert {one.label: one.score.value for one in found.groups} == {"female": 1.0, "male": 0.8}


def test_one_group_alone_has_a_score_and_no_disparity():
    (found,) = disparities_of(
        *_with(HAT, ["yes"] * 40, ["no"] * 40, gender=["male"] * 38 + ["female"] * 2), 0
    )
    assert (found.reference, found.disparities) == ("male", ())
    assert [one.score is None for one in found.groups] == [True, False]
