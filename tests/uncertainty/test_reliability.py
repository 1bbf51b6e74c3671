"""Whether a model knows when it is wrong is measured without making it look worse than it is."""

import numpy as np
import pytest
from scipy.stats import norm

from featurekit.uncertainty.reliability import expected_calibration_error, reliability
from tests.uncertainty.made_up import binary, calibrated, people


@pytest.mark.parametrize("n_decimals", [1, 9])
def test_the_curve_is_scikit_learns(n_decimals):
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1, 500).round(n_decimals)
    probabilities, y = binary(sure, rng.random(500) < sure**2)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    theirs = calibration_curve(right, confidence, n_bins=7, strategy="quantile")
    ours = reliability(probabilities, y, n_bins=7)
    assert np.allclose([[one.right, one.confidence] for one in ours], np.stack(theirs, axis=1))
    assert sum(one.n_faces for one in ours) == 500


def test_equal_bins_have_as_many_faces_and_the_surest_come_last():
    probabilities, y = calibrated(1000, np.random.default_rng(6))
    bins = reliability(probabilities, y)
    assert [one.n_faces for one in bins] == [100] * 10
    assert sorted(one.confidence for one in bins) == [one.confidence for one in bins]


def test_the_plain_error_is_what_one_works_out_by_hand():
    # Two of four right at 0.9 and one of one at 0.6: (4 · 0.4 + 1 · 0.4) / 5.
    probabilities, y = binary([0.9, 0.9, 0.9, 0.9, 0.6], [1, 1, 0, 0, 1])
    found = expected_calibration_error(probabilities, y, people(5))
    assert found.plain == pytest.approx(0.4)
    # The faces at 0.9: 0.4 off with a spread of 0.25 · √(4 / 3); one face alone has no spread.
    spread = 0.25 * np.sqrt(4 / 3)
    z = 0.4 / spread
    by_chance = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + 0.4 * (1 - 2 * norm.sf(z)) - 0.4
    assert found.value == pytest.approx(0.4 - 0.8 * by_chance)
    assert found.low < found.value < found.high


def errors_of(n_persons, n_draws, *, over, faces=(1,)):
    """Calibration errors of a model that is too sure by so much, on persons drawn anew."""
    rng = np.random.default_rng(7)
    found = []
    for draw in range(n_draws):
        subjects = np.repeat(people(n_persons), rng.choice(faces, n_persons))
        codes = np.unique(subjects, return_inverse=True)[1]
        sure = rng.uniform(0.6, 1, len(subjects))
        # Half of what decides whether a face is read rightly is the person's.
        luck = (rng.normal(size=n_persons)[codes] + rng.normal(size=len(subjects))) / np.sqrt(2)
        probabilities, y = binary(sure, luck < norm.ppf(sure - over))
        found.append(expected_calibration_error(probabilities, y, subjects, seed=draw))
    return found


@pytest.mark.slow
def test_the_correction_takes_away_part_of_what_chance_adds():
    perfect = errors_of(150, 60, over=0.0, faces=(1, 1, 6))
    plain, value = (np.mean([getattr(one, name) for one in perfect]) for name in ("plain", "value"))
    assert plain > 0.04
    assert 0.5 < value / plain < 0.68
    assert np.mean([one.low == 0.0 for one in perfect]) > 0.88
    off = errors_of(150, 60, over=0.05, faces=(1, 1, 6))
    plain, value = (np.mean([getattr(one, name) for one in off]) - 0.05 for name in ("plain", "value"))
    assert plain > 0.01
    assert abs(value) < 0.6 * plain


@pytest.mark.slow
@pytest.mark.parametrize("over", [0.0, 0.03])
@pytest.mark.parametrize("faces", [(1,), (1, 1, 1, 20)])
def test_the_interval_of_the_error_holds_the_truth(over, faces):
    found = errors_of(300, 120, over=over, faces=faces)
    assert np.mean([one.low <= over <= one.high for one in found]) >= 0.91


def test_more_photographs_of_the_same_persons_make_no_error_surer():
    probabilities, y = calibrated(200, np.random.default_rng(8))
    once = expected_calibration_error(probabilities, y, people(200))
    often = expected_calibration_error(
        *(np.repeat(one, 5, axis=0) for one in (probabilities, y, people(200)))
    )
    assert (often.low, often.value, often.high) == pytest.approx((once.low, once.value, once.high))


@pytest.mark.parametrize("right", [True, False])
def test_one_face_or_only_one_kind_of_answer_has_an_error_too(right):
    one = expected_calibration_error(*binary([0.8], [right]), people(1))
    assert (one.value, one.low, one.high) == pytest.approx([0.2 if right else 0.8] * 3)
    sure = expected_calibration_error(*binary(np.ones(40), np.full(40, right)), people(40))
    assert (sure.plain, sure.value, sure.low, sure.high) == pytest.approx([0.0 if right else 1.0] * 4)
