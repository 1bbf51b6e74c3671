"""Whether a model knows when it is wrong: against other people's numbers, by hand, and by simulation."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from featurekit.records import record
from featurekit.uncertainty.abstention import Abstention, Step, abstention
from featurekit.uncertainty.calibration import Calibration, calibrate_classes, calibrate_years, cross_fitted
from featurekit.uncertainty.conformal import ClassSets, YearRanges, conformal_threshold, coverage_by
from featurekit.uncertainty.reliability import expected_calibration_error
from featurekit.uncertainty.resampling import FEWEST
from tests.uncertainty.made_up import calibrated, people

# ---------------------------------------------------------------- sets that hold the truth


# ---------------------------------------------------------------- do they


def test_the_fewest_persons_with_a_number_are_thirty():
    subjects, y = people(FEWEST), np.full(FEWEST, 30.0)
    ranges = np.tile([20.0, 40.0], (FEWEST, 1))
    found = coverage_by(np.full(FEWEST, "x"), ranges, y, subjects)[0]
    assert (found.value, found.size, found.between.high) == (1.0, 20.0, 1.0)
    assert found.between.low == pytest.approx(0.025 ** (1 / FEWEST))  # covered so far is not covered always
    nobody = coverage_by(np.full(FEWEST, "x"), ranges, y + 11, subjects)[0]
    assert (nobody.value, nobody.between.low) == (0.0, 0.0)
    assert coverage_by(np.full(29, "x"), ranges[1:], y[1:], subjects[1:])[0].value is None


def test_the_order_of_faces_decides_nothing():
    rng = np.random.default_rng(18)
    probabilities, y = calibrated(300, rng)
    subjects = rng.choice(people(100), 300)
    folds = np.unique(subjects, return_inverse=True)[1] % 3
    other = rng.permutation(300)
    wrong, sure = probabilities.argmax(axis=1) != y, probabilities.max(axis=1)
    one = cross_fitted(probabilities, y, folds, subjects)[0][other]
    assert np.allclose(cross_fitted(probabilities[other], y[other], folds[other], subjects[other])[0], one)
    first, second = (
        expected_calibration_error(probabilities[rows], y[rows], subjects[rows], seed=3)
        for rows in (np.arange(300), other)
    )
    assert (first.value, first.low) == pytest.approx((second.value, second.low))
    assert abstention(sure[other], wrong[other], subjects[other]).threshold_for(0.6) == abstention(
        sure, wrong, subjects
    ).threshold_for(0.6)
    assert conformal_threshold(sure[other], 0.1, subjects[other]) == conformal_threshold(sure, 0.1, subjects)


# ---------------------------------------------------------------- what a model keeps


def test_what_a_model_keeps_is_found_on_enough_persons_or_not_at_all():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    proba = np.full((200, 2), 0.25)
    proba[np.arange(200), y] = 0.75
    known = calibrate_classes(proba, y, np.arange(200), missed=0.1, ordered=False)
    assert known.temperature < 1  # it is always right, and only 75 % sure
    assert known.abstention.threshold_for(0.1) == 0.75
    assert known.sets.of(proba).sum() == 200
    assert calibrate_classes(proba, y, np.arange(200) % 29, missed=0.1, ordered=False) is None
    years = rng.uniform(0, 90, 200)
    ranges = calibrate_years(years, years + 3, np.arange(200), missed=0.1).ranges
    # Everybody is three years older than is read.
    assert ranges.of(np.array([40.0]))[0].tolist() == pytest.approx([40, 44], abs=1.0)
    assert calibrate_years(years, years, np.arange(200) % 29, missed=0.1) is None


def test_what_a_model_keeps_survives_json():
    step = Step(0.9, 0.5, 0.01, 0.02, 100.0)
    for known in (
        Calibration(
            missed=0.1,
            temperature=1.25,
            abstention=Abstention((step,)),
            sets=ClassSets((0.5, None), ordered=True),
        ),
        Calibration(missed=0.2, ranges=YearRanges(18, (17.5, None), (30.0, None))),
    ):
        text = json.dumps(asdict(known), allow_nan=False)
        assert record(Calibration, json.loads(text)) == known
