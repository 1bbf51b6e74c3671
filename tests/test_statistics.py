"""Whether a difference is one: against other people's numbers, and by simulation on persons as they are."""

import numpy as np
import pytest
from scipy import stats

from featurekit import statistics
from featurekit.datasets import prepare
from featurekit.statistics import (
    bootstrap,
    corrected_t,
    effective_subjects,
    holm,
    mcnemar,
    per_subject,
    ranks,
    resampled_sums,
    sign_flip,
    slice_gaps,
)


def share(sums):
    """The share of right answers, of a column of right answers and one of ones."""
    return sums[:, 0] / sums[:, 1]


def columns_of(right):
    return np.stack([right, np.ones(len(right))], axis=1).astype(float)


def against_nothing(differences, subjects=None):
    """Differences as two models, of which the second scores nothing."""
    columns = np.stack([differences, np.zeros(len(differences))], axis=1)
    return per_subject(columns, people(len(differences)) if subjects is None else subjects)


def people(n):
    return np.array([f"s{number:05}" for number in range(n)])


# ---------------------------------------------------------------- intervals


def test_persons_with_many_photographs_count_for_fewer():
    assert effective_subjects(people(50)) == 50
    assert effective_subjects(np.repeat(people(10), 7)) == pytest.approx(10)
    assert effective_subjects(np.array(["a"] * 98 + ["b", "c"])) == pytest.approx(100**2 / (98**2 + 2))


def test_the_interval_is_as_wide_as_theory_says_where_persons_have_one_photograph():
    right = np.arange(2000) % 5 > 0
    found = bootstrap(columns_of(right), share, seed=0)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 2000)
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.002)


def test_the_interval_agrees_with_scipys_bootstrap():
    values = np.random.default_rng(3).gamma(2.0, 2.0, 300)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0)
    ).confidence_interval
    ours = bootstrap(columns_of(values), share, seed=1, n_resamples=5000)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)


def test_more_photographs_of_the_same_persons_make_nobody_surer():
    right = np.arange(300) % 4 > 0
    once = bootstrap(columns_of(right), share, seed=0)
    nine = per_subject(columns_of(np.repeat(right, 9)), np.repeat(people(300), 9))
    often = bootstrap(nine, share, seed=0)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_the_order_of_photographs_decides_nothing():
    rng = np.random.default_rng(0)
    right, subjects = rng.random(400) < 0.7, rng.choice(people(80), 400)
    other = rng.permutation(400)
    one = per_subject(columns_of(right), subjects)
    assert np.array_equal(one, per_subject(columns_of(right[other]), subjects[other]))


def test_pieces_that_fit_into_memory_draw_the_same_persons(monkeypatch):
    columns, other = columns_of(np.arange(60) % 3 > 0), against_nothing(np.arange(60) % 3 - 0.9)
    whole = resampled_sums(columns, seed=5, n_resamples=50)
    flipped = sign_flip(other, [(0, 1)], seed=5, n_flips=500)
    monkeypatch.setattr(statistics, "_AT_ONCE", 60 * 7)
    assert np.array_equal(resampled_sums(columns, seed=5, n_resamples=50), whole)
    assert sign_flip(other, [(0, 1)], seed=5, n_flips=500) == flipped


# ---------------------------------------------------------------- differences


