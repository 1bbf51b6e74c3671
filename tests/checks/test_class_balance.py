"""The largest difference in class shares is reported."""

import numpy as np
import pytest

from tests.checks.made_up import N, changed, folds_of, found


def test_the_largest_deviation_of_a_class_is_told(manifest):
    gender = manifest.table["gender"].to_numpy().copy()
    inside = np.flatnonzero(folds_of(manifest).numbers == 3)
    gender[inside[gender[inside] == "female"][:20]] = "male"
    one = found(changed(manifest, gender=gender), "class_balance")
    assert (one.severity, one.count) == ("note", 0)
    # 180 of 400 are left over all, and 20 of the fold's 80.
    assert one.details["gender: female"]["most points apart"] == pytest.approx(100 * (20 / 80 - 180 / 400))
    assert one.details["gender: female"]["in fold"] == 3
    assert "20.0 percentage points" in one.what


def test_folds_may_be_numbered_with_gaps(manifest):
    numbers = folds_of(manifest).numbers
    one = found(manifest, "class_balance", folds=folds_of(manifest, np.where(numbers == 4, 9, numbers)))
    assert one.severity == "ok"
    assert one.details["gender: male"]["fewest tested"] == 40


def test_classes_with_hardly_a_tested_face_are_a_warning(manifest):
    hats = np.where(np.arange(N) < 12, "yes", "no")
    one = found(changed(manifest, hat=hats), "class_balance")
    assert (one.severity, one.count) == ("warning", 1)
    assert one.details["hat: yes"]["fewest tested"] == 2
