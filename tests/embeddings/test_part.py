"""Parts of the images: each image is in one, whatever other rows there are, and together they are all."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.part import Part
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import ManifestError, ModelError
from featurekit.faces.settings import default_settings
from featurekit.naming import Caller

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}


def read(folder):
    return prepare("table", folder / "people.csv", root=folder / "photos", columns=COLUMNS)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_each_row_is_in_one_part(manifest, n):
    masks = [Part(i, n).rows(manifest) for i in range(1, n + 1)]
    assert (np.sum(masks, axis=0) == 1).all()


def test_an_image_stays_in_its_part_if_rows_are_added_and_identical_files_are_in_the_same(portraits):
    before = read(portraits)
    table = (portraits / "people.csv").read_text().splitlines()
    shutil.copy(portraits / "photos" / "s0_0.png", portraits / "photos" / "copy.png")
    shutil.copy(portraits / "photos" / "s0_1.png", portraits / "photos" / "first.png")
    new = ["first.png,s0,28,male", *reversed(table[1:]), "copy.png,s0,28,male"]
    (portraits / "people.csv").write_text("\n".join([table[0], *new]) + "\n")
    after = read(portraits)
    for part in (Part(1, 3), Part(2, 3), Part(3, 3)):
        was, now = (
            dict(zip(one.table["image_path"], part.rows(one), strict=True)) for one in (before, after)
        )
        assert was.items() <= now.items()
        assert now["copy.png"] == now["s0_0.png"]
        assert now["first.png"] == now["s0_1.png"]


def test_a_box_does_not_change_the_part(manifest):
    boxed = replace(manifest, table=manifest.table.assign(box="0 0 20 20"))
    np.testing.assert_array_equal(Part(2, 3).rows(manifest), Part(2, 3).rows(boxed))


def test_a_row_without_an_image_is_in_the_first_part(portraits, manifest):
    (portraits / "photos" / "s3_1.png").unlink()
    gone = read(portraits)
    row = list(gone.table["image_path"]).index("s3_1.png")
    assert [Part(i, 4).rows(gone)[row] for i in (1, 2, 3, 4)] == [True, False, False, False]


def test_all_parts_together_read_every_image_once_and_store_what_one_extraction_stores(
    manifest, recipes, settings, store, tmp_path
):
    found = [extract(manifest, recipes, settings, store, part=Part(i, 5)) for i in range(1, 6)]
    assert sum(one.n_read for one in found) == 24
    assert [sum(one.statuses.values()) for one in found] == [one.n_read for one in found]
    whole = Store(tmp_path / "whole")
    extract(manifest, recipes, settings, whole)
    mine, theirs = (
        load_embeddings(manifest, list(recipes.values()), settings, one).vectors for one in (store, whole)
    )
    np.testing.assert_array_equal(mine, theirs)
    assert [shelf.rows for shelf in store.shelves()] == [24, 24]
    assert extract(manifest, recipes, settings, store).n_read == 0


def test_the_counts_are_those_of_the_parts_own_rows(portraits, recipes, settings, store):
    for number, name in enumerate(("s0_0.png", "s3_1.png", "s5_2.png")):
        (portraits / "photos" / name).write_bytes(b"no image %d" % number)
    manifest = read(portraits)
    found = [extract(manifest, recipes, settings, store, part=Part(i, 3)) for i in (1, 2, 3)]
    whole = extract(manifest, recipes, settings, store)
    for status, n in whole.statuses.items():
        assert sum(one.statuses.get(status, 0) for one in found) == n
    assert not any("not_extracted" in one.statuses for one in found)
    assert sorted(broken for one in found for broken in one.broken) == sorted(whole.broken)
    assert len(whole.broken) == 3


def test_a_part_without_images_does_nothing(manifest, recipes, settings, store):
    empty = next(part for i in range(1, 999) if not (part := Part(i, 999)).rows(manifest).any())
    found = extract(manifest, recipes, settings, store, part=empty)
    assert (found.statuses, found.n_read) == ({}, 0)


def test_a_part_whose_rows_have_no_boxes_is_not_a_data_set_without_boxes(manifest, store):
    settings = default_settings("whole_image", "box")
    recipes = make_recipes(["mean_color"], settings, device="cpu")
    own = Part(1, 2).rows(manifest)
    boxed = replace(manifest, table=manifest.table.assign(box=np.where(own, "0 0 20 20", "")))
    assert extract(boxed, recipes, settings, store, part=Part(2, 2)).n_read == (~own).sum()
    with pytest.raises(ManifestError, match="needs boxes"):
        extract(manifest, recipes, settings, store, part=Part(2, 2))


@pytest.mark.parametrize(
    "shard",
    ["0/4", "5/4", "x", "", "1", "1/4/2", "-1/4", "1/0", "1.0/4", " 1/4", "٢/4", (0, 4), (1, 2, 3), 3],
)
def test_a_value_that_is_no_part_is_one_clear_line(shard, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(Caller, "is_command_line", False)
    with pytest.raises(ModelError, match=r"^shard must be the number of a part .* Got '.*' instead\.$"):
        fk.embed(fk.Dataset.load(tmp_path / "work" / "manifest.csv"), "mean_color", shard=shard)


def test_the_other_parts_are_not_extracted_until_they_are(prepared, tmp_path):
    data, options = (
        fk.Dataset.load(tmp_path / "work" / "manifest.csv"),
        {"detector": "whole_image", "project": tmp_path / "work", "progress": False},
    )
    own = Part(1, 2).rows(data)
    first = fk.embed(data, "mean_color", shard=(1, 2), **options)
    assert (first.statuses == "ok").tolist() == own.tolist()
    assert set(first.statuses[~own]) == {"not_extracted"}
    assert first.vectors.shape == (own.sum(), 3)
    assert first.extraction.statuses == {"ok": own.sum()}
    second = fk.embed(data, "mean_color", shard="2/2", **options)
    assert second.extraction.statuses == {"ok": (~own).sum()}
    assert len(second) == 24
    pd.testing.assert_frame_equal(second.frame(), fk.embed(data, "mean_color", **options).frame())
