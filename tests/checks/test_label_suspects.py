"""A wrong label is suspect, and a hard face is not."""

import numpy as np
import pytest

from featurekit.data.targets import AGE_GROUP, GENDER
from tests.checks.made_up import N, changed, found, said, sure


def test_a_flipped_label_is_suspect(manifest):
    proba = sure(manifest, GENDER)
    gender = manifest.table["gender"].to_numpy().copy()
    gender[11] = "male" if gender[11] == "female" else "female"
    flipped = changed(manifest, gender=gender)
    one = found(flipped, "label_suspects", predictions={"gender--x--svm": said(flipped, GENDER, proba)})
    assert (one.severity, one.count, one.of, one.rows) == ("note", 1, N, ("f011",))
    assert one.details[f"gender: {gender[11]}"]["suspects"] == 1


def test_the_best_run_of_a_target_is_asked(manifest):
    poor = sure(manifest, GENDER)
    poor[: N // 2] = poor[: N // 2][:, ::-1]
    runs = {
        "gender--a--poor": said(manifest, GENDER, poor),
        "gender--b--good": said(manifest, GENDER, sure(manifest, GENDER)),
    }
    one = found(manifest, "label_suspects", predictions=runs)
    assert (one.severity, one.count) == ("ok", 0)
    assert "gender--b--good" in one.what


def test_a_neighbouring_age_group_is_no_sign_of_a_wrong_label(manifest):
    young = changed(manifest, age_group=manifest.table["age_group"].replace("25-32", "4-6"))
    proba = sure(young, AGE_GROUP)
    proba[[0, 4]] = 0
    proba[0, 1] = proba[4, 7] = 1  # 0-2 is read as 4-6, and 4-6 as 60-100
    one = found(young, "label_suspects", predictions={"age_group--x": said(young, AGE_GROUP, proba)})
    assert one.rows == ("f004",)
    assert "1 of 400 labels of age_group are suspicious by two groups or more (1 more by one)" in one.what


def test_an_unsure_reading_is_not_suspect(manifest):
    proba = sure(manifest, GENDER, share=0.9)
    proba[0] = [0.51, 0.49] if manifest.table["gender"][0] == "male" else [0.49, 0.51]
    one = found(manifest, "label_suspects", predictions={"gender--x": said(manifest, GENDER, proba)})
    assert one.count == 0  # read as another, with less certainty than those usually are


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_errors_of_a_model_that_guesses_are_not_called_suspicious(manifest, share):
    """Not even if it is right in 9 of 10 faces, because it always guesses the most frequent class."""
    chance = np.random.default_rng(0)
    drawn = changed(manifest, gender=np.where(chance.random(N) < share, "male", "female"))
    proba = np.clip(chance.normal(share, 0.05, N), 0, 1)
    proba = np.stack([1 - proba, proba], axis=1)
    one = found(drawn, "label_suspects", predictions={"gender--x": said(drawn, GENDER, proba)})
    assert (one.severity, one.count, one.of) == ("note", 0, N)
    assert "No label of gender is called suspicious, because the model gender--x" in one.what
    assert "is not shown to tell them apart better than by chance" in one.what
