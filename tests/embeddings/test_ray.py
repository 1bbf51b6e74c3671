"""Extraction with Ray: the vectors are those of one process, and what a worker loses is done by others."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from featurekit import cluster as ray_cluster
from featurekit.cache.store import Store
from featurekit.embeddings.executors import ray as library
from featurekit.embeddings.executors.ray import RayExecutor, Receipt
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.job import Images, Job
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import EngineError, ModelError, WorkspaceError
from featurekit.faces.settings import default_settings
from featurekit.registry import SESSION
from tests.modules import BENCHMARKS, module_in

workers_at_work = module_in(BENCHMARKS, "_ray_workers").workers_at_work


@pytest.fixture(scope="module")
def two_nodes():
    """The address of a cluster of two nodes with one core each, on this machine."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    before = dict(os.environ)
    # Ray reads its token once in a process, and a local cluster makes one if there is none.
    with ray_cluster.connected("local"):
        pass
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def whole():
    """Settings and recipes that need no weights."""
    settings = default_settings("whole_image")
    return settings, make_recipes(["hog", "lbp"], settings, device="cpu", precision="fp32")


def extracted(manifest, whole, store, address, progress=None):
    settings, recipes = whole
    with RayExecutor(address=address, workers=2).opened() as workers:
        return extract(manifest, recipes, settings, store, run=workers.run, progress=progress)


def assert_same(manifest, whole, one, other):
    settings, recipes = whole
    for recipe in recipes.values():
        mine, theirs = (
            load_embeddings(manifest, [recipe], settings, Store(store.root)) for store in (one, other)
        )
        assert mine.vectors.tobytes() == theirs.vectors.tobytes()
        shelf = Store(other.root).shelf("embeddings", vars(recipe))
        assert sum(len(shard.keys) for shard in shelf._shards) == len(shelf)  # no row stands twice
    faces = [Store(store.root).shelf("faces", settings.recipe()) for store in (one, other)]
    rows = np.unique(faces[0].rows(), axis=0)
    for name, column in faces[0].read(rows).items():
        assert column.tobytes() == faces[1].read(rows)[name].tobytes(), name


@pytest.mark.slow
def test_two_nodes_give_the_bits_of_one_process_and_a_second_run_reads_nothing(
    two_nodes, manifest, whole, tmp_path
):
    alone, shared = Store(tmp_path / "alone"), Store(tmp_path / "shared")
    extract(manifest, whole[1], whole[0], alone, threads=1)
    seen = []
    done = extracted(manifest, whole, shared, two_nodes, progress=lambda n, total: seen.append((n, total)))
    assert (done.n_read, done.n_lost, done.unread) == (24, 0, ())
    assert seen[-1] == (24, 24)
    assert set(done.achieved) == {"hog", "lbp"}
    assert_same(manifest, whole, alone, shared)
    assert extracted(manifest, whole, shared, two_nodes).n_read == 0


@pytest.mark.slow
def test_a_killed_worker_costs_its_piece_of_work_and_no_row(
    two_nodes, manifest, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(library, "_FEWEST", 2)
    monkeypatch.setattr(library, "_MOST", 2)
    alone, shared = Store(tmp_path / "alone"), Store(tmp_path / "shared")
    extract(manifest, whole[1], whole[0], alone, threads=1)
    killed = []

    def kill_one(n, total):
        if len(killed) < 2 and (workers := workers_at_work()):
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])

    done = extracted(manifest, whole, shared, two_nodes, progress=kill_one)
    assert killed
    assert 1 <= done.n_lost <= len(killed)
    assert done.statuses == {"ok": 24}
    assert_same(manifest, whole, alone, shared)


@pytest.mark.slow
def test_a_picture_that_is_gone_is_named_and_the_others_are_done(two_nodes, manifest, whole, tmp_path):
    first = manifest.table["image_path"].iloc[0]
    (manifest.root / first).unlink()
    done = extracted(manifest, whole, Store(tmp_path / "shared"), two_nodes)
    assert [name for name, _ in done.unread] == [manifest.table["face_id"].iloc[0]]
    assert "No such file" in done.unread[0][1]
    assert done.statuses == {"ok": 23, "not_extracted": 1}


@pytest.mark.slow
def test_the_error_of_a_worker_is_one_line_without_its_traceback(two_nodes, manifest, whole, tmp_path):
    elsewhere = replace(manifest, root=tmp_path / "not_mounted")
    with pytest.raises(
        WorkspaceError, match=r"not_mounted is not a folder on .* machines of the cluster share"
    ):
        extracted(elsewhere, whole, Store(tmp_path / "shared"), two_nodes)


