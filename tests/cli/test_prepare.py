"""featurekit prepare: one clear line for each mistake."""

import pytest


def test_a_data_set_that_takes_the_place_of_another_one_is_announced(featurekit, prepared):
    asked = ("prepare", "image_folder", prepared, "-o", "target=place")
    code, _, errors = featurekit(*asked)
    assert code == 0
    assert "data set was table (24 rows), and image_folder takes its place" in errors
    assert "takes its place" not in featurekit(*asked)[2]


def test_a_missing_folder(featurekit, one_line, tmp_path):
    one_line(featurekit("prepare", "utkface", tmp_path / "nowhere"), "nowhere")


def test_a_wrong_column_name(featurekit, one_line, portraits):
    result = featurekit("prepare", "table", portraits / "people.csv", "--column", "image_path=fil")
    one_line(result, "'fil'", "file", "person", "years", "sex")


def test_an_option_without_a_value(featurekit, one_line, portraits):
    one_line(featurekit("prepare", "utkface", portraits, "-o", "protocol"), "name=value", "protocol")


def test_an_unknown_data_set(featurekit, one_line, portraits):
    one_line(featurekit("prepare", "utkfaces", portraits), "Did you mean 'utkface'")


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.json"])
def test_a_file_of_another_program_at_the_place_of_the_manifest_is_kept(
    featurekit, one_line, portraits, name
):
    """Nothing is computed either: not even the index of the files is begun."""
    work, theirs = portraits / "work", b'{"name": "an app"}\n1,2\n'
    work.mkdir()
    (work / name).write_bytes(theirs)
    result = featurekit("prepare", "table", portraits / "people.csv", "--column", "image_path=file")
    one_line(result, f"{name} exists and is not a manifest of featurekit, so it is kept", "--workspace")
    assert {path.name: path.read_bytes() for path in work.iterdir()} == {name: theirs}


def test_a_table_called_manifest_is_not_overwritten_by_what_is_read_from_it(featurekit, one_line, portraits):
    work = portraits / "work"
    work.mkdir()
    table = (portraits / "people.csv").rename(work / "manifest.csv")
    theirs = table.read_bytes()
    asked = ("prepare", "table", table, "--root", portraits, "--column", "image_path=file")
    one_line(featurekit(*asked), "manifest.csv exists and is not a manifest of featurekit")
    assert table.read_bytes() == theirs


@pytest.mark.parametrize(
    "damaged",
    [
        {"manifest.csv": b"\0\0\0 damaged"},  # the facts beside it say whose it was
        {"manifest.json": b"{ cut off"},
        {"manifest.json": None},
        {"manifest.csv": b"", "manifest.json": b""},
    ],
    ids=["damaged table", "damaged facts", "no facts", "empty files"],
)
def test_a_damaged_manifest_of_featurekit_is_replaced(featurekit, prepared, damaged):
    work = prepared / "work"
    for name, content in damaged.items():
        (work / name).unlink() if content is None else (work / name).write_bytes(content)
    code, _, errors = featurekit("prepare", "image_folder", prepared, "-o", "target=place")
    assert code == 0, errors
    assert (work / "manifest.csv").read_text().startswith("face_id,")
