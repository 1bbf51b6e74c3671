"""What the MLflow store promises: it holds all of a comparison, once, and nobody else hears of it."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featurekit.evaluation.results import Run
from featurekit.ops.mlflow import log_comparison, parameters_of, plain_name, points_of

# MLflow uses what SQLAlchemy is about to drop; that is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

ROOT = Path(__file__).parents[2]
SVM, CNN = "gender--dlib_age--svm", "gender--pixels--levi_hassner"
TRAINING = tuple(
    {"epochs": len(losses), "history": [{"loss": loss, "held_out_loss": loss + 1} for loss in losses]}
    for losses in ((4.0, 2.0, 1.0), (2.0, 1.0))
)


def score(mean: float | None, spread: float | None = 0.1) -> dict[str, Any]:
    return {"mean": mean, "std": spread, "folds": [mean, None if mean is None else mean / 2]}


def make_run(features: str = "dlib_age", classifier: str = "svm", **changes: Any) -> Run:
    """Return a run with invented numbers."""
    facts: dict[str, Any] = {
        "target": "gender",
        "classes": ("female", "male"),
        "features": features,
        "dim": 256,
        "classifier": classifier,
        "is_baseline": False,
        "parameters": {"C": 10.0, "seed": 3},
        "notes": ("Class weights are balanced.",),
        "scores": {"accuracy": score(0.75)},
        "scores_all_rows": {"accuracy": score(0.625)},
        "confusion": ((3, 1), (1, 3)),
        "recall": (0.5, 0.25),
        "n_tested": 8,
        "n_labelled": 9,
        "n_subjects": 7,
        "seconds": {"extract": 1.5, "fit": 2.5, "predict": 0.5},
        "bytes_on_disk": 1000,
        "recipes": (),
        "weights": ({"name": "dlib_age", "sha256": "4f9f0075200bd8ea" * 4},),
        "hardware": {"got": {"dlib_age": {"engine": "openvino", "device": "cpu", "precision": "bf16"}}},
        "versions": {"featurekit": "0.1.0"},
        "folds": {"number": 2, "kind": "made", "seed": 0, "sha256": "ab" * 32},
        "dataset": {"name": "made up", "synthetic": True},
        "seed": 0,
        "command": "featurekit fit --model svm",
        "created": "2026-11-24T12:23:04+00:00",
    }
    return Run(**{**facts, **changes})


def save(folder: Path, *runs: Run) -> Path:
    for run in runs:
        run.save(folder, pd.DataFrame())
    return folder


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    """A comparison with its report, in the workspace that the featurekit fixture works in."""
    folder = save(
        tmp_path / "work" / "reports" / "june",
        make_run(),
        make_run("pixels", "levi_hassner", training=TRAINING, variation={"epochs": 3}),
    )
    for name in ("report.html", "report.md", "evidence.json"):
        (folder / name).write_text(f"the first {name}")
    return folder


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's variables, as on a machine where nobody has set them; what is set in a test is put back."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real store, empty; it takes seconds to make, so tests share it and differ in their experiments."""
    folder = tmp_path_factory.mktemp("store")
    place = f"sqlite:///{folder / 'mlflow.db'}"
    log_comparison(save(folder / "reports" / "any", make_run()), place, "not looked at")
    return place


