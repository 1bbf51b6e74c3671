"""What every check of an audit keeps."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pytest

from featurekit.checks.audit import Audit, audit, in_order
from featurekit.checks.base import CHECKS, Check
from featurekit.data.manifest import Manifest
from featurekit.data.targets import AGE_GROUP, GENDER
from featurekit.findings import Finding, Severity
from tests.checks.made_up import N, a_table, changed, folds_of, people, said, strangers, sure, vectors

GRAVITY = get_args(Severity)  # from "ok" to "error"
KEPT = Path(__file__).parents[2] / "reports" / "utkface-builtin"

every_check = pytest.mark.parametrize("name", CHECKS.names())
whatever_is_at_hand = pytest.mark.parametrize("at_hand", ["nothing", "folds", "everything"])


def full_of_faults(folder: Path) -> Manifest:
    """Copies that contradict each other, albums, a rare class and pictures that cannot be read."""
    people(folder, 60)
    numbers = np.arange(N)
    table = a_table()
    content = table["content"].to_numpy().copy()
    content[0] = content[2]
    return changed(
        Manifest(table, folder),
        content=content,
        image_path=table["image_path"].replace({"8.png": "17.png"}),
        album_id=[f"a{number // 8}" for number in numbers],
        hat=np.where(numbers < 4, "yes", "no"),
    )


@cache
def looked(at_hand: str) -> tuple[Manifest, Audit]:
    """Audit a data set that is full of faults, twice, and return it with what was found."""
    with TemporaryDirectory() as folder:
        manifest = full_of_faults(Path(folder))
        before = manifest.table.copy()
        numbers = folds_of(manifest).numbers.copy()
        numbers[6] = (numbers[6] + 1) % 5
        folds = None if at_hand == "nothing" else folds_of(manifest, numbers)
        embeddings, predictions = None, {}
        if at_hand == "everything":
            values = strangers()
            values[2] = values[0] + 0.05 * strangers(1, seed=1)
            embeddings = vectors(manifest, values)
            gender = sure(manifest, GENDER)
            gender[:40] = gender[:40, ::-1]
            runs = {"gender--a": (GENDER, gender), "age_group--a": (AGE_GROUP, sure(manifest, AGE_GROUP))}
            predictions = {run: said(manifest, *of) for run, of in runs.items()}
        found, again = (audit(manifest, folds, embeddings, predictions) for _ in range(2))
        assert found == again
        assert manifest.table.equals(before)
        return manifest, found


@every_check
def test_a_check_is_a_file_of_its_name_and_says_what_it_looks_for(name):
    check = CHECKS[name]
    assert check.name.isidentifier()
    assert check.look.__module__.endswith(f".{name}")
    assert check.title
    assert check.severity in GRAVITY


@every_check
@whatever_is_at_hand
def test_a_finding_is_of_its_check_and_no_graver_than_that_can_be(name, at_hand):
    found = looked(at_hand)[1][name]
    assert found.name == name
    assert GRAVITY.index(found.severity) <= GRAVITY.index(CHECKS[name].severity)


@every_check
@whatever_is_at_hand
def test_a_finding_is_said_in_sentences_and_a_grave_one_comes_with_what_to_do(name, at_hand):
    found = looked(at_hand)[1][name]
    assert found.what.endswith(".")
    if found.severity in ("warning", "error"):
        assert found.advice.endswith(".")


@every_check
@whatever_is_at_hand
def test_a_finding_counts_what_there_is_and_names_faces_of_the_data_set(name, at_hand):
    manifest, audited = looked(at_hand)
    found = audited[name]
    assert 0 <= found.count <= found.of
    assert set(found.rows) <= set(manifest.table["face_id"])
    assert len(set(found.rows)) == len(found.rows)


@every_check
@whatever_is_at_hand
def test_a_finding_can_be_kept(name, at_hand, tmp_path):
    found = looked(at_hand)[1][name]
    json.dumps(asdict(found), allow_nan=False)
    looked(at_hand)[1].save(tmp_path)
    assert Audit.load(tmp_path)[name].what == found.what


def test_findings_stand_in_the_order_of_the_checks_and_the_kept_ones_do_too():
    names = [check.name for check in in_order()]
    assert [one.name for one in looked("nothing")[1].findings] == names
    kept = [one.name for one in Audit.load(KEPT).findings]
    assert kept == [name for name in names if name in kept]


def test_a_check_that_registers_is_part_of_the_next_audit_at_its_place(monkeypatch):
    def look(given):
        return Finding(name="own", severity="note", count=0, of=len(given.manifest), what="Looked.")

    monkeypatch.setitem(CHECKS._members, "own", Check("own", "something of one's own", "note", 55, look))
    table = a_table(20)
    names = [one.name for one in audit(Manifest(table, Path()), None, None, {}, pictures=False).findings]
    assert names[names.index("own") - 1 : names.index("own") + 2] == [
        "near_duplicates",
        "own",
        "suspiciously_close",
    ]
