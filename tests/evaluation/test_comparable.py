"""A run knows what it was scored on, and a comparison keeps what its statistics are made of."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurekit.data.manifest import Manifest
from featurekit.data.targets import AGE, GENDER
from featurekit.evaluation.comparable import scored_on, sentences_on, set_apart
from featurekit.evaluation.results import load_runs


@pytest.fixture
def work(featurekit, prepared, tmp_path):
    """A comparison with one run, of twelve subjects' gender."""
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    fitted = featurekit("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")
    assert fitted[0] == 0, fitted[2]
    return tmp_path / "work"


def correct(work, column, row, value):
    """Change a cell of the manifest."""
    manifest = Manifest.load(work / "manifest.csv")
    manifest.table.loc[row, column] = value
    manifest.save(work / "manifest.csv")


def other(label):
    return "male" if label == "female" else "female"


@pytest.fixture
def corrected(featurekit, work):
    """The same, with a label corrected, and a run that was fitted after that."""
    manifest = Manifest.load(work / "manifest.csv")
    correct(work, "gender", 3, other(manifest.table["gender"][3]))
    code, _, errors = featurekit("fit", "--model", "svm", "--target", "gender")
    assert code == 0, errors
    return work


def test_a_run_from_before_a_label_was_corrected_is_set_apart_in_the_report(featurekit, corrected):
    code, output, errors = featurekit("report")
    assert code == 0, errors
    why = "labels of its target have changed since it was fitted"
    assert f"gender--mean_color--logistic_regression is set apart from the ranking: {why}" in errors
    assert "logistic_regression" not in output
    page = (corrected / "reports" / "table" / "report.md").read_text()
    ranking, apart = page.split("These runs are not part of any ranking")[0].rsplit("**Table", 1)
    assert "logistic" not in ranking.split("## Gender")[1]
    assert "logistic" in apart
    assert why in apart


def test_a_run_that_is_set_apart_keeps_its_outcomes(featurekit, corrected):
    assert featurekit("report")[0] == 0
    kept = corrected / "reports" / "table" / "outcomes"
    before = {path.stem for path in kept.iterdir()}
    correct(corrected, "gender", 3, other(Manifest.load(corrected / "manifest.csv").table["gender"][3]))
    assert featurekit("report")[0] == 0
    assert before < {path.stem for path in kept.iterdir()}
    correct(corrected, "gender", 3, other(Manifest.load(corrected / "manifest.csv").table["gender"][3]))
    assert featurekit("report")[0] == 0
    assert "gender--mean_color--logistic_regression" in {path.stem for path in kept.iterdir()}


def test_it_is_averaged_with_none_from_after(featurekit, corrected):
    code, _, errors = featurekit("ensemble", "*--logistic_regression", "*--svm")
    assert code == 1
    assert "gender--mean_color--logistic_regression: labels of its target have changed since" in errors
    assert "featurekit fit" in errors


def test_the_audit_leaves_it_out(featurekit, corrected):
    _, _, errors = featurekit("audit", "--no-images")
    assert "gender--mean_color--logistic_regression is left out: labels of its target have changed" in errors


def test_two_comparisons_with_other_labels_are_not_compared(featurekit, corrected):
    fitted = ("fit", "--model", "logistic_regression", "--target", "gender", "--name", "later")
    assert featurekit(*fitted)[0] == 0
    code, output, errors = featurekit("report", "--compare", "table", "later")
    assert code == 0, errors
    name = "gender--mean_color--logistic_regression"
    why = "the labels of 1 of its 24 common faces have changed between the comparisons"
    assert f"{name} is set apart from the other runs: {why}" in errors
    assert name not in output
    page = (corrected / "reports" / "later-against-table" / "report.md").read_text()
    assert "not compared, because the labels of 1 of its 24 common faces have changed" in page


def test_fitted_again_it_stands_beside_the_others(featurekit, corrected):
    assert featurekit("fit", "--model", "logistic_regression", "--target", "gender")[0] == 0
    code, output, errors = featurekit("report")
    assert (code, "set apart" in errors) == (0, False)
    assert "logistic_regression" in output


@pytest.mark.parametrize("column", ["gender", "subject_id", "age"])
def test_what_was_changed_is_named(featurekit, work, column):
    table = Manifest.load(work / "manifest.csv").table
    correct(work, column, 5, {"gender": other(table["gender"][5]), "subject_id": "new", "age": 99.0}[column])
    errors = featurekit("report")[2]
    named = {"gender": "labels of its target have changed", "subject_id": "subjects of the faces have"}
    # An age is none of its labels.
    assert (named[column] in errors) if column in named else "set apart" not in errors


