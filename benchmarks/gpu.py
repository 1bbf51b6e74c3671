"""What a GPU gives: extraction beside a loop and a DataLoader in torch, and a CNN on five folds.

    python benchmarks/gpu.py --seconds 360

resnet50 and vgg16 have UNTRAINED weights of a fixed seed, because the speed of a network does not depend on
what it has learned: nothing here says how good a vector is. dlib_face has its own weights where they have
been fetched, else untrained ones. The pictures are made-up portraits: face chips of 200 × 200, and
photographs of 12 megapixels with a portrait on each.

featurekit extracts as always: it hashes, decodes, finds and aligns the face, runs the network and stores the
vector, in a new cache each round. The rivals do less: they resize the whole picture, run the network and keep
nothing. Opening networks and starting processes is outside the time on all sides. The sides take turns in one
process, because starting Python and CUDA takes longer than a turn.

How long the GPU was busy is measured by CUDA events around each call of the network; the samples that
nvidia-smi takes meanwhile are shown beside it. The run ends within --seconds. It needs torch and torchvision,
no network access, and for the detector OpenVINO, or ONNX Runtime where OpenVINO is not installed; what is not
there or does not fit into the time is left out, one line each. Without a GPU it says so and measures nothing;
`--device cpu` runs everything in a tiny size to try the script, and its result is never kept.
"""

import argparse
import faulthandler
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _made
import _ours  # noqa: F401  # lets featurekit be imported from the checkout
import _side_by_side as harness
import numpy as np
from _gpu import (
    BUSY_WANTED,
    Meter,
    about_gpu,
    limit_of,
    operations,
    peak_flops,
    sampled_share,
    samples_of_nvidia_smi,
)
from _in_turn import Budget, OutOfTimeError, Turn, case_of, take_turns
from _installed import NEEDED, NEEDED_BY_CNN, face_settings, missing, versions

if TYPE_CHECKING:
    from featurekit.data.manifest import Manifest
    from featurekit.embeddings.extractor import Extraction
    from featurekit.faces.settings import FaceSettings

