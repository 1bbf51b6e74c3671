"""featurekit against insightface's loop: detect one picture, crop, one forward, in ONNX Runtime.

    python benchmarks/insightface_loop.py

The embedding networks are the same on both sides: dlib_age from the very same file, mobilenet_v2 exported
to ONNX from the builtin weights. insightface's loop detects with SCRFD-500M, at 640 pixels, its usual frame,
and at 320: a face that fills a frame of 640 is too large for SCRFD, so that on face chips the loop at 640
finds hardly any, and only the one at 320 does the same job. featurekit runs with its default detector, and
in a second line with the same SCRFD file in its own frames.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

ENVIRONMENT = harness.Environment(
    "insightface",
    ("insightface==2.1", "onnxruntime==1.32.0", "opencv-python==5.0.0.93", "numpy==2.4.6"),
)
OURS, OURS_SCRFD = "featurekit", "featurekit, SCRFD-500M"
RIVALS = {640: "insightface's loop at 640", 320: "insightface's loop at 320"}
WANTED = 4.0
LIMIT = 1000
BACKBONES = ("dlib_age", "mobilenet_v2")


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Extract with one backbone."""
    return _ours.extracted(
        job, [job["backbone"]], detector=job["detector_name"], detector_weights=job["detector_weights"]
    )[-1]


def network_file(backbone: str, scratch: Path) -> Path:
    """Return the backbone as an ONNX file."""
    from featurekit.networks import weights
    from featurekit.networks.backbones import BACKBONES

    kind = BACKBONES[backbone]
    assert kind.weights is not None
    assert kind.load is not None
    data = weights.read(kind.weights)
    network = kind.load(data, [kind.default_layer])
    path = scratch / f"{backbone}.onnx"
    if network.onnx is not None:
        path.write_bytes(network.onnx)
        return path
    import warnings

    import torch

    assert network.module is not None
    pixels = torch.zeros(1, 3, kind.input_size, kind.input_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without dynamo needs nothing else, and is to go
        torch.onnx.export(network.module(), (pixels,), str(path), dynamo=False)
    return path


def case_of(backbone: str, folder: Path, scratch: Path, options: argparse.Namespace) -> harness.Case:
    """Return the comparison with one embedding network."""
    from featurekit.networks.backbones import BACKBONES

    kind = BACKBONES[backbone]
    files = sorted(folder.iterdir())
    detector = str(options.scrfd.resolve())
    job = {"folder": str(folder), "backbone": backbone}
    ours = harness.Side(
        name=OURS,
        about="extract() with centerface",
        script=Path(__file__),
        job={**job, "detector_name": "centerface", "detector_weights": None},
    )
    same_detector = replace(
        ours,
        name=OURS_SCRFD,
        about="extract() with insightface_scrfd",
        job={**job, "detector_name": "insightface_scrfd", "detector_weights": detector},
    )
    rivals = [
        harness.Side(
            name=name,
            about=f"imread, detect at {frame}, crop, one forward",
            script=harness.BENCHMARKS / "rivals" / "insightface_loop.py",
            job={
                "folder": str(folder),
                "detector": detector,
                "frame": frame,
                "network": str(network_file(backbone, scratch)),
                "side": kind.input_size,
                "mean": kind.normalization.mean,
                "scale": kind.normalization.scale,
            },
            environment=ENVIRONMENT,
        )
        for frame, name in RIVALS.items()
    ]

    def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
        verdicts = []
        for own in (OURS, OURS_SCRFD):
            for rival in RIVALS.values():
                verdicts += harness.at_least(sides, own, rival, WANTED)
        return verdicts

    return harness.Case(
        title=f"{len(files):,} face chips, 200 × 200: detect, crop, {backbone}",
        unit="pictures",
        sides=[ours, *rivals, same_detector],
        judge=judge,
        files=files,
    )


def main() -> int:
    """Run the comparison."""
    parser = harness.options_for(__doc__, limit=LIMIT)
    models = harness.CHECKOUT.parent / "shared" / "models"
    parser.add_argument(
        "--scrfd", type=Path, default=models / "scrfd_500m_bnkps.onnx", help="SCRFD file of both sides"
    )
    options = parser.parse_args()
    with (
        harness.pictures_of_utkface(options.data, options.limit) as folder,
        tempfile.TemporaryDirectory(prefix="featurekit-networks.") as scratch,
    ):
        cases = [case_of(backbone, folder, Path(scratch), options) for backbone in BACKBONES]
        title = "Detect, crop, embed: featurekit and insightface's loop"
        return harness.compare("insightface_loop", title, cases, options, complete=options.limit >= LIMIT)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
