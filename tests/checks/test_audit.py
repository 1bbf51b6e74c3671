"""What is wrong with a data set: every check is asked, and what they found is kept."""

import csv
import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.checks import audit as library
from featurekit.checks.audit import Audit, audit
from featurekit.data.manifest import Manifest
from featurekit.data.prepare import prepare
from featurekit.data.splits import make_fold_set
from featurekit.data.targets import GENDER
from featurekit.errors import FoldError, WorkspaceError
from tests.checks.made_up import CHECKS, N, a_table, changed, folds_of, people, said, strangers, sure, vectors


def test_a_clean_data_set_gives_no_warning(manifest, tmp_path):
    people(tmp_path, N, side=40)
    looked = audit(
        manifest,
        folds_of(manifest),
        vectors(manifest, strangers()),
        {"gender--network0--svm": said(manifest, GENDER, sure(manifest, GENDER))},
    )
    assert tuple(one.name for one in looked.findings) == CHECKS
    assert {one.name: one.severity for one in looked.findings} == dict.fromkeys(CHECKS, "ok")
    assert [one.rows for one in looked.findings] == [()] * len(CHECKS)


def test_before_anything_was_done_each_check_says_what_to_run_first(manifest):
    looked = audit(manifest, None, None, {}, pictures=False)
    for name in ("subjects_across_folds", "suspiciously_close", "class_balance", "inflation"):
        assert looked[name].severity == "note"
        assert looked[name].advice.startswith("Next: featurekit fit")
    assert looked["label_suspects"].advice == "Next: featurekit fit."
    assert "--no-images" in looked["near_duplicates"].advice
    assert looked["exact_duplicates"].severity == "ok"  # needs nothing
    with_folds = audit(manifest, folds_of(manifest), None, {}, pictures=False)
    for name in ("suspiciously_close", "inflation"):
        assert (with_folds[name].severity, with_folds[name].advice) == ("note", "Next: featurekit extract.")


def test_an_audit_records_how_many_rows_it_checked_by_reason(manifest):
    reasons = np.where(np.arange(N) < 3, "excluded", "")
    looked = audit(changed(manifest, reason=reasons), None, None, {}, pictures=False)
    assert looked.rows == {"": N - 3, "excluded": 3}


def test_folds_of_other_rows_are_refused(manifest):
    others = replace(folds_of(manifest), face_ids=np.array([f"g{i}" for i in range(N)]))
    with pytest.raises(FoldError, match="another manifest"):
        audit(manifest, others, None, {}, pictures=False)


@pytest.mark.parametrize(
    ("extracted", "read"),
    [
        (("dlib_age:pooled", "dlib_face:pooled"), "dlib_face:pooled"),
        (("dlib_face:pooled", "mobilenet_v2:pooled", "dlib_face:embedding"), "dlib_face:embedding"),
        (("mobilenet_v2:pooled", "arcface:embedding"), "arcface:embedding"),
        (("dlib_age:probabilities", "dlib_age:pooled"), "dlib_age:pooled"),
        (("sharpness:laplacian", "hog:histograms"), "hog:histograms"),
    ],
)
def test_close_faces_are_looked_for_with_a_network_that_is_declared_to_tell_people_apart(
    manifest, monkeypatch, extracted, read
):
    ledger = SimpleNamespace(recipes={name: name for name in extracted}, settings=None)
    monkeypatch.setattr(library, "load_embeddings", lambda manifest, recipes, settings, store: recipes)
    assert library.vectors_for(manifest, ledger, None) == [read]


@pytest.fixture
def planted(manifest):
    """An audit that has found something of a face whose name a spreadsheet would run."""
    ids = manifest.table["face_id"].to_numpy().copy()
    ids[:5] = ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\tf4"]
    numbers = np.arange(N) % 5  # every person in two folds
    nasty = changed(manifest, face_id=ids)
    return audit(nasty, folds_of(nasty, numbers), None, {}, pictures=False)


def test_no_cell_of_the_table_is_a_formula(planted, tmp_path):
    planted.save(tmp_path)
    with (tmp_path / "audit_rows.csv").open(newline="") as file:
        cells = list(csv.reader(file))
    assert cells[0] == ["finding", "face_id"]
    assert len(cells) == 1 + N
    assert not [cell for row in cells for cell in row if cell[0] in "=+-@\t\r"]
    assert ["subjects_across_folds", "'+1"] in cells


def test_the_report_part_names_no_face(planted, tmp_path):
    planted.save(tmp_path)
    text = (tmp_path / "audit.json").read_text()
    assert "HYPERLINK" not in text
    assert "f010" not in text
    assert "s010" not in text
    assert all("rows" not in one for one in json.loads(text)["findings"])


def test_what_was_saved_is_loaded_again_without_rows(planted, tmp_path):
    planted.save(tmp_path)
    again = Audit.load(tmp_path)
    # Numbers are kept with six digits, everything else as it is.
    plain = [replace(one, rows=(), details={}) for one in planted.findings]
    assert [replace(one, details={}) for one in again.findings] == plain
    for one, kept in zip(planted.findings, again.findings, strict=True):
        assert {row: pytest.approx(values, rel=1e-5) for row, values in one.details.items()} == kept.details
    assert replace(again, findings=()) == replace(planted, findings=())
    assert Audit.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"audit\.json"):
        Audit.load(tmp_path)


