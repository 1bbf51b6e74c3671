"""Sign flips, and whether a cheaper model is good enough: by hand, by definition, by simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from featurekit.uncertainty import paired_tests
from featurekit.uncertainty.paired_tests import corrected_t, non_inferior, side_by_side, sign_flip
from featurekit.uncertainty.resampling import per_subject
from tests.uncertainty.made_up import people, simulated


def against_nothing(differences, subjects=None):
    """Differences as two models, of which the second scores nothing."""
    columns = np.stack([differences, np.zeros(len(differences))], axis=1)
    return per_subject(columns, people(len(differences)) if subjects is None else subjects)


def test_the_sign_flip_test_agrees_with_scipys_permutations():
    rng = np.random.default_rng(1)
    subjects = np.repeat(people(11), 3)
    differences = rng.normal(0.35, 1.0, 33)
    two = against_nothing(differences, subjects)
    exact = stats.permutation_test(
        (two[:, 0],), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    found = sign_flip(two, [(0, 1)], seed=0, n_flips=50_000)
    assert found.p_values[0] == pytest.approx(exact.pvalue, abs=0.007)
    assert found.adjusted[0] == found.p_values[0]  # it is a family by itself


def test_equal_models_are_never_called_different():
    alike = np.repeat(np.arange(30.0)[:, None], 3, axis=1)
    assert sign_flip(alike, [(0, 1), (0, 2)], seed=0).adjusted.tolist() == [1.0, 1.0]
    assert corrected_t(np.zeros(5), 80, 20) == 1.0


def test_one_person_can_prove_nothing():
    # One model reads a hundred photographs better, all of one person; on the rest they are equal.
    subjects = np.array(["a"] * 100 + [f"s{number}" for number in range(50)])
    differences = np.array([1.0] * 100 + [0.0] * 50)
    assert sign_flip(against_nothing(differences, subjects), [(0, 1)], seed=0).p_values[0] == 1.0
    # Counting photographs would be sure of it.
    assert stats.binomtest(100, 100).pvalue < 1e-20


def every_sign(monkeypatch, n):
    """Let all patterns of signs be drawn, each once, instead of some at random; return them."""
    patterns = np.array(list(product([0.0, 1.0], repeat=n)))
    monkeypatch.setattr(paired_tests, "_coins", lambda *_, **__: iter([(0, patterns)]))
    return 2 * patterns - 1


def studentized(d, signs):
    """T of each comparison under each pattern of signs, with tails made alike by its kurtosis."""
    squares = (d**2).sum(axis=0)
    t = signs @ d / np.sqrt(squares)
    return t + (d**4).sum(axis=0) / squares**2 / 12 * (t**3 - 3 * t)


def by_definition(d, signs, size=np.abs):
    """Step-down p-values, written down as they are defined.

    Args:
        d: differences of each comparison on each person, shape (n_subjects, n).
        signs: every pattern of signs, shape (n_patterns, n_subjects).
        size: whether they are two-sided.
    """
    real, *flipped = size(studentized(d, np.concatenate([np.ones((1, len(d))), signs])))
    adjusted, so_far = [0.0] * len(real), 0.0
    for one in sorted(range(len(real)), key=lambda number: -real[number]):
        others = [other for other in range(len(real)) if real[other] <= real[one]]
        as_high = sum(max(pattern[other] for other in others) >= real[one] - 1e-9 for pattern in flipped)
        so_far = max(so_far, (as_high + 1) / (len(flipped) + 1))
        adjusted[one] = so_far
    return adjusted


@pytest.mark.parametrize("seed", range(5))
def test_a_family_is_adjusted_as_all_patterns_of_signs_say(monkeypatch, seed):
    losses = np.random.default_rng(seed).normal([0.0, 0.0, 0.5, 1.5], 1, (8, 4))
    signs, pairs = every_sign(monkeypatch, 8), list(combinations(range(4), 2))
    d = np.stack([losses[:, i] - losses[:, j] for i, j in pairs], axis=1)
    found = sign_flip(losses, pairs, seed=0, n_flips=2**8)
    assert found.adjusted.tolist() == pytest.approx(by_definition(d, signs))
    alone = ((np.abs(signs @ d) >= np.abs(d.sum(axis=0)) - 1e-9).sum(axis=0) + 1) / (2**8 + 1)
    assert found.p_values.tolist() == pytest.approx(alone.tolist())


def test_three_models_on_four_persons_by_hand():
    # One is better on all four. Of 16 patterns of signs 2 set it as far apart: p = 2 / 16. The other two are
    # equal. Both differences come from the same persons: nothing is paid for testing them together.
    losses = np.array([[0.0, 1.0, 1.0]] * 4)
    found = sign_flip(losses, [(0, 1), (0, 2), (1, 2)], seed=0)
    assert found.p_values.tolist() == pytest.approx([0.125, 0.125, 1.0], abs=0.01)
    assert found.adjusted.tolist() == found.p_values.tolist()


def test_comparisons_on_other_persons_are_adjusted_together():
    # One model is better on all three persons, in either comparison: p = 2 / 8. On six persons one of the two
    # is as far apart with the probability 1 - (3 / 4)²; on the same three, with 1 / 4.
    three, gains = np.arange(3), np.ones(3)
    apart = sign_flip(*side_by_side([(three, gains), (three + 3, gains)]), seed=0)
    assert apart.p_values.tolist() == pytest.approx([0.25, 0.25], abs=0.01)
    assert apart.adjusted.tolist() == pytest.approx([0.4375, 0.4375], abs=0.01)
    same = sign_flip(*side_by_side([(three, gains), (three, 2 * gains)]), seed=0)
    assert same.adjusted.tolist() == pytest.approx([0.25, 0.25], abs=0.01)
    assert len(sign_flip(*side_by_side([]), seed=0).adjusted) == 0


def test_a_pair_is_never_more_sure_than_a_more_significant_one():
    losses = np.random.default_rng(0).normal(0, 1, (40, 9)) + np.linspace(0, 1, 9)
    pairs = list(combinations(range(9), 2))
    found = sign_flip(losses, pairs, seed=0, n_flips=999)
    d = np.stack([losses[:, i] - losses[:, j] for i, j in pairs], axis=1)
    order = np.argsort(-np.abs(studentized(d, np.ones((1, 40))))[0])
    assert (np.diff(found.adjusted[order]) >= 0).all()
    assert (found.adjusted >= found.p_values).all()
    assert 0.001 == found.limit <= found.p_values.min()


def test_a_difference_among_many_models_is_shown_at_the_limit():
    right = np.random.default_rng(0).random((400, 24)) < np.where(np.arange(24) == 7, 0.9, 0.55)
    pairs = list(combinations(range(24), 2))
    found = sign_flip(right.astype(float), pairs, seed=0)
    assert found.limit <= 0.0001
    # Holm's smallest p-value for 276 pairs and 20,000 flips was 0.014.
    assert {float(p) for p, pair in zip(found.adjusted, pairs, strict=True) if 7 in pair} == {found.limit}


def test_last_bits_of_a_sum_make_no_difference():
    years = np.random.default_rng(0).gamma(2.0, 3.0, (500, 1))
    losses = np.concatenate([years, years * 3 / 3 + 1e-14, years + 1.0], axis=1)
    assert (losses[:, 0] != losses[:, 1]).any()
    found = sign_flip(losses, [(0, 1), (0, 2), (1, 2)], seed=0, n_flips=999)
    assert found.adjusted.tolist() == [1.0, 0.001, 0.001]


def test_differences_that_tie_count_as_equally_far():
    # The total of 0.1, 0.2 and 0.3 depends on the order of adding in its last bits.
    d = np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.1])
    found = sign_flip(against_nothing(d), [(0, 1)], seed=0, n_flips=20_000)
    assert found.p_values[0] == pytest.approx(2 / 64, abs=0.005)


def test_families_are_adjusted_each_by_itself():
    losses = np.random.default_rng(3).normal([0.0, 0.3, 0.5, 0.2, 0.9], 1, (30, 5))
    pairs = list(combinations(range(5), 2))
    numbers = [number % 3 for number in range(len(pairs))]
    together = sign_flip(losses, pairs, families=numbers, seed=0, n_flips=999)
    for family in range(3):
        own = [number for number in range(len(pairs)) if number % 3 == family]
        alone = sign_flip(losses, [pairs[number] for number in own], seed=0, n_flips=999)
        assert together.adjusted[own].tolist() == alone.adjusted.tolist()


def test_an_equal_model_on_five_persons_by_hand():
    # Each of five persons leaves the whole margin: of 32 patterns of signs only all plus leave as much.
    losses = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    found = non_inferior(losses, np.ones(5), [0], margin=0.1, seed=0)
    assert found.adjusted[0] == pytest.approx(1 / 32, abs=0.005)


def test_candidates_are_adjusted_as_all_patterns_of_signs_say(monkeypatch):
    rng = np.random.default_rng(1)
    signs, counts = every_sign(monkeypatch, 8), rng.integers(1, 5, 8).astype(float)
    losses = counts[:, None] * rng.normal(0, 0.3, (8, 4)) + counts[:, None] * [0.4, 0.1, 0.0, 0.0]
    monkeypatch.setattr(paired_tests, "_less_skewness", lambda t, *_: t)
    expected = np.zeros(2)
    for best in range(4):
        asked = [j for j in (0, 1) if j != best]
        d = np.stack([0.5 * counts - losses[:, j] + losses[:, best] for j in asked], axis=1)
        adjusted = by_definition(d, signs, size=np.asarray)
        expected[asked] = np.maximum(expected[asked], adjusted)
    found = non_inferior(losses, counts, [0, 1], margin=0.5, seed=0, n_flips=2**8)
    assert found.adjusted.tolist() == pytest.approx(expected.tolist())


def test_another_model_that_may_be_the_best_makes_a_candidate_less_sure():
    rng = np.random.default_rng(0)
    losses = (rng.random((600, 3)) < [0.3, 0.3, 0.28]).astype(float)
    two = non_inferior(losses[:, :2], np.ones(600), [0], margin=0.07, seed=0)
    three = non_inferior(losses, np.ones(600), [0], margin=0.07, seed=0)
    assert two.adjusted[0] < three.adjusted[0]


def test_hopeless_candidates_cost_the_others_nothing():
    rng = np.random.default_rng(0)
    good = (rng.random((600, 2)) < 0.3).astype(float)
    hopeless = np.concatenate([good, (rng.random((600, 20)) < 0.9).astype(float)], axis=1)
    alone = non_inferior(good, np.ones(600), [0], margin=0.05, seed=0)
    beside = non_inferior(hopeless, np.ones(600), [0, *range(2, 22)], margin=0.05, seed=0)
    assert beside.adjusted[0] == alone.adjusted[0]
    assert beside.adjusted[1:].min() > 0.99


def test_a_model_alone_is_compared_with_none():
    assert non_inferior(np.ones((5, 1)), np.ones(5), [0], margin=0.1, seed=0).adjusted.tolist() == [1.0]


def test_few_persons_with_large_losses_make_a_candidate_less_sure():
    # Right on all but three of 300 persons, on whom it is wholly wrong: a fourth was easily missed.
    losses = np.zeros((300, 2))
    losses[:3, 0] = 1.0
    d = 0.03 - losses[:, 0]
    assert paired_tests._less_skewness(2.0, d, np.ones(300)) < 1.7
    assert paired_tests._less_skewness(2.0, -d, np.ones(300)) == 2.0
    assert paired_tests._less_skewness(20.0, np.full(300, 0.03), np.ones(300)) == 20.0


@pytest.mark.slow
@pytest.mark.real_data
def test_equal_models_are_called_different_as_often_as_the_test_says(adience_subjects):
    rng = np.random.default_rng(0)
    n_pairs, called, by_photographs = 1200, 0, 0
    for _ in range(n_pairs // 100):
        first = simulated(adience_subjects, rng, share_right=0.6, n_models=200, own_taste=0.3)
        of_each = per_subject(first.astype(float), adience_subjects)
        pairs = [(number, 100 + number) for number in range(100)]
        tested = sign_flip(of_each, pairs, seed=int(rng.integers(2**31)), n_flips=1000)
        called += int((tested.p_values <= 0.05).sum())
        for one, other in zip(first.T[:20], first.T[100:120], strict=True):
            only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
            by_photographs += stats.binomtest(only_one, only_one + only_other).pvalue <= 0.05
    assert 0.035 <= called / n_pairs <= 0.065
    # What counting photographs would have done (McNemar's test).
    assert 5 * by_photographs / n_pairs > 0.2
