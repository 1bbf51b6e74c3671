"""What somebody may type or leave lying about who has not read the manual: nothing is lost, mixed or claimed.

Every test is one such input, tried in a shell first, with the line that is printed for it.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.data.manifest import Manifest
from featurekit.evaluation.evidence import Evidence, gather
from featurekit.evaluation.replaced import set_aside
from featurekit.evaluation.results import load_runs
from featurekit.project import ProjectFolder

FIT = ("fit", "--target", "gender", "--model", "logistic_regression")
REGRESSION, FLOOR = "gender--mean_color--logistic_regression", "gender--mean_color--majority"
BAYES = "gender--mean_color--logistic_regression--penalty-9"
MINE = {f"s3_{picture}.png" for picture in range(3)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the made-up people's workspace is kept that every test takes a copy of."""
    return tmp_path_factory.mktemp("kept") / "work"


@pytest.fixture
def workspace(kept, featurekit, request, tmp_path):
    """Eight made-up people, one comparison of two models and a floor, with its report."""
    if not kept.exists():
        request.getfixturevalue("prepare_table")()
        assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
        code, _, errors = featurekit(*FIT, "--folds", "4")
        assert code == 0, errors
        code, _, errors = featurekit(*FIT, "--set", "penalty=9", "--no-models")
        assert code == 0, errors
        assert featurekit("report")[0] == 0
        shutil.copytree(tmp_path / "work", kept)
        return ProjectFolder(tmp_path / "work")
    shutil.copytree(kept, tmp_path / "work")
    return ProjectFolder(tmp_path / "work")


@pytest.fixture
def photographs(workspace, prepare_table, portraits):
    """Where the photographs of this test's own workspace lie, which may be changed."""
    prepare_table()
    return portraits / "photos"


def everything_in(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(result, *parts, code=1):
    """Look that a command ended with one line, without a traceback, that says all this."""
    got, _, errors = result
    assert got == code, errors
    lines = [line for line in errors.splitlines() if line.lower().startswith("error:")]
    assert len(lines) == 1, errors
    for part in parts:
        assert part in lines[0]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", ["", "..", ".", "../x", "a/b", "a\\b", "/tmp/x", ".hidden", "a\nb", "a\x00b", "n" * 300]
)
@pytest.mark.parametrize("command", [(*FIT, "--no-models"), ("report",), ("audit", "--no-images")])
def test_a_name_that_is_no_folder_below_reports_is_refused_and_nothing_is_written(
    featurekit, workspace, command, name
):
    before = everything_in(workspace.root.parent)
    refused(featurekit(*command, "--name", name), "cannot be the name of a comparison", "--name faces-2026")
    assert everything_in(workspace.root.parent) == before


def test_a_comparison_with_itself_is_refused(featurekit, workspace):
    refused(
        featurekit("report", "--compare", "table", "table"),
        "but table is given twice",
        "--compare EARLIER LATER",
    )
    refused(
        featurekit("report", "--compare", "table", "../table"),
        "'../table' cannot be the name of a comparison",
    )


def test_a_network_that_is_joined_with_itself_is_refused(featurekit, workspace):
    got = featurekit(*FIT, "--features", "mean_color+mean_color")
    refused(got, "mean_color:mean is given twice in 'mean_color+mean_color'", "Give it once.")


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "command",
    [
        (*FIT, "--name", "new", "--seed", "-1"),
        (*FIT, "--name", "new", "--seed", str(2**40)),
        (*FIT, "--threads", "-1"),
        ("verify-run", "--seed", "-1"),
        ("audit", "--no-images", "--seed", "-3"),
        ("audit", "--threads", "-3"),
        ("predict", "--sample-portrait", "--threads", "-2"),
        ("explain", "models", "photo.png", "--seed", "-1"),
    ],
    ids=lambda words: " ".join((words[0], *words[-2:])),
)
def test_a_seed_or_a_number_of_threads_that_cannot_be_is_named_with_its_limits(
    featurekit, workspace, command
):
    option = command[-2]
    refused(
        featurekit(*command), f"Invalid value for '{option}': Input should be", "than or equal to", code=2
    )
    assert not workspace.report("new").exists()


