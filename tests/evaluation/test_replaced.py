"""A fit that is refused, fails or is killed destroys nothing: what it was to replace can be had back."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from featurekit.data.manifest import Manifest
from featurekit.errors import FoldError, WorkspaceError
from featurekit.evaluation import plan_fits
from featurekit.evaluation import replaced as _replaced
from featurekit.evaluation.replaced import how_to_have_back, set_aside
from featurekit.evaluation.results import load_runs
from featurekit.files import write_text
from featurekit.inference import archive as _bundle
from featurekit.ops.purge import look, purge
from featurekit.ops.traces import find_traces
from featurekit.project import ComparisonFolder, ProjectFolder
from tests.evaluation.made_up import one_line

ROOT = Path(__file__).parents[2]
FIT = ("fit", "--model", "logistic_regression", "--target", "gender")


@pytest.fixture
def workspace(kept, featurekit, request, tmp_path):
    """Eight made-up people and one comparison on four folds, with its report and its audit."""
    if not kept.exists():
        request.getfixturevalue("prepare_table")()
        assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
        code, _, errors = featurekit(*FIT, "--folds", "4", "--seed", "3")
        assert code == 0, errors
        assert featurekit("report")[0] == 0
        assert featurekit("audit", "--no-images")[0] == 0
        shutil.copytree(tmp_path / "work", kept)
        return ProjectFolder(tmp_path / "work")
    shutil.copytree(kept, tmp_path / "work")
    return ProjectFolder(tmp_path / "work")


def everything_in(*folders):
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--model", "svmm"), "Did you mean 'svm'"),
        (("--target", "gendr"), "Unknown target 'gendr'"),
        (("--features", "mobilenet_v2"), "has not been extracted"),
        (("--folds", "100"), "8 subjects, which is too few for 100 folds"),
        (("--folds", "1"), "The number of folds (--folds) must be at least 2"),
        (("--set", "penalty=x"), "penalty cannot be x"),
        (("--set", "nonsense=1"), "Unknown parameter"),
        (("--model", "levi_hassner"), "featurekit extract --backbone pixels"),
        (("--device", "cuda"), "--device cuda has no effect"),
        (("--device", "gpu"), "device must be one of"),
        (("--rare", "keep"), "Unknown way to treat rare classes 'keep'"),
        (("--join",), "--join has no effect"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_new_folds_with_a_wrong_argument_change_nothing(featurekit, workspace, wrong, said):
    before = everything_in(workspace.root)
    one_line(featurekit(*FIT, "--new-folds", *wrong), said)
    assert everything_in(workspace.root) == before


def test_new_folds_with_vectors_that_are_missing_or_a_package_that_is_not_here_change_nothing(
    featurekit, workspace, monkeypatch
):
    from dataclasses import replace

    from featurekit.estimators import CLASSIFIERS

    needy = replace(CLASSIFIERS["svm"], name="needy", needs="no_such_package")
    monkeypatch.setitem(CLASSIFIERS._members, "needy", needy)
    before = everything_in(workspace.root)
    one_line(featurekit("fit", "--model", "needy", "--new-folds"), "needy needs no_such_package")
    assert everything_in(workspace.root) == before
    for shard in (workspace.cache / "embeddings").glob("*/*.safetensors"):
        shard.unlink()
    before = everything_in(workspace.root)
    one_line(featurekit(*FIT, "--new-folds"), "There are no vectors of mean_color:mean yet")
    assert everything_in(workspace.root) == before


def test_what_new_folds_replaced_is_gone_once_the_fit_has_ended_well(featurekit, workspace):
    code, _, errors = featurekit(*FIT, "--new-folds", "--folds", "2", "--seed", "5")
    assert code == 0, errors
    folder = workspace.report("table")
    comparison = ComparisonFolder(folder)
    assert [*comparison.replaced_folders(), *comparison.unfinished_replaced()] == []
    assert {run.folds["number"] for run in load_runs(folder)} == {2}
    assert {run.seed for run in load_runs(folder)} == {5}
    assert not (folder / "report.html").exists()


def test_a_fit_that_fails_half_way_says_where_what_it_replaced_is_and_a_shell_brings_it_back(
    featurekit, workspace, monkeypatch
):
    folder, whole = workspace.report("table"), plan_fits.FoldFits
    before = everything_in(folder, workspace.models)
    n_fitted = []

    def fail_at_the_second(*arguments, **options):
        n_fitted.append(1)
        if len(n_fitted) == 2:
            raise FoldError("made to fail")
        return whole(*arguments, **options)

    monkeypatch.setattr(plan_fits, "FoldFits", fail_at_the_second)
    result = featurekit(*FIT, "--new-folds", "--folds", "2")
    one_line(result, "made to fail")
    [replaced] = ComparisonFolder(folder).replaced_folders()
    assert str(replaced) in result[2]
    assert len(load_runs(folder)) == 1  # the half-made comparison: nothing replaced counts as a run of it
    line = next(
        line
        for line in result[2].splitlines()
        if line.startswith("The runs that this fit was going to replace")
    )
    subprocess.run(line.partition("To restore them: ")[2], shell=True, check=True)
    assert everything_in(folder, workspace.models) == before
    monkeypatch.undo()
    assert {run.folds["number"] for run in load_runs(folder)} == {4}


@pytest.mark.slow
def test_a_fit_that_is_killed_loses_nothing(workspace):
    folder = workspace.report("table")
    before = everything_in(folder)
    script = (
        "import os, signal, sys\n"
        "from featurekit.cli import app\n"
        "from featurekit.evaluation import plan_fits\n"
        "plan_fits.FoldFits = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"sys.argv = ['featurekit', '-w', {str(workspace.root)!r}, *{[*FIT, '--new-folds']!r}]\n"
        "app.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL
    [replaced] = ComparisonFolder(folder).replaced_folders()
    assert {
        path.relative_to(replaced): data
        for path, data in everything_in(replaced).items()
        if path.relative_to(replaced).parts[0] != "models"
    } == {path.relative_to(folder): data for path, data in before.items()}
    assert f"To restore it: {how_to_have_back(replaced, workspace.models)}" in done.stderr
    subprocess.run(how_to_have_back(replaced, workspace.models), shell=True, check=True)
    assert everything_in(folder) == before


def test_whoever_stops_the_moving_half_way_finds_everything_in_one_place(workspace, monkeypatch):
    folder = workspace.report("table")
    before = everything_in(folder)
    n_linked, copy = [], shutil.copy2

    def fill_the_disk(path, there, **_):
        n_linked.append(path)
        if len(n_linked) == 3:
            raise OSError(28, "No space left on device")
        copy(path, there)

    def no_links(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(_replaced.os, "link", no_links)
    monkeypatch.setattr(_replaced.shutil, "copy2", fill_the_disk)
    with pytest.raises(
        WorkspaceError, match=r"Cannot move the files that are to be replaced .*No space left"
    ):
        set_aside(folder)
    assert everything_in(folder) == before
    monkeypatch.setattr(_replaced.shutil, "copy2", copy)
    replaced = set_aside(folder)  # a disk that knows no links
    assert {path.relative_to(replaced) for path in everything_in(replaced)} == {
        path.relative_to(folder) for path in before
    }


def test_a_comparison_without_runs_names_what_was_replaced_and_a_later_fit_too(
    featurekit, workspace, monkeypatch
):
    folder = workspace.report("table")
    replaced = set_aside(folder)
    one_line(featurekit("report"), str(replaced), "To restore them: mv ")
    code, _, errors = featurekit(*FIT, "--folds", "4")
    assert code == 0
    assert f"{replaced} still contains the runs that an interrupted fit was going to replace" in errors
    assert replaced.is_dir()
    assert featurekit(*FIT, "--new-folds")[0] == 0
    assert ComparisonFolder(folder).replaced_folders() == []


def test_a_person_is_purged_from_what_was_replaced_too(featurekit, workspace):
    folder = workspace.report("table")
    write_text(
        folder / "audit_rows.csv", "finding,face_id\nlabel_suspects,s3_1.png\nlabel_suspects,s4_0.png\n"
    )
    replaced = set_aside(folder, workspace.models)
    begun = folder / f".replaced-before.{os.getpid()}.tmp"  # of a fit that was killed while it moved files
    shutil.copytree(replaced, begun)
    traces = find_traces(workspace, ["s3"], [])
    places = {name: n for name, n, _ in look(workspace, traces).places}
    for part in (replaced, begun):
        name = f"reports/table/{part.name}"
        assert places[f"{name}/folds.json"] == 3
        assert places[f"{name}/predictions"] == 6
        assert places[f"{name}/audit_rows.csv"] == 1
    found = purge(workspace, traces)
    assert found.learned["runs"] == 4
    for part in (replaced, begun):
        assert "s3_" not in (part / "folds.json").read_text() + (part / "audit_rows.csv").read_text()


def test_an_ensemble_of_names_that_mean_several_runs_writes_nothing(featurekit, workspace):
    code, _, errors = featurekit(*FIT[:3], "--target", "age_group", "--set", "penalty=0.4,0.04")
    assert code == 0, errors
    before = everything_in(workspace.root)
    one_line(
        featurekit("ensemble", "*--logistic_regression*", "*--majority"), "matches several runs of age_group"
    )
    assert everything_in(workspace.root) == before


def test_a_data_set_that_cannot_be_prepared_leaves_the_manifest_as_it_was(
    featurekit, workspace, portraits, monkeypatch
):
    before = everything_in(workspace.root)
    one_line(featurekit("prepare", "table", portraits / "nowhere.csv"), "nowhere.csv")
    one_line(featurekit("prepare", "table", portraits / "people.csv", "--column", "age=yers"), "yers")
    assert everything_in(workspace.root) == before
    manifest = Manifest.load(workspace.manifest)
    (workspace.manifest.with_suffix(".json")).write_bytes(before[workspace.manifest.with_suffix(".json")])

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("featurekit.files.os.fsync", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        manifest.save(workspace.manifest)
    assert everything_in(workspace.root) == before


def test_a_model_that_cannot_be_saved_leaves_the_one_that_was_there(featurekit, workspace, monkeypatch):
    before = everything_in(workspace.models)
    whole = _bundle.write_bytes

    def full(path, data):
        if path.name == "SHA256SUMS":
            raise WorkspaceError(f"Cannot write {path}: No space left on device.")
        whole(path, data)

    monkeypatch.setattr(_bundle, "write_bytes", full)
    one_line(featurekit(*FIT, "--set", "penalty=0.04"), "No space left on device")
    assert everything_in(workspace.models) == before
    assert [path.name for path in workspace.models.iterdir() if path.name.startswith(".")] == []


def test_audit_explain_export_and_predict_that_are_refused_write_nothing(featurekit, workspace, portraits):
    model = workspace.models / "gender--mean_color--logistic_regression"
    photo = portraits / "photos" / "s1_0.png"
    out = workspace.root / "out.csv"
    out.write_text("photograph,face,status\nmine\n")
    before = everything_in(workspace.root)
    one_line(featurekit("audit", "--features", "dlib_age"), "has not been extracted")
    one_line(featurekit("explain", model, photo, "--how", "gradcam", "--output", workspace.root), "")
    one_line(featurekit("export", model, workspace.root / "a.onnx"), "")
    one_line(featurekit("predict", photo, "--model", workspace.models / "none", "--output", out), "none")
    assert everything_in(workspace.root) == before
