"""featurekit's decoder and engine against a plain loop in torch eager fp32, and against img2vec_pytorch.

    python benchmarks/torch_loop.py

resnet50 and vgg16 with UNTRAINED weights of a fixed seed, because the speed of a network does not depend
on what it has learned: nothing here says how good a vector is. The plain loop and featurekit get the same
file of weights and whole pictures of 224 × 224, and their vectors are compared. featurekit computes in fp32
and, where the processor multiplies in it, in bf16 and int8. In int8 only the speed is judged: untrained
weights have no accuracy to lose.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness
import numpy as np

ENVIRONMENT = harness.Environment(
    "torch",
    ("torch==2.13.0", "torchvision==0.28.0", "img2vec_pytorch==1.0.2", "pillow==13.0.0", "numpy==2.4.6"),
)
OURS, OURS_BF16, OURS_INT8 = "featurekit, fp32", "featurekit, bf16", "featurekit, int8"
PLAIN, IMG2VEC = "torch eager, fp32", "img2vec_pytorch, fp32"
WANTED, WANTED_COSINE = 5.0, 0.999
WANTED_INT8 = {"resnet50": 2.5, "vgg16": 2.0}
CALIBRATED_ON = 32  # pictures; what is quantized here is untrained, and only timed
LIMIT = 100
BATCH = 32
LAYERS = {"resnet50": "pooled", "vgg16": "fc7"}
SIDE = 224


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Embed whole pictures through featurekit's decoder and engine."""
    from featurekit.errors import EngineError
    from featurekit.faces.images import decode, read_bytes
    from featurekit.networks.backbones import BACKBONES
    from featurekit.networks.precisions import this_processor

    kind, threads = BACKBONES[job["network"]], int(job["threads"])
    if not this_processor().computes_in(job["precision"]):
        return {"skipped": f"this processor has no {job['precision']}"}
    if job["quantized"]:
        os.environ["FEATUREKIT_HOME"] = job["home"]
    try:
        session = kind.open(
            Path(job["weights"]).read_bytes(),
            [LAYERS[job["network"]]],
            device="cpu",
            precision=job["precision"],
            threads=threads,
            quantized=job["quantized"],
        )
    except EngineError as error:
        return {"skipped": str(error)}
    files = sorted(Path(job["folder"]).iterdir())

    def crop(path: Path) -> np.ndarray[Any, Any]:
        from PIL import Image

        # Resized as the plain loop does it, so that the vectors can be compared.
        return np.asarray(
            Image.fromarray(decode(read_bytes(path))).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        )

    with ThreadPoolExecutor(threads) as pool:
        session(np.stack(list(pool.map(crop, files[:2]))))
        started = time.perf_counter()
        vectors = [
            session(np.stack(list(pool.map(crop, files[start : start + BATCH]))))[0]
            for start in range(0, len(files), BATCH)
        ]
        seconds = time.perf_counter() - started
    if job["vectors"]:
        np.save(job["vectors"], np.concatenate(vectors), allow_pickle=False)
    got = session.achieved
    return {
        "seconds": seconds,
        "n": len(files),
        "versions": _ours.versions("torch", "torchvision"),
        "notes": [f"{got.engine} on {got.device} in {got.precision}; untrained weights: speed only"],
    }


def quantized(network: str, weights: Path, files: Sequence[Path], home: Path) -> str:
    """Quantize an untrained network into a home of its own, and return the hash; "" where nothing gains."""
    from PIL import Image

    from featurekit.networks.backbones import BACKBONES
    from featurekit.networks.engines.openvino import quantized_path
    from featurekit.networks.precisions import this_processor
    from featurekit.networks.quantized import quantize

    if not this_processor().computes_in("int8"):
        return ""
    layers = [LAYERS[network]]
    chosen = [Image.open(path).convert("RGB").resize((SIDE, SIDE)) for path in files[:CALIBRATED_ON]]
    crops = np.stack([np.asarray(picture) for picture in chosen])
    data = quantize(BACKBONES[network].network(weights.read_bytes(), layers), layers, crops)
    digest = sha256(data).hexdigest()
    os.environ["FEATUREKIT_HOME"] = str(home)
    path = quantized_path(network, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return digest


def least_cosine(one: Path, other: Path) -> float:
    """Return the least cosine between the vectors of a picture."""
    a, b = (np.load(path, allow_pickle=False).astype(np.float64) for path in (one, other))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / lengths).min())