# ---------------------------------------------------------------- files that somebody has touched


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"target": "gen'], ids=["empty", "list", "null", "cut off"]
)
@pytest.mark.parametrize("command", [("report",), ("audit", "--no-images"), ("verify-run",)])
def test_a_run_file_that_is_none_is_named_with_what_to_do(featurekit, workspace, command, text):
    (workspace.report("table") / "runs" / f"{REGRESSION}.json").write_text(text)
    refused(
        featurekit(*command),
        f"{REGRESSION}.json is not a run",
        "Delete it, and fit it again: featurekit fit.",
    )


def test_a_copy_of_a_run_is_not_ranked_twice(featurekit, workspace):
    path = workspace.report("table") / "runs" / f"{REGRESSION}.json"
    shutil.copy(path, path.with_name("copy of it.json"))
    refused(featurekit("report"), "copy of it.json", f"contain the same run, {REGRESSION}", "Delete the")


@pytest.mark.parametrize(
    "command", [("report",), ("audit", "--no-images"), ("ensemble", REGRESSION, BAYES), ("verify-run",)]
)
def test_predictions_that_were_cut_off_are_named_with_what_to_do(featurekit, workspace, command):
    path = workspace.report("table") / "predictions" / f"{REGRESSION}.parquet"
    path.write_bytes(path.read_bytes()[:200])
    refused(featurekit(*command), f"{path} contains no predictions", "Delete it, and fit the run again.")


def test_predictions_that_were_cut_off_are_named_where_two_comparisons_are_compared(featurekit, workspace):
    path = workspace.report("later") / "predictions" / f"{REGRESSION}.parquet"
    shutil.copytree(workspace.report("table"), workspace.report("later"))
    path.write_bytes(path.read_bytes()[:200])
    refused(
        featurekit("report", "--compare", "table", "later"), f"{path} contains no predictions", "Delete it"
    )


def test_an_ensemble_of_a_run_without_predictions_says_which_to_fit_again(featurekit, workspace):
    (workspace.report("table") / "predictions" / f"{BAYES}.parquet").unlink()
    refused(
        featurekit("ensemble", REGRESSION, BAYES),
        f"The predictions of {BAYES} are not in",
        "Fit it again: featurekit fit --target gender --model logistic_regression --set penalty=9",
    )


# ---------------------------------------------------------------- what has changed in between


def test_a_photograph_that_was_replaced_and_not_extracted_is_named_by_the_next_fit(
    featurekit, workspace, prepare_table, photographs
):
    Image.fromarray(np.zeros((48, 40, 3), np.uint8)).save(photographs / "s0_0.png")
    prepare_table()
    code, _, errors = featurekit(*FIT, "--no-models")
    said = "note: 's0_0.png' has not been read since featurekit prepare."
    assert (code, said in errors) == (0, True)
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    assert "has not been read" not in featurekit(*FIT, "--no-models")[2]


def test_a_table_with_fewer_people_sets_all_runs_apart_aloud_and_loses_nothing(
    featurekit, workspace, prepare_table, photographs
):
    folder, people = workspace.report("table"), photographs.parent / "people.csv"
    table, page = people.read_text(), (folder / "report.md").read_bytes()
    numbers = {path: data for path, data in everything_in(folder).items() if "report" not in path.name}
    people.write_text("".join(table.splitlines(keepends=True)[:-3]))
    prepare_table()
    refused(featurekit(*FIT), "3 rows are gone (s7_0.png, s7_1.png, s7_2.png)", "--new-folds")
    code, output, errors = featurekit("report")
    assert (code, REGRESSION in output) == (0, False)
    why = "is set apart from the ranking: faces were removed or added since it was fitted. Fit them again: "
    assert f"warning: Each of 3 runs ({BAYES}, {REGRESSION}, {FLOOR}) {why}" in errors
    assert "warning: the report has no ranking, because no run can be compared with another. No" in errors
    there = everything_in(folder)
    assert all(there[path] == data for path, data in numbers.items() if path.parent.name != "table")
    people.write_text(table)
    prepare_table()
    assert featurekit("report")[0] == 0
    assert (folder / "report.md").read_bytes() == page


