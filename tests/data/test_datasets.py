"""Every row a data set names is in the manifest once, usable or with one reason why not."""

import os
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurekit.data._content import sha256_of_file
from featurekit.data._names import look_alikes
from featurekit.data.cleaning import clean
from featurekit.data.datasets import DATASETS, RawRows, unique_ids
from featurekit.data.find import find_pictures
from featurekit.data.manifest import COLUMNS, REASONS
from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError, UnknownNameError


def pictures(folder, **contents):
    """Write files whose bytes are the given words, a.jpg and so on; nothing here decodes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content.encode())


def judged(folder, **columns):
    """The manifest that clean() makes of rows with these columns."""
    return clean(RawRows(pd.DataFrame(columns), folder))


def reasons_of(folder, **columns):
    return judged(folder, **columns).table["reason"].tolist()


# ---------------------------------------------------------------- one reason a row


def test_a_file_that_is_there_with_a_label_is_usable(tmp_path):
    pictures(tmp_path, a="one")
    row = judged(tmp_path, image_path=["a.jpg"], age=[30.0]).table.iloc[0]
    assert row["reason"] == ""
    assert row["age_group"] == "25-32"
    assert row["face_id"] == "a.jpg"
    assert row["content"] == sha256_of_file(tmp_path / "a.jpg")


def test_a_missing_file_is_a_row_with_its_labels(tmp_path):
    row = judged(tmp_path, image_path=["gone.jpg"], gender=["male"]).table.iloc[0]
    assert (row["reason"], row["gender"], row["content"]) == ("missing_file", "male", "")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "missing_file"),
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
    assert find_pictures(tmp_path).table["image_path"].tolist() == ["a.jpg", "loop.jpg"]
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
    with pytest.raises(ManifestError, match="names no rows"):
        clean(RawRows(pd.DataFrame({"image_path": []}), tmp_path))


# ---------------------------------------------------------------- duplicates


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


# ---------------------------------------------------------------- finding pictures


def test_pictures_are_found_in_order_whatever_their_suffix(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.webp", ".hidden.jpg", "notes.txt", "sub/.git/d.jpg", "z.TIFF"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_pictures(tmp_path).table["image_path"].tolist() == ["a.png", "b.JPG", "sub/c.webp", "z.TIFF"]


def test_a_name_that_is_no_text_is_a_row_too(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    raw = find_pictures(tmp_path).table.assign(gender="male")
    manifest = clean(RawRows(raw, tmp_path))
    assert manifest.table["image_path"].tolist() == ["a.jpg", "caf\\xe9.jpg"]
    assert manifest.table["reason"].tolist() == ["", "bad_path"]
    manifest.save(tmp_path / "manifest.csv")


def test_a_link_to_a_folder_above_ends_the_search(tmp_path):
    pictures(tmp_path / "sub", a="one")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert find_pictures(tmp_path).table["image_path"].tolist() == ["sub/a.jpg"]


def test_of_a_file_called_a_picture_not_a_byte_is_read_and_of_others_few(tmp_path, monkeypatch):
    pictures(tmp_path, a="one", b="two")
    (tmp_path / "c").write_bytes(b"\xff\xd8\xff" + bytes(10_000))
    opened, reads = [], []
    real_open, real_read = os.open, os.read
    monkeypatch.setattr(os, "open", lambda path, *how: opened.append(path) or real_open(path, *how))
    monkeypatch.setattr(os, "read", lambda file, n: reads.append(n) or real_read(file, n))
    assert len(find_pictures(tmp_path).table) == 3
    assert opened == [str(tmp_path / "c")]
    assert reads == [64]


def test_a_search_opens_no_pipe_and_nothing_outside(tmp_path):
    pictures(tmp_path / "data", a="one")
    (tmp_path / "outside").write_bytes(b"\xff\xd8\xff")
    os.mkfifo(tmp_path / "data" / "pipe")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    found = find_pictures(tmp_path / "data")
    assert found.table["image_path"].tolist() == ["a.jpg"]
    assert found.counts == {"not photographs": 1, "links to files outside the folder": 1}


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_an_ending_that_may_not_be_read_is_counted(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "secret").touch(mode=0)
    assert find_pictures(tmp_path).counts == {"files that cannot be opened": 1}


# ---------------------------------------------------------------- names that are written in another way


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
            "Files whose names have another form of Unicode on the disk"
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
        f"Files that are not there, and one of nearly the same name is: 1 ('{there}' for '{named}')."
        " Correct the names where these are meant."
    ]


@pytest.mark.parametrize("name", ["gone.jpg", "x/" * 900 + "y.jpg", "link.jpg", "a.jpg/b.jpg"])
def test_a_missing_file_without_a_near_match_is_not_talked_about(name, tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "link.jpg").symlink_to("nothing")
    manifest = judged(tmp_path, image_path=[name], age=[30])
    assert manifest.table["reason"].tolist() == ["missing_file"]
    assert "notes" not in manifest.info


def test_no_name_is_looked_for_outside_the_folder(tmp_path):
    pictures(tmp_path / "secret", IMG="one")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    assert look_alikes(["../secret/img.jpg", "link/img.jpg", "LINK/IMG.jpg"], tmp_path / "data") == ({}, {})


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "b", ""])))
def test_ids_are_made_unique_and_the_first_keeps_its_name(names):
    ids = unique_ids(names)
    assert len(set(ids)) == len(names)
    assert all(ids[names.index(name)] == name for name in names)
    assert all(made.startswith(name) for made, name in zip(ids, names, strict=True))


# ---------------------------------------------------------------- prepare


def test_prepare_says_where_the_manifest_is_from(tmp_path):
    pictures(tmp_path / "female", a="one")
    manifest = prepare("image_folder", tmp_path, target="gender")
    assert manifest.name == "image_folder"
    assert manifest.root == tmp_path
    assert manifest.info["options"] == {"target": "gender"}
    assert manifest.info["synthetic"] is False
    assert manifest.info["licence"] == DATASETS["image_folder"].licence
    assert tuple(manifest.table.columns) == COLUMNS


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'utkface'"):
        prepare("utkfaces", tmp_path)


def test_an_unknown_option_is_refused_with_those_there_are(tmp_path):
    message = (
        "Unknown option of adience 'protokol'. Did you mean 'protocol'?"
        " Known: protocol, layout, subset, missing."
    )
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("adience", tmp_path, protokol="published")


def test_an_option_of_a_data_set_without_any_of_its_own_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"Unknown option of utkface 'protocol'\. Known: missing\."):
        prepare("utkface", tmp_path, protocol="published")


@pytest.mark.parametrize("name", ["adience", "utkface", "image_folder", "table"])
def test_a_missing_folder_is_one_clear_line(name, tmp_path):
    with pytest.raises(ManifestError, match="nowhere does not exist") as refused:
        prepare(name, tmp_path / "nowhere")
    assert "\n" not in str(refused.value)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="There are no pictures below"):
        prepare("utkface", tmp_path)


def test_a_data_set_with_no_usable_row_says_why(tmp_path):
    (tmp_path / "faces.csv").write_text("image_path,age\nx/1.jpg,30\nx/2.jpg,31\nx/3.jpg,500\n")
    message = "None of the 3 rows .* For 3 of them the file is not there .first: 'x/1.jpg' below"
    with pytest.raises(ManifestError, match=message):
        prepare("table", tmp_path / "faces.csv")


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_data_set_says_what_it_is_and_who_allows_it(name):
    assert DATASETS[name].about
    assert DATASETS[name].licence