@pytest.fixture
def logged(store: str) -> Any:
    """Return what an experiment holds: MLflow's runs by name, the steps of their metrics, their files."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)

    class Held(dict[str, Any]):
        def history(self, name: str, metric: str) -> list[tuple[int, float]]:
            points = client.get_metric_history(self[name].info.run_id, metric)
            return [(point.step, point.value) for point in points]

        def file(self, name: str, path: str) -> str:
            where = self[name].info.artifact_uri.removeprefix("file://")
            return (Path(where) / path).read_text()

    def look(experiment: str) -> Held:
        place = client.get_experiment_by_name(experiment).experiment_id
        runs = client.search_runs([place])
        assert len({run.info.run_name for run in runs}) == len(runs), "a run stands twice"
        return Held({run.info.run_name: run for run in runs})

    return look


def test_each_run_is_nested_in_the_comparison(comparison, store, logged):
    log_comparison(comparison, store, "nested")
    held = logged("nested")
    assert set(held) == {"june", SVM, f"{CNN}--epochs-3"}
    whole = held.pop("june")
    for one in held.values():
        assert one.data.tags["mlflow.parentRunId"] == whole.info.run_id
        assert one.info.status == "FINISHED"
    assert whole.info.status == "FINISHED"
    assert whole.data.params == {"dataset": "made up", "folds": "ab" * 32, "n_folds": "2"}


def test_a_run_says_what_it_was_made_of_and_when(comparison, store, logged):
    log_comparison(comparison, store, "parameters")
    svm = logged("parameters")[SVM]
    expected = {
        "target": "gender",
        "features": "dlib_age",
        "classifier": "svm",
        "tuned": "False",
        "seed": "0",
        "parameters.C": "10.0",
        "parameters.seed": "3",
        "dataset": "made up",
        "folds": "ab" * 32,
        "n_folds": "2",
        "weights": "dlib_age 4f9f0075200b",
        "engine": "openvino",
        "device": "cpu",
        "precision": "bf16",
    }
    assert svm.data.params == expected
    tags = svm.data.tags
    assert tags["featurekit.version"] == "0.1.0"
    assert tags["featurekit.command"] == "featurekit fit --model svm"
    assert tags["featurekit.created"] == "2026-11-24T12:23:04+00:00"
    assert tags["featurekit.synthetic"] == "True"  # nobody should take made-up portraits for people
    assert tags["mlflow.note.content"] == "Class weights are balanced."
    assert svm.info.start_time == svm.info.end_time == 1795522984000
    assert logged("parameters")[f"{CNN}--epochs-3"].data.params["variation"] == "epochs=3"


def test_a_score_has_its_mean_its_spread_and_a_step_for_each_fold(comparison, store, logged):
    log_comparison(comparison, store, "scores")
    held = logged("scores")
    metrics = held[SVM].data.metrics
    assert metrics["accuracy"] == 0.75
    assert metrics["accuracy_std"] == 0.1
    assert metrics["all_rows/accuracy"] == 0.625
    assert metrics["recall/female"] == 0.5
    assert metrics["recall/male"] == 0.25
    assert metrics["seconds/fit"] == 2.5
    assert metrics["n_tested"] == 8
    assert held.history(SVM, "by_fold/accuracy") == [(0, 0.75), (1, 0.375)]
    assert held.history(SVM, "accuracy") == [(0, 0.75)]


def test_a_network_s_losses_are_means_over_the_folds_that_were_still_trained(comparison, store, logged):
    log_comparison(comparison, store, "curves")
    held = logged("curves")
    assert held.history(f"{CNN}--epochs-3", "training/held_out_loss") == [(1, 4.0), (2, 2.5), (3, 2.0)]
    assert not any(name.startswith("training/") for name in held[SVM].data.metrics)


def test_the_report_stands_once_and_each_run_beside_its_numbers(comparison, store, logged):
    log_comparison(comparison, store, "files")
    held = logged("files")
    for name in ("report.html", "report.md", "evidence.json"):
        assert held.file("june", name) == f"the first {name}"
    assert held.file(SVM, "run.json") == (comparison / "runs" / f"{SVM}.json").read_text()
    assert not (Path(held[SVM].info.artifact_uri.removeprefix("file://")) / "report.html").exists()


def test_the_store_names_neither_this_machine_nor_its_user(comparison, store, logged, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody")
    log_comparison(comparison, store, "nameless")
    for one in logged("nameless").values():
        said = json.dumps([one.data.params, one.data.tags, one.info.user_id])
        assert str(comparison.parents[2]) not in said
        assert "somebody" not in said


def test_writing_twice_adds_nothing(featurekit, comparison, store, logged):
    command = ("log-mlflow", "--name", "june", "--to", store, "--experiment", "twice")
    code, output, errors = featurekit(*command)
    assert code == 0, errors
    assert "Logged 2 new runs of june" in output
    assert "0 runs were there already" in output
    assert "Also logged report.html, report.md, evidence.json." in output
    code, output, errors = featurekit(*command)
    assert code == 0, errors
    assert "Logged 0 new runs of june" in output
    assert "2 runs were there already" in output
    assert "Also logged" not in output
    held = logged("twice")  # which refuses a run that stands twice
    assert len(held) == 3
    assert len(held.history(SVM, "by_fold/accuracy")) == 2


def test_what_is_new_or_has_changed_is_added(comparison, store, logged):
    log_comparison(comparison, store, "more")
    save(comparison, make_run(classifier="mlp"))
    (comparison / "report.html").write_text("the second")
    done = log_comparison(comparison, store, "more")
    assert done.new == ("gender--dlib_age--mlp",)
    assert done.known == (SVM, f"{CNN}--epochs-3")
    assert done.files == ("report.html",)
    held = logged("more")
    assert len(held) == 4
    assert held.file("june", "report.html") == "the second"


def test_a_run_that_was_fitted_again_is_another(comparison, store):
    log_comparison(comparison, store, "again")
    save(comparison, make_run(created="2026-12-24T12:00:00+00:00"))
    assert log_comparison(comparison, store, "again").new == (SVM,)


def test_a_comparison_of_the_same_name_on_other_folds_is_another(comparison, store):
    log_comparison(comparison, store, "folds")
    dealt_anew = {"number": 2, "kind": "made", "seed": 1, "sha256": "cd" * 32}
    for path in (comparison / "runs").iterdir():
        path.write_text(json.dumps(asdict(Run.load(path)) | {"folds": dealt_anew}))
    done = log_comparison(comparison, store, "folds")
    assert len(done.new) == 2
    assert len(done.files) == 3  # the report of the first is not written over


def test_a_writing_that_was_killed_goes_on(comparison, store, logged, monkeypatch):
    from mlflow import MlflowClient

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_text", killed)  # after parameters and metrics
        with pytest.raises(KeyboardInterrupt):
            log_comparison(comparison, store, "killed")
    assert logged("killed")[SVM].info.status == "RUNNING"
    done = log_comparison(comparison, store, "killed")
    assert len(done.new) == 2
    held = logged("killed")
    assert len(held) == 3
    assert held.history(SVM, "by_fold/accuracy") == [(0, 0.75), (1, 0.375)]
    assert held.file(SVM, "run.json")


def test_a_store_with_more_runs_than_a_page_is_read_to_its_end(comparison, store, monkeypatch):
    from mlflow import MlflowClient

    log_comparison(comparison, store, "pages")
    whole = MlflowClient.search_runs
    monkeypatch.setattr(
        MlflowClient, "search_runs", lambda *given, **named: whole(*given, **{**named, "max_results": 1})
    )
    assert log_comparison(comparison, store, "pages").new == ()


HOSTILE = ("a/b", "a:b", "a_b", "../..", "..", ".", "", "x" * 400, "x" * 401, "\ud800", "\ud801", "年齢\n")


def test_names_and_values_that_mlflow_refuses_are_made_fit(tmp_path, store, logged):
    run = make_run(
        classifier="mlp",
        classes=HOSTILE,
        recall=tuple(number / 100 for number in range(len(HOSTILE))),
        parameters={"C\n<b>": "\ud800\x00" + "y" * 7000, **{f"p{number}": number for number in range(150)}},
        training=({"history": [dict.fromkeys(HOSTILE, 1.0)] * 100},),
        notes=("<b>\ud800", "z" * 9000),
        command="featurekit fit \ud800" + "c" * 9000,
    )
    folder = save(tmp_path / "reports" / 'it\'s "odd"', run)
    done = log_comparison(folder, store, 'it\'s "odd"/../..')
    assert len(done.new) == 1
    held = logged('it\'s "odd"/../..')[run.name].data
    recalls = [value for name, value in held.metrics.items() if name.startswith("recall/")]
    assert sorted(recalls) == list(run.recall)  # no two labels became one
    assert held.params["parameters.p149"] == "149"
    longest = max(held.params.values(), key=len)
    assert longest.startswith("\\ud800\\x00yyy")
    assert longest.endswith("y…")
    assert len(longest) == 6000
    assert max(map(len, held.tags.values())) <= 5000
    assert log_comparison(folder, store, 'it\'s "odd"/../..').known == (run.name,)


@pytest.mark.parametrize("label", ["60-100", "female", "under 18", "年齢"])
def test_a_name_that_mlflow_takes_stays_as_it_is(label):
    assert plain_name(label) == label


def test_what_has_no_number_is_left_out():
    run = make_run(
        scores={"accuracy": score(None, None)},
        recall=(None, 0.5),
        training=({"history": [{"loss": None, "stage": "heads", "stopped": True, "rate": 2.0}]},),
        bytes_on_disk=0,
    )
    names = {point.name for point in points_of(run)}
    assert not names & {"accuracy", "accuracy_std", "by_fold/accuracy", "recall/female", "bytes_on_disk"}
    assert {name for name in names if name.startswith("training/")} == {"training/rate"}
    assert "recall/male" in names


def test_networks_that_ran_differently_are_all_named():
    got = {
        "dlib_age": {"engine": "openvino", "device": "cpu", "precision": "fp32"},
        "pixels": {"engine": "numpy", "device": "cpu", "precision": "fp32"},
    }
    found = parameters_of(make_run(hardware={"got": got}))
    assert (found["engine"], found["device"], found["precision"]) == ("openvino, numpy", "cpu", "fp32")


def test_without_an_address_the_store_is_in_the_workspace(
    featurekit, comparison, store, tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    made = tmp_path / "work" / "mlflow.db"
    shutil.copy(store.removeprefix("sqlite:///"), made)  # to make one takes seconds
    before = made.read_bytes()
    code, output, errors = featurekit("log-mlflow", "--name", "june")
    assert code == 0, errors
    assert "experiment made up" in output  # the data set's name
    assert made.read_bytes() != before
    assert list((tmp_path / "work" / "mlruns" / "made up").rglob("report.html"))
    assert not list(here.iterdir())  # nothing in the folder that one happens to be in


def test_mlflow_s_own_variables_name_the_store_and_the_experiment(
    featurekit, comparison, store, logged, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by variable")
    code, _, errors = featurekit("log-mlflow", "--name", "june")
    assert code == 0, errors
    assert SVM in logged("by variable")


def test_a_comparison_without_a_report_is_logged_and_told_what_is_missing(featurekit, comparison, store):
    (comparison / "report.html").unlink()
    code, output, errors = featurekit(
        "log-mlflow", "--name", "june", "--to", store, "--experiment", "unreported"
    )
    assert code == 0
    assert "Logged 2 new runs of june" in output
    assert "have not been written yet: report.html. Run featurekit report" in errors


def test_a_page_that_shows_faces_is_not_given_to_a_store(featurekit, comparison, store, logged):
    (comparison / "report.html").write_text('<p><img src="data:image/jpeg;base64,/9j/4AAQ" width="72"></p>')
    code, output, errors = featurekit("log-mlflow", "--name", "june", "--to", store, "--experiment", "faces")
    assert code == 0
    assert "Also logged report.md, evidence.json." in output
    assert "report.html was not logged, because it shows images of people" in errors
    place = Path(logged("faces")["june"].info.artifact_uri.removeprefix("file://"))
    assert not (place / "report.html").exists()


def test_a_name_that_no_comparison_has_is_told_with_those_that_are_there(featurekit, comparison):
    code, _, errors = featurekit("log-mlflow", "--name", "july")
    assert code == 1
    assert errors.startswith("error: There are no runs in ")
    assert errors.endswith("Comparisons that have runs: june.\n")


@pytest.mark.parametrize("missing", ["mlflow", "sqlalchemy", "alembic"])
def test_without_the_extra_one_line_says_how_to_install_it(featurekit, comparison, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, errors = featurekit("log-mlflow", "--name", "june")
    assert code == 1
    assert errors == (
        f"error: log-mlflow needs {missing}, which is not installed: pip install 'featurekit[mlflow]'.\n"
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("sqlite:///{folder}/notes.txt", "file is not a database"),
        ("sqlite:///{folder}/june", "unable to open database file"),
        ("sqlite:///{folder}/notes.txt/mlflow.db", "File exists|Not a directory"),
        ("http://somebody:secret@127.0.0.1:9", "Connection refused"),
        ("postgresql+nosuchdriver://somebody:secret@127.0.0.1/x", "nosuchdriver"),
        ("ftp://somebody:secret@127.0.0.1/x", "unsupported URI"),
        ("./mlruns", "database backend"),
        ("sqlite:///{folder}/later.db", "Can't locate revision"),
        ("sqlite:///{folder}/other.db", "no such column"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_in_one_line(
    featurekit, comparison, address, why, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (comparison.parent / "notes.txt").write_text(
        "These are notes, longer than a database's first bytes. " * 9
    )
    # A store of another version of MLflow, and a database of another program.
    for name, table in (
        ("later", "alembic_version AS SELECT 'x' version_num"),
        ("other", "experiments (a TEXT)"),
    ):
        with closing(sqlite3.connect(comparison.parent / f"{name}.db")) as database:
            database.execute(f"CREATE TABLE {table}")
            database.commit()
    where = address.format(folder=comparison.parent)
    code, _, errors = featurekit("log-mlflow", "--name", "june", "--to", where)
    assert code == 1
    assert errors.startswith("error: Cannot write to the MLflow store ")
    assert errors.count("\n") == 1
    assert "secret" not in errors
    assert re.search(why, errors)


# Run where MLflow does not know that it is tested: there it would tell its makers of every import.
QUIET = """
import sys

reached = []
sys.addaudithook(
    lambda event, given: reached.append(given) if event in ("socket.connect", "socket.getaddrinfo") else None
)
import threading
from pathlib import Path

from featurekit.ops.mlflow import log_comparison

log_comparison(Path(sys.argv[1]), sys.argv[2])
from mlflow.telemetry import get_telemetry_client

print(get_telemetry_client(), reached, [one.name for one in threading.enumerate() if "elemetry" in one.name])
"""


@pytest.mark.slow
def test_nothing_goes_over_the_network_and_mlflow_tells_nobody(comparison, store, tmp_path):
    place = tmp_path / "quiet.db"
    shutil.copy(store.removeprefix("sqlite:///"), place)
    kept = ("PATH", "PYTHONPATH", "HOME", "LD_LIBRARY_PATH")
    surroundings = {name: os.environ[name] for name in kept if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, comparison, f"sqlite:///{place}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=surroundings | {"MLFLOW_DISABLE_TELEMETRY": "false"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "None [] []"