def test_an_ensemble_is_set_apart_when_a_member_was_fitted_again(featurekit, workspace):
    assert featurekit("ensemble", REGRESSION, BAYES)[0] == 0
    assert "set apart" not in featurekit("report")[2]
    path = workspace.report("table") / "runs" / f"{BAYES}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": "2999-01-01T00:00:00+00:00"}))
    code, output, errors = featurekit("report")
    assert (code, "ensemble of" in output) == (0, False)
    assert (
        f"is set apart from the ranking: {BAYES} was fitted again after its predictions were averaged."
        " Average its members again:" in errors
    )
    assert f"featurekit ensemble {REGRESSION} {BAYES}" in errors


# ---------------------------------------------------------------- what an output would take the place of


@pytest.mark.parametrize("name", ["people.csv", "labels.tsv", "notes.json", "lines.jsonl", "labels.parquet"])
def test_predict_writes_over_no_file_that_is_not_its_own(featurekit, workspace, photographs, name):
    there = photographs.parent / name
    if name.endswith("parquet"):
        pd.DataFrame({"file": ["s0_0.png"], "age": [3]}).to_parquet(there)
    elif name != "people.csv":
        there.write_text('{"file": "s0_0.png"}\n')
    before = there.read_bytes()
    command = ("predict", photographs / "s0_0.png", "--model", workspace.models / REGRESSION, "--output")
    refused(
        featurekit(*command, there), f"{name} exists and is not a table of predictions, so it would be lost."
    )
    assert there.read_bytes() == before
    own = there.with_name(f"own{there.suffix}")
    for _ in range(2):  # what predict itself has written is written anew
        code, _, errors = featurekit(*command, own)
        assert code == 0, errors


def test_exported_vectors_take_no_table_s_place_also_not_beside_them(featurekit, workspace, photographs):
    folder = photographs.parent
    pd.DataFrame({"file": ["s0_0.png"]}).to_parquet(folder / "labels.parquet")
    before = everything_in(folder)
    for name, taken in (("people.npy", "people.csv"), ("labels.parquet", "labels.parquet")):
        got = featurekit("cache", "export", "mean_color", folder / name)
        refused(got, f"{taken} exists and contains no exported vectors", "Give another file")
    assert everything_in(folder) == before
    for name in ("v.npy", "v.npy", "v.parquet", "v.parquet"):
        assert featurekit("cache", "export", "mean_color", folder / name)[0] == 0


# ---------------------------------------------------------------- a person who is purged


def test_a_purge_reaches_the_outcomes_also_of_what_was_replaced(featurekit, workspace):
    folder = workspace.report("table")
    replaced = set_aside(folder)
    for path in everything_in(replaced):  # and as they were
        there = folder / path.relative_to(replaced)
        there.parent.mkdir(exist_ok=True)
        shutil.copy(path, there)
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    for part in ("table", f"table/{replaced.name}"):
        assert f"reports/{part}/outcomes\t5\tfiles" in output  # of 3 runs, of the faces, and the evidence
        assert not list((workspace.root / "reports" / part).glob("outcomes/*"))


