"""featurekit's training of a network end to end against the script that is usually written for it.

    python benchmarks/training.py

MobileNetV2 from ImageNet at 128 × 128, gender and 101 one-year classes together, the same faces, batch size
and rates. The script (benchmarks/rivals/plain_training.py) opens and augments each picture anew in every
epoch, in fp32 and torch's usual order of memory; featurekit reads the faces that it has kept, and erases no
part of them here, as the script does not.

In the first case the whole network is trained for two epochs; what is counted are faces a second from the
second epoch on. In the second case the lower half of the network is frozen for as many epochs as featurekit
trains by default, and all of them are counted: featurekit computes the lower half for a few views of each
face, the script for each face in each epoch. The measuring of a held-out fifth is counted in both.

Each round has its own seed on both sides: how far the losses of one side's rounds lie apart is the noise that
the losses of the two are compared with. Extracting the faces, once, is told beside.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness
import numpy as np

ENVIRONMENT = harness.Environment(
    "torch",
    ("torch==2.13.0", "torchvision==0.28.0", "img2vec_pytorch==1.0.2", "pillow==13.0.0", "numpy==2.4.6"),
)
OURS, RIVAL = "featurekit", "torch eager, fp32"
LIMIT, BATCH, RATE = 1000, 32, 5e-4
HELD_OUT = 5  # every fifth face


@dataclass(frozen=True)
class Kind:
    """What is trained, and what is expected of it.

    Attributes:
        about: what is trained, in words.
        frozen: whether the lower half of the network is frozen.
        epochs: number of epochs.
        skipped: number of epochs that are not counted.
        wanted: how many times as fast as the script featurekit should be.
    """

    about: str
    frozen: bool
    epochs: int
    skipped: int
    wanted: float


KINDS = (
    Kind("the whole network", frozen=False, epochs=2, skipped=1, wanted=2.5),
    Kind("its upper half, the lower half frozen", frozen=True, epochs=12, skipped=0, wanted=5.0),
)


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train on the faces of job["folder"] as featurekit does."""
    from featurekit.data.targets import AGE, GENDER
    from featurekit.embeddings.vectors import load_embeddings
    from featurekit.estimators import CLASSIFIERS, Resources, fresh
    from featurekit.estimators._networks.augmentation import Augmentation
    from featurekit.estimators._networks.estimator import as_crops
    from featurekit.estimators._networks.heads import head_for
    from featurekit.estimators._networks.reading import achieved
    from featurekit.estimators._networks.sampler import Faces
    from featurekit.estimators._networks.schedule import Schedule
    from featurekit.estimators._networks.trainer import Setting, train
    from featurekit.networks.engines import resolve

    manifest, extraction, store, settings, answer = _ours.extracted(job, ["pixels"])
    recipes = list(extraction.recipes.values())
    found = load_embeddings(manifest, recipes, settings, store)
    crops = as_crops(found.vectors)
    years = manifest.table["age"].to_numpy(np.float32)[found.rows]
    gender = GENDER.encode(list(manifest.table["gender"].iloc[found.rows])).astype(np.int64)
    threads = int(job["threads"])
    cnn: Any = fresh(
        CLASSIFIERS["multitask_cnn"],
        GENDER,
        networks=("mobilenet_v2",),
        seed=job["round"],
        resources=Resources(threads=threads),
    )
    cnn.heads_ = (head_for(AGE), head_for(GENDER))
    network = cnn._fresh_network()
    everyone = Faces(crops=crops, rows=np.arange(len(crops)), labels={"age": years, "gender": gender})
    is_held_out = np.arange(len(crops)) % HELD_OUT == 0
    device, precision = resolve("cpu", "auto")
    schedule = Schedule(
        epochs=job["epochs"],
        batch_size=job["batch"],
        learning_rate=job["rate"],
        decay=1.0,
        weight_decay=0.02,
        warm_up=0.0,
        head_epochs=0,
        last_epochs=job["epochs"] if job["frozen"] else 0,
        frozen_views=cnn.frozen_views,
        smoothing=0.0,
        mixup=0.0,
        balance="none",
        patience=job["epochs"],
    )
    ends = [time.perf_counter()]
    done = train(
        network,
        cnn.heads_,
        everyone.some(np.flatnonzero(~is_held_out)),
        everyone.some(np.flatnonzero(is_held_out)),
        schedule,
        Augmentation(erasing=0.0),
        Setting(
            side=cnn.side,
            seed=cnn.random_state,
            device=device,
            precision=precision,
            threads=threads,
            watch=lambda text, share: ends.append(time.perf_counter()) if "held out" in text else None,
        ),
    )
    got = achieved(network, precision)
    return {
        "seconds": ends[-1] - ends[job["skipped"]],
        "n": len(crops) * (job["epochs"] - job["skipped"]),
        "versions": {**answer["versions"], **_ours.versions("torch", "torchvision")},
        "scores": {"held-out loss": f"{done.history[-1]['held_out_loss']:.3f}"},
        "details": {"losses": [line["held_out_loss"] for line in done.history]},
        "notes": [
            f"{got.engine} on {got.device} in {got.precision}; keeping the faces took"
            f" {extraction.seconds:.1f} s, once"
        ],
    }


def judge(kind: Kind, sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
    """Judge the speed, and that as much was learned."""
    verdicts = list(harness.at_least(sides, OURS, RIVAL, kind.wanted))
    if OURS in sides and RIVAL in sides:
        ours, theirs = (
            harness.spread([answer["details"]["losses"][-1] for answer in sides[name].answers])
            for name in (OURS, RIVAL)
        )
        noise = max(greatest - least for _, least, greatest in (ours, theirs))
        verdicts.append(
            harness.Verdict(
                "held-out loss after the last epoch, median of the rounds",
                f"≤ {theirs[0]:.3f} + {noise:.3f}, as far as one side's rounds lie apart",
                f"{ours[0]:.3f}",
                ours[0] <= theirs[0] + noise,
            )
        )
    return verdicts


def case_of(folder: Path, kind: Kind) -> harness.Case:
    """Return a comparison."""
    from featurekit.networks import weights

    files = sorted(folder.iterdir())
    job = {
        "folder": str(folder),
        "epochs": kind.epochs,
        "skipped": kind.skipped,
        "frozen": kind.frozen,
        "batch": BATCH,
        "rate": RATE,
        "held_out": HELD_OUT,
        "weights": str(weights.path_of("mobilenet_v2")),
    }
    ours = harness.Side(name=OURS, about="faces from the store", script=Path(__file__), job=job)
    rival = harness.Side(
        name=RIVAL,
        about="a DataLoader that opens every picture in every epoch",
        script=harness.BENCHMARKS / "rivals" / "plain_training.py",
        job=job,
        environment=ENVIRONMENT,
    )
    return harness.Case(
        title=f"MobileNetV2 at 128 × 128, {kind.about}, {len(files):,} pictures, batches of {BATCH}",
        unit="faces",
        sides=[ours, rival],
        judge=partial(judge, kind),
        files=files,
    )


def main() -> int:
    """Run the comparison."""
    options = harness.options_for(__doc__, limit=LIMIT).parse_args()
    with harness.pictures_of_utkface(options.data, options.limit) as folder:
        title = "Training a network end to end: featurekit and the usual script"
        complete = options.limit >= LIMIT
        return harness.compare(
            "training", title, [case_of(folder, one) for one in KINDS], options, complete=complete
        )


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
