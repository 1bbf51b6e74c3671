"""Ranges of years hold the truth for people of every age."""

import numpy as np
import pytest

from featurekit.uncertainty.conformal import cross_fitted_ranges, fit_year_ranges
from tests.uncertainty.made_up import covered, people


def shrunk_readings(n, seed):
    """True ages as people have them in a data set of adults mostly, and readings drawn to the middle."""
    rng = np.random.default_rng(seed)
    true = np.floor(
        np.clip(np.where(rng.random(n) < 0.6, rng.normal(30, 6, n), rng.uniform(0, 90, n)), 0, 90)
    )
    return true, np.maximum(6 + 0.8 * true + rng.normal(0, 2 + true / 12, n), 0)


def test_ranges_keep_their_promise_for_people_of_every_age_and_are_hardly_wider():
    true, years = shrunk_readings(12_000, 17)
    folds, subjects = np.arange(12_000) % 5, people(12_000)
    ranges = cross_fitted_ranges(years, true, folds, subjects, alpha=0.1)
    assert covered(ranges, true).mean() == pytest.approx(0.9, abs=0.012)
    # A range around the reading that is as wide everywhere covers as many, and not those of every age.
    half = np.quantile(np.abs(years - true), 0.9)
    around = np.stack([years - half, years + half], axis=1)
    bands = [true // 10 == decade for decade in range(9)]
    assert min(covered(ranges, true)[band].mean() for band in bands) > 0.86
    assert min(covered(around, true)[band].mean() for band in bands) < 0.5
    assert np.ptp(ranges, axis=1).mean() < 1.1 * np.ptp(around, axis=1).mean()


def test_persons_count_alike_in_ranges_however_many_photographs_they_have():
    true, years = shrunk_readings(3_000, 18)
    # One person, of whom there are as many photographs as of all others, is read as no other is.
    subjects = np.concatenate([people(3_000), np.repeat("many", 3_000)])
    both = np.concatenate([years, np.full(3_000, 80.0)]), np.concatenate([true, np.full(3_000, 25.0)])
    alone = fit_year_ranges(years, true, people(3_000), alpha=0.1).of(years)
    assert np.abs(fit_year_ranges(*both, subjects, alpha=0.1).of(years) - alone).mean() < 0.5


def test_the_years_that_were_read_are_always_among_the_answers():
    true, years = shrunk_readings(500, 19)
    read = np.array([0.0, 0.4, 55.5, 89.9, 130.0])
    ranges = fit_year_ranges(years, true, people(500), alpha=0.1).of(read)
    assert (ranges[:, 0] <= read).all()
    assert (np.floor(read) <= ranges[:, 1]).all()


def test_ranges_without_an_error_are_points_and_do_not_divide_by_nothing():
    years = np.repeat([3.0, 40.0], 60)
    fitted = fit_year_ranges(years, years, people(120), alpha=0.1)
    assert fitted.of(years).tolist() == np.stack([years, years], axis=1).tolist()
