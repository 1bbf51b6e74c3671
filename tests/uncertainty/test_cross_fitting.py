"""Nobody is learned from who is also answered for."""

import numpy as np
import pytest

from featurekit.uncertainty.abstention import risk_coverage
from featurekit.uncertainty.cross_fitting import rounds
from featurekit.uncertainty.reliability import reliability
from featurekit.uncertainty.temperature import fit_temperature
from tests.uncertainty.made_up import people


def test_nobody_is_learned_from_who_is_also_in_the_fold():
    folds = np.array([0, 0, 1, 1, 2, 2])
    subjects = np.array(["a", "b", "a", "c", "d", "d"])
    found = {fold: (here.tolist(), others.tolist()) for fold, here, others in rounds(folds, subjects)}
    assert found[0] == ([True, True, False, False, False, False], [False, False, False, True, True, True])
    assert found[2][1] == [True, True, True, True, False, False]


def test_a_fold_that_holds_everybody_is_refused():
    with pytest.raises(ValueError, match="Fold 0 contains all subjects"):
        list(rounds(np.zeros(3, int), people(3)))


def test_what_does_not_belong_together_is_refused():
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match=r"one of everything\. Got 3, 2"):
        fit_temperature(probabilities, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"one of everything\. Got 0, 0"):
        risk_coverage(np.array([]), np.array([], bool))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, -1]))
