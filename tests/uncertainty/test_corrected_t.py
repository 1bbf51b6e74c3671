"""The corrected t-test is what its paper says."""

import numpy as np
import pytest
from scipy import stats

from featurekit.uncertainty.paired_tests import corrected_t


def test_without_an_overlap_the_corrected_test_is_the_usual_one():
    differences = np.array([0.01, 0.03, -0.01, 0.02, 0.02])
    usual = stats.ttest_1samp(differences, 0).pvalue
    assert corrected_t(differences, 80, 0) == pytest.approx(usual)
    assert corrected_t(differences, 80, 20) > usual


def test_the_corrected_test_is_that_of_nadeau_and_bengio():
    # Worked out by hand: mean 0.02, variance 1e-4, t = 0.02 / sqrt((1/5 + 1/4) · 1e-4) = 2.981, 4 degrees.
    differences = 0.02 + 0.01 * np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    assert corrected_t(differences, 80, 20) == pytest.approx(2 * stats.t.sf(2.98142, 4), rel=1e-4)
