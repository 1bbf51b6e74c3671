"""Nobody is learned from who is also answered for."""

import numpy as np
import pytest

from featurekit.uncertainty.abstention import risks_at
from featurekit.uncertainty.calibration import fit_temperature
from featurekit.uncertainty.reliability import reliability
from featurekit.uncertainty.resampling import on_others
from tests.uncertainty.made_up import people


def rows_seen(folds, subjects):
    """Fit on the rows of others by remembering them, and answer with how many they were."""
    rows = np.arange(len(folds))
    return on_others(
        rows,
        rows,
        folds,
        subjects,
        fit=lambda read, y, subjects: read.tolist(),
        answer=lambda seen, read: np.full(len(read), len(seen)),
        into=rows.copy(),
    )


def test_nobody_is_learned_from_who_is_also_in_the_fold():
    folds = np.array([0, 0, 1, 1, 2, 2])
    subjects = np.array(["a", "b", "a", "c", "d", "d"])
    answers, seen = rows_seen(folds, subjects)
    assert seen == {0: [3, 4, 5], 1: [1, 4, 5], 2: [0, 1, 2, 3]}
    assert answers.tolist() == [3, 3, 3, 3, 4, 4]


def test_a_fold_that_holds_everybody_is_refused():
    with pytest.raises(ValueError, match="Fold 0 contains all subjects"):
        rows_seen(np.zeros(3, int), people(3))


def test_what_does_not_belong_together_is_refused():
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match=r"same number of rows, at least one\. Got 3, 2"):
        fit_temperature(probabilities, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"same number of rows, at least one\. Got 0, 0"):
        risks_at(np.array([]), np.array([], bool), (1.0,))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="class numbers from 0 to 1"):
        reliability(probabilities, np.array([0, 1, -1]))
