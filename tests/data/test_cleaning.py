"""Every row ends in one reason; equal pictures are on one side."""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurekit.data.cleaning import clean
from featurekit.data.datasets import RawRows
from featurekit.data.find import find_images
from featurekit.data.manifest import REASONS
from featurekit.errors import ManifestError
from featurekit.files import sha256_of_file
from tests.data.made_up import judged, pictures, reasons_of


def test_a_file_that_is_there_with_a_label_is_usable(tmp_path):
    pictures(tmp_path, a="one")
    row = judged(tmp_path, image_path=["a.jpg"], age=[30.0]).table.iloc[0]
    assert row["reason"] == ""
    assert row["age_group"] == "25-32"
    assert row["face_id"] == "a.jpg"
    assert row["content"] == sha256_of_file(tmp_path / "a.jpg")


def test_only_subjects_with_a_usable_row_are_counted(tmp_path):
    """Two people are counted for two usable rows, and not the person whose only file is missing."""
    pictures(tmp_path, a="one", b="two")
    rows = {"image_path": ["a.jpg", "b.jpg", "gone.jpg"], "subject_id": ["s1", "", "s3"], "age": [30.0] * 3}
    tally = judged(tmp_path, **rows).info["tally"]
    assert (tally["rows"], tally["usable"], tally["subjects"]) == (3, 2, 2)


def test_a_missing_file_is_a_row_with_its_labels(tmp_path):
    row = judged(tmp_path, image_path=["gone.jpg"], gender=["male"]).table.iloc[0]
    assert (row["reason"], row["gender"], row["content"]) == ("missing_file", "male", "")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "no_path"),
        ("folder", "unreadable"),
        ("folder/..", "unreadable"),
        ("a.jpg/b.jpg", "missing_file"),
        ("nul\0.jpg", "bad_path"),
        ("x" * 300 + ".jpg", "bad_path"),
        ("folder/../a.jpg", ""),
    ],
)
def test_every_path_ends_in_a_reason_or_in_a_file(path, reason, tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "folder").mkdir()
    assert reasons_of(tmp_path, image_path=[path], gender=["male"]) == [reason]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_unreadable(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "a.jpg").chmod(0)
    assert reasons_of(tmp_path, image_path=["a.jpg"], gender=["male"]) == ["unreadable"]


def test_a_reader_that_fails_makes_the_row_unreadable(tmp_path):
    pictures(tmp_path, a="one")

    def broken_disk(path):
        raise OSError(5, "Input/output error")

    raw = RawRows(pd.DataFrame({"image_path": ["a.jpg"], "gender": ["male"]}), tmp_path)
    assert clean(raw, content_of=broken_disk).table["reason"].tolist() == ["unreadable"]


def test_nothing_outside_the_folder_is_opened(tmp_path):
    inside, outside = tmp_path / "data", tmp_path / "secret"
    pictures(outside, a="one")
    inside.mkdir()
    (inside / "link.jpg").symlink_to(outside / "a.jpg")
    (inside / "folder").symlink_to(outside)
    paths = ["../secret/a.jpg", str(outside / "a.jpg"), "link.jpg", "folder/a.jpg", "../secret/gone.jpg"]
    opened = []
    raw = RawRows(pd.DataFrame({"image_path": paths, "gender": "male"}), inside)
    manifest = clean(raw, content_of=lambda path: opened.append(path) or "")
    assert manifest.table["reason"].tolist() == ["outside_root"] * 5
    assert opened == []


def test_links_within_the_folder_and_to_the_folder_are_followed(tmp_path):
    pictures(tmp_path / "data", a="one")
    (tmp_path / "data" / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "link").symlink_to("data")
    assert reasons_of(tmp_path / "link", image_path=["a.jpg", "b.jpg"], age=[30, 30]) == ["", "duplicate"]


