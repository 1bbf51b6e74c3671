"""Data sets made in Python: the same rows as the command line's, and clear errors."""

import logging
import re
from pathlib import Path

import pandas as pd
import pytest

import featurekit as fk
from featurekit.data.manifest import Manifest
from featurekit.errors import ManifestError


def test_a_frame_and_the_same_table_on_disk_are_the_same_rows(data, featurekit, portraits, project, tmp_path):
    """What a notebook reads out of a DataFrame is what prepare reads out of the file."""
    columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
    named = [word for column in columns for word in ("--column", column)]
    where = (portraits / "people.csv", "--root", portraits / "photos")
    code, _, errors = featurekit("prepare", "table", *where, *named)
    assert code == 0, errors
    pd.testing.assert_frame_equal(Manifest.load(project.folder.manifest).table, data.table)


def test_a_data_set_is_saved_as_the_projects_which_the_command_line_reads(data, featurekit):
    code, output, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0, errors
    assert "Read 24 images" in output


def test_a_label_of_ones_own_is_read_under_the_name_that_it_is_given(people, portraits, project):
    people["sun glasses"] = ["yes", "no"] * 12
    data = fk.Dataset.from_frame(
        people, images="file", labels={"glasses": "sun glasses"}, root=portraits / "photos", project=project
    )
    assert data.targets == ["glasses"]
    assert data.table["glasses"].tolist() == ["yes", "no"] * 12


def test_a_column_is_read_only_where_it_is_named(people, portraits, project):
    """A column that happens to be called like one of the manifest's is not taken for it."""
    people["gender"], people["box"], people["x1"] = people["sex"], "?", "?"
    data = fk.Dataset.from_frame(
        people, images="file", labels=["years"], root=portraits / "photos", project=project
    )
    assert set(data.table["gender"]) == {""}
    assert set(data.table["box"]) == {""}


def test_a_wrong_column_is_one_error_that_says_which_there_are(people, portraits, project):
    with pytest.raises(
        ManifestError, match=re.escape("Unknown column of the DataFrame 'yeers'. Did you mean 'years'?")
    ):
        fk.Dataset.from_frame(
            people, images="file", labels={"age": "yeers"}, root=portraits / "photos", project=project
        )


def test_two_columns_that_would_get_one_name_are_an_error(people, portraits, project):
    people["glasses"] = "no"
    with pytest.raises(ManifestError, match="has a column 'glasses' too"):
        fk.Dataset.from_frame(
            people, images="file", labels={"glasses": "sex"}, root=portraits / "photos", project=project
        )


def test_missing_and_broken_images_are_rows_with_their_reason(people, portraits, project, caplog):
    people.loc[0, "file"] = "nowhere.png"
    people.loc[1, "years"] = 999
    (portraits / "photos" / "s1_0.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING, "featurekit"):
        data = fk.Dataset.from_frame(
            people,
            images="file",
            labels={"age": "years"},
            subject="person",
            root=portraits / "photos",
            project=project,
        )
    described = data.describe()
    assert described["rows"].to_dict() == {"usable": 22, "missing_file": 1, "impossible_age": 1}
    assert len(data) == 24
    assert "row 1, 'nowhere.png': the file does not exist" in caplog.text
    assert "row 2, 's0_1.png': the age is below 0 or above 116" in caplog.text
    X = fk.embed(data, "mean_color", detector="whole_image", project=project)
    assert X.statuses.value_counts().to_dict() == {"ok": 22, "missing_file": 1, "undecodable": 1}


def test_columns_in_other_letters_are_the_labels_that_they_are_called_like(people, portraits, project):
    table = people.rename(columns={"years": "Age", "sex": "Gender"})
    data = fk.Dataset.from_frame(
        table, images="file", labels=["Gender", "Age"], root=portraits / "photos", project=project
    )
    assert data.targets == ["gender", "age_group", "age"]


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        ([{"file": "a.jpg"}], {}, "frame must be a pandas DataFrame. Got a list instead."),
        (None, {"labels": [0]}, "labels must be a mapping whose keys are texts, a list of texts or a text."),
        (None, {"subject": ["person"]}, "subject must be a text or None. Got ['person'] instead."),
        (None, {"labels": {"age": 0}}, "age must be the name of a column, as a str. Got int instead."),
        (None, {"name": "a/b"}, "'a/b' cannot be the name of a comparison"),
    ],
)
def test_what_is_no_table_or_no_column_is_one_clear_error(people, portraits, project, frame, options, said):
    how = {"images": "file", "root": portraits / "photos", "project": project, **options}
    with pytest.raises(fk.FeaturekitError, match=re.escape(said)):
        fk.Dataset.from_frame(people if frame is None else frame, **how)


def test_a_frame_without_rows_and_a_folder_that_is_not_there_are_errors(people, portraits, project):
    with pytest.raises(ManifestError, match="the DataFrame has no rows"):
        fk.Dataset.from_frame(people.iloc[:0], images="file", root=portraits / "photos", project=project)
    with pytest.raises(ManifestError, match="photoz"):
        fk.Dataset.from_frame(
            people, images="file", labels=["sex"], root=portraits / "photoz", project=project
        )


@pytest.mark.slow
def test_a_data_set_of_a_known_layout_has_its_options(tmp_path, project):
    data = fk.load_dataset(
        "synthetic", tmp_path / "drawn", project=project, progress=False, n_subjects=16, n_pictures=1
    )
    assert data.name == "synthetic"
    assert "label" in repr(data)
    with pytest.raises(fk.FeaturekitError, match="Unknown option of synthetic 'subject'"):
        fk.load_dataset("synthetic", tmp_path / "drawn", project=project, subject=4)
    with pytest.raises(ManifestError, match="The path of utkface is missing"):
        fk.load_dataset("utkface", project=project)


def test_without_a_project_the_current_folders_is_used(people, portraits, tmp_path, monkeypatch):
    """As the command line does; a variable names another one for both."""
    for variable, place in ((None, tmp_path / "here"), (str(tmp_path / "there"), tmp_path / "there")):
        (tmp_path / "here").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.delenv("FEATUREKIT_WORKSPACE", raising=False)
        if variable:
            monkeypatch.setenv("FEATUREKIT_WORKSPACE", variable)
        fk.Dataset.from_frame(people, images="file", labels=["sex"], root=portraits / "photos")
        assert Path(place / "manifest.csv").is_file()
