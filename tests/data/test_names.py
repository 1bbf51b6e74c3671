"""A name in another spelling is the same file; a near match is only named."""

import unicodedata

import pytest

from featurekit.data._names import look_alikes
from featurekit.files import sha256_of_file
from tests.data.made_up import judged, pictures, reasons_of


@pytest.mark.parametrize("name", ["Zoë/André.jpg", "Łukasz/ñandú.jpg", "が/ハ\u3099.jpg"])
@pytest.mark.parametrize(("in_table", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_in_another_form_of_unicode_is_the_same_file(name, in_table, on_disk, tmp_path):
    there, named = unicodedata.normalize(on_disk, name), unicodedata.normalize(in_table, name)
    (tmp_path / there).parent.mkdir()
    (tmp_path / there).write_text("picture")
    manifest = judged(tmp_path, image_path=[named], age=[30])
    assert manifest.table["reason"].tolist() == [""]
    assert manifest.table["image_path"].tolist() == [there]
    assert manifest.table["content"].iloc[0] == sha256_of_file(tmp_path / there)
    if there != named:
        assert manifest.info["notes"][0].startswith(
            "File names that differ from the table only in their Unicode form"
        )


def test_of_two_files_that_look_alike_none_is_guessed(tmp_path):
    for name in ("e\u0301\u0323.jpg", "\u1eb9\u0301.jpg"):
        (tmp_path / name).write_text(name)
    assert reasons_of(tmp_path, image_path=["\u00e9\u0323.jpg"], age=[30]) == ["missing_file"]


@pytest.mark.parametrize(
    ("named", "there"),
    [("IMG.JPG", "IMG.jpg"), ("a/b.jpg", "A/B.jpg"), ("one.jpeg", "one.JPG"), ("two", "two.png")],
)
def test_a_near_match_of_a_missing_file_is_named_and_not_taken(named, there, tmp_path):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("picture")
    manifest = judged(tmp_path, image_path=[named], age=[30])
    assert manifest.table["reason"].tolist() == ["missing_file"]
    assert manifest.info["notes"] == [
        f"Missing files for which there is a file with a similar name: 1 ('{there}' for '{named}')."
        " If these files are the right ones, correct their names in the table."
    ]


@pytest.mark.parametrize("name", ["gone.jpg", "x/" * 900 + "y.jpg", "link.jpg", "a.jpg/b.jpg"])
def test_a_missing_file_without_a_near_match_is_not_talked_about(name, tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "link.jpg").symlink_to("nothing")
    manifest = judged(tmp_path, image_path=[name], age=[30])
    assert manifest.table["reason"].tolist() == ["missing_file"]
    assert "notes" not in manifest.info


def test_a_path_that_leads_outside_by_its_words_is_not_called_a_link(tmp_path):
    pictures(tmp_path / "secret", a="one")
    (tmp_path / "data").mkdir()
    paths = ["../secret/a.jpg", str(tmp_path / "secret" / "a.jpg")]
    manifest = judged(tmp_path / "data", image_path=paths, age=[30, 30])
    assert manifest.table["reason"].tolist() == ["outside_root"] * 2
    assert "notes" not in manifest.info


def test_no_name_is_looked_for_outside_the_folder(tmp_path):
    pictures(tmp_path / "secret", IMG="one")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    assert look_alikes(["../secret/img.jpg", "link/img.jpg", "LINK/IMG.jpg"], tmp_path / "data") == ({}, {})