def test_where_faces_were_excluded_only_the_faces_differ(featurekit, work):
    correct(work, "reason", 3, "excluded")
    name, why = "gender--mean_color--logistic_regression", "faces were removed or added since it was fitted"
    who = f"Each of 2 runs ({name}, gender--mean_color--majority)"
    assert f"warning: {who} is set apart from the ranking: {why}. Fit them" in featurekit("report")[2]
    assert featurekit("fit", "--model", "svm", "--target", "gender", "--no-models")[0] == 0
    # The fit has fitted the baseline again.
    assert f"warning: {name} is set apart from the ranking: {why}. Fit it" in featurekit("report")[2]


def test_labels_and_subjects_are_compared_on_the_faces_that_both_have(work):
    """What has changed is seen with the manifest, and without it from the newest run; else it is not told."""
    folder, manifest = work / "reports" / "table", Manifest.load(work / "manifest.csv")
    run = next(run for run in load_runs(folder) if not run.is_baseline)
    faces, labels = "faces were removed or added since it was fitted", "labels of its target have changed"
    for column, value in (("gender", ""), ("reason", "excluded")):
        manifest.table.loc[3, column] = value
        assert set_apart([run], manifest, folder) == {run.name: faces}
    something = "faces, labels or subjects have changed since it was fitted"
    assert set_apart([run], manifest) == {run.name: something}
    manifest.table.loc[5, "gender"] = other(manifest.table["gender"][5])
    assert set_apart([run], manifest, folder) == {run.name: f"{faces} and {labels} since it was fitted"}
    manifest.table.loc[5, "gender"] = other(manifest.table["gender"][5])
    manifest.table.loc[7, "subject_id"] = "new"
    subjects = "the subjects of the faces have changed since it was fitted"
    assert set_apart([run], manifest, folder) == {run.name: f"{faces} and {subjects}"}
    table = pd.read_parquet(folder / "predictions" / f"{run.name}.parquet")
    newer = replace(run, tuned=True, created="2999", scored_on=dict.fromkeys(run.scored_on, "other"))
    newer.save(folder, table[1:])
    assert set_apart([run, newer], None, folder) == {run.name: faces}
    newer.save(folder, table.assign(true=table["true"].map(other), subject=0))
    assert set_apart([run, newer], None, folder) == {
        run.name: f"{faces} and {labels} since it was fitted and {subjects}"
    }


def test_a_comparison_is_reported_again_from_what_it_keeps(featurekit, work, tmp_path):
    assert featurekit("report")[0] == 0
    here = work / "reports" / "table"
    pages = {name: (here / name).read_bytes() for name in ("report.html", "report.md")}
    there = tmp_path / "elsewhere" / "reports" / "table"
    there.parent.mkdir(parents=True)
    here.rename(there)
    for name in ("folds.json", "evidence.json", *pages):
        (there / name).unlink()
    for path in (there / "predictions").iterdir():
        path.unlink()
    code, _, errors = featurekit("--workspace", str(tmp_path / "elsewhere"), "report", "--name", "table")
    assert code == 0, errors
    assert {name: (there / name).read_bytes() for name in pages} == pages


def test_what_is_set_apart_for_the_same_reason_is_told_once_with_each_command(featurekit, work):
    fit = ("fit", "--target", "gender", "--no-models", "--model")
    assert featurekit(*fit, "logistic_regression", "--set", "penalty=2,3")[0] == 0
    correct(work, "reason", 3, "excluded")
    first = "gender--mean_color--logistic_regression"
    runs = [f"{first}--penalty-2", f"{first}--penalty-3", first]
    why = "faces were removed or added since it was fitted. Fit them again: "
    for what, command in {
        "is set apart from the runs of this fit": (*fit, "svm"),
        "is set apart from the ranking": ("report",),
        "is left out": ("audit", "--no-images"),
    }.items():
        said = [line for line in featurekit(*command)[2].splitlines() if "Each of" in line]
        assert len(said) == 1, command
        assert said[0].startswith(f"warning: Each of 3 runs ({', '.join(runs)}) {what}: {why}")
        assert said[0].count("; featurekit fit ") == 1


