"""Extract on a Ray cluster of two nodes, kill its workers and one node, and compare with one process.

The promise is that whatever is lost costs only the pieces of work that were not finished: no row is lost,
none stands twice, and every vector is equal to the last bit to that of an extraction in one process. A second
run reads no picture. Before, without kills, two workers on two cores are compared with two threads of one
process, in turns.

    python benchmarks/kill_workers.py PATH/UTKFace --kills 10 --limit 3000

It writes results/cluster/kill_workers.json, prints a sentence, and exits with 1 where the promise is broken.
"""

import argparse
import json
import logging
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # so that it runs from a checkout that is not installed

# Before Ray is imported: the nodes of the cluster listen on 127.0.0.1 only, and send no statistics.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

from _side_by_side import RESULTS, hardware  # noqa: E402
from kill_extraction import compare, copy_some  # noqa: E402

BACKBONES = ["dlib_age", "dlib_gender", "mobilenet_v2"]


def main() -> int:
    """Run the comparison; 0 where the promise was kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="folder of the data set")
    parser.add_argument("--kills", type=int, default=10, help="of workers, at random moments")
    parser.add_argument("--limit", type=int, default=3000, help="so many pictures, chosen by the seed")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of speed")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments and the pictures")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill_workers.") as scratch:
        folder = Path(scratch)
        copy_some(options.photographs, folder / "pictures", options.limit, chance)
        speed = in_turns(folder, options.rounds)
        result = {
            **kill_and_compare(folder, options.kills, chance),
            "speed": speed,
            "limit": options.limit,
            "seed": options.seed,
            "hardware": hardware(),
        }
    (RESULTS / "cluster").mkdir(exist_ok=True)
    (RESULTS / "cluster" / "kill_workers.json").write_text(json.dumps(result, indent=1) + "\n")
    print(in_words(result))
    return 0 if result["kept"] else 1


def kill_and_compare(folder: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Extract in one process, and on a cluster that loses workers and a node; return what differs."""
    import ray
    from ray.cluster_utils import Cluster

    import featurekit as fk

    data = fk.load_dataset("utkface", folder / "pictures")
    alone = fk.embed(data, BACKBONES, project=folder / "alone", progress=False)
    seconds = alone.extraction.seconds
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    # Before there is a second node: a program belongs to a node, and the one that is removed is not its own.
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.CRITICAL)
    second = cluster.add_node(num_cpus=1)
    executor = fk.RayExecutor(workers=2)
    lost: list[str] = []
    done = threading.Event()
    killer = threading.Thread(
        target=kill_some, args=(cluster, second, kills, seconds, chance, lost, done), daemon=True
    )
    n_read: list[int] = []

    def look(n: float, total: int) -> None:
        if not n_read:
            killer.start()
        n_read.append(int(n))
        # Ray starts a node in the main thread only.
        if lost.count("worker") > kills // 2 + 2 and "new node" not in lost:
            lost.append("new node")
            cluster.add_node(num_cpus=1)

    try:
        first = fk.embed(data, BACKBONES, project=folder / "cluster", executor=executor, progress=look)
        done.set()
        killer.join()
        again = fk.embed(data, BACKBONES, project=folder / "cluster", executor=executor, progress=False)
    finally:
        done.set()
        ray.shutdown()
        cluster.shutdown()
    shelves = compare(folder / "alone" / "cache", folder / "cluster" / "cache")
    wrong = sum(shelf[what] for shelf in shelves for what in ("lost", "added", "doubled", "unequal"))
    n_killed = sum(one == "worker" for one in lost)
    return {
        "kept": not wrong and n_killed == kills and "node" in lost and again.extraction.n_read == 0,
        "kills": n_killed,
        "nodes_lost": lost.count("node"),
        "read": first.extraction.n_read,
        "read_again": again.extraction.n_read,
        "unread": len(first.extraction.unread),
        "detected": first.extraction.n_detected,
        "shelves": shelves,
    }


def kill_some(
    cluster: Any,
    second: Any,
    kills: int,
    seconds: float,
    chance: random.Random,
    lost: list[str],
    done: threading.Event,
) -> None:
    """Kill workers at random moments; the second node is lost in the middle, and a new one comes later."""
    for number in range(kills):
        if done.wait(chance.uniform(0.2, 1.8) * seconds / (kills + 1)):
            return
        while not (workers := workers_of_ray()):
            if done.wait(0.1):
                return
        os.kill(chance.choice(workers), signal.SIGKILL)
        lost.append("worker")
        if number == kills // 2:
            cluster.remove_node(second)
            lost.append("node")


def workers_of_ray() -> list[int]:
    """Return the process numbers of the workers of this program that have begun to work."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if folder.name.isdecimal() and command.startswith(b"ray::_Worker.work") and is_ours(int(folder.name)):
            found.append(int(folder.name))
    return found


def is_ours(number: int) -> bool:
    """Whether a process descends from this one."""
    while number > 1 and number != os.getpid():
        try:
            number = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return number == os.getpid()


def in_turns(folder: Path, rounds: int) -> dict[str, Any]:
    """Compare two workers with two threads of one process, in turns; the start is left out."""
    import featurekit as fk

    data = fk.load_dataset("utkface", folder / "pictures")
    rates: dict[str, list[float]] = {"local": [], "ray": []}
    for number in range(rounds):
        for name in rates:
            executor = fk.RayExecutor(address="local", workers=2) if name == "ray" else "local"
            jobs = 2 if name == "local" else None
            X = fk.embed(
                data,
                BACKBONES,
                project=folder / f"{name}{number}",
                executor=executor,
                n_jobs=jobs,
                progress=False,
            )
            done = X.extraction
            rates[name].append(done.n_read / (done.seconds - done.seconds_to_open))
            print(f"round {number + 1}, {name}: {rates[name][-1]:.1f} pictures/s", flush=True)
            time.sleep(1)
    return {
        "pictures_per_second": {name: [round(rate, 2) for rate in found] for name, found in rates.items()},
        "ratio": round(statistics.median(rates["ray"]) / statistics.median(rates["local"]), 3),
    }


def in_words(result: dict[str, Any]) -> str:
    """Say in two sentences what came out."""
    total = {
        what: sum(shelf[what] for shelf in result["shelves"])
        for what in ("rows", "lost", "added", "doubled", "unequal")
    }
    verdict = "The promise was kept" if result["kept"] else "THE PROMISE WAS BROKEN"
    return (
        f"{verdict}: with {result['kills']} workers killed and {result['nodes_lost']} node removed, of"
        f" {total['rows']:,} rows {total['lost']} were lost, {total['added']} added, {total['doubled']} stood"
        f" twice, {total['unequal']} differed in a bit; the second run read {result['read_again']} pictures."
        f" Two workers do {result['speed']['ratio']:.2f} times the pictures per second of one process with"
        " two threads (median, start left out)."
    )


if __name__ == "__main__":
    sys.exit(main())
