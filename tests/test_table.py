"""A table with columns of any name, and cells of any kind."""

import re

import numpy as np
import pandas as pd
import pytest

from featurekit.datasets import prepare
from featurekit.errors import ManifestError


def table_of(folder, text, name="faces.csv"):
    """Write a table, and a picture with bytes of its own for every name ending in .jpg in it."""
    for picture in set(re.findall(r"[\w/]+\.jpg", text)):
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_text(picture)
    (folder / name).write_text(text)
    return folder / name


def test_columns_are_taken_by_mapping_and_by_name(tmp_path):
    path = table_of(tmp_path, "file,years,gender,subject_id\n1.jpg,30,F,ann\n2.jpg,13.5,man,\n")
    table = prepare("table", path, columns={"image_path": "file", "age": "years"}).table
    assert table["face_id"].tolist() == ["1.jpg", "2.jpg"]
    assert table["age"].tolist() == [30, 13.5]
    assert table["age_group"].tolist() == ["25-32", ""]
    assert table["gender"].tolist() == ["female", "male"]
    assert table["subject_id"].tolist() == ["ann", ""]


def test_paths_are_relative_to_the_root(tmp_path):
    table_of(tmp_path / "photos", "a/1.jpg")
    path = tmp_path / "faces.csv"
    path.write_text(f"image_path,age\na\\1.jpg,30\n{tmp_path}/photos/a/1.jpg,30\n../faces.csv,30\n")
    table = prepare("table", path, root=tmp_path / "photos").table
    assert table["image_path"].tolist() == ["a/1.jpg", "a/1.jpg", "../faces.csv"]
    assert table["reason"].tolist() == ["", "duplicate", "outside_root"]
    assert table["face_id"].tolist() == ["a/1.jpg", "a/1.jpg#2", "../faces.csv"]


def test_a_wrong_column_name_is_refused_with_the_right_ones(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    message = "Unknown column of faces.csv 'yaers'. Did you mean 'years'? Known: file, years."
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("table", path, columns={"image_path": "file", "age": "yaers"})


def test_a_wrong_column_of_the_manifest_is_refused(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    with pytest.raises(
        ManifestError, match=r"Unknown column of the manifest 'image_pth'\. Did you mean 'image_path'\?"
    ):
        prepare("table", path, columns={"image_pth": "file"})


def test_a_table_that_names_no_pictures_is_refused(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    with pytest.raises(ManifestError, match=re.escape("columns image_path=NAME. It has: file, years.")):
        prepare("table", path)


def test_a_bad_cell_spoils_its_row_alone_and_is_counted(tmp_path):
    path = table_of(
        tmp_path,
        "image_path,age,gender,box\n"
        "1.jpg,30,female,0 0 9 9\n"
        "2.jpg,thirty,female,\n"
        "3.jpg,30,2,\n"
        "4.jpg,30,male,9 0 0 9\n"
        "5.jpg,,u,\n"
        "6.jpg,-3,male,\n",
    )
    manifest = prepare("table", path)
    bad = "bad_value"
    assert manifest.table["reason"].tolist() == ["", bad, bad, bad, "no_label", "impossible_age"]
    tally = manifest.info["tally"]
    assert tally["cells of age that are no age"] == 1
    assert tally["cells of gender that are no gender"] == 1
    assert tally["cells of box that are no box"] == 1


def test_a_column_in_which_nothing_can_be_read_is_refused(tmp_path):
    path = table_of(tmp_path, "image_path,age,sex\n1.jpg,30,1\n2.jpg,31,0\n3.jpg,32,\n")
    message = "cannot be read as gender: '1' is not female or male"
    with pytest.raises(ManifestError, match=message):
        prepare("table", path, columns={"gender": "sex"})


@pytest.mark.parametrize("age", ["1e2", "inf", "1_0", "30 years", "0x1f", "1,5"])
def test_an_age_is_a_plain_number(age, tmp_path):
    path = table_of(tmp_path, f'image_path,age\n1.jpg,30\n2.jpg,"{age}"\n')
    assert prepare("table", path).table["reason"].tolist() == ["", "bad_value"]


@pytest.mark.parametrize("age", ["", "NaN", "None", " ", "n/a", "Not Sure"])
def test_an_age_may_be_unknown(age, tmp_path):
    path = table_of(tmp_path, f"image_path,age,gender\n1.jpg,30,f\n2.jpg,{age},f\n")
    table = prepare("table", path).table
    assert table["reason"].tolist() == ["", ""]
    assert np.isnan(table["age"].iloc[1])


def test_a_given_age_group_wins_and_a_gap_is_filled_from_the_age(tmp_path):
    path = table_of(tmp_path, 'image_path,age,age_group\n1.jpg,35,"(25, 32)"\n2.jpg,5,\n3.jpg,,60+\n')
    assert prepare("table", path).table["age_group"].tolist() == ["25-32", "4-6", "60-100"]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, 'image_path,age,box\n1.jpg,30,"[0, 1.5, 9, 9]"\n'),
        ({}, "image_path,age,x1,y1,x2,y2\n1.jpg,30,0,1.5,9.0,9\n"),
        (
            dict(zip(("x1", "y1", "x2", "y2"), "ltrb", strict=True)),
            "image_path,age,l,t,r,b\n1.jpg,30,0,1.5,9,9\n",
        ),
    ],
)
def test_a_box_is_written_as_four_corners(columns, text, tmp_path):
    assert prepare("table", table_of(tmp_path, text), columns=columns).table["box"].tolist() == ["0 1.5 9 9"]