@pytest.mark.slow
def test_after_a_purge_and_a_fit_the_report_is_that_of_the_remaining_people(
    featurekit, workspace, prepare_table, photographs, tmp_path
):
    folder = workspace.report("table")
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0
    errors = featurekit("report")[2]  # what learned from her is not compared with what has not
    assert f" {REGRESSION}, " in errors
    assert ") is set apart from the ranking: faces were removed or added since it was fitted." in errors
    assert not list(folder.glob("outcomes/*"))
    for more in ((), ("--set", "penalty=9")):
        assert featurekit(*FIT, "--no-models", *more)[0] == 0
    code, _, errors = featurekit("report")
    assert (code, "set apart" in errors) == (0, False)
    manifest = Manifest.load(workspace.manifest)
    assert not MINE & set(manifest.table["face_id"])
    rows = {path.stem: pd.read_parquet(path)["row"] for path in folder.glob("outcomes/*.parquet")}
    assert all(sorted(of_run) == list(range(21)) for of_run in rows.values())
    ours, numbers = Evidence.load(folder), (folder / "folds.json").read_bytes()
    # Somebody who never had her, on the same folds.
    shutil.rmtree(workspace.root / "reports")
    folder.mkdir(parents=True)
    (folder / "folds.json").write_bytes(numbers)
    people = photographs.parent / "people.csv"
    lines = people.read_text().splitlines(keepends=True)
    people.write_text("".join(line for line in lines if not line.startswith("s3_")))
    prepare_table()
    for more in ((), ("--set", "penalty=9")):
        code, _, errors = featurekit(*FIT, "--no-models", *more)
        assert code == 0, errors
    assert featurekit("report")[0] == 0
    theirs = Evidence.load(folder)
    assert ours.of == theirs.of
    gender, other = ours.targets["gender"], theirs.targets["gender"]
    assert (gender.estimates, gender.slices) == (other.estimates, other.slices)
    assert gender.differences == other.differences


def without_mine(path, workspace):
    """Return a table of outcomes without the rows of the person who is to be purged."""
    mine = np.flatnonzero(Manifest.load(workspace.manifest).table["face_id"].isin(MINE))
    table = pd.read_parquet(path)
    return table[~table["row"].isin(mine)].reset_index(drop=True)


def test_a_purge_takes_a_person_out_of_a_comparison_that_has_its_outcomes_alone(featurekit, workspace):
    folder = workspace.report("kept")
    workspace.report("table").rename(folder)
    shutil.rmtree(folder / "predictions")
    (folder / "folds.json").unlink()
    stranger = workspace.report("of-others")  # a comparison of other people, with the same row numbers
    shutil.copytree(folder, stranger)
    for path in (stranger / "runs").iterdir():
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "scored_on": {**content["scored_on"], "rows": "other"}}))
    untouched = everything_in(stranger)
    wanted = {path.name: without_mine(path, workspace) for path in folder.glob("outcomes/*")}
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    assert "reports/kept/outcomes\t5\tfiles" in output
    found = {path.name: pd.read_parquet(path) for path in folder.glob("outcomes/*")}
    assert found.keys() == wanted.keys()
    for name, table in wanted.items():
        pd.testing.assert_frame_equal(found[name], table)
    assert everything_in(stranger) == untouched
    code, output, errors = featurekit("report", "--name", "kept")
    assert (code, "logistic_regression" in output) == (0, True), errors
    assert Evidence.load(folder).targets["gender"].n_faces == 21
    assert featurekit("cache", "purge", "--subject", "s4")[0] == 0  # whose rows nobody can tell any more


def test_what_is_found_in_outcomes_after_a_purge_is_what_the_remaining_rows_say(
    featurekit, workspace, tmp_path
):
    folder = workspace.report("kept")
    workspace.report("table").rename(folder)
    shutil.rmtree(folder / "predictions")
    (folder / "folds.json").unlink()
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("evidence.json"))
    for path in (other / "outcomes").iterdir():
        without_mine(path, workspace).to_parquet(path, index=False)
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0
    ours, theirs = (gather(part, load_runs(part)) for part in (folder, other))
    assert ours == theirs