OURS, LOOP, LOADER = "featurekit", "torch loop, fp32", "DataLoader of 64, fp32"
LOADER_BF16 = "DataLoader of 64, bf16 autocast, channels_last"
WANTED = {LOOP: 20.0, LOADER: 3.0, LOADER_BF16: 3.0}
CHIPS, PHOTOGRAPHS = "chips", "photographs"
SECONDS = 360.0


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        chips, photographs: number of pictures of each kind.
        photograph: width and height of a photograph.
        loop: the loop, which takes long, reads every k-th picture: (k of the chips, k of the photographs).
        people, portraits: number of made-up people, and of different portraits of each.
        networks: untrained networks that rivals run too.
        alone: number of crops for the network alone.
        cnn: network that is trained further, and other parameters of the training.
        expected: seconds that a network on chips, one on photographs, and the CNN take at least.
    """

    chips: int
    photographs: int
    photograph: tuple[int, int]
    loop: tuple[int, int]
    people: int
    portraits: int
    networks: tuple[str, ...]
    alone: int
    cnn: tuple[str, Mapping[str, Any]]
    expected: tuple[float, float, float]


FULL = Size(
    *(2000, 100, (4000, 3000), (8, 6), 20, 5, ("vgg16", "resnet50"), 1024, ("resnet18", {})),
    expected=(25.0, 18.0, 40.0),
)
TINY = Size(
    *(10, 1, (640, 480), (5, 1), 10, 1, ("resnet18",), 2, ("resnet18", {"side": 32, "epochs": 1})),
    expected=(0.0, 0.0, 0.0),
)


# ---------------------------------------------------------------- judging


def judge(measured: Sequence[harness.Measured], *, wants_busy: bool) -> list[harness.Verdict]:
    """Compare with the rivals, and say what the limit is where a goal is missed."""
    sides = {side.name: side for side in measured if side.answers and not side.failed}
    if OURS not in sides:
        return []
    verdicts = [
        verdict
        for rival, wanted in WANTED.items()
        for verdict in harness.at_least(sides, OURS, rival, wanted)
    ]
    shares = [answer["details"]["busy"] for answer in sides[OURS].answers]
    if wants_busy:
        middle, low, high = harness.spread(shares)
        got = f"{middle:.0%} (rounds {low:.0%} to {high:.0%})"
        what = f"{OURS}: share of the time in which the GPU computed"
        verdicts.append(harness.Verdict(what, f"≥ {BUSY_WANTED:.0%}", got, middle >= BUSY_WANTED, timed=True))
    limit = sides[OURS].last["details"]["limit"]
    return [
        verdict if verdict.reached else replace(verdict, got=f"{verdict.got}; the limit is {limit}")
        for verdict in verdicts
    ]


# ---------------------------------------------------------------- the work


@dataclass
class Bench:
    """What all parts need.

    Attributes:
        size, device, threads, rounds, budget: of the run.
        scratch: folder for everything that is written.
        is_trained: name → whether its weights are trained.
        settings: how faces are found.
        peak: operations a second of a product of large bf16 matrices.
        pictures: kind of pictures → their table.
    """

    size: Size
    device: str
    threads: int
    rounds: int
    budget: Budget
    scratch: Path
    is_trained: Mapping[str, bool]
    settings: "FaceSettings"
    peak: float = 0.0
    pictures: "dict[str, Manifest]" = field(default_factory=dict)

    def files(self, kind: str, every: int = 1) -> list[str]:
        """Return the paths of every k-th picture."""
        manifest = self.pictures[kind]
        return [str(manifest.root / name) for name in manifest.table["image_path"]][::every]

    def said_of(self, network: str) -> str:
        """Return the name of a network, and that its weights are untrained, where they are."""
        return network if self.is_trained[network] else f"{network}, UNTRAINED weights"

    def said_of_pictures(self, kind: str) -> str:
        """Return number, kind and size of the pictures."""
        n, (width, height) = len(self.pictures[kind]), self.size.photograph
        if kind == CHIPS:
            return f"{n:,} made-up face chips of {_made.CHIP_SIDE} × {_made.CHIP_SIDE}"
        return f"{n:,} made-up photographs of {width * height / 1e6:.1f} megapixels"


def extracted(bench: Bench, features: Sequence[str], kind: str) -> "tuple[Extraction, Any, Any]":
    """Extract pictures into a new cache; return what was done, the cache and the recipes."""
    from featurekit.cache.store import Store
    from featurekit.embeddings.extractor import extract
    from featurekit.embeddings.recipe import make_recipes

    recipes = make_recipes(features, bench.settings, device=bench.device)
    store = Store(Path(tempfile.mkdtemp(dir=bench.scratch)) / "cache")
    done = extract(
        bench.pictures[kind],
        recipes,
        bench.settings,
        store,
        threads=bench.threads,
        progress=lambda done, total: bench.budget.check(),
    )
    return done, store, recipes


def our_turn(bench: Bench, network: str, kind: str) -> dict[str, Any]:
    """Extract once, and measure how long the GPU was busy meanwhile."""
    started = datetime.now()
    with samples_of_nvidia_smi() as lines, Meter(bench.device) as meter:
        done, _, _ = extracted(bench, [network], kind)
        ended = datetime.now()
    seconds = done.seconds - done.seconds_to_open
    # A trial on a CPU takes the network's own seconds for what a GPU would compute.
    computing = meter.seconds if bench.device == "cuda" else done.parts.get(network, 0.0) / bench.threads
    busy = computing / seconds
    opened = datetime.fromtimestamp(started.timestamp() + done.seconds_to_open)
    sampled = sampled_share(lines, opened, ended)
    limit = limit_of(done.parts, network, bench.threads, seconds, busy, done.n_read)
    each = {name: f"{name} {1000 * spent / done.n_read:.2f} ms" for name, spent in done.parts.items()}
    copying = each.pop(network, f"{network} 0 ms")
    got = done.achieved[network]
    notes = [
        f"{got['engine']} on {got['device']} in {got['precision']}"
        + ("" if bench.is_trained[network] else "; untrained weights: speed only"),
        f"{done.seconds:.2f} s with opening the network and starting {bench.threads} workers",
        f"a picture took {', '.join(each.values())} of the workers' time, and {copying} with copying",
        f"the limit is {limit}",
    ]
    scores = {
        "faces found": done.statuses.get("ok", 0),
        "GPU busy": f"{busy:.0%}",
        "GPU busy by nvidia-smi": "no sample" if sampled is None else f"{sampled:.0%}",
    }
    return {
        "seconds": seconds,
        "n": done.n_read,
        "scores": scores,
        "notes": notes,
        "versions": versions(),
        "details": {"busy": busy, "limit": limit},
    }


def rival_turns(bench: Bench, network: str, kind: str) -> list[Turn]:
    """Return the loop and the DataLoaders, ready to run."""
    if (folder := str(harness.BENCHMARKS / "rivals")) not in sys.path:
        sys.path.append(folder)
    import torch_gpu as rival

    from featurekit.networks import weights

    path, device, watched = weights.path_of(network), bench.device, bench.budget.watched
    on_gpu = device == "cuda"  # many CPUs only emulate bf16, so a trial there does without it
    plain, fast = (rival.load(network, path, device, bf16) for bf16 in (False, on_gpu))
    few = bench.files(kind, bench.size.loop[kind == PHOTOGRAPHS])
    everyone = bench.files(kind)
    loader = rival.loader(everyone, bench.threads if on_gpu else 0)

    def timed(n: int, work: Callable[[], Any]) -> dict[str, Any]:
        started = time.perf_counter()
        vectors = work()
        seconds = time.perf_counter() - started
        if len(vectors) != n or not np.isfinite(vectors.numpy()).all():
            raise RuntimeError(f"{len(vectors)} vectors for {n} pictures, or not all finite.")
        return {"seconds": seconds, "n": n, "notes": ["untrained weights: speed only"]}

    some = next(iter(rival.loader(everyone[: rival.BATCH if on_gpu else 1], 0)))
    rival.batches(plain, [some], device)
    rival.batches(fast, [some], device, on_gpu)
    rival.loop(plain, few[:2], device)
    return [
        Turn(
            LOOP,
            f"opens, resizes and runs one of {len(few):,} pictures at a time",
            lambda: timed(len(few), lambda: rival.loop(plain, watched(few), device)),
        ),
        Turn(
            LOADER,
            f"{loader.num_workers} workers, batches of {rival.BATCH}",
            lambda: timed(len(everyone), lambda: rival.batches(plain, watched(loader), device)),
        ),
        Turn(
            LOADER_BF16,
            "the same in bf16",
            lambda: timed(len(everyone), lambda: rival.batches(fast, watched(loader), device, on_gpu)),
        ),
    ]


def network_alone(bench: Bench, network: str) -> str:
    """Return how fast the network is where crops are ready in memory, in words; it also warms the GPU up."""
    from featurekit.networks import weights
    from featurekit.networks.backbones import BACKBONES

    backbone, n = BACKBONES[network], bench.size.alone
    assert backbone.weights is not None
    data = weights.read(backbone.weights)
    layers, precision = [backbone.default_layer], "bf16" if bench.device == "cuda" else "fp32"
    session = backbone.open(data, layers, device=bench.device, precision=precision, threads=bench.threads)
    side = backbone.input_size
    crops = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    session(crops)
    with Meter(bench.device) as meter:
        started = time.perf_counter()
        session(crops)
        seconds = time.perf_counter() - started
    words = f"{network} alone, crops in memory: {n / seconds:,.0f} pictures/s with copying"
    if bench.device != "cuda":
        return words
    computing = meter.seconds
    reached = operations(backbone.trainable(data), side) * n / computing
    return (
        f"{words}, of which the GPU computes {computing / seconds:.0%}, with {reached / 1e12:,.0f} TFLOP/s,"
        f" {reached / bench.peak:.0%} of the {bench.peak / 1e12:,.0f} TFLOP/s of a large bf16 product"
    )


def extraction(bench: Bench, network: str, kind: str) -> dict[str, Any]:
    """Measure the extraction with one network beside its rivals."""
    title = f"{bench.said_of(network)}: {bench.said_of_pictures(kind)}"
    turns = [
        Turn(OURS, "hash, decode, detect, align, run, store", lambda: our_turn(bench, network, kind), True)
    ]
    alone = bench.budget.attempt(f"{network} alone", lambda: network_alone(bench, network))
    if network in bench.size.networks:
        turns += (
            bench.budget.attempt(f"the rivals of {title}", lambda: rival_turns(bench, network, kind)) or []
        )
    measured = take_turns(title, turns, bench.rounds, bench.budget)
    if measured[0].answers and alone:
        measured[0].last["notes"].append(alone)
    wants_busy = network == "vgg16" and kind == CHIPS
    return case_of(title, "pictures", measured, judge(measured, wants_busy=wants_busy))


def five_folds(bench: Bench) -> dict[str, Any]:
    """Train a network on five folds of the chips, once."""
    network, parameters = bench.size.cnn
    title = f"finetuned_cnn on {bench.said_of(network)}: five folds of {bench.said_of_pictures(CHIPS)}"
    about = "trained on four fifths, tested on one, five times"
    turns = [Turn("featurekit", about, lambda: trained(bench, network, parameters), True)]
    return case_of(title, "", take_turns(title, turns, 1, bench.budget), [])


def trained(bench: Bench, network: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the faces, which is not counted, and train and test on five folds."""
    from featurekit.data.splits import subject_exclusive_folds
    from featurekit.data.targets import GENDER
    from featurekit.embeddings.vectors import load_embeddings
    from featurekit.estimators import CLASSIFIERS, Resources
    from featurekit.evaluation.cross_validation import cross_validate
    from featurekit.evaluation.fitting import Fitting

    manifest = bench.pictures[CHIPS]
    _, store, recipes = extracted(bench, ["pixels"], CHIPS)
    found = load_embeddings(manifest, list(recipes.values()), bench.settings, store)
    y = GENDER.encode(list(manifest.table["gender"].iloc[found.rows]))
    subjects = manifest.subjects[found.rows]
    folds = subject_exclusive_folds(y, subjects, n_folds=5, seed=0)
    fitting = Fitting(
        networks=(network,),
        parameters=parameters,
        resources=Resources(
            device=bench.device,
            threads=bench.threads,
            progress=lambda text, share: bench.budget.check(),
        ),
    )
    started = time.perf_counter()
    done = cross_validate(CLASSIFIERS["finetuned_cnn"], GENDER, found.vectors, y, subjects, folds, fitting)
    seconds = time.perf_counter() - started
    right = np.mean([(done.predicted[y == label] == label).mean() for label in np.unique(y)])
    got = done.trainings[0]
    epochs = [training["epochs"] for training in done.trainings]
    return {
        "seconds": seconds,
        "n": len(y),
        "scores": {"balanced accuracy of the made-up portraits' gender": f"{right:.1%}"},
        "notes": [
            f"on {got['device']} in {got['precision']}; {min(epochs)} to {max(epochs)} epochs; it starts from"
            " untrained weights: speed only"
        ],
        "versions": versions(),
    }