def test_a_link_to_itself_does_not_stop_the_others(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert find_images(tmp_path).table["image_path"].tolist() == ["a.jpg", "loop.jpg"]
    assert reasons_of(tmp_path, image_path=["a.jpg", "loop.jpg"], age=[30, 30]) == ["", "bad_path"]


@pytest.mark.parametrize(
    ("age", "reason"),
    [(-1, "impossible_age"), (0, ""), (116, ""), (117, "impossible_age"), (np.inf, "impossible_age")],
)
def test_ages_end_at_116(age, reason, tmp_path):
    pictures(tmp_path, a="one", b="two")
    columns = {"image_path": ["a.jpg", "b.jpg"], "age": [float(age)] * 2, "gender": ["", "male"]}
    table = judged(tmp_path, **columns).table
    assert table["reason"].tolist() == [reason, ""]
    assert reason == "" or table["age_group"].tolist() == ["", ""]
    assert np.isnan(table["age"].iloc[1]) == (reason != "")


def test_a_row_without_any_label_is_of_no_use(tmp_path):
    pictures(tmp_path, a="one", b="two")
    columns = {"image_path": ["a.jpg", "b.jpg"], "age": [np.nan, np.nan], "gender": ["", "male"]}
    assert reasons_of(tmp_path, **columns) == ["no_label", ""]


def test_a_label_of_the_users_own_is_a_label(tmp_path):
    pictures(tmp_path, a="one", b="two")
    table = pd.DataFrame({"image_path": ["a.jpg", "b.jpg"], "mood": ["glad", ""], "note": ["", "blurred"]})
    manifest = clean(RawRows(table, tmp_path, labels=("mood",)))
    assert manifest.table["reason"].tolist() == ["", "no_label"]


def test_of_two_reasons_the_first_in_the_list_is_given(tmp_path):
    columns = {
        "image_path": ["gone.jpg", "gone.jpg", "gone.jpg"],
        "age": [200.0, 30.0, np.nan],
        "reason": ["", "repeated_row", "bad_value"],
    }
    assert reasons_of(tmp_path, **columns) == ["missing_file", "repeated_row", "missing_file"]


def test_a_data_set_without_rows_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="has no rows"):
        clean(RawRows(pd.DataFrame({"image_path": []}), tmp_path))


def test_of_identical_files_with_the_same_labels_the_first_is_used(tmp_path):
    pictures(tmp_path, a="same", b="other", c="same")
    columns = {"image_path": ["a.jpg", "b.jpg", "c.jpg"], "age": [30, 30, 30]}
    manifest = judged(tmp_path, **columns)
    assert manifest.table["reason"].tolist() == ["", "", "duplicate"]
    assert manifest.subjects.tolist() == ["row:a.jpg", "row:b.jpg", "row:a.jpg"]
    assert manifest.info["tally"]["groups of identical files"] == 1


def test_identical_files_with_different_labels_are_all_left_out(tmp_path):
    pictures(tmp_path, a="same", b="same", c="same")
    columns = {"image_path": ["a.jpg", "b.jpg", "c.jpg"], "age": [30, 30, 31], "gender": ["male"] * 3}
    manifest = judged(tmp_path, **columns)
    assert manifest.table["reason"].tolist() == ["conflicting_labels"] * 3
    assert manifest.info["tally"]["groups of identical files with conflicting labels"] == 1


def test_a_label_that_is_not_known_contradicts_nothing(tmp_path):
    pictures(tmp_path, a="same", b="same")
    columns = {"image_path": ["a.jpg", "b.jpg"], "age": [np.nan, 30], "gender": ["male", "male"]}
    # The second row knows more, so it is the one to keep.
    assert reasons_of(tmp_path, **columns) == ["duplicate", ""]


def test_an_unusable_copy_does_not_displace_a_usable_one(tmp_path):
    pictures(tmp_path, a="same", b="same", c="same")
    columns = {"image_path": ["a.jpg", "b.jpg", "c.jpg"], "age": [np.nan, 200, 30]}
    assert reasons_of(tmp_path, **columns) == ["no_label", "impossible_age", ""]


