"""Extract on a Ray cluster of two nodes, kill its workers and one node, and compare with one process.

The promise is that whatever is lost costs only the pieces of work that were not finished: no row is lost,
none stands twice, and every vector is equal to the last bit to that of an extraction in one process. A second
run reads no picture. Before, without kills, two workers on two cores are compared with two threads of one
process, in turns.

    python benchmarks/kill_workers.py PATH/UTKFace --kills 10 --limit 3000

It writes results/cluster/kill_workers.json, prints a sentence, and exits with 1 where the promise is broken.
kill_workers_of_predict.py does the same with predictions.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # so that it runs from a checkout that is not installed

# Before Ray is imported: the nodes of the cluster listen on 127.0.0.1 only, and send no statistics.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

from _ray_workers import workers_at_work  # noqa: E402
from _side_by_side import RESULTS, hardware  # noqa: E402
from kill_extraction import compare, copy_some  # noqa: E402

BACKBONES = ["dlib_age", "dlib_gender", "mobilenet_v2"]


def main() -> int:
    """Run the comparison; 0 where the promise was kept."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of speed")
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
    options.results.mkdir(exist_ok=True)
    (options.results / "kill_workers.json").write_text(json.dumps(result, indent=1) + "\n")
    print(in_words(result))
    return 0 if result["kept"] else 1


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return the options that a run with killed workers has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="folder of the data set")
    parser.add_argument("--kills", type=int, default=10, help="of workers, at random moments")
    parser.add_argument("--limit", type=int, default=3000, help="so many pictures, chosen by the seed")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments and the pictures")
    parser.add_argument("--results", type=Path, default=RESULTS / "cluster", help="folder for the JSON file")
    return parser


def kill_and_compare(folder: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Extract in one process, and on a cluster that loses workers and a node; return what differs."""
    import featurekit as fk

    data = fk.load_dataset("utkface", folder / "pictures")
    alone = fk.embed(data, BACKBONES, project=folder / "alone", progress=False)
    executor = fk.RayExecutor(workers=2)
    with two_nodes(kills, alone.extraction.seconds, chance) as nodes:
        first = fk.embed(
            data,
            BACKBONES,
            project=folder / "cluster",
            executor=executor,
            progress=lambda done, total: nodes.begin_and_replace(),
        )
        nodes.end()
        again = fk.embed(data, BACKBONES, project=folder / "cluster", executor=executor, progress=False)
    shelves = compare(folder / "alone" / "cache", folder / "cluster" / "cache")
    wrong = sum(shelf[what] for shelf in shelves for what in ("lost", "added", "doubled", "unequal"))
    return {
        "kept": not wrong and nodes.lost_all and again.extraction.n_read == 0,
        "kills": nodes.n_killed,
        "nodes_lost": nodes.n_nodes_lost,
        "read": first.extraction.n_read,
        "read_again": again.extraction.n_read,
        "unread": len(first.extraction.unread),
        "detected": first.extraction.n_detected,
        "shelves": shelves,
    }


@contextmanager
def two_nodes(kills: int, seconds: float, chance: random.Random) -> "Iterator[Losses]":
    """Connect to a new cluster of two nodes with one core each, on this machine, which can lose some."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    # Before there is a second node: a program belongs to a node, and the one that is removed is not its own.
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.CRITICAL)
    losses = Losses(cluster, cluster.add_node(num_cpus=1), kills, seconds, chance)
    try:
        yield losses
        if not losses.lost_all:
            print("The work was done before the last worker was killed: give it more pictures.")
    finally:
        losses.end()
        ray.shutdown()
        cluster.shutdown()


class Losses:
    """What a cluster loses: workers at random moments, one node in the middle. A new node comes later.

    Args:
        cluster: the cluster, of Ray.
        second: the node to lose.
        kills: number of workers to kill.
        seconds: how long the work takes without losses; the kills are spread over so many seconds.
        chance: decides the moments and the workers.

    Attributes:
        before_kill: called before each kill.
        n_killed: number of workers that were killed.
        n_nodes_lost: number of nodes that were removed.
    """

    def __init__(self, cluster: Any, second: Any, kills: int, seconds: float, chance: random.Random) -> None:
        self._cluster, self._second, self._kills = cluster, second, kills
        self._seconds, self._chance = seconds, chance
        self.before_kill: Callable[[], None] = lambda: None
        self.n_killed = self.n_nodes_lost = 0
        self._has_new_node = False
        self._ended = threading.Event()
        self._killer = threading.Thread(target=self._lose, daemon=True)

    @property
    def lost_all(self) -> bool:
        """Whether all workers were killed that should be, and the node was removed."""
        return self.n_killed == self._kills and self.n_nodes_lost == 1

    def begin_and_replace(self) -> None:
        """Begin to lose with the first call, and add the new node when it is time.

        It is called in the main thread again and again, because Ray starts a node there only.
        """
        if self._killer.ident is None:
            self._killer.start()
        if self.n_killed > self._kills // 2 + 2 and not self._has_new_node:
            self._has_new_node = True
            self._cluster.add_node(num_cpus=1)

    def end(self) -> None:
        """Lose nothing more."""
        self._ended.set()
        if self._killer.ident is not None:
            self._killer.join()

    def _lose(self) -> None:
        for number in range(self._kills):
            if self._ended.wait(self._chance.uniform(0.2, 1.8) * self._seconds / (self._kills + 1)):
                return
            while not (workers := workers_at_work()):
                if self._ended.wait(0.1):
                    return
            self.before_kill()
            os.kill(self._chance.choice(workers), signal.SIGKILL)
            self.n_killed += 1
            if number == self._kills // 2:
                self._cluster.remove_node(self._second)
                self.n_nodes_lost += 1


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
