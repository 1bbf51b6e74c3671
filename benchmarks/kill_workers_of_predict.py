"""Predict on a Ray cluster of two nodes, kill its workers and one node, and compare with one process.

The promise is that whatever is lost costs only the parts of the table that were not finished: no row is lost,
none stands twice, and every row is equal to the last bit to that of a prediction in one process. A part that
was whole before a worker was killed is not computed again, and a second run reads no picture. The models are
the off-the-shelf ones of gender, age group and age, and all faces of each picture are used.

    python benchmarks/kill_workers_of_predict.py PATH/UTKFace --kills 10 --limit 3000

It writes results/cluster/kill_workers_of_predict.json, prints a sentence, and exits with 1 where the promise
is broken. kill_workers.py does the same with an extraction.
"""

import json
import platform
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _side_by_side import command_line, hardware, now
from kill_extraction import copy_some
from kill_workers import arguments, two_nodes

if TYPE_CHECKING:
    import pandas as pd

# The kills are spread over so many times the seconds of one process: what is lost is computed again, so that
# the run takes longer.
STRETCH = 1.25
WRONG = ("lost", "added", "doubled", "unequal")


def main() -> int:
    """Run the comparison; 0 where the promise was kept."""
    options = arguments(__doc__).parse_args()
    chance = random.Random(options.seed)
    made = {
        "created": now(),
        "command": command_line(sys.argv),
        "limit": options.limit,
        "seed": options.seed,
        "hardware": hardware(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("ray", "numpy", "pandas", "pyarrow", "openvino")},
        },
    }
    with tempfile.TemporaryDirectory(prefix="kill_workers_of_predict.") as scratch:
        pictures = copy_some(options.photographs, Path(scratch) / "pictures", options.limit, chance)
        result = {**made, **kill_and_compare(pictures, Path(scratch), options.kills, chance)}
    options.results.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    (options.results / "kill_workers_of_predict.json").write_text(text)
    print(in_words(result))
    return 0 if result["kept"] else 1


def kill_and_compare(pictures: Path, folder: Path, kills: int, chance: random.Random) -> dict[str, Any]:
    """Predict in one process, and on a cluster that loses workers and a node; return what differs."""
    import pandas as pd

    import featurekit as fk

    started = time.perf_counter()
    alone = fk.predict(pictures, probabilities=True, cache=False, progress=False)
    seconds = time.perf_counter() - started
    alone.to_parquet(folder / "alone.parquet", index=False)
    print(f"One process has predicted {len(alone):,} rows in {seconds:.0f} seconds.", flush=True)
    parts, executor, known = folder / "parts", fk.RayExecutor(workers=2), Known(folder / "parts")
    with two_nodes(kills, STRETCH * seconds, chance) as nodes:
        nodes.before_kill = known.look
        nodes.begin_and_replace()
        started = time.perf_counter()
        first = fk.predict_in_parts(
            pictures,
            parts,
            executor=executor,
            probabilities=True,
            progress=lambda done, total: nodes.begin_and_replace(),
        )
        seconds_with_kills = time.perf_counter() - started
        nodes.end()
        again = fk.predict_in_parts(pictures, parts, executor=executor, probabilities=True, progress=False)
    table = compare_tables(pd.read_parquet(folder / "alone.parquet"), again.frame())
    wrong = sum(table[what] for what in WRONG)
    return {
        "kept": not wrong
        and table["is_same_frame"]
        and not known.n_changed
        and nodes.lost_all
        and again.n_read == 0,
        "kills": nodes.n_killed,
        "nodes_lost": nodes.n_nodes_lost,
        "workers_lost": first.n_lost,
        "parts": len(first.paths),
        "whole_parts_at_each_kill": known.n_whole,
        "whole_parts_computed_again": known.n_changed,
        "read": first.n_read,
        "read_again": again.n_read,
        "statuses": dict(first.statuses),
        "table": table,
        "seconds_of_one_process": round(seconds, 1),
        "seconds_with_kills": round(seconds_with_kills, 1),
    }


class Known:
    """The parts that were whole when a worker was killed.

    Args:
        folder: the folder of the parts.

    Attributes:
        n_whole: number of whole parts at each kill.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._states: dict[Path, tuple[int, int]] = {}
        self.n_whole: list[int] = []

    def look(self) -> None:
        """Remember the parts that are whole now."""
        found = list(self._folder.glob("part-*.parquet"))
        for path in found:
            self._states.setdefault(path, self._state(path))
        self.n_whole.append(len(found))

    @property
    def n_changed(self) -> int:
        """Number of parts that were whole at a kill and have been written again since."""
        return sum(self._state(path) != state for path, state in self._states.items())

    @staticmethod
    def _state(path: Path) -> tuple[int, int]:
        facts = path.stat()
        return facts.st_ino, facts.st_mtime_ns


def compare_tables(alone: "pd.DataFrame", parts: "pd.DataFrame") -> dict[str, Any]:
    """Return how many rows of the parts were lost, added, stand twice, or differ in a bit."""
    import pandas as pd

    wanted, got = rows_of(alone), rows_of(parts)
    try:
        pd.testing.assert_frame_equal(alone, parts, check_exact=True)
        is_same = True
    except AssertionError:
        is_same = False
    of_wanted, of_got = dict(wanted), dict(got)
    return {
        "rows": len(wanted),
        "lost": len(of_wanted.keys() - of_got.keys()),
        "added": len(of_got.keys() - of_wanted.keys()),
        "doubled": sum(copies > 1 for copies in Counter(key for key, _ in got).values()),
        "unequal": sum(of_got[key] != of_wanted[key] for key in of_wanted.keys() & of_got.keys()),
        "is_same_frame": is_same,
    }


def rows_of(table: "pd.DataFrame") -> list[tuple[tuple[str, int], list[tuple[str, bytes]]]]:
    """Return for each row the picture and the number of the face, and the bytes of each cell."""
    rows = []
    for cells in table.to_dict(orient="records"):
        # Numbers as bytes: equal ones may differ in a bit (0 and -0), and NaN is not equal to itself.
        content = [
            (name, struct.pack("<d", cell) if isinstance(cell, float) else repr(cell).encode())
            for name, cell in cells.items()
        ]
        rows.append(((cells["photograph"], cells["face"]), content))
    return rows


def in_words(result: dict[str, Any]) -> str:
    """Say in a sentence what came out."""
    table = result["table"]
    verdict = "The promise was kept" if result["kept"] else "THE PROMISE WAS BROKEN"
    return (
        f"{verdict}: with {result['kills']} workers killed and {result['nodes_lost']} node removed, of"
        f" {table['rows']:,} rows in {result['parts']} parts {table['lost']} were lost, {table['added']}"
        f" added, {table['doubled']} stood twice, {table['unequal']} differed in a bit;"
        f" {result['whole_parts_computed_again']} whole parts were computed again, and the second run read"
        f" {result['read_again']} pictures."
    )


if __name__ == "__main__":
    sys.exit(main())
