"""--executor ray: options that have an effect only there, or none there, and a table in parts."""

import os
import signal
import threading
from contextlib import contextmanager

import pandas as pd
import pytest

from featurekit.data.datasets import DATASETS
from featurekit.embeddings.executors import ray as executor
from featurekit.errors import WorkspaceError
from featurekit.faces.photographs import Photograph
from featurekit.inference import parts as library
from featurekit.inference.parts import How, Part
from tests.modules import BENCHMARKS, module_in

workers_at_work = module_in(BENCHMARKS, "_ray_workers").workers_at_work

EMBED = ("extract", "--backbone", "mean_color", "--detector", "whole_image")


@pytest.mark.parametrize(
    "option",
    [("--address", "local"), ("--workers", "2"), ("--gpus-per-worker", "0.5")],
    ids=lambda one: one[0],
)
@pytest.mark.parametrize("command", [EMBED, ("predict", "photo.jpg")], ids=lambda one: one[0])
def test_an_option_of_a_cluster_is_refused_without_one(featurekit, one_line, prepared, command, option):
    one_line(featurekit(*command, *option), f"{option[0]} has no effect without --executor ray")


def test_threads_and_a_learning_curve_are_of_one_machine(featurekit, one_line, extracted):
    one_line(
        featurekit(*EMBED, "--executor", "ray", "--threads", "2"),
        "--threads is the number of threads of this",
    )
    curve = featurekit("fit", "--executor", "ray", "--learning-curve")
    one_line(curve, "--learning-curve is fitted on this machine")


def test_an_executor_of_another_name_is_refused_with_the_known_ones(featurekit, one_line, prepared):
    one_line(featurekit(*EMBED, "--executor", "dask"), "Unknown executor 'dask'", "local, ray")


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (["--draw", "drawn"], "--draw"),
        (["--profile"], "--profile"),
        (["--threads", "2"], "--threads"),
        (["--no-cache"], "--no-cache"),
    ],
    ids=lambda one: str(one),
)
def test_options_of_this_machine_are_refused_with_a_cluster(featurekit, one_line, prepared, option, name):
    photo = next((prepared / "photos").iterdir())
    result = featurekit("predict", photo, "--executor", "ray", "--output", "parts", *option)
    one_line(result, f"{name} has no effect with --executor ray")


def test_a_cluster_writes_a_folder_which_has_to_be_named(featurekit, one_line, prepared):
    photo = next((prepared / "photos").iterdir())
    one_line(
        featurekit("predict", photo, "--executor", "ray"), "the table is a folder of parts: --output FOLDER"
    )


@pytest.fixture
def photographs(portraits):
    return [Photograph(path.name, path) for path in sorted((portraits / "photos").iterdir())]


def names_of(photographs, folder, **changes):
    return [part.path.name for part in library._parts(photographs, How(**changes), [], folder, 10)]


def test_the_name_of_a_part_says_what_is_in_it(photographs, tmp_path):
    names = names_of(photographs, tmp_path)
    assert [name[:11] for name in names] == ["part-00000-", "part-00001-", "part-00002-"]
    assert names_of(photographs, tmp_path) == names
    assert set(names_of(photographs, tmp_path, sets=True)).isdisjoint(names)
    photographs[12].path.write_bytes(b"another picture")
    changed = names_of(photographs, tmp_path)
    assert [one == other for one, other in zip(names, changed, strict=True)] == [True, False, True]


def test_a_folder_with_other_parts_is_refused(photographs, tmp_path):
    parts = library._parts(photographs, How(), [], tmp_path / "parts", 10)
    (tmp_path / "parts").mkdir()
    parts[0].path.touch()
    (tmp_path / "parts" / ".part-00001.tmp").touch()  # of a worker that was killed
    library._refuse_other_files(tmp_path, library._names_in(tmp_path / "parts"), parts)
    (tmp_path / "parts" / "part-00000-0123456789abcdef.parquet").touch()
    with pytest.raises(WorkspaceError, match=r"of other images, models or options. Give a new folder"):
        library._refuse_other_files(tmp_path, library._names_in(tmp_path / "parts"), parts)
    with pytest.raises(WorkspaceError, match="is a file"):
        library._names_in(parts[0].path)


def test_a_part_of_a_worker_that_writes_elsewhere_is_no_part(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "_LATE", 0.0)
    part = Part(tmp_path / "part-00000-0.parquet", tuple(photographs[:2]))
    with pytest.raises(WorkspaceError, match="folder of the parts must be one that all machines"):
        library._check(part, {"path": "elsewhere"})
    pd.DataFrame({"photograph": [photographs[0].name]}).to_parquet(part.path)
    with pytest.raises(AssertionError, match="rows of 1 images instead of 2"):
        library._check(part, {"path": str(part.path)})


def test_a_part_of_another_machine_may_be_seen_late(photographs, tmp_path):
    part = Part(tmp_path / "part-00000-0.parquet", tuple(photographs[:1]))
    pd.DataFrame({"photograph": [photographs[0].name]}).to_parquet(tmp_path / "written")
    later = threading.Timer(0.2, (tmp_path / "written").rename, [part.path])
    later.start()
    library._check(part, {"path": str(part.path)})
    later.join()


@contextmanager
def first_worker_killed():
    """Kill the first worker that begins with a piece of work, while the block is run."""
    killed, done = [], threading.Event()

    def kill_one():
        while not killed and not done.wait(0.01):
            killed.extend(workers_at_work()[:1])
        for worker in killed:
            os.kill(worker, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        yield
    finally:
        done.set()
        killer.join()


@pytest.mark.slow
@pytest.mark.weights
def test_with_a_killed_worker_the_parts_are_the_table_of_one_machine_and_only_absent_ones_are_computed(
    featurekit, tmp_path, monkeypatch
):
    monkeypatch.setattr(library, "IMAGES", 10)
    folder = DATASETS["synthetic"].read(tmp_path / "data", n_subjects=24, n_pictures=1).root
    asked = ("predict", folder, "--probabilities", "--faces", "center")
    with first_worker_killed():
        code, printed, errors = featurekit(
            *asked, "--executor", "ray", "--address", "local", "--output", tmp_path / "parts"
        )
    assert code == 0, errors
    assert "1 worker of the cluster ended early" in errors
    assert "Wrote 3 parts with 24 rows" in printed
    assert featurekit(*asked, "--output", tmp_path / "one.parquet")[0] == 0
    whole, one = pd.read_parquet(tmp_path / "parts"), pd.read_parquet(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(whole, one, check_exact=True)
    gone = sorted((tmp_path / "parts").iterdir())[1]
    before = gone.read_bytes()
    gone.unlink()
    code, printed, _ = featurekit(
        *asked, "--executor", "ray", "--address", "local", "--output", tmp_path / "parts"
    )
    assert code == 0
    assert "Read 10 images; 14 were done before." in printed
    assert gone.read_bytes() == before