def test_a_box_with_a_corner_missing_is_bad_and_without_any_is_none(tmp_path):
    path = table_of(tmp_path, "image_path,age,x1,y1,x2,y2\n1.jpg,30,0,0,9,9\n2.jpg,30,0,,9,9\n3.jpg,30,,,,\n")
    table = prepare("table", path).table
    assert table["reason"].tolist() == ["", "bad_value", ""]
    assert table["box"].tolist() == ["0 0 9 9", "", ""]


def test_three_corners_are_no_box(tmp_path):
    path = table_of(tmp_path, "image_path,age,l,t,r\n1.jpg,30,0,0,9\n")
    with pytest.raises(ManifestError, match="A box needs all of x1, y1, x2, y2"):
        prepare("table", path, columns={"x1": "l", "y1": "t", "x2": "r"})


@pytest.mark.parametrize("labels", [["mood", "glasses"], "mood,glasses"])
def test_further_columns_are_labels_if_asked_for(labels, tmp_path):
    path = table_of(tmp_path, "image_path,mood,glasses,note\n1.jpg,glad,yes,x\n2.jpg,sad,no,y\n3.jpg,,,z\n")
    manifest = prepare("table", path, labels=labels)
    assert manifest.target("mood").classes == ("glad", "sad")
    assert manifest.table["reason"].tolist() == ["", "", "no_label"]
    assert "note" not in manifest.table


def test_ids_and_folds_of_the_table_are_kept(tmp_path):
    path = table_of(
        tmp_path,
        "image_path,age,face_id,official_fold\n1.jpg,30,007,0\n2.jpg,30,007,\n3.jpg,30,,4\n4.jpg,30,x,one\n",
    )
    table = prepare("table", path).table
    assert table["face_id"].tolist() == ["007", "007#2", "3.jpg", "x"]
    assert table["official_fold"].tolist() == [0, -1, 4, -1]
    assert table["reason"].tolist() == ["", "", "", "bad_value"]


def test_parquet_is_read_like_text(tmp_path):
    table_of(tmp_path, "1.jpg 2.jpg 3.jpg")
    columns = {
        "image_path": ["1.jpg", "2.jpg", "3.jpg"],
        "age": [30, 31.5, None],
        "gender": ["male", None, "female"],
        "subject_id": [12, None, 13],
        "box": [[0, 0, 9, 9], None, [1, 1, 5, 5]],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "faces.parquet")
    manifest = prepare("table", tmp_path / "faces.parquet")
    assert manifest.usable.all()
    assert manifest.table["subject_id"].tolist() == ["12", "", "13"]
    assert manifest.table["gender"].tolist() == ["male", "", "female"]
    assert manifest.table["box"].tolist() == ["0 0 9 9", "", "1 1 5 5"]
    np.testing.assert_array_equal(manifest.table["age"], [30, 31.5, np.nan])


def test_other_separators_and_marks_are_understood(tmp_path):
    table_of(tmp_path, "image_path\tage\n1.jpg\t30\n", "faces.tsv")
    table_of(tmp_path, "\ufeffimage_path;age\n1.jpg;30\n", "faces.csv")
    assert prepare("table", tmp_path / "faces.tsv").usable.all()
    assert prepare("table", tmp_path / "faces.csv", separator=";").usable.all()


@pytest.mark.parametrize(
    "text",
    [
        "image_path,age\n1.jpg,30\n2.jpg,30,female\n",
        "image_path,age\n1.jpg,30,female\n2.jpg,30,male\n",
        "",
        "image_path,age\n\xff.jpg,30\n",
        "image_path,age\n",
    ],
)
def test_a_file_that_is_no_table_is_refused(text, tmp_path):
    (tmp_path / "faces.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=r"cannot be read as a table|has no rows"):
        prepare("table", tmp_path / "faces.csv")


def test_a_broken_parquet_file_is_refused(tmp_path):
    (tmp_path / "faces.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ManifestError, match="cannot be read as a table"):
        prepare("table", tmp_path / "faces.parquet")


def test_a_missing_root_is_refused(tmp_path):
    path = table_of(tmp_path, "image_path,age\n1.jpg,30\n")
    with pytest.raises(ManifestError, match="nowhere does not exist"):
        prepare("table", path, root=tmp_path / "nowhere")