# Prints where the processes of a new local cluster listen, and those that may send statistics.
LISTENING = """
import sys
from pathlib import Path
from featurekit.cluster import connected
from featurekit.networks.engines import resolve
sys.path.insert(0, sys.argv[1])
from _ray_workers import is_ours

with connected("local") as cluster:
    cluster.call(resolve, "cpu", "fp32")
    sockets = set()
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes() if folder.name.isdecimal() else b""
            if not command or not is_ours(int(folder.name)):
                continue
            environment = (folder / "environ").read_bytes().split(b"\\0") if command else []
            if any(name in command for name in (b"gcs_server", b"raylet/raylet", b"ray::")):
                if b"ray::" not in command:  # whose long name is where its environment was
                    print("process", b"RAY_USAGE_STATS_ENABLED=0" in environment)
                links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
                sockets |= {link[8:-1] for link in links if link.startswith("socket:[")}
        except OSError:
            continue
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            place, state, inode = line.split()[1], line.split()[3], line.split()[9]
            if state == "0A" and inode in sockets:
                print("listens", place.split(":")[0])
"""


@pytest.mark.slow
def test_a_cluster_of_this_machine_listens_to_nobody_else_and_sends_no_statistics():
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    command = [sys.executable, "-c", LISTENING, str(BENCHMARKS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    told = [line.split() for line in ran.stdout.splitlines()]
    assert {value for what, value in told if what == "process"} == {"True"}
    places = [value for what, value in told if what == "listens"]
    assert len(places) >= 3
    assert set(places) <= {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1


def test_networks_that_this_program_has_registered_are_refused(settings, recipes, store, monkeypatch):
    monkeypatch.setattr(library.BACKBONES, "package_of", lambda name: SESSION)
    job = Job.of(Images(np.zeros((1, 32), np.uint8), ["a"], ["a"], [""], None), recipes, settings, store)
    workers = library._RayWorkers(SimpleNamespace(), RayExecutor())
    with pytest.raises(EngineError, match="backbone mean_color was registered by this program"):
        workers.run(job, np.array([0]))


def test_a_worker_with_another_precision_is_refused(whole, tmp_path, monkeypatch):
    settings, recipes = whole
    opened = library.open_networks

    def in_bf16(*told):
        return [
            replace(one, session=SimpleNamespace(achieved=replace(one.session.achieved, precision="bf16")))
            for one in opened(*told)
        ]

    monkeypatch.setattr(library, "open_networks", in_bf16)
    nothing = Images(np.zeros((0, 32), np.uint8), (), (), (), None)
    job = Job.of(nothing, recipes, settings, Store(tmp_path))
    with pytest.raises(EngineError, match=r"hog runs in bf16 on .*, and in fp32 on another machine"):
        library._RayWorker(json.loads(json.dumps(library._said(job, threads=1))))


def receipt(**changes):
    told = {"rows": [3, 4], "unread": [], "files": [], "n_detected": 2, "parts": {}, "achieved": {}}
    return Receipt(**{**told, "machine": "node-7", **changes})


def test_a_receipt_whose_files_are_not_here_says_that_the_cache_is_not_shared(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_LATE", 0.0)
    job = SimpleNamespace(cache=tmp_path)
    with pytest.raises(
        WorkspaceError, match=r"worker on node-7 has written faces/a.safetensors, which is not in"
    ):
        receipt(files=["faces/a.safetensors"]).check(job, np.array([3, 4]))
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.safetensors").write_bytes(b"")
    receipt(files=["faces/a.safetensors"]).check(job, np.array([3, 4]))


@pytest.mark.parametrize("rows", [[3], [3, 4, 5], [3, 3], [3, 5]])
def test_a_receipt_of_other_rows_is_a_bug(rows, tmp_path):
    with pytest.raises(AssertionError, match="receipt of rows"):
        receipt(rows=rows).check(SimpleNamespace(cache=tmp_path), np.array([3, 4]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "--workers must be at least 1"),
        ({"gpus_per_worker": 0.0}, "--gpus-per-worker must be"),
    ],
)
def test_numbers_of_workers_that_are_not_possible_are_refused(options, said):
    with pytest.raises(ModelError, match=f"{said}|{said.replace('--', '').replace('-', '_')}"):
        RayExecutor(**options)