def test_another_version_is_no_audit_of_this_one(planted, tmp_path):
    planted.save(tmp_path)
    path = tmp_path / "audit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 0}))
    assert Audit.load(tmp_path) is None


def test_the_same_data_give_the_same_bytes_with_any_number_of_threads(few, tmp_path):
    with Image.open(few.root / "8.png") as picture:
        picture.save(few.root / "17.png", compress_level=1)
    runs = {"gender--x": said(few, GENDER, sure(few, GENDER))}
    written = []
    for threads in (1, 4):
        looked = audit(few, folds_of(few), vectors(few, strangers(60)), runs, threads=threads)
        looked.save(tmp_path / str(threads))
        names = ("audit.json", "audit_rows.csv")
        written.append([(tmp_path / str(threads) / name).read_bytes() for name in names])
    assert written[0] == written[1]


def test_every_slow_check_tells_how_far_it_is(few):
    told = []
    many = Manifest(pd.concat([few.table, a_table(160)[60:]], ignore_index=True), few.root)
    audit(
        many,
        folds_of(many),
        vectors(many, strangers(160)),
        {},
        progress=lambda done, total: told.append((done, total)),
    )
    ends = [one for one in told if one[0] == one[1]]
    assert ends == [(160, 160), (160, 160), (20, 20)]  # pictures, tested faces, fits


def test_the_command_can_be_run_before_anything_is_extracted(featurekit, prepared, tmp_path):
    code, output, errors = featurekit("audit")
    assert code == 0, errors
    assert "There are no saved folds yet" in errors
    assert not (tmp_path / "work" / "reports" / "table" / "folds.json").exists()
    assert Audit.load(tmp_path / "work" / "reports" / "table")["subjects_across_folds"].of == 8
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[1] for line in lines[1:10]] == [name.replace("_", " ") for name in CHECKS]


def test_the_command_reads_what_was_fitted(featurekit, prepared, tmp_path):
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    fitted = featurekit("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")
    assert fitted[0] == 0
    code, _, errors = featurekit("audit", "--no-images", "--features", "mean_color", "--strict")
    assert code == 0, errors
    looked = Audit.load(tmp_path / "work" / "reports" / "table")
    assert looked.features == "mean_color:mean"
    assert "gender--mean_color--logistic_regression" in looked.runs
    assert looked["label_suspects"].of == 24
    assert looked["inflation"].details["gender"]["accuracy"] > 0.5
    assert looked["suspiciously_close"].severity == "note"  # three numbers are too few
    folds = json.loads((tmp_path / "work" / "reports" / "table" / "folds.json").read_text())
    assert looked.folds == folds["sha256"]


def test_strict_ends_with_one_where_a_finding_is_an_error(featurekit, prepared, tmp_path):
    work = tmp_path / "work"
    manifest = Manifest.load(work / "manifest.csv")
    folds = make_fold_set("table", manifest, n_folds=4)
    numbers = folds.numbers.copy()
    numbers[0] = (numbers[0] + 1) % 4
    replace(folds, numbers=numbers).save(work / "reports" / "table" / "folds.json")
    code, output, _ = featurekit("audit", "--no-images")
    assert code == 0
    assert "ERROR\tsubjects across folds\t1" in output
    assert featurekit("audit", "--no-images", "--strict")[0] == 1


def test_features_that_are_not_there_are_refused(featurekit, prepared):
    code, _, errors = featurekit("audit", "--features", "dlib_age")
    assert code == 1
    assert "Next: featurekit extract --backbone dlib_age" in errors


@pytest.mark.real_data
@pytest.mark.slow
def test_the_copies_and_contradictions_of_utkface_are_found(real_data):
    folder = real_data / "utkface" / "UTKFace"
    manifest = prepare("utkface", folder)
    looked = audit(manifest, make_fold_set("utkface", manifest), None, {})
    copies, conflicts = looked["exact_duplicates"], looked["label_conflicts"]
    tally = manifest.info["tally"]
    # All of UTKFace has 375 groups, 205 of them with different ages; half of it is here.
    assert copies.details["groups"]["all"] == tally["groups of identical files"]
    assert conflicts.of == tally["groups of identical files"]
    assert conflicts.count == tally["groups of identical files with conflicting labels"]
    assert copies.details["groups"]["across folds"] == 0
    if len(list(os.scandir(folder))) == 11_852:
        assert (conflicts.of, conflicts.count, copies.count) == (188, 115, 381)
        assert conflicts.details["age"]["groups"] == 102
        near = looked["near_duplicates"]
        # Looked at one by one: all are the same photograph.
        assert near.details["pairs"] == {"compared": 1201, "alike": 159}
        assert near.details["groups"]["across folds"] > 100
