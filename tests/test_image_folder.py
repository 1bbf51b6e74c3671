"""Folders that are named after what their pictures show."""

import re

import pytest

from featurekit.datasets import prepare
from featurekit.errors import ManifestError


def folder_with(folder, *names):
    """Write pictures, each with bytes of its own."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_folders_are_genders_under_any_usual_word(tmp_path):
    folder_with(tmp_path, "F/1.jpg", "woman/2.jpg", "Male/3.jpg", "men/deep/4.jpg", "unknown/5.jpg")
    table = prepare("image_folder", tmp_path).table.set_index("image_path")
    assert table["gender"].to_dict() == {
        "F/1.jpg": "female",
        "Male/3.jpg": "male",
        "men/deep/4.jpg": "male",
        "unknown/5.jpg": "",
        "woman/2.jpg": "female",
    }
    assert table.loc["unknown/5.jpg", "reason"] == "no_label"


def test_folders_are_age_groups(tmp_path):
    folder_with(tmp_path, "0-2/1.jpg", "(25, 32)/2.jpg", "60-100/3.jpg")
    assert prepare("image_folder", tmp_path).table["age_group"].tolist() == ["25-32", "0-2", "60-100"]


def test_folders_are_ages_when_one_says_so(tmp_path):
    folder_with(tmp_path, "1/1.jpg", "30/2.jpg", "120/3.jpg")
    table = prepare("image_folder", tmp_path, target="age").table
    assert table["age"].tolist() == [1, 120, 30]
    assert table["age_group"].tolist() == ["0-2", "", "25-32"]
    assert table["reason"].tolist() == ["", "impossible_age", ""]


def test_folders_called_0_and_1_are_not_guessed(tmp_path):
    folder_with(tmp_path, "0/1.jpg", "1/2.jpg")
    with pytest.raises(ManifestError, match=r"are neither genders nor age groups: 0, 1\. Say what they are"):
        prepare("image_folder", tmp_path)


def test_any_other_word_is_a_label_column(tmp_path):
    manifest = prepare("image_folder", folder_with(tmp_path, "glad/1.jpg", "sad/2.jpg"), target="mood")
    assert manifest.target("mood").classes == ("glad", "sad")
    assert manifest.usable.all()


def test_a_folder_that_is_no_label_is_refused_by_name(tmp_path):
    folder_with(tmp_path, "female/1.jpg", "train/2.jpg")
    message = f"Folder 'train' of {tmp_path} is no gender: female or male (or f, m, woman, man, ...)."
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("image_folder", tmp_path, target="gender")


def test_a_picture_beside_the_folders_is_a_row_without_a_label(tmp_path):
    table = prepare("image_folder", folder_with(tmp_path, "female/1.jpg", "stray.jpg")).table
    assert table["reason"].tolist() == ["", "no_label"]


def test_pictures_without_any_folder_are_refused(tmp_path):
    with pytest.raises(ManifestError, match="has no class folders"):
        prepare("image_folder", folder_with(tmp_path, "1.jpg"))


@pytest.mark.parametrize("target", ["subject_id", "box", " "])
def test_a_column_of_the_manifests_own_is_no_target(target, tmp_path):
    with pytest.raises(ManifestError, match="target cannot be"):
        prepare("image_folder", folder_with(tmp_path, "female/1.jpg"), target=target)


@pytest.mark.parametrize("regex", [r"^([a-z]+)_", r"(?P<subject>[a-z]+)_(\d)", r"^(?:x)?([a-z]+)"])
def test_the_subject_is_read_from_the_file_name(regex, tmp_path):
    folder_with(tmp_path, "female/ann_1.jpg", "female/ann_2.jpg", "male/bob_1.jpg", "male/4.jpg")
    manifest = prepare("image_folder", tmp_path, subject_regex=regex)
    assert manifest.table["subject_id"].tolist() == ["ann", "ann", "", "bob"]
    assert manifest.info["tally"]["file names without a subject"] == 1


@pytest.mark.parametrize(
    ("regex", "message"),
    [("(", "is no regular expression"), ("ann", "has no group"), ("^(zoe)", "matches no file name")],
)
def test_a_regular_expression_that_finds_nobody_is_refused(regex, message, tmp_path):
    with pytest.raises(ManifestError, match=message):
        prepare("image_folder", folder_with(tmp_path, "female/ann_1.jpg"), subject_regex=regex)
