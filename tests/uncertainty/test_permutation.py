"""A gap between slices is shown only where it is one."""

import numpy as np
import pytest
from scipy import stats

from featurekit.uncertainty import permutation
from featurekit.uncertainty.permutation import slice_gaps
from tests.uncertainty.made_up import people


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


@pytest.mark.parametrize("n_persons", [120, 40])  # one photograph of each, or three
def test_pieces_that_fit_into_the_cache_exchange_the_same_persons(monkeypatch, n_persons):
    rng = np.random.default_rng(3)
    inside, years = rng.random((120, 2)) < 0.4, rng.gamma(2.0, 2.0, 120)
    persons = np.arange(120) % n_persons
    whole = slice_gaps(years, persons, inside, seed=4, n_permutations=200)
    monkeypatch.setattr(permutation, "IN_CACHE", 7 * n_persons)
    assert np.array_equal(slice_gaps(years, persons, inside, seed=4, n_permutations=200), whole)


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
