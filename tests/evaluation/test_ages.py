"""Errors by single year, and checks of a legal age."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from featurekit.errors import ModelError
from featurekit.evaluation.ages import (
    age_checks,
    band_rates,
    check_legal_ages,
    density_of,
    errors_by_gender,
    legal_ages_of,
    lowest_threshold,
    whole_years,
    year_errors,
)
from featurekit.evaluation.outcomes import Outcomes

SIGMA = 4.0


def outcomes(true, predicted, gender=None):
    rows = np.arange(len(true))
    table = pd.DataFrame(
        {"row": rows, "true": np.asarray(true, float), "predicted": np.asarray(predicted, float)}
    )
    table["subject"] = rows
    labels = pd.DataFrame({"age": table["true"], "gender": gender if gender is not None else ""}, index=rows)
    return Outcomes({"m": table}, labels), table


@pytest.fixture(scope="module")
def simulated():
    """Faces of 10 to 39 years, 600 of each, with normal errors; women are predicted a year too young."""
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(10, 40), 600)
    gender = np.where(np.arange(len(true)) % 2, "female", "male")
    return outcomes(true, true + rng.normal(0, SIGMA, len(true)) - (gender == "female"), gender)


def passes(age, threshold, shift=0.0):
    return norm.cdf((age + shift - threshold) / SIGMA)


def test_the_rates_are_those_of_normal_errors(simulated):
    found = {f"{one.column} {one.label}".strip(): one for one in age_checks(*simulated, 18, 25, 0)}
    under, over = np.arange(10, 18), np.arange(18, 40)
    both = {
        name: [passes(ages, 25, shift) for ages in (under, over)]
        for name, shift in (("male", 0), ("female", -1))
    }
    for gender, (young, old) in both.items():
        check = found[f"gender {gender}"]
        assert check.passing.share.value == pytest.approx(young.mean(), abs=0.012)
        assert check.stopped.share.value == pytest.approx(1 - old.mean(), abs=0.012)
    everybody = np.mean([young.mean() for young, _ in both.values()])
    assert found[""].passing.share.value == pytest.approx(everybody, abs=0.01)
    for age in (15, 17):
        one = found[f"age {age}"]
        expected = np.mean([passes(age, 25, shift) for shift in (0, -1)])
        assert one.passing.share.value == pytest.approx(expected, abs=0.03)
        assert (one.passing.n_faces, one.stopped.n_faces, one.stopped.share) == (600, 0, None)


def test_the_errors_are_those_of_normal_errors(simulated):
    for one in year_errors(*simulated, 0, ages=[20, 30]):
        shift = {"male": 0.0, "female": -1.0}
        shifts = np.array([shift[one.gender]] if one.gender else list(shift.values()))
        assert one.bias == pytest.approx(shifts.mean(), abs=0.6)
        assert one.rmse == pytest.approx(np.sqrt(SIGMA**2 + (shifts**2).mean()), abs=0.5)
        for years, share in zip((1, 3, 5), one.within, strict=True):
            expected = norm.cdf((years - shifts) / SIGMA) - norm.cdf((-years - shifts) / SIGMA)
            assert share == pytest.approx(expected.mean(), abs=0.07)
        folded = SIGMA * np.sqrt(2 / np.pi) * np.exp(-(shifts**2) / 2 / SIGMA**2)
        folded = folded + shifts * (1 - 2 * norm.cdf(-shifts / SIGMA))
        assert one.error.value == pytest.approx(folded.mean(), abs=0.4)


def test_the_errors_on_all_faces_are_those_of_normal_errors(simulated):
    faces = simulated[1].iloc[1::4], simulated[1].iloc[::4]  # women, and men
    found = errors_by_gender(simulated[0], pd.concat(faces), 0)
    assert [one.gender for one in found] == ["", "female", "male"]
    of_all, of_women, of_men = found
    assert of_all.n_faces == of_women.n_faces + of_men.n_faces
    error = 1.2 * SIGMA / np.sqrt(of_men.n_faces)  # of a mean, twice its standard error and more
    for one, shift in ((of_women, -1.0), (of_men, 0.0)):
        assert one.bias.value == pytest.approx(shift, abs=2 * error)
        assert one.bias.high - one.bias.low == pytest.approx(2 * 1.96 * SIGMA / np.sqrt(one.n_faces), rel=0.1)
        assert one.rmse.value == pytest.approx(np.hypot(SIGMA, shift), abs=2 * error)
        for years, share in zip((1, 3, 5), one.within, strict=True):
            expected = norm.cdf((years - shift) / SIGMA) - norm.cdf((-years - shift) / SIGMA)
            assert share.value == pytest.approx(expected, abs=0.03)
            assert share.low < share.value < share.high
    assert of_men.error.value == pytest.approx(SIGMA * np.sqrt(2 / np.pi), abs=2 * error)


def test_fewer_people_pass_and_more_are_stopped_at_a_higher_threshold(simulated):
    faces = simulated[1].iloc[::20]
    checks = [age_checks(simulated[0], faces, 18, threshold, 0)[0] for threshold in range(18, 31, 3)]
    passing = [one.passing.share.value for one in checks]
    stopped = [one.stopped.share.value for one in checks]
    assert passing == sorted(passing, reverse=True)
    assert stopped == sorted(stopped)


def test_people_just_under_a_legal_age_pass_more_often_than_all_under_it(simulated):
    faces = simulated[1].iloc[::10]
    adult = next(one for one in legal_ages_of(faces, 0) if one.plain.legal_age == 18)
    of_16_and_17 = faces[faces["true"].isin([16, 17])]
    assert adult.plain_nearly.n_faces == len(of_16_and_17)
    assert adult.plain_nearly.share.value == pytest.approx((of_16_and_17["predicted"] >= 18).mean())
    assert adult.plain_nearly.share.value > adult.plain.passing.share.value


def test_the_lowest_threshold_is_the_first_that_so_few_pass(simulated):
    faces = simulated[1].iloc[::5]
    found = lowest_threshold(faces, 18, 0, most_passing=0.05)
    assert found.passing.share.high <= 0.05
    below = age_checks(simulated[0], faces, 18, found.threshold - 1, 0)[0]
    assert below.passing.share.high > 0.05
    assert lowest_threshold(faces, 18, 0, most_passing=0.2).threshold < found.threshold


def test_of_few_subjects_nobody_can_say_that_so_few_pass():
    """Nobody passes, but of 100 people this shows no more than a share below 4 %."""
    true = [10.0] * 100 + [30.0] * 100
    both = outcomes(true, true)
    check = age_checks(*both, 18, 18, 0)[0]
    assert check.passing.share.value == check.passing.share.low == 0
    assert check.passing.share.high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert lowest_threshold(both[1], 18, 0) is None
    assert lowest_threshold(both[1], 18, 0, most_passing=0.04).threshold == 18
    assert lowest_threshold(both[1].iloc[80:], 18, 0, most_passing=0.5) is None


def test_faces_of_one_subject_are_no_independent_evidence():
    true, rng = np.repeat([16.0, 30.0], 600), np.random.default_rng(0)
    wrong = np.repeat(rng.random(120) < 0.2, 10)  # ten faces of a subject are right or wrong together
    both = outcomes(true, np.where(wrong, 46 - true, true))
    alone = age_checks(*both, 18, 18, 0)[0].passing.share
    both[1]["subject"] //= 10
    together = age_checks(*both, 18, 18, 0)[0].passing.share
    assert together.value == alone.value
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    lowest = lowest_threshold(both[1], 18, 0, most_passing=alone.high)
    assert lowest.threshold > lowest_threshold(both[1], 18, 0, most_passing=0.6).threshold


def test_twelve_faces_by_hand_and_too_few_for_a_share():
    true = [16, 17, 17, 18, 18, 25, 30, 17, 16, 40, 18, 17.9]
    said = [18, 17, 26, 17, 18, 24, 31, 25, 15, 60, 25, 18.0]
    few = outcomes(true, said)
    assert age_checks(*few, 18, 18, 0)[0].passing.share is None
    # Three subjects for each face, so that there are enough.
    check = {one.label: one for one in age_checks(*outcomes(true * 6, said * 6), 18, 18, 0)}[""]
    assert (check.passing.n_faces, check.stopped.n_faces) == (36, 36)
    assert check.passing.share.value == pytest.approx(4 / 6)  # 18, 26, 25 and 18.0
    assert check.stopped.share.value == pytest.approx(1 / 6)  # 17
    (year,) = year_errors(*outcomes(true * 8, said * 8), 0, ages=[17])
    assert year.error.value == pytest.approx((0 + 9 + 8 + 0.1) / 4)
    assert year.bias == pytest.approx((0 + 9 + 8 + 0.1) / 4)
    assert year.within == (0.5, 0.5, 0.5)


def test_an_age_without_a_face_is_listed(simulated):
    (nobody, *_) = year_errors(*simulated, 0, ages=[70])
    assert (nobody.age, nobody.n_faces, nobody.error, nobody.bias) == (70, 0, None, None)


TRUE = [10, 12.9, 13, 14, 15.5, 16, 17, 17.9, 18, 30, 40, 50]
SAID = [11, 13.0, 12, 14, 18.0, 17, 30, 17.0, 17, 33, 39, 50]


def test_twelve_faces_by_hand_on_all_of_them():
    (found,) = errors_by_gender(*outcomes(TRUE * 3, SAID * 3), 0)
    off = [1, 0.1, -1, 0, 2.5, 1, 13, -0.9, -1, 3, -1, 0]
    assert (found.n_faces, found.n_subjects) == (36, 36)
    assert found.bias.value == pytest.approx(sum(off) / 12)
    assert found.error.value == pytest.approx(sum(map(abs, off)) / 12)
    assert found.rmse.value == pytest.approx(np.sqrt(sum(one**2 for one in off) / 12))
    assert [one.value for one in found.within] == pytest.approx([9 / 12, 11 / 12, 11 / 12])
    (few,) = errors_by_gender(*outcomes(TRUE, SAID), 0)
    assert (few.n_faces, few.error, few.bias, few.rmse, few.within) == (12, None, None, None, (None,) * 3)


def test_bands_of_young_people_by_hand():
    faces = outcomes(TRUE * 20, SAID * 20)[1]
    found = {one.band: one for one in band_rates(faces, (13, 16, 18), 0)}
    assert list(found) == ["under 13", "13-15", "16-17", "18 and older"]
    assert [one.counts for one in found.values()] == [
        (20, 20, 0, 0),  # 11 and 13.0
        (20, 20, 0, 20),  # 12, 14 and 18.0
        (0, 0, 40, 20),  # 17, 30 and 17.0
        (0, 0, 20, 60),  # 17, 33, 39 and 50
    ]
    shares = [[share.value for share in one.shares] for one in found.values()]
    assert shares[0] == [0.5, 0.5, 0, 0]
    assert shares[2] == pytest.approx([0, 0, 2 / 3, 1 / 3])
    assert np.sum(shares, axis=1) == pytest.approx(1)
    low = found["16-17"].shares[3]
    assert low.low < 1 / 3 < low.high
    middle = band_rates(faces, (13, 17), 0)[1]
    assert (middle.band, middle.counts) == ("13-16", (20, 20, 40))


def test_a_band_of_few_subjects_has_counts_and_no_share():
    young, others = band_rates(outcomes([10] * 29 + [20] * 30, [20] * 59)[1], (13,), 0)
    assert (young.counts, young.shares) == ((0, 29), (None, None))
    assert (others.counts, others.shares[1].value) == ((0, 30), 1.0)
    assert others.shares[1].low < 1  # thirty of thirty do not show that nobody else is put elsewhere
    empty = band_rates(outcomes([20] * 30, [20] * 30)[1], (13,), 0)[0]
    assert (empty.n_faces, empty.n_subjects, empty.counts, empty.shares) == (0, 0, (0, 0), (None, None))


def test_cells_count_each_face_once_and_predictions_out_of_range_are_in_the_outermost():
    found = density_of(outcomes([0, 3.9, 4, 9], [-5, 2, 500, 4])[1], 2)
    counts = np.array(found.counts)
    assert counts.shape == (61, 61)
    assert counts.sum() == 4
    assert [counts[0, 0], counts[1, 1], counts[2, 60], counts[4, 2]] == [1] * 4


def test_a_legal_age_that_no_face_can_tell_of_is_one_line():
    faces = outcomes([5, 17], [5, 17])[1]
    check_legal_ages(faces, [6, 17])
    with pytest.raises(ModelError, match=r"no face of a person under 5 years\. The 2 faces are .* 5 to 17"):
        check_legal_ages(faces, [6, 5])
    with pytest.raises(
        ModelError, match=r"legal age 18 cannot be judged, .* of a person of 18 years or older"
    ):
        check_legal_ages(faces, [18])
    for wrong in ([0], [121], [17.5], []):
        with pytest.raises(ModelError, match="An age must be a whole number of years from 1 to 120"):
            whole_years(wrong, "An age")
