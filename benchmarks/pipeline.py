"""How near an extraction comes to what its parts could do alone.

Each part is run over the same photographs by itself, in as many processes as the
extraction has threads, each on its share of them: read and decode, detect, align,
each network. The longest share of each part counts, and they add up to a limit
that no order of work can beat on these cores. Then the whole extraction is timed,
with one network and with all, in turn with the parts, and its median is set
against the limit of the same round.

    python benchmarks/pipeline.py ../shared/data/utkface/UTKFace --limit 2000
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import make_recipes
from featurekit.faces.align import place, warp
from featurekit.faces.face import Face
from featurekit.faces.find import find_faces, open_finder
from featurekit.faces.images import decode
from featurekit.faces.settings import default_settings


def timed(work: Callable[[Any], Any], items: Sequence[Any], together: Any) -> tuple[float, list[Any]]:
    """Return the seconds that work takes over all items, begun by all processes at once, and what it gave."""
    for item in items:
        work(item)  # loaded and compiled outside the time, for every size of frame that occurs
    together.wait()
    started = time.perf_counter()
    results = [work(item) for item in items]
    return time.perf_counter() - started, results


def cut_out(pixels: Any, face: Face, template: str, side: int) -> Any:
    """Return the face on decoded pixels as one kind of network wants it."""
    turn, shift = place(face.landmarks, face.box, [template], pixels.shape[1], pixels.shape[0])[1][template]
    return warp(pixels, turn * side, shift * side, side)


def share_of_parts(paths: list[Path], backbones: list[str], together: Any, answer: Any) -> None:
    """Put the seconds that each part takes over these photographs into answer."""
    settings = default_settings()
    recipes = list(make_recipes(backbones, settings, device="cpu").values())
    networks, finder = open_networks(recipes, 1), open_finder(settings, threads=1)
    seconds: dict[str, float] = {}
    seconds["decode"], pictures = timed(lambda path: decode(path.read_bytes()), paths, together)
    seconds["detect"], faces = timed(lambda p: find_faces(p, finder, settings)[0], pictures, together)
    with_face = [(p, face) for p, face in zip(pictures, faces, strict=True) if face.status == "ok"]
    seconds["align"] = 0.0
    crops: dict[Any, list[Any]] = {}
    for kind in dict.fromkeys(network.crop for network in networks):
        spent, crops[kind] = timed(
            lambda pair, kind=kind: cut_out(*pair, *kind),  # type: ignore[misc]
            with_face,
            together,
        )
        seconds["align"] += spent
    for network in networks:
        seconds[network.name], _ = timed(
            lambda crop, network=network: network.vectors(crop[None]),  # type: ignore[misc]
            crops[network.crop],
            together,
        )
    answer.put(seconds)


def parts_alone(paths: list[Path], backbones: list[str], threads: int) -> dict[str, float]:
    """Return the seconds that each part takes over all photographs, shared by as many processes."""
    context = multiprocessing.get_context("spawn")
    together, answer = context.Barrier(threads), context.Queue()
    processes = [
        context.Process(
            target=share_of_parts, args=(paths[number::threads], backbones, together, answer), daemon=True
        )
        for number in range(threads)
    ]
    for process in processes:
        process.start()
    shares = [answer.get() for _ in processes]
    for process in processes:
        process.join()
    return {part: max(share[part] for share in shares) for part in shares[0]}


def extraction(manifest: Manifest, backbones: list[str], threads: int) -> tuple[float, float]:
    """Return the seconds of one extraction into an empty cache, with and without opening the networks."""
    settings = default_settings()
    recipes = make_recipes(backbones, settings, device="cpu")
    ticks: list[float] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = extract(
            manifest,
            recipes,
            settings,
            Store(Path(folder)),
            threads=threads,
            progress=lambda done, total: ticks.append(time.perf_counter()),
        )
    return done.seconds, ticks[-1] - started - done.seconds_to_open


def main() -> None:
    """Measure the parts and the whole in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder of UTKFace photographs")
    parser.add_argument("--backbone", action="append", help="default: the three builtin ones")
    parser.add_argument("--limit", type=int, default=2000, help="photographs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    backbones = options.backbone or ["dlib_age", "dlib_gender", "mobilenet_v2"]

    manifest = prepare("utkface", options.data)
    usable = np.flatnonzero(manifest.usable)
    chosen = usable[:: max(1, len(usable) // options.limit)][: options.limit]
    manifest = Manifest(
        manifest.table.iloc[chosen].reset_index(drop=True), manifest.root, dict(manifest.info)
    )
    paths = [manifest.root / name for name in manifest.table["image_path"]]
    print(f"{len(paths)} photographs, {options.threads} threads, {', '.join(backbones)}")

    rounds: list[dict[str, float]] = []
    for number in range(options.rounds):
        parts = parts_alone(paths, backbones, options.threads)
        _, whole = extraction(manifest, backbones, options.threads)
        singles = {name: extraction(manifest, [name], options.threads)[1] for name in backbones}
        limit = sum(parts.values())
        rounds.append(
            {
                "limit": len(paths) / limit,
                "whole": len(paths) / whole,
                "share": limit / whole,
                "cost_of_joining": whole / limit,
                "saved": sum(singles.values()) / whole,
            }
        )
        print(
            f"round {number + 1}: "
            + " · ".join(f"{part} {1000 * spent / len(paths):.2f} ms" for part, spent in parts.items())
            + f" → limit {rounds[-1]['limit']:.1f}/s; end to end {rounds[-1]['whole']:.1f}/s"
        )
    median = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(
        f"End to end {median['whole']:.1f}/s of {median['limit']:.1f}/s: {median['share']:.0%} of the limit"
        f" (at least 75 % wanted); one pass for all costs {median['cost_of_joining']:.2f} × its parts"
        f" (at most 1.1 wanted), a pass for each network {median['saved']:.2f} × as much as one for all."
    )
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "median": median}, indent=2) + "\n")


if __name__ == "__main__":
    main()
