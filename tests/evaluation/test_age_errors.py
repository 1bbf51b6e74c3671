"""Errors in years, for people of each age."""

import numpy as np
import pandas as pd
import pytest

from featurekit.evaluation.estimates import mean_of_faces
from featurekit.evaluation.slices import age_errors


def outcomes(true, predicted):
    n = len(true)
    return pd.DataFrame(
        {"true": np.asarray(true, float), "predicted": np.asarray(predicted, float), "subject": np.arange(n)}
    )


def test_each_band_has_its_mean_error_and_whether_people_look_older():
    young, old = age_errors(outcomes([1.0] * 40 + [90.0] * 40, [3.0] * 40 + [80.0, 86.0] * 20), seed=0)
    assert (young.band, young.n_faces, young.n_subjects) == ("0-2", 40, 40)
    assert (young.error.value, young.error.low, young.error.high, young.bias) == (2.0, 2.0, 2.0, 2.0)
    assert old.band == "80 and older"
    assert (old.error.value, old.bias) == (7.0, -7.0)
    assert old.error.low < 7 < old.error.high


def test_too_few_subjects_have_no_error():
    few, enough = age_errors(outcomes([3.0] * 4 + [30.0] * 50, [5.0] * 54), seed=0)
    assert (few.band, few.error, few.bias, few.n_faces) == ("3", None, None, 4)
    assert enough.error.value == pytest.approx(25.0)


def test_a_band_has_the_numbers_of_the_slice_that_holds_the_same_faces():
    rng = np.random.default_rng(0)
    table = outcomes(rng.uniform(25, 32.9, 200), rng.uniform(20, 40, 200))
    (band,) = age_errors(table, seed=0)
    off = (table["predicted"] - table["true"]).abs().to_numpy()
    assert band.error == mean_of_faces(off, table["subject"].to_numpy(), 0)
