"""The usual tests are what the books say."""

import numpy as np
import pytest
from scipy import stats

from featurekit.uncertainty.paired_tests import McNemar, corrected_t, mcnemar, ranks


def people(n):
    return np.array([f"s{number:05}" for number in range(n)])


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
    assert found == (McNemar(pytest.approx(0.021484375), 9, 1, ""))


def test_ranks_are_given_from_ten_blocks_on():
    rng = np.random.default_rng(0)
    assert ranks(rng.random((9, 4))) is None
    found = ranks(rng.random((14, 4)))
    # Demšar 2006, section 3.2.2: four classifiers on fourteen data sets.
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert sum(found.mean) == pytest.approx(1 + 2 + 3 + 4)
