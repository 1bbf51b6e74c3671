"""What a manifest promises: every row once, in one order, and the same after a round trip."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import AGE, GENDER
from featurekit.errors import ManifestError, TargetError


def manifest_of(tmp_path, **columns):
    """A manifest whose columns are the given ones and the emptiest possible others."""
    n_rows = len(next(iter(columns.values())))
    table = pd.DataFrame({column: [""] * n_rows for column in COLUMNS})
    table["face_id"] = [f"face{row}" for row in range(n_rows)]
    table["age"] = np.nan
    table["official_fold"] = -1
    return Manifest(table.assign(**columns), tmp_path, {"dataset": "made up"})


def test_a_manifest_comes_back_from_its_file_as_it_was(tmp_path):
    manifest = manifest_of(
        tmp_path,
        face_id=["007", "NA", "1.0"],
        subject_id=["01", "", "null"],
        age=[0.1 + 0.2, np.nan, 116.0],
        gender=["female", "", "male"],
        official_fold=[0, -1, 4],
        mood=["glad", "", "1e5"],
    )
    manifest.save(tmp_path / "manifest.csv")
    again = Manifest.load(tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(again.table, manifest.table, check_dtype=False, check_exact=True)
    assert again.root == tmp_path
    assert again.info == {"dataset": "made up"}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), min_size=1))
def test_no_file_name_breaks_the_manifests_file(names, tmp_path):
    manifest = manifest_of(tmp_path, image_path=names)
    manifest.save(tmp_path / "manifest.csv")
    assert Manifest.load(tmp_path / "manifest.csv").table["image_path"].tolist() == names


@pytest.mark.parametrize("name", ["a\rb.jpg", 'a"b".jpg', "a,b.jpg", "a\nb.jpg", " a.jpg", "é.jpg"])
def test_a_file_name_with_signs_of_a_csv_survives(name, tmp_path):
    manifest_of(tmp_path, image_path=[name, "b.jpg"]).save(tmp_path / "manifest.csv")
    assert Manifest.load(tmp_path / "manifest.csv").table["image_path"].tolist() == [name, "b.jpg"]


def test_no_manifest_says_how_to_make_one(tmp_path):
    with pytest.raises(ManifestError, match="To make one: featurekit prepare DATASET PATH"):
        Manifest.load(tmp_path / "manifest.csv")


def test_a_file_that_is_no_manifest_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    (tmp_path / "manifest.json").write_text('{"root": "."}')
    with pytest.raises(ManifestError, match=re.escape("manifest.csv is not a manifest of featurekit")):
        Manifest.load(tmp_path / "manifest.csv")


def test_two_rows_of_one_id_are_refused(tmp_path):
    with pytest.raises(ManifestError, match="face_id twin occurs twice"):
        manifest_of(tmp_path, face_id=["twin", "other", "twin"])


def test_a_reason_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=re.escape("Unknown reasons ['bored']")):
        manifest_of(tmp_path, reason=["bored"])


def test_a_manifest_without_rows_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no rows"):
        manifest_of(tmp_path, face_id=[])


def test_a_row_without_a_subject_is_its_own(tmp_path):
    manifest = manifest_of(tmp_path, subject_id=["ann", "", "", "ann"])
    assert manifest.subjects.tolist() == ["ann", "row:face1", "row:face2", "ann"]


def test_only_usable_rows_with_a_known_label_are_labelled(tmp_path):
    manifest = manifest_of(
        tmp_path,
        age=[30.0, np.nan, 40.0],
        gender=["male", "female", ""],
        reason=["", "duplicate", ""],
    )
    assert manifest.labelled(GENDER).tolist() == [True, False, False]
    assert manifest.labelled(AGE).tolist() == [True, False, True]


def test_a_column_of_the_users_own_is_a_target(tmp_path):
    manifest = manifest_of(tmp_path, mood=["sad", "glad", "", "bored"], reason=["", "", "", "duplicate"])
    assert manifest.target("mood").classes == ("glad", "sad")
    with pytest.raises(TargetError, match=re.escape("Unknown target 'modo'. Did you mean 'mood'?")):
        manifest.target("modo")
