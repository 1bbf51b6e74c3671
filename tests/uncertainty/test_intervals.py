"""Intervals count persons, not photographs."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from featurekit.uncertainty import paired_tests, resampling
from featurekit.uncertainty.paired_tests import non_inferior, sign_flip
from featurekit.uncertainty.resampling import effective_subjects, interval, per_subject, resampled_sums
from tests.uncertainty.made_up import people, simulated


def interval_of_mean(columns, **options):
    """The interval of the mean of the first column, whose weights are the second one."""
    sums = resampled_sums(columns, **options)
    return interval(sums[:, 0] / sums[:, 1])


def columns_of(right):
    return np.stack([right, np.ones(len(right))], axis=1).astype(float)


def test_persons_with_many_photographs_count_for_fewer():
    assert effective_subjects(people(50)) == 50
    assert effective_subjects(np.repeat(people(10), 7)) == pytest.approx(10)
    assert effective_subjects(np.array(["a"] * 98 + ["b", "c"])) == pytest.approx(100**2 / (98**2 + 2))


def test_the_interval_is_as_wide_as_theory_says_where_persons_have_one_photograph():
    right = np.arange(2000) % 5 > 0
    found = interval_of_mean(columns_of(right), seed=0)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 2000)
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.002)


def test_the_interval_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(3).gamma(2.0, 2.0, 300)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0)
    ).confidence_interval
    ours = interval_of_mean(columns_of(values), seed=1, n_resamples=5000)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)


def test_more_photographs_of_the_same_persons_make_nobody_surer():
    right = np.arange(300) % 4 > 0
    once = interval_of_mean(columns_of(right), seed=0)
    nine = per_subject(columns_of(np.repeat(right, 9)), np.repeat(people(300), 9))
    often = interval_of_mean(nine, seed=0)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_the_order_of_photographs_decides_nothing():
    rng = np.random.default_rng(0)
    right, subjects = rng.random(400) < 0.7, rng.choice(people(80), 400)
    other = rng.permutation(400)
    one = per_subject(columns_of(right), subjects)
    assert np.array_equal(one, per_subject(columns_of(right[other]), subjects[other]))


@pytest.mark.parametrize("at_once", [1, 61 * 7, 61 * 13 + 5])
def test_pieces_that_fit_into_memory_draw_the_same_persons(monkeypatch, at_once):
    rng = np.random.default_rng(0)
    columns, losses = columns_of(np.arange(61) % 3 > 0), rng.integers(0, 3, (61, 4)).astype(float)
    pairs = list(combinations(range(4), 2))

    def everything():
        drawn = resampled_sums(columns, seed=5, n_resamples=50)
        flipped = sign_flip(losses, pairs, seed=5, n_flips=500)
        cheaper = non_inferior(losses, np.full(61, 2.0), [0, 1], margin=0.2, seed=5, n_flips=500)
        return [drawn, flipped.p_values, flipped.adjusted, cheaper.adjusted]

    whole = everything()
    monkeypatch.setattr(resampling, "_AT_ONCE", at_once)
    monkeypatch.setattr(paired_tests, "IN_CACHE", at_once)
    assert all(np.array_equal(one, other) for one, other in zip(everything(), whole, strict=True))


def test_all_scores_of_the_same_persons_share_one_set_of_resamples(monkeypatch):
    drawn = []

    def counted(n, seed, n_resamples):
        drawn.append((n, seed))
        return original(n, seed, n_resamples)

    original = resampling._drawn
    monkeypatch.setattr(resampling, "_drawn", counted)
    rng = np.random.default_rng(0)
    one, other, fewer = (rng.random((n, 2)) for n in (53, 53, 41))
    options = {"n_resamples": 20}
    before = [resampled_sums(columns, seed=8, **options) for columns in (one, other)]
    assert drawn == [(53, 8)]
    resampled_sums(fewer, seed=8, **options)
    resampled_sums(fewer, seed=9, **options)
    assert drawn == [(53, 8), (41, 8), (41, 9)]
    # Resamples that would take too much memory are drawn for every score, and are the same ones.
    monkeypatch.setattr(resampling, "_KEPT", 0)
    after = [resampled_sums(columns, seed=8, **options) for columns in (one, other)]
    assert drawn[3:] == [(53, 8), (53, 8)]
    assert np.array_equal(before, after)


@pytest.mark.slow
@pytest.mark.real_data
def test_intervals_hold_the_truth_as_often_as_they_say(adience_subjects):
    rng = np.random.default_rng(1)
    held, n = 0, 1000
    for _ in range(n // 100):
        # Nothing is shared: else a hundred intervals would miss the truth together, or none.
        right = simulated(adience_subjects, rng, share_right=0.6, n_models=100, own_taste=0.8, shared=0.0)
        columns = np.concatenate([right, np.ones((len(right), 1))], axis=1).astype(float)
        of_each = per_subject(columns, adience_subjects)
        sums = resampled_sums(of_each, seed=int(rng.integers(2**31)), n_resamples=1000)
        for number in range(100):
            found = interval(sums[:, number] / sums[:, -1])
            held += found.low <= 0.6 <= found.high
    assert 0.93 <= held / n <= 0.97