Part = tuple[str, float, Callable[[Bench], dict[str, Any]]]


def parts_of(bench: Bench) -> list[Part]:
    """Return name, expected seconds and work of every part, in the order of their importance."""
    on_chips, on_photographs, training = bench.size.expected
    networks = [*bench.size.networks, "dlib_face"]

    def with_each(kind: str, seconds: float) -> list[Part]:
        return [
            (f"{name} on {kind}", seconds, partial(extraction, network=name, kind=kind)) for name in networks
        ]

    folds: Part = ("the CNN on five folds", training, five_folds)
    return [*with_each(CHIPS, on_chips), folds, *with_each(PHOTOGRAPHS, on_photographs)]


def run(
    options: argparse.Namespace, budget: Budget, result: dict[str, Any], store: Callable[[], None]
) -> None:
    """Run every part that there is time for; the result is stored after each."""
    import torch

    budget.check()
    torch.set_num_threads(options.threads)
    size = FULL if options.device == "cuda" else TINY
    untrained = list(dict.fromkeys([*size.networks, size.cnn[0]]))
    with (
        tempfile.TemporaryDirectory(prefix="featurekit-gpu.") as folder,
        _made.home_with(Path(folder) / "home", untrained, ["centerface", "dlib_face"]) as is_trained,
    ):
        scratch = Path(folder)
        bench = Bench(
            *(size, options.device, options.threads, options.rounds, budget, scratch, is_trained),
            settings=face_settings(is_trained, budget),
            peak=peak_flops(options.device),
        )
        made = _made.drawn(size.people, size.portraits)
        bench.pictures[CHIPS] = _made.write_chips(scratch / "chips", made, size.chips)
        bench.pictures[PHOTOGRAPHS] = _made.write_photographs(
            scratch / "photographs", made, size.photographs, size.photograph
        )
        print(f"Pictures and weights made; {budget.left:.0f} s are left.\n", flush=True)
        absent = missing(NEEDED_BY_CNN)
        parts = parts_of(bench)
        for number, (name, seconds, work) in enumerate(parts):
            budget.reserved = sum(expected for _, expected, _ in parts[number + 1 :])
            if absent and work == five_folds:
                budget.leave_out(f"{name}: {', '.join(absent)} is not installed.")
            elif budget.allows(name, seconds) and (case := budget.attempt(name, partial(work, bench))):
                result["cases"].append({"part": name, **case})
                store()


