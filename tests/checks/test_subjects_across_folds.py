"""A person on both sides of a fold is found."""

import numpy as np

from tests.checks.made_up import N, changed, folds_of, found


def test_a_person_on_both_sides_is_an_error_of_folds_we_made(manifest):
    numbers = folds_of(manifest).numbers.copy()
    numbers[6] = (numbers[6] + 1) % 5
    one = found(manifest, "subjects_across_folds", folds=folds_of(manifest, numbers))
    assert (one.severity, one.count, one.of, one.rows) == ("error", 1, 200, ("f006", "f007"))
    assert "--new-folds" in one.advice


def test_a_person_in_two_official_folds_is_a_warning_as_training_leaves_her_out(manifest):
    numbers = folds_of(manifest).numbers.copy()
    numbers[[6, 9]] = (numbers[[6, 9]] + 1) % 5
    one = found(manifest, "subjects_across_folds", folds=folds_of(manifest, numbers, "official"))
    assert (one.severity, one.count) == ("warning", 2)
    assert one.rows == ("f006", "f007", "f008", "f009")


def test_a_data_set_without_persons_is_said_to_have_none(manifest):
    # Identical files share a person whom prepare calls after a row.
    nameless = np.where(np.arange(N) == 3, "row:f003", "")
    one = found(changed(manifest, subject_id=nameless), "subjects_across_folds")
    assert (one.severity, one.count) == ("note", 0)
    assert "does not name subjects" in one.what