def test_a_fit_does_not_tell_of_earlier_runs_that_can_be_compared_or_have_another_target(featurekit, work):
    fit = ("fit", "--model", "svm", "--no-models", "--target")
    assert "set apart" not in featurekit(*fit, "gender")[2]
    correct(work, "gender", 3, other(Manifest.load(work / "manifest.csv").table["gender"][3]))
    assert "set apart" not in featurekit(*fit, "age")[2]
    name = "gender--mean_color--logistic_regression"
    why = "labels of its target have changed since it was fitted. Fit it again: featurekit fit"
    assert f"warning: {name} is set apart from the runs of this fit: {why}" in featurekit(*fit, "gender")[2]
    (work / "reports" / "table" / "runs" / f"{name}.json").write_text("{}")
    assert featurekit(*fit, "gender")[0] == 0  # the new runs are there, and the report names the damaged one


@pytest.mark.parametrize(
    ("kinds", "again"),
    [
        ("ff", "Fit them again: fit 0; fit 1"),
        ("aff", "Fit them and average its members again: fit 1; fit 2; average 0"),
        ("fffff", "Fit them again: fit 0; fit 1; fit 2 and 2 more"),
    ],
)
def test_the_commands_are_given_in_the_order_in_which_they_can_be_run(kinds, again):
    runs = []
    for number, kind in enumerate(kinds):
        run = a_run(f"run {number}", ON)
        run.command = f"{'fit' if kind == 'f' else 'average'} {number}"
        run.parameters = {"members": ["x", "y"]} if kind == "a" else {}
        runs.append(run)
    (said,) = sentences_on({run.name: "why" for run in runs}, runs, "is set apart")
    assert said.endswith(f" is set apart: why. {again}")


def a_run(name, on, created="2026-01-01", folds="f"):
    return SimpleNamespace(
        name=name,
        target="gender",
        created=created,
        folds={"sha256": folds},
        scored_on=on,
        left_out={},
        parameters={},
    )


ON = {"rows": "r", "labels": "l", "subjects": "s"}


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (a_run("old", ON), ""),
        (a_run("old", {**ON, "labels": "x"}), "labels of its target"),
        (a_run("old", {**ON, "subjects": "x"}), "subjects"),
        (a_run("old", {**ON, "rows": "x"}), "different faces"),
        (a_run("old", ON, folds="g"), "a different split"),
        (a_run("old", {}), "older version"),
    ],
)
def test_without_a_manifest_the_newest_run_says_what_the_others_agree_with(run, why):
    apart = set_apart([run, a_run("new", ON, "2026-02-01")])
    assert list(apart) == (["old"] if why else [])
    assert why in apart.get("old", "")


def test_runs_of_an_older_version_alone_are_compared():
    assert set_apart([a_run("a", {}), a_run("b", {})]) == {}


def test_the_order_of_rows_scored_makes_no_difference_and_each_of_them_does(tmp_path):
    n = 6
    table = pd.DataFrame(
        {
            "face_id": [f"f{i}" for i in range(n)],
            "image_path": "",
            "subject_id": "",
            "age": np.nan,
            "age_group": "",
            "gender": ["female", "male"] * 3,
            "official_fold": -1,
            "box": "",
            "content": "",
            "reason": "",
        }
    )
    manifest = Manifest(table, tmp_path)
    found = scored_on(manifest, GENDER, np.array([0, 1, 4]))
    assert found == scored_on(manifest, GENDER, np.array([4, 0, 1]))
    assert found["rows"] != scored_on(manifest, GENDER, np.array([0, 1, 5]))["rows"]


def test_runs_that_tell_other_classes_apart_are_not_compared():
    on = {"rows": "r", "labels": "l", "subjects": "s"}
    older = SimpleNamespace(
        name="older",
        target="gender",
        created="1",
        folds={"sha256": "f"},
        scored_on=on,
        left_out={},
        parameters={},
    )
    newer = SimpleNamespace(
        name="newer", target="gender", created="2", folds={"sha256": "f"}, left_out={"male": 3}, parameters={}
    )
    newer.scored_on = {**on, "labels": "fewer", "rows": "fewer"}
    assert set_apart([older, newer]) == {"older": "it has different classes"}


@pytest.mark.parametrize(("before", "after"), [(10.0, 19.0), (10.0, 10.5), (100.0, 101.0)])
def test_any_other_age_is_another_label_also_where_ages_are_missing(manifest, before, after):
    hashes = set()
    for age in (before, after):
        manifest.table.loc[[0, 1], "age"] = [age, np.nan]
        hashes.add(scored_on(manifest, AGE, np.array([0]))["labels"])
    assert len(hashes) == 2