def test_the_sign_flip_test_agrees_with_scipys_permutations():
    rng = np.random.default_rng(1)
    subjects = np.repeat(people(11), 3)
    differences = rng.normal(0.35, 1.0, 33)
    two = against_nothing(differences, subjects)
    exact = stats.permutation_test(
        (two[:, 0],), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    found = sign_flip(two, [(0, 1)], seed=0, n_flips=50_000)
    assert found[0] == pytest.approx(exact.pvalue, abs=0.007)


def test_equal_models_are_never_called_different():
    alike = np.repeat(np.arange(30.0)[:, None], 3, axis=1)
    assert sign_flip(alike, [(0, 1), (0, 2)], seed=0).tolist() == [1.0, 1.0]
    assert corrected_t(np.zeros(5), 80, 20) == 1.0
    assert mcnemar(np.ones(4, bool), np.ones(4, bool), people(4)).p_value == 1.0


def test_one_person_can_prove_nothing():
    # One model reads a hundred photographs better, all of one person; on the rest they are equal.
    subjects = np.array(["a"] * 100 + [f"s{number}" for number in range(50)])
    differences = np.array([1.0] * 100 + [0.0] * 50)
    assert sign_flip(against_nothing(differences, subjects), [(0, 1)], seed=0)[0] == 1.0
    first = differences > 0
    said = mcnemar(first, np.zeros(150, bool), subjects)
    assert said.p_value < 1e-20
    assert "150 photographs of 51 persons" in said.caution


def test_several_comparisons_at_once_cost_what_holm_says():
    assert holm(np.array([0.001, 0.04, 0.03, 0.5])).tolist() == pytest.approx([0.004, 0.09, 0.09, 0.5])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_without_an_overlap_the_corrected_test_is_the_usual_one():
    differences = np.array([0.01, 0.03, -0.01, 0.02, 0.02])
    usual = stats.ttest_1samp(differences, 0).pvalue
    assert corrected_t(differences, 80, 0) == pytest.approx(usual)
    assert corrected_t(differences, 80, 20) > usual


def test_the_corrected_test_is_that_of_nadeau_and_bengio():
    # Worked out by hand: mean 0.02, variance 1e-4, t = 0.02 / sqrt((1/5 + 1/4) · 1e-4) = 2.981, 4 degrees.
    differences = 0.02 + 0.01 * np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    assert corrected_t(differences, 80, 20) == pytest.approx(2 * stats.t.sf(2.98142, 4), rel=1e-4)


def test_mcnemar_is_the_exact_binomial_test():
    first = np.array([True] * 9 + [False] + [True] * 20)
    second = np.array([False] * 9 + [True] + [True] * 20)
    found = mcnemar(first, second, people(30))
    assert found == (statistics.McNemar(pytest.approx(0.021484375), 9, 1, ""))


def test_ranks_are_given_from_ten_blocks_on():
    rng = np.random.default_rng(0)
    assert ranks(rng.random((9, 4))) is None
    found = ranks(rng.random((14, 4)))
    # Demšar 2006, section 3.2.2: four classifiers on fourteen data sets.
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert sum(found.mean) == pytest.approx(1 + 2 + 3 + 4)


# ---------------------------------------------------------------- simulations


@pytest.fixture
def adience_subjects(real_data):
    """The persons of Adience's 19,000 photographs, at hand or not; some have hundreds."""
    manifest = prepare("adience", real_data / "adience")
    return manifest.subjects[manifest.table["reason"].isin(["", "missing_file"])]


def simulated(subjects, rng, *, share_right, n_models, own_taste, shared=0.6):
    """Right answers of models on persons who are easy or hard to read, shape (n, n_models).

    All models are right equally often. Every person is as hard for all, and for each model in its own way.
    """
    codes = np.unique(subjects, return_inverse=True)[1]
    n = codes.max() + 1
    hard = rng.normal(0, shared, (n, 1)) + own_taste * rng.normal(0, 1.0, (n, n_models))
    spread = np.sqrt(shared**2 + own_taste**2 + 1.0)
    noise = rng.normal(0, 1.0, (len(subjects), n_models))
    return (hard[codes] + noise) / spread < stats.norm.ppf(share_right)


@pytest.mark.slow
@pytest.mark.real_data
def test_equal_models_are_called_different_as_often_as_the_test_says(adience_subjects):
    rng = np.random.default_rng(0)
    n_pairs, called, by_photographs = 1200, 0, 0
    for _ in range(n_pairs // 100):
        first = simulated(adience_subjects, rng, share_right=0.6, n_models=200, own_taste=0.3)
        of_each = per_subject(first.astype(float), adience_subjects)
        pairs = [(number, 100 + number) for number in range(100)]
        p_values = sign_flip(of_each, pairs, seed=int(rng.integers(2**31)), n_flips=1000)
        called += int((p_values <= 0.05).sum())
        by_photographs += sum(
            mcnemar(first[:, i], first[:, 100 + i], adience_subjects).p_value <= 0.05 for i in range(20)
        )
    assert 0.035 <= called / n_pairs <= 0.065
    # What counting photographs would have done.
    assert 5 * by_photographs / n_pairs > 0.2


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
            found = statistics.interval(sums[:, number] / sums[:, -1])
            held += found.low <= 0.6 <= found.high
    assert 0.93 <= held / n <= 0.97


# ---------------------------------------------------------------- for whom


def test_the_gap_of_one_slice_has_the_p_value_of_the_hypergeometric_distribution():
    """With a photograph of each person and one slice, exchanging persons is drawing without replacement."""
    inside, wrong = np.arange(60) < 20, np.zeros(60)
    wrong[[0, 1, 2, 3, 4, 5, 30, 40, 50]] = 1
    gaps, p_values = slice_gaps(wrong, people(60), inside[:, None], seed=0)
    law = stats.hypergeom(60, 9, 20)
    as_far = [k for k in range(10) if abs(k - 3) >= 3]
    assert gaps[0] == pytest.approx(6 / 20 - 3 / 40)
    assert p_values[0] == pytest.approx(law.pmf(as_far).sum(), abs=0.006)


def test_photographs_of_the_same_persons_make_no_gap_surer():
    rng = np.random.default_rng(0)
    inside, wrong = rng.random((80, 2)) < 0.4, (rng.random(80) < 0.2).astype(float)
    once = slice_gaps(wrong, people(80), inside, seed=1)
    seven = slice_gaps(np.repeat(wrong, 7), np.repeat(people(80), 7), np.repeat(inside, 7, axis=0), seed=1)
    assert seven[0] == pytest.approx(once[0])
    assert seven[1] == pytest.approx(once[1], abs=0.02)


def test_a_gap_between_faces_of_the_same_persons_is_seen():
    """Everybody is photographed with and without a hat, and is read wrongly under it."""
    hat = np.arange(200) % 2 == 0
    gaps, p_values = slice_gaps(hat * 1.0, np.repeat(people(100), 2), hat[:, None], seed=0)
    assert gaps[0] == 1
    assert p_values[0] < 1e-4


def test_two_sides_of_one_slice_have_one_p_value_and_opposite_gaps():
    rng = np.random.default_rng(2)
    inside, years = rng.random(300) < 0.3, rng.gamma(2.0, 2.0, 300)
    gaps, p_values = slice_gaps(years, people(300), np.stack([inside, ~inside], axis=1), seed=0)
    assert gaps[0] == pytest.approx(-gaps[1])
    assert p_values[0] == p_values[1]


def test_where_nothing_or_everything_is_wrong_no_gap_is_shown():
    inside = (np.arange(60) < 30)[:, None]
    for wrong in (np.zeros(60), np.ones(60)):
        gaps, p_values = slice_gaps(wrong, people(60), inside, seed=0)
        assert (gaps[0], p_values[0]) == (0, 1)


def of_chance(rng, kind):
    """Return losses that have nothing to do with six slices, of persons with 1 to 40 photographs."""
    n = 200
    sizes = np.minimum(rng.geometric(0.35, n), 40)
    # Of many photographs are mostly the members: they tell less than as many persons would.
    members = rng.random(n) < (np.where(sizes > 2, 0.7, 0.1) if "sizes" in kind else 0.3)
    who = np.repeat(np.arange(n), sizes)
    other, of_face = rng.random(n) < 0.2, rng.random(len(who)) < 0.3  # a person may be on both sides
    slices = [
        members[who],
        ~members[who],
        other[who],
        (members & other)[who],
        of_face,
        of_face & members[who],
    ]
    if "years" in kind:
        losses = np.abs(rng.normal(0, 1, n)[who] + rng.gamma(2.0, 1.0, len(who)))
    else:
        losses = (rng.random(len(who)) < rng.beta(0.15, 0.85, n)[who]).astype(float)
    return losses, who, np.stack(slices, axis=1)


@pytest.mark.parametrize("kind", ["classes", "classes, sizes", "years", "years, sizes"])
def test_slices_are_rarely_called_different_where_chance_deals_the_losses(kind):
    """At a level of 5 % for all six together; 300 data sets have a standard error of 1.3 points."""
    rng = np.random.default_rng(11)
    hits = 0
    for number in range(300):
        p_values = slice_gaps(*of_chance(rng, kind), seed=number, n_permutations=199)[1]
        hits += bool(p_values.min() <= 0.05)
    assert 0.02 <= hits / 300 <= 0.085
