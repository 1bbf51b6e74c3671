"""Promises to hold the truth: for whom they are broken, and in which band an age lies."""

import numpy as np
import pytest

from featurekit.evaluation import confidence
from featurekit.uncertainty.conformal import Coverage


def test_a_broken_promise_is_found_for_whom_it_is_broken_and_for_nobody_else():
    rows = [("", 0.6, 0.02), ("hat", 0.2, 0.5), ("gender", 0.4, 0.001), ("gender", 0.9, None)]
    found = [(name, Coverage("x", 99, 99, value, None, 1.0, p)) for name, value, p in rows]
    adjusted = [one.p_value for _, one in confidence._adjusted(found)]
    assert adjusted == pytest.approx([0.04, 0.5, 0.003, None])


def test_every_age_is_in_a_band():
    ages = np.array([0, 2.9, 3, 7.5, 20, 59.9, 60, 79, 80, 116, np.nan])
    bands = ["0-2", "0-2", "3", "7", "15-20", "54-59", "60-69", "70-79", "80 and older", "80 and older", ""]
    assert confidence.age_bands(ages).tolist() == bands