def least_centred_cosine(one: Path, other: Path) -> float:
    """Return the same about the pictures' mean: untrained vectors are alike for all pictures."""
    a, b = (np.load(path, allow_pickle=False).astype(np.float64) for path in (one, other))
    mean = a.mean(axis=0)
    a, b = a - mean, b - mean
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / lengths).min())


def write_untrained(network: str, path: Path) -> None:
    """Write weights of a fixed seed as torchvision's own files are."""
    import torch
    import torchvision

    torch.manual_seed(0)
    torch.save(getattr(torchvision.models, network)(weights=None).state_dict(), path)


def case_of(network: str, folder: Path, scratch: Path, options: argparse.Namespace) -> harness.Case:
    """Return the comparison with one network."""
    weights = scratch / f"{network}.pth"
    write_untrained(network, weights)
    vectors = {
        name: scratch / f"{network}.{number}.npy" for number, name in enumerate((OURS, OURS_BF16, PLAIN))
    }
    files = sorted(folder.iterdir())
    job = {
        "folder": str(folder),
        "network": network,
        "weights": str(weights),
        "home": str(scratch / "home"),
        "quantized": "",
    }
    ours = harness.Side(
        name=OURS,
        about="featurekit's decoder and engine in fp32",
        script=Path(__file__),
        job={**job, "precision": "fp32", "vectors": str(vectors[OURS])},
    )
    in_bf16 = replace(
        ours,
        name=OURS_BF16,
        about="the same in bf16",
        job={**job, "precision": "bf16", "vectors": str(vectors[OURS_BF16])},
    )
    in_int8 = replace(
        ours,
        name=OURS_INT8,
        about="the same in int8",
        job={
            **job,
            "precision": "int8",
            "vectors": "",
            "quantized": quantized(network, weights, files, scratch / "home"),
        },
    )
    plain = harness.Side(
        name=PLAIN,
        about="open, resize, normalize, one forward",
        script=harness.BENCHMARKS / "rivals" / "torch_eager.py",
        job={**job, "style": "plain", "vectors": str(vectors[PLAIN])},
        environment=ENVIRONMENT,
    )
    img2vec = replace(
        plain,
        name=IMG2VEC,
        about="Img2Vec.get_vec() of each picture",
        job={**job, "style": "img2vec", "vectors": ""},
    )

    def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
        verdicts = harness.at_least(sides, OURS_INT8, PLAIN, WANTED_INT8[network])
        for own in (OURS, OURS_BF16):
            for rival in (PLAIN, IMG2VEC):
                verdicts += harness.at_least(sides, own, rival, WANTED)
            if own in sides and PLAIN in sides:
                least = least_cosine(vectors[own], vectors[PLAIN])
                centred = least_centred_cosine(vectors[own], vectors[PLAIN])
                verdicts.append(
                    harness.Verdict(
                        f"{own}: least cosine with the vectors of {PLAIN}",
                        f"≥ {WANTED_COSINE}",
                        f"{least:.6f} (about the mean vector {centred:.4f})",
                        least >= WANTED_COSINE,
                    )
                )
        return verdicts

    return harness.Case(
        title=f"{network}, untrained weights, {len(files):,} pictures at {SIDE} × {SIDE}",
        unit="pictures",
        sides=[ours, plain, img2vec, in_bf16, in_int8],
        judge=judge,
        files=files,
    )


def main() -> int:
    """Run the comparison."""
    parser = harness.options_for(__doc__, limit=LIMIT)
    parser.add_argument("--network", action="append", choices=list(LAYERS), help="default: both")
    options = parser.parse_args()
    with (
        harness.pictures_of_utkface(options.data, options.limit) as folder,
        tempfile.TemporaryDirectory(prefix="featurekit-networks.") as scratch,
    ):
        networks = options.network or list(LAYERS)
        cases = [case_of(network, folder, Path(scratch), options) for network in networks]
        title = "Embedding whole pictures: featurekit and torch eager (untrained weights)"
        complete = options.limit >= LIMIT and len(networks) == len(LAYERS)
        return harness.compare("torch_loop", title, cases, options, complete=complete)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
