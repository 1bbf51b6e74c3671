"""One number makes probabilities calibrated and changes no answer."""

import numpy as np
import pytest

from featurekit.evaluation.scores import log_losses
from featurekit.uncertainty.calibration import TEMPERATURES, apply_temperature, cross_fitted, fit_temperature
from tests.uncertainty.made_up import K, binary, calibrated, people


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_on_is_found_again(temperature):
    probabilities, y = calibrated(20_000, np.random.default_rng(0))
    spoilt = apply_temperature(probabilities, 1 / temperature)
    assert fit_temperature(spoilt, y) == pytest.approx(temperature, rel=0.03)


def test_the_temperature_is_scikit_learns():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 3))
    y = (X @ rng.normal(size=(3, K)) + rng.gumbel(size=(600, K))).argmax(axis=1)
    model = LogisticRegression(C=100.0).fit(X[:60], y[:60])  # too sure of itself
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="temperature").fit(X[60:], y[60:])
    found = fit_temperature(model.predict_proba(X[60:]), y[60:])
    assert found > 1.05
    assert found == pytest.approx(1 / theirs.calibrated_classifiers_[0].calibrators[0].beta_, rel=1e-4)
    ours = apply_temperature(model.predict_proba(X), found)
    assert np.allclose(ours, theirs.predict_proba(X), atol=1e-4)


def test_temperature_changes_no_answer_and_lowers_the_loss_it_is_fitted_to():
    probabilities, y = calibrated(300, np.random.default_rng(2))
    sharp = apply_temperature(probabilities, 0.3)
    cooled = apply_temperature(sharp, fit_temperature(sharp, y))
    assert np.array_equal(cooled.argmax(axis=1), sharp.argmax(axis=1))
    assert np.allclose(cooled.sum(axis=1), 1)
    assert log_losses(y, cooled).mean() < log_losses(y, sharp).mean()
    assert np.allclose(apply_temperature(probabilities, 1.0), probabilities, atol=1e-11)


def test_a_class_that_nobody_is_given_does_not_disturb():
    probabilities, y = calibrated(400, np.random.default_rng(3), 3)
    with_nobody = np.insert(probabilities, 1, 0.0, axis=1)
    own = fit_temperature(probabilities, y)
    assert fit_temperature(with_nobody, np.where(y > 0, y + 1, 0)) == pytest.approx(own, rel=1e-4)


def test_sure_mistakes_ask_for_a_high_temperature_and_a_finite_one():
    # Four of five are right, each with a probability of 1: 1e-12 ** (1 / T) must be a quarter.
    probabilities = np.repeat([[1.0, 0.0]], 5, axis=0)
    found = fit_temperature(probabilities, np.array([0, 0, 0, 0, 1]))
    assert found == pytest.approx(12 * np.log(10) / np.log(4), rel=1e-5)
    assert apply_temperature(probabilities, found)[0] == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize("sure", [0.6, 0.9])
def test_a_model_that_is_always_right_or_always_wrong_stays_within_limits(sure):
    probabilities, right = binary(np.full(5, sure), np.ones(5, bool))
    assert TEMPERATURES[0] <= fit_temperature(probabilities, right) < 0.2
    assert fit_temperature(probabilities, 1 - right) == pytest.approx(TEMPERATURES[1], rel=0.01)
    assert np.isfinite(apply_temperature(probabilities, TEMPERATURES[0])).all()


def test_where_no_temperature_is_better_it_is_left_at_one():
    assert fit_temperature(np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 0, 0])) == 1.0
    assert fit_temperature(np.array([[1.0, 0.0]]), np.array([0])) == 1.0


def test_a_folds_temperature_does_not_depend_on_its_own_labels():
    rng = np.random.default_rng(4)
    probabilities, y = calibrated(300, rng)
    folds, subjects = np.arange(300) % 3, people(300)
    first, temperatures = cross_fitted(probabilities, y, folds, subjects)
    others = folds != 1
    assert temperatures[1] == fit_temperature(probabilities[others], y[others])
    assert np.array_equal(first[~others], apply_temperature(probabilities[~others], temperatures[1]))
    y[~others] = rng.integers(0, K, (~others).sum())
    second, changed = cross_fitted(probabilities, y, folds, subjects)
    assert np.array_equal(second[~others], first[~others])
    assert changed[0] != temperatures[0]
