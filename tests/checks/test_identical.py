"""Identical files are found, and labels of theirs that contradict each other."""

import pytest

from featurekit.checks.audit import audit
from featurekit.data.prepare import prepare
from tests.checks.made_up import N, changed, folds_of, found, people


@pytest.fixture
def copied(manifest):
    """The first face is a copy of the third, of another person in another fold."""
    content = manifest.table["content"].to_numpy().copy()
    content[0] = content[2]
    return changed(manifest, content=content)


def test_identical_files_that_are_used_in_two_folds_are_an_error(copied):
    one = found(copied, "exact_duplicates")
    assert (one.severity, one.count, one.of, one.rows) == ("error", 2, N, ("f000", "f002"))
    assert one.details["groups"] == {"all": 1.0, "across folds": 1.0}


def test_identical_files_in_one_fold_are_a_warning(copied):
    numbers = folds_of(copied).numbers.copy()
    numbers[:4] = 0
    assert found(copied, "exact_duplicates", folds=folds_of(copied, numbers)).severity == "warning"


def test_identical_files_that_contradict_each_other_are_an_error_while_they_are_used(copied):
    one = found(copied, "label_conflicts")
    assert (one.severity, one.count, one.of, one.rows) == ("error", 1, 1, ("f000", "f002"))
    assert one.details == {"gender": {"groups": 1.0}}


def test_identical_files_that_agree_contradict_nobody(copied):
    agreeing = changed(copied, gender="male", age=30.0, age_group="25-32")
    one = found(agreeing, "label_conflicts")
    assert (one.severity, one.count, one.of) == ("ok", 0, 1)


def test_what_prepare_left_out_is_counted_and_harms_nobody(tmp_path):
    lines = ["image_path,gender,age"]
    people(tmp_path, 12)
    for number, copy, gender in ((12, 0, "male"), (13, 0, "male"), (14, 5, "female"), (15, 6, "male")):
        (tmp_path / f"{number}.png").write_bytes((tmp_path / f"{copy}.png").read_bytes())
        lines.append(f"{number}.png,{gender},30")
    lines += [f"{number}.png,male,30" for number in range(12)]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    manifest = prepare("table", tmp_path / "people.csv")
    assert manifest.info["tally"]["groups of identical files"] == 3
    looked = audit(manifest, None, None, {})
    copies, conflicts = looked["exact_duplicates"], looked["label_conflicts"]
    assert (copies.severity, copies.count, copies.of) == ("note", 7, 16)
    assert "2 of these rows are used, at most one row of each group." in copies.what
    assert (conflicts.severity, conflicts.count, conflicts.of) == ("warning", 1, 3)
    assert set(conflicts.rows) == {"5.png", "14.png"}
    assert looked["near_duplicates"].count == 0  # exact copies are another finding
