"""Sets of classes hold the truth as often as was asked for."""

import numpy as np
import pytest
from scipy.stats import norm

from featurekit.uncertainty.conformal import (
    ClassSets,
    class_scores,
    conformal_threshold,
    cross_fitted_sets,
    fit_class_sets,
)
from featurekit.uncertainty.year_ranges import cross_fitted_ranges, fit_year_ranges
from tests.uncertainty.made_up import binary, calibrated, people


def test_with_one_face_a_person_it_is_the_usual_quantile():
    scores = np.random.default_rng(10).permutation(np.arange(1.0, 100.0))
    assert conformal_threshold(scores, 0.1, people(99)) == 90.0
    assert conformal_threshold(scores, 0.05, people(99)) == 95.0
    assert conformal_threshold(scores[:1], 0.5, people(1)) == scores[0]
    assert conformal_threshold(scores[:1], 0.49, people(1)) == np.inf


def test_a_person_counts_for_one_however_many_faces_there_are():
    scores = np.concatenate([np.arange(1.0, 10.0), np.full(500, 20.0)])
    subjects = np.concatenate([people(9), np.repeat("z", 500)])
    assert conformal_threshold(scores, 0.2, subjects) == 9.0
    assert conformal_threshold(scores, 0.2, people(509)) == 20.0


def covered_by_threshold(n_draws, *, alpha, by_face):
    """Share of new persons' faces that are covered, where those with many faces are the easy ones."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(n_draws):
        counts = rng.choice([1, 2, 80], 120, p=[0.6, 0.2, 0.2])
        subjects = np.repeat(people(120), counts)
        codes = np.unique(subjects, return_inverse=True)[1]
        width = np.where(counts > 10, 0.3, 1.5) * rng.gamma(4, 0.25, 120)
        scores = width[codes] * np.abs(rng.normal(size=len(subjects)))
        threshold = conformal_threshold(scores, alpha, people(len(scores)) if by_face else subjects)
        # Of new persons with these widths exactly; only the persons at hand are chance.
        many, few = (scale * rng.gamma(4, 0.25, 4000) for scale in (0.3, 1.5))
        each = [1 - 2 * norm.sf(threshold / one).mean() for one in (many, few)]
        found.append(0.2 * each[0] + 0.8 * each[1])
    return np.mean(found)


def test_as_many_new_persons_are_covered_as_was_promised():
    assert 0.9 <= covered_by_threshold(150, alpha=0.1, by_face=False) + 0.005 <= 0.92
    # What counting faces would have done.
    assert covered_by_threshold(50, alpha=0.1, by_face=True) < 0.6


def test_sets_of_neighbours_grow_to_the_likelier_side():
    scores = class_scores(np.array([[0.1, 0.2, 0.4, 0.15, 0.15], [0.6, 0.0, 0.0, 0.0, 0.4]]), ordered=True)
    assert scores[0] == pytest.approx([0.9, 0.4, 0.0, 0.6, 0.75])
    assert scores[1] == pytest.approx([0.0, 0.6, 0.6, 0.6, 0.6])
    assert class_scores(np.array([[0.25, 0.75]]), ordered=False).tolist() == [[0.75, 0.25]]


def test_ordered_sets_have_no_gaps_and_no_set_is_empty():
    rng = np.random.default_rng(12)
    probabilities, y = calibrated(600, rng, 8)
    subjects, folds = people(600), np.arange(600) % 5
    sets = cross_fitted_sets(probabilities, y, folds, subjects, ordered=True, alpha=0.3)
    for row in sets:
        inside = np.flatnonzero(row)
        assert np.array_equal(inside, np.arange(inside[0], inside[-1] + 1))
    assert sets[np.arange(600), probabilities.argmax(axis=1)].all()
    loose = cross_fitted_sets(probabilities, y, folds, subjects, ordered=False, alpha=0.3)
    assert loose.any(axis=1).all()


def test_a_gap_that_thresholds_of_each_class_would_leave_is_filled():
    probabilities = np.array([[0.5, 0.1, 0.4]])
    assert ClassSets((1.0, 0.0, 1.0), ordered=True).of(probabilities).tolist() == [[True, True, True]]
    assert ClassSets((1.0, 0.0, 1.0), ordered=False).of(probabilities).tolist() == [[True, False, True]]
    assert ClassSets((0.0, 0.0, 0.0), ordered=False).of(probabilities).tolist() == [[True, False, False]]


@pytest.mark.parametrize("ordered", [True, False])
def test_sets_hold_the_truth_as_often_as_was_asked_for_of_each_class_too(ordered):
    rng = np.random.default_rng(13)
    n = 8000
    probabilities, y = calibrated(n, rng, 5)
    y = np.where(rng.random(n) < 0.1, 0, y)  # the first class is often taken for another
    folds, subjects = np.arange(n) // 2 % 5, np.repeat(people(n // 2), 2)
    held = cross_fitted_sets(probabilities, y, folds, subjects, alpha=0.1, ordered=ordered)[np.arange(n), y]
    assert held.mean() == pytest.approx(0.9, abs=0.02)
    assert min(held[y == number].mean() for number in range(5)) > 0.87


def test_no_label_of_a_fold_decides_its_own_sets_and_ranges():
    rng = np.random.default_rng(14)
    probabilities, y = calibrated(200, rng)
    years, true = rng.uniform(0, 80, 200), rng.uniform(0, 80, 200)
    folds, subjects = np.arange(200) % 4, people(200)
    how = {"alpha": 0.2, "ordered": True}
    sets = cross_fitted_sets(probabilities, y, folds, subjects, **how)
    ranges = cross_fitted_ranges(years, true, folds, subjects, alpha=0.2)
    here = folds == 2
    changed_sets = cross_fitted_sets(probabilities, np.where(here, 0, y), folds, subjects, **how)
    changed = cross_fitted_ranges(years, np.where(here, 5.0, true), folds, subjects, alpha=0.2)
    assert np.array_equal(changed_sets[here], sets[here])
    assert np.array_equal(changed[here], ranges[here])
    assert not np.array_equal(changed[~here], ranges[~here])


def test_a_class_that_was_never_seen_is_never_left_out():
    probabilities, y = calibrated(100, np.random.default_rng(15), 3)
    fitted = fit_class_sets(probabilities, np.minimum(y, 1), people(100), alpha=0.1, ordered=False)
    assert fitted.thresholds[2] is None
    assert fitted.of(probabilities)[:, 2].all()


def test_a_model_that_is_always_right_gives_single_answers_and_one_that_is_always_wrong_all_of_them():
    probabilities, y = binary(np.tile([0.9, 0.1], 30), np.tile([True, False], 30))
    how = {"alpha": 0.1, "ordered": False}
    right = fit_class_sets(probabilities, y, people(60), **how).of(probabilities)
    wrong = fit_class_sets(probabilities, 1 - y, people(60), **how).of(probabilities)
    assert (right.sum(axis=1) == 1).all()
    assert wrong.all()


def test_of_too_few_persons_everything_is_possible():
    probabilities, y = calibrated(3, np.random.default_rng(16))
    fitted = fit_class_sets(probabilities, y, people(3), alpha=0.1, ordered=True)
    assert fitted.of(probabilities).all()
    years = np.array([5.0, 60.0])
    for n in (1, 2):
        ranges = fit_year_ranges(years[:n], years[:n] + 1, people(n), alpha=0.1)
        # Of all ages that were seen; the years that were read are always among them.
        assert ranges.of(np.array([6.0, 30.0])).tolist() == [
            [6, 6 if n == 1 else 61],
            [6, 30 if n == 1 else 61],
        ]
