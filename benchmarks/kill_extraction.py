"""Kill one extraction with SIGKILL again and again, let it finish, and compare it with one that ran through.

The promise is that a killed extraction goes on where it stopped: no row is lost,
none stands twice, and every vector is equal to the last bit. Only the command line
is used to extract, as a user would; the two stores are compared shard by shard.

    python benchmarks/kill_extraction.py PATH/UTKFace --kills 20 --limit 2000

It prints one line of JSON and a sentence, and exits with 1 where the promise is broken.
The two workspaces are made in a temporary folder and removed.
"""

import argparse
import json
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # so that it runs from a checkout that is not installed

from featurekit.cache.shard import ROW_KEY  # noqa: E402
from featurekit.cache.shelf import Shelf  # noqa: E402
from featurekit.cache.store import Store  # noqa: E402

BLOCK_ROWS = 4096


def main() -> int:
    """Run the comparison; 0 where the promise was kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="folder of the data set")
    parser.add_argument("--data-set", default="utkface", help="how prepare reads it (default: utkface)")
    parser.add_argument(
        "--backbone", action="append", help="several at once (default: dlib_age, mobilenet_v2)"
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--limit", type=int, help="so many pictures of the folder, chosen by the seed")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="decides the moments and the pictures")
    parser.add_argument("--keep", type=Path, help="put the two workspaces here and leave them")
    parser.add_argument(
        "--command",
        default=shlex.join([sys.executable, str(CHECKOUT / "cli.py")]),
        help="featurekit's command",
    )
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill_extraction.") as scratch:
        folder = options.keep or Path(scratch)
        photographs = options.photographs
        if options.limit:
            photographs = copy_some(photographs, Path(scratch) / "photographs", options.limit, chance)
        result = kill_and_compare(options, photographs, folder, chance)
    print(json.dumps(result))
    print(in_words(result))
    return 0 if result["kept"] else 1


def copy_some(photographs: Path, target: Path, limit: int, chance: random.Random) -> Path:
    """Copy pictures to a folder of their own: a data set refuses links that lead out of it."""
    files = sorted(path for path in photographs.iterdir() if path.is_file())
    target.mkdir()
    for path in chance.sample(files, min(limit, len(files))):
        shutil.copy2(path, target / path.name)
    return target


def kill_and_compare(
    options: argparse.Namespace, photographs: Path, folder: Path, chance: random.Random
) -> dict[str, Any]:
    """Extract once without and once with kills, and return what differs."""
    through, killed = folder / "through", folder / "killed"
    command = shlex.split(options.command)
    extract = ["extract", "--threads", str(options.threads)]
    for backbone in options.backbone or ["dlib_age", "mobilenet_v2"]:
        extract += ["--backbone", backbone]
    for workspace in (through, killed):
        workspace.mkdir(parents=True)
        finish(
            start(
                [*command, "--workspace", str(workspace), "prepare", options.data_set, str(photographs)],
                workspace,
            ),
            workspace,
        )

    process, started = start([*command, "--workspace", str(through), *extract], through), time.monotonic()
    while process.poll() is None and not any((through / "cache").glob("*/*/*.safetensors")):
        time.sleep(0.02)
    to_first_shard = time.monotonic() - started
    finish(process, through)
    seconds = time.monotonic() - started

    total, work = rows_of(through), seconds - to_first_shard
    lives: list[dict[str, float]] = []
    damaged = attempts = 0
    # A machine that is quicker now than it was then can be done before the last kill: begin again, with
    # shorter lives.
    while len(lives) < options.kills and attempts < 5:
        lives.clear()
        shutil.rmtree(killed / "cache", ignore_errors=True)
        attempts += 1
        while len(lives) < options.kills:
            # On average a life gets as far beyond its first shard as leaves work for the lives after it;
            # the shortest end before anything was loaded.
            left = work * (1 - rows_of(killed) / max(1, total))
            mean_life = to_first_shard + left / (options.kills - len(lives) + 1)
            life = min(chance.uniform(0, 2 * mean_life), to_first_shard + left / 2) / 1.3 ** (attempts - 1)
            process = start([*command, "--workspace", str(killed), *extract], killed)
            time.sleep(life)
            process.send_signal(signal.SIGKILL)  # does nothing to a process that has ended
            if process.wait() != -signal.SIGKILL:
                finish(process, killed)
                break
            lives.append({"seconds": round(life, 2), "rows": rows_of(killed)})
            damaged += len(Store(killed / "cache").verify().damaged)
    finish(start([*command, "--workspace", str(killed), *extract], killed), killed)
    damaged += len(Store(killed / "cache").verify().damaged)

    shelves = compare(through / "cache", killed / "cache")
    wrong = sum(shelf[what] for shelf in shelves for what in ("lost", "added", "doubled", "unequal"))
    return {
        "kept": bool(shelves) and not wrong and not damaged and len(lives) == options.kills,
        "kills_asked": options.kills,
        "kills": len(lives),
        "attempts": attempts,
        "seconds_without_kills": round(seconds, 2),
        "lives": lives,
        "damaged_shards": damaged,
        "leftovers": len(list((killed / "cache").rglob(".*.tmp"))),
        "shelves": shelves,
        "seed": options.seed,
    }


def start(command: list[str], workspace: Path) -> subprocess.Popen[bytes]:
    """Start a command whose output goes to a file beside the workspace."""
    with output_of(workspace).open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes], workspace: Path) -> None:
    """Wait for a command that must succeed."""
    if process.wait():
        tail = output_of(workspace).read_text(errors="replace")[-2000:]
        sys.exit(f"A command of {workspace} ended with {process.returncode}:\n{tail}")


def output_of(workspace: Path) -> Path:
    """Return the file that a workspace's commands print to."""
    return workspace.with_name(workspace.name + ".output.txt")


