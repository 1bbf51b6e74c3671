"""UTKFace's file names are its labels, and some of them are broken."""

import numpy as np
import pytest

from featurekit.data.prepare import prepare


def reading_of(folder, *names):
    """The rows of these file names, by name, each with bytes of its own."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    return prepare("utkface", folder).table.set_index("image_path")


@pytest.mark.parametrize(
    ("name", "age", "gender", "age_group"),
    [
        ("26_0_2_20170104023102422.jpg.chip.jpg", 26, "male", "25-32"),
        ("1_1_0_20161219140623097.jpg.chip.jpg", 1, "female", "0-2"),
        ("100_1_0_20170112213500903.jpg", 100, "female", "60-100"),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 24, "male", ""),
        ("55_0_0_20170116232725357jpg.chip.jpg", 55, "male", ""),
        ("55_0_0_20170116232725357.heic", 55, "male", ""),
        ("55_0_0_20170116232725357.jpg.chip.JFIF", 55, "male", ""),
    ],
)
def test_a_name_gives_age_and_gender(name, age, gender, age_group, tmp_path):
    row = reading_of(tmp_path, name).loc[name]
    assert (row["age"], row["gender"], row["age_group"], row["reason"]) == (age, gender, age_group, "")


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109142408075.jpg.chip.jpg",
        "39__1_20170116174525125.jpg.chip.jpg",
        "39_2_1_20170116174525125.jpg.chip.jpg",
        "portrait.jpg",
    ],
)
def test_a_name_in_doubt_is_a_row_without_labels(name, tmp_path):
    row = reading_of(tmp_path, name, "26_0_2_20170104023102422.jpg.chip.jpg").loc[name]
    assert (row["reason"], row["gender"]) == ("unparsable_name", "")
    assert np.isnan(row["age"])


def test_the_folder_around_utkface_will_do(tmp_path):
    reading_of(tmp_path / "UTKFace", "26_0_2_20170104023102422.jpg.chip.jpg")
    manifest = prepare("utkface", tmp_path)
    assert manifest.root == tmp_path / "UTKFace"
    assert manifest.usable.tolist() == [True]


def test_an_impossible_age_leaves_its_row_the_gender(tmp_path):
    name = "117_0_2_20170104023102422.jpg.chip.jpg"
    row = reading_of(tmp_path, name, "1_0_2_20170104023102422.jpg").loc[name]
    assert (row["reason"], row["gender"]) == ("", "male")
    assert np.isnan(row["age"])


def test_the_ethnicity_is_read_into_no_column(tmp_path):
    table = reading_of(tmp_path, "26_0_3_20170104023102422.jpg.chip.jpg")
    assert not [column for column in table if "3" in table[column].astype(str).tolist()]


@pytest.mark.slow
@pytest.mark.real_data
def test_the_published_pictures_are_counted_as_they_are(real_data):
    manifest = prepare("utkface", real_data / "utkface")
    tally = manifest.info["tally"]
    assert manifest.table["image_path"].is_monotonic_increasing
    assert manifest.table["content"].nunique() == 11_659
    assert tally["rows"] == 11_852
    assert tally["unparsable_name"] == 3
    assert tally["groups of identical files"] == 188
    assert tally["groups of identical files with conflicting labels"] == 115
    assert tally["conflicting_labels"] == 234
    assert tally["duplicate"] == 188 + 193 - 115 - 192 == 74
    assert tally["usable"] == 11_659 - 115 - 3 == 11_541
    assert tally["subjects"] == 11_541  # of usable rows, which are not alike
