"""Coverage counts persons."""

import numpy as np
import pytest
from scipy.stats import binomtest

from featurekit.uncertainty.conformal import coverage_by
from tests.uncertainty.made_up import people


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 0.9, 1.0])
def test_a_share_below_the_promise_has_the_p_value_of_the_exact_binomial_test(share):
    n = 200
    answers = np.ones((n, 2), bool)
    answers[: round(n * (1 - share)), 0] = False
    found = coverage_by(np.full(n, "x"), answers, np.zeros(n, int), people(n), missed=0.1)[0]
    assert found.p_value == pytest.approx(binomtest(round(n * share), n, 0.9, alternative="less").pvalue)


def test_coverage_counts_persons_and_says_nothing_of_few():
    # Forty persons of whom a quarter are missed; one of those missed has a hundred faces.
    subjects = np.concatenate([people(40), np.repeat("s00000", 99), np.repeat("few", 50)])
    y = np.zeros(len(subjects), int)
    labels = np.where(subjects == "few", "few", "many")
    sets = np.ones((len(subjects), 2), bool)
    sets[np.isin(subjects, people(10)), 0] = False
    few, many = coverage_by(labels, sets, y, subjects)
    assert (few.label, few.n_faces, few.n_subjects) == ("few", 50, 1)
    assert few.value is few.between is few.size is None
    assert (many.n_faces, many.n_subjects, many.value, many.size) == (139, 40, 0.75, 1.75)
    thirty_of_forty = binomtest(30, 40).proportion_ci()
    assert (many.between.low, many.between.high) == pytest.approx((thirty_of_forty.low, thirty_of_forty.high))