def rows_of(workspace: Path) -> int:
    """Return the rows on all shelves together."""
    return sum(shelf.rows for shelf in Store(workspace / "cache").shelves())


def compare(through: Path, killed: Path) -> list[dict[str, Any]]:
    """Return for each shelf how many rows were lost, added, stand twice, or differ in a bit."""
    stores = Store(through), Store(killed)
    names = {(info.kind, info.key): info.recipe for store in stores for info in store.shelves()}
    compared = []
    for (kind, key), recipe in sorted(names.items(), key=lambda item: item[0]):
        one, other = (store.shelf(kind, recipe) for store in stores)
        wanted, got = ({bytes(row) for row in shelf.rows()} for shelf in (one, other))
        both = sorted(wanted & got)
        shelf = {
            "kind": kind,
            "key": key,
            "rows": len(wanted),
            "lost": len(wanted - got),
            "added": len(got - wanted),
            "doubled": doubled_rows(other.folder),
            "unequal": sum(
                unequal_rows(one, other, both[first : first + BLOCK_ROWS])
                for first in range(0, len(both), BLOCK_ROWS)
            ),
        }
        compared.append(shelf)
    return compared


def doubled_rows(folder: Path) -> int:
    """Return how many rows stand in more than one place, read past the store's own index."""
    from safetensors import safe_open

    rows: Counter[bytes] = Counter()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as shard:
            rows.update(map(bytes, shard.get_tensor(ROW_KEY)))
    return sum(copies > 1 for copies in rows.values())


def unequal_rows(one: Shelf, other: Shelf, rows: list[bytes]) -> int:
    """Return how many of these rows differ in any bit of any column."""
    differs = np.zeros(len(rows), bool)
    ours, theirs = one.read(rows), other.read(rows)
    if ours.keys() != theirs.keys():
        return len(rows)
    for name in ours:
        # As bytes: equal numbers may differ in a bit (0 and -0), and NaN is not equal to itself.
        a, b = (
            np.ascontiguousarray(column[name]).view(np.uint8).reshape(len(rows), -1)
            for column in (ours, theirs)
        )
        differs |= (a != b).any(axis=1) if a.shape == b.shape else True
    return int(differs.sum())


def in_words(result: dict[str, Any]) -> str:
    """Say in one sentence what came out."""
    total = {
        what: sum(shelf[what] for shelf in result["shelves"])
        for what in ("rows", "lost", "added", "doubled", "unequal")
    }
    verdict = "The promise was kept" if result["kept"] else "THE PROMISE WAS BROKEN"
    if result["kills"] < result["kills_asked"]:
        verdict += (
            " or could not be tried: the extraction was done before the last kill, give it more pictures"
        )
    return (
        f"{verdict}: after {result['kills']} kills, of {total['rows']:,} rows"
        f" on {len(result['shelves'])} shelves {total['lost']} were lost, {total['added']} added,"
        f" {total['doubled']} stood twice, {total['unequal']} differed in a bit;"
        f" {result['damaged_shards']} shards were damaged."
    )


if __name__ == "__main__":
    sys.exit(main())