def main(words: Sequence[str] | None = None) -> int:
    """Run the comparison."""
    parser = harness.options_for(__doc__)
    parser.set_defaults(threads=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the run ends within so many seconds")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a tiny trial")
    options = parser.parse_args(words)
    budget = Budget(options.seconds)
    absent = missing(NEEDED)
    if options.device == "cuda" and "torch" not in absent:
        from featurekit.networks.engines import cuda_is_usable

        if not cuda_is_usable():
            print(
                "torch finds no GPU here: nothing is measured. --device cpu tries the script in a tiny size."
            )
            return 0
    if absent:
        print(
            f"Nothing can be measured: not installed are {', '.join(absent)}. pip install {' '.join(absent)}"
        )
        return 1
    is_trial = options.device == "cpu"
    if is_trial and options.results.resolve() == harness.RESULTS:
        options.results = None
    cores = harness.keep_to_cores(options.threads)
    machine = {**harness.hardware(), "threads": options.threads, "cores_used": cores}
    result: dict[str, Any] = {
        "name": "gpu",
        "title": "Networks on a GPU: featurekit and torch (untrained weights)",
        "created": harness.now(),
        "command": harness.command_line(sys.argv),
        "complete": False,
        "rounds": options.rounds,
        "hardware": {**machine, **({} if is_trial else about_gpu())},
        "left_out": budget.left_out,
        "cases": [],
    }
    if is_trial:
        result["stand_in"] = "a tiny size on a CPU, to try the script: its figures say nothing of a GPU"
        print(f"This is {result['stand_in']}.")
    print(f"{result['title']}\n{harness.in_words(result['hardware'])}\n", flush=True)

    def store() -> None:
        result["complete"] = is_complete(result)
        if options.results is not None:
            with redirect_stdout(io.StringIO()):
                harness.write_result(result, options.results)

    # Should something hang where nothing can interrupt it: what is stored by then stays.
    faulthandler.dump_traceback_later(options.seconds, exit=True, file=sys.__stderr__)
    try:
        run(options, budget, result, store)
    except OutOfTimeError:
        budget.leave_out("what comes after: the time is up.")
    finally:
        faulthandler.cancel_dump_traceback_later()
    store()
    told = "Nothing was kept." if options.results is None else f"Wrote {options.results.name}/gpu.json."
    print(told if result["complete"] else f"{told} This was a trial.")
    failed = any(side.get("failed") for case in result["cases"] for side in case["sides"])
    return 1 if failed or budget.failed else 0


def is_complete(result: Mapping[str, Any]) -> bool:
    """Whether this is a full run on a GPU: every network on chips beside its rivals, in enough rounds."""
    if "stand_in" in result:
        return False
    on_chips = [case for case in result["cases"] if case["part"].endswith(f" on {CHIPS}")]
    rounds = [len(side.get("seconds", [])) for case in on_chips for side in case["sides"]]
    return len(on_chips) > len(FULL.networks) and min(rounds) >= harness.ROUNDS


if __name__ == "__main__":
    sys.exit(main())
