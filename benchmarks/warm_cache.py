"""A second `featurekit extract`: no picture is opened, and the answer comes at once.

    python benchmarks/warm_cache.py
    python benchmarks/warm_cache.py --workspace PATH     # extracted before, with the builtin networks

All of UTKFace is prepared and extracted once with the builtin networks, which takes minutes and is
not counted. Then the whole process of the command and the library's extract() are timed. Files opened below
the data set's folder are counted by Python itself (an audit hook), beside what extract() says it read.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

PROCESS, LIBRARY = "featurekit extract, the process", "extract(), the library"
WANTED = 2.0
LIMIT = 11_852
BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2")


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Extract once more, as a process or through the library."""
    from featurekit.cache.store import Store
    from featurekit.data.manifest import Manifest
    from featurekit.embeddings.extractor import extract
    from featurekit.embeddings.index import Ledger
    from featurekit.embeddings.recipe import make_recipes
    from featurekit.project import ProjectFolder

    workspace = ProjectFolder(Path(job["workspace"]))
    manifest = Manifest.load(workspace.manifest)
    if job["as_process"]:
        words = [word for name in BACKBONES for word in ("--backbone", name)]
        started = time.perf_counter()
        said = _ours.run_command(["extract", "--device", "cpu", *words], workspace.root)
        seconds = time.perf_counter() - started
        n_read = int(said.partition("Read ")[2].partition(" images")[0].replace(",", ""))
        details = {"n_read": n_read}
    else:
        ledger = Ledger.load(workspace.cache / "extracted.json")
        assert ledger is not None
        recipes = make_recipes(BACKBONES, ledger.settings, device="cpu")
        root = str(Path(manifest.root).resolve())
        opened = 0

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal opened
            opened += event == "open" and str(arguments[0]).startswith(root)

        sys.addaudithook(count)
        (Path(root) / str(manifest.table["image_path"].iloc[0])).read_bytes()
        if opened != 1:
            raise RuntimeError(f"One picture was opened and {opened} were counted.")
        opened = 0
        started = time.perf_counter()
        extraction = extract(manifest, recipes, ledger.settings, Store(workspace.cache))
        seconds = time.perf_counter() - started
        details = {"n_read": extraction.n_read, "n_detected": extraction.n_detected, "files opened": opened}
    return {
        "seconds": seconds,
        "n": 1,
        "versions": _ours.versions(),
        "scores": {"rows": len(manifest), **details},
        "details": details,
    }


def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
    """Check that nothing was read, and the time."""
    verdicts = []
    for name, side in sides.items():
        for what, n in side.last["details"].items():
            verdicts.append(harness.Verdict(f"{name}: {what}", "0", f"{n}", n == 0))
        middle, _, most = harness.spread(side.seconds)
        got = f"{middle:.2f} s (at most {most:.2f})"
        verdicts.append(
            harness.Verdict(f"{name}: seconds", f"< {WANTED:g} s", got, middle < WANTED, timed=True)
        )
    return verdicts


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = harness.options_for(__doc__, limit=LIMIT)
    parser.add_argument("--workspace", type=Path, help="an extracted one, instead of extracting the data")
    return parser.parse_args()


def prepare_workspace(options: argparse.Namespace, folder: Path) -> Path:
    """Prepare and extract, all of the data set or so many pictures of it."""
    workspace = folder / "workspace"
    harness.keep_to_cores(options.threads)
    print("Extracting once, which is not counted …", flush=True)
    extract = ["extract", "--device", "cpu", "--threads", str(options.threads)]
    extract += [word for name in BACKBONES for word in ("--backbone", name)]
    photographs = options.data
    if options.limit < LIMIT:
        with harness.pictures_of_utkface(options.data, options.limit) as chosen:
            photographs = chosen.rename(folder / "UTKFace")
    _ours.run_command(["prepare", "utkface", str(photographs)], workspace)
    _ours.run_command(extract, workspace)
    return workspace


def main() -> int:
    """Run the comparison."""
    from featurekit.data.manifest import Manifest

    options = parse()
    with tempfile.TemporaryDirectory(prefix="featurekit-warm.") as scratch:
        workspace = (options.workspace or prepare_workspace(options, Path(scratch))).resolve()
        rows = len(Manifest.load(workspace / "manifest.csv"))
        process = harness.Side(
            name=PROCESS,
            about="the command from start to end",
            script=Path(__file__),
            job={"workspace": str(workspace), "as_process": True},
        )
        library = replace(
            process,
            name=LIBRARY,
            about="the function alone",
            job={"workspace": str(workspace), "as_process": False},
        )
        case = harness.Case(
            title=f"{rows:,} rows, three networks, everything remembered",
            unit="",
            sides=[process, library],
            judge=judge,
        )
        title = "A second extraction opens no picture"
        return harness.compare("warm_cache", title, [case], options, complete=rows >= LIMIT)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