def test_two_faces_of_one_photograph_are_no_duplicates(tmp_path):
    pictures(tmp_path, group="same")
    columns = {
        "image_path": ["group.jpg"] * 3,
        "gender": ["male", "female", "male"],
        "box": ["0 0 9 9", "20 0 29 9", "0 0 9 9"],
    }
    manifest = judged(tmp_path, **columns)
    assert manifest.table["reason"].tolist() == ["", "", "duplicate"]
    assert manifest.table["face_id"].tolist() == ["group.jpg", "group.jpg#2", "group.jpg#3"]
    assert len(set(manifest.subjects)) == 2


def test_a_picture_filed_under_two_subjects_makes_them_one_for_all_their_rows(tmp_path):
    pictures(tmp_path, a="1", b="same", c="same", d="4", e="5", f="4")
    columns = {
        "image_path": ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"],
        "subject_id": ["ann", "ann", "bea", "bea", "cat", ""],
        "gender": ["female"] * 6,
    }
    manifest = judged(tmp_path, **columns)
    assert manifest.table["subject_id"].tolist() == ["ann", "ann", "ann", "ann", "cat", "ann"]
    assert manifest.info["tally"]["rows whose subject was joined with another"] == 2
    assert manifest.info["tally"]["subjects"] == 2


def test_a_file_that_many_rows_name_is_read_once_and_progress_says_so(tmp_path):
    pictures(tmp_path, a="one", b="two")
    read, told = [], []

    def content_of(path):
        read.append(path.name)
        return sha256_of_file(path)

    table = pd.DataFrame({"image_path": ["a.jpg", "b.jpg", "a.jpg"], "gender": "male"})
    clean(
        RawRows(table, tmp_path),
        content_of=content_of,
        progress=lambda done, total: told.append((done, total)),
    )
    assert read == ["a.jpg", "b.jpg"]
    assert told == [(1, 2), (2, 2)]


ROW = st.fixed_dictionaries(
    {
        "image_path": st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "gone.jpg", "../out.jpg"]),
        "subject_id": st.sampled_from(["", "ann", "bea", "cat"]),
        "age": st.sampled_from([np.nan, -1.0, 13.0, 30.0, 31.0, 200.0]),
        "gender": st.sampled_from(["", "female", "male"]),
        "box": st.sampled_from(["", "0 0 9 9"]),
        "reason": st.sampled_from(["", "", "", "bad_value", "repeated_row"]),
    }
)


@pytest.fixture(scope="module")
def four_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four") / "data"
    pictures(folder, a="1", b="2", c="1", d="2")
    return folder


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=12))
def test_every_row_is_in_the_manifest_once_and_equal_pictures_are_on_one_side(rows, four_files):
    manifest = clean(RawRows(pd.DataFrame(rows), four_files))
    table = manifest.table
    # Nobody is lost, and the order is that of the data set.
    assert table["image_path"].tolist() == [row["image_path"] for row in rows]
    assert table["face_id"].is_unique
    tally = manifest.info["tally"]
    assert tally["rows"] == len(rows) == tally["usable"] + sum(tally.get(reason, 0) for reason in REASONS)
    # What a reader complained of is not forgotten.
    assert not (table["reason"][[row["reason"] != "" for row in rows]] == "").any()

    subjects = pd.Series(manifest.subjects)
    has_content = table["content"] != ""
    pictures_and_subjects = table[["content", "box"]].assign(subject=subjects)[has_content].drop_duplicates()
    assert not pictures_and_subjects.duplicated(["content", "box"]).any()
    # Rows that had one subject still have one, whatever it is called now.
    renamed = {(row["subject_id"], subject) for row, subject in zip(rows, subjects, strict=True)}
    names = [before for before, _ in renamed if before]
    assert len(names) == len(set(names))

    usable = table[manifest.usable]
    assert not usable.duplicated(["content", "box"]).any()
    # A picture is lost to duplicates only where one row of it is kept.
    kept = set(zip(usable["content"], usable["box"], strict=True))
    duplicates = table[table["reason"] == "duplicate"]
    assert set(zip(duplicates["content"], duplicates["box"], strict=True)) <= kept
    conflicting = table[table["reason"] == "conflicting_labels"]
    assert not set(zip(conflicting["content"], conflicting["box"], strict=True)) & kept
