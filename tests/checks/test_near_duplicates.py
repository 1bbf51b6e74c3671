"""The same photograph in another encoding or size is found, and nobody who only looks like it."""

import numpy as np
from PIL import Image

from featurekit.checks import near_duplicates
from featurekit.checks.audit import audit
from tests.checks.made_up import changed, found, people


def test_a_picture_encoded_again_smaller_and_darker_is_found_on_the_other_side(few):
    for number, copy in ((8, 17), (30, 40)):  # on two sides, and in one fold
        with Image.open(few.root / f"{number}.png") as picture:
            again = picture.resize((59, 60)).point(lambda value: int(value * 0.8))
        again.save(few.root / f"{copy}.jpg", quality=60)
    paths = few.table["image_path"].replace({"17.png": "17.jpg", "40.png": "40.jpg"})
    planted = changed(few, image_path=paths)
    one = found(planted, "near_duplicates", pictures=True)
    assert one.severity == "warning"
    assert (one.count, one.of, one.rows) == (4, 60, ("f008", "f017"))
    assert (one.details["groups"]["all"], one.details["groups"]["across folds"]) == (2, 1)
    without_folds = audit(planted, None, None, {})["near_duplicates"]
    assert without_folds.severity == "note"
    assert without_folds.rows == ("f008", "f017", "f030", "f040")


def test_different_faces_are_no_near_duplicates_however_alike_their_hashes(few):
    people(few.root, 60, of_one_hash=True)
    one = found(few, "near_duplicates", pictures=True)
    assert one.details["pairs"]["compared"] > 100  # the hash alone would have called these the same
    assert (one.severity, one.count) == ("ok", 0)


def test_copies_with_other_labels_are_counted(few):
    with Image.open(few.root / "0.png") as picture:
        picture.save(few.root / "2.png", compress_level=1)  # of other bytes, of another gender
    one = found(few, "near_duplicates", pictures=True)
    assert one.details["groups"]["with another gender"] == 1
    assert one.details["groups"]["with another age"] == 0
    assert "Groups whose labels differ: 1 by gender." in one.what


def test_pictures_that_cannot_be_compared_are_counted(few):
    (few.root / "3.png").unlink()
    (few.root / "4.png").write_bytes(b"no picture")
    for number in (5, 6):
        Image.new("RGB", (64, 64), (90, 80, 70)).save(few.root / f"{number}.png", compress_level=number)
    one = found(few, "near_duplicates", pictures=True)
    assert (one.severity, one.count) == ("note", 0)
    assert "4 images could not be compared" in one.what


def test_plain_pictures_are_no_near_duplicates_of_each_other(few):
    stripes = np.arange(64)[:, None, None] // 4 % 2 + np.zeros((64, 64, 3))  # of one grey level
    for number, level in ((5, 90), (6, 200)):
        pixels = (stripes + level).astype(np.uint8)
        Image.fromarray(pixels).save(few.root / f"{number}.png")
    one = found(few, "near_duplicates", pictures=True)
    assert one.count == 0
    assert "2 images could not be compared" in one.what


def test_a_cut_is_said(few, monkeypatch):
    people(few.root, 60, of_one_hash=True)
    monkeypatch.setattr(near_duplicates, "MOST_IN_COMMON", 10)
    one = found(few, "near_duplicates", pictures=True)
    assert "only with the next 16 of these" in one.what
    assert one.severity == "note"
