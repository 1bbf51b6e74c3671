"""Photographs are found below a folder, and what is none is counted."""

import os

import pytest

from featurekit.data.cleaning import clean
from featurekit.data.datasets import RawRows
from featurekit.data.find import find_images
from tests.data.made_up import pictures


def test_pictures_are_found_in_order_whatever_their_suffix(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.webp", ".hidden.jpg", "notes.txt", "sub/.git/d.jpg", "z.TIFF"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path).table["image_path"].tolist() == ["a.png", "b.JPG", "sub/c.webp", "z.TIFF"]


def test_a_name_that_is_no_text_is_a_row_too(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    raw = find_images(tmp_path).table.assign(gender="male")
    manifest = clean(RawRows(raw, tmp_path))
    assert manifest.table["image_path"].tolist() == ["a.jpg", "caf\\xe9.jpg"]
    assert manifest.table["reason"].tolist() == ["", "bad_path"]
    manifest.save(tmp_path / "manifest.csv")


def test_a_link_to_a_folder_above_ends_the_search(tmp_path):
    pictures(tmp_path / "sub", a="one")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert find_images(tmp_path).table["image_path"].tolist() == ["sub/a.jpg"]


def test_of_a_file_called_a_picture_not_a_byte_is_read_and_of_others_few(tmp_path, monkeypatch):
    pictures(tmp_path, a="one", b="two")
    (tmp_path / "c").write_bytes(b"\xff\xd8\xff" + bytes(10_000))
    opened, reads = [], []
    real_open, real_read = os.open, os.read
    monkeypatch.setattr(os, "open", lambda path, *how: opened.append(path) or real_open(path, *how))
    monkeypatch.setattr(os, "read", lambda file, n: reads.append(n) or real_read(file, n))
    assert len(find_images(tmp_path).table) == 3
    assert opened == [str(tmp_path / "c")]
    assert reads == [64]


def test_a_search_opens_no_pipe_and_nothing_outside(tmp_path):
    pictures(tmp_path / "data", a="one")
    (tmp_path / "outside").write_bytes(b"\xff\xd8\xff")
    os.mkfifo(tmp_path / "data" / "pipe")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    found = find_images(tmp_path / "data")
    assert found.table["image_path"].tolist() == ["a.jpg"]
    assert found.counts == {"not images": 1, "links to files outside the folder": 1}


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_an_ending_that_may_not_be_read_is_counted(tmp_path):
    pictures(tmp_path, a="one")
    (tmp_path / "secret").touch(mode=0)
    assert find_images(tmp_path).counts == {"files that cannot be opened": 1}
