"""`featurekit predict` against `featurekit extract`: the same pictures, the same features, nothing cached.

    python benchmarks/predict.py
    python benchmarks/predict.py --data PATH --limit 500

An SVM of gender is fitted on other pictures first, which is not counted. Then each side reads the same chips
of UTKFace: `extract` computes and stores the vectors, `predict` computes them without a cache and predicts
from them, with the most central face of each picture or with all faces. Opening the networks is outside the
time. There are two cases: three features that are computed fast, and the six of the kept report, of each face
and its mirror image.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

EXTRACT, CENTER, ALL = "extract", "predict --faces center", "predict --faces all"
WANTED = {CENTER: 0.9, ALL: 0.8}
LIMIT = 2000
THREE = ("dlib_age", "dlib_gender", "mobilenet_v2")
SIX = ("dlib_age", "dlib_age:middle", "dlib_gender", "mobilenet_v2", "mobilenet_v2:middle", "dlib_face")


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Extract, or predict with the fitted model."""
    if not job["model"]:
        return _ours.extracted(job, job["features"], mirrored=job["mirrored"])[-1]
    from featurekit.faces.photographs import as_photograph
    from featurekit.inference.model import TrainedModel
    from featurekit.inference.predict import Predictor

    paths = sorted(Path(job["folder"]).iterdir())
    model = TrainedModel.load(Path(job["model"]))
    predictor = Predictor(
        [as_photograph(path) for path in paths],
        [model],
        choose=job["faces"],
        device="cpu",
        threads=int(job["threads"]),
    )
    started, n_faces, right, n_known = time.perf_counter(), 0, 0, 0
    for readings in predictor.each():
        found = [one for one in readings if one.face.status == "ok"]
        n_faces += len(found)
        labels = harness.labels_of(Path(readings[0].photograph.name))
        if found and labels:
            answers = found[0].answers["gender"]
            right += max(answers, key=lambda name: answers[name]) == labels[1]
            n_known += 1
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds - predictor.seconds_to_open,
        "n": len(paths),
        "versions": _ours.versions(),
        "scores": {"faces found": n_faces, "gender of the first face": f"{right / max(n_known, 1):.1%}"},
        "notes": [f"{seconds:.2f} s with opening the networks"],
    }


def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
    """Compare the pictures per second of each prediction with those of the extraction."""
    verdicts = []
    for name, wanted in WANTED.items():
        verdicts += harness.at_least(sides, name, EXTRACT, wanted)
    return verdicts


def fitted(options: Any, scratch: Path, features: Sequence[str], *, mirrored: bool) -> Path:
    """Fit an SVM of gender on pictures that no side reads; return the folder of the model."""
    folder = options.data / "UTKFace" if (options.data / "UTKFace").is_dir() else options.data
    named = sorted(path for path in folder.iterdir() if harness.labels_of(path))
    (scratch / "training").mkdir()
    # Every k-th picture is read by the sides, and the pictures halfway between them are for training.
    step = max(len(named) // options.limit, 2)
    for path in harness.spread_out(named[step // 2 :: step], 1500):
        (scratch / "training" / path.name).write_bytes(path.read_bytes())
    workspace = scratch / "workspace"
    _ours.run_command(["prepare", "utkface", str(scratch / "training")], workspace)
    names = [word for name in features for word in ("--backbone", name)]
    _ours.run_command(["extract", "--device", "cpu", *names, *(["--mirror"] if mirrored else [])], workspace)
    fit = ["fit", "--model", "svm", "--target", "gender", "--features", "+".join(features), "--folds", "3"]
    _ours.run_command(fit, workspace)
    (model,) = (workspace / "models").glob("gender--*--svm")
    return model


def case_of(
    files: Sequence[Path], options: Any, scratch: Path, features: Sequence[str], *, mirrored: bool
) -> harness.Case:
    """Return the comparison for some features."""
    print("Fitting a model once, which is not counted …", flush=True)
    scratch.mkdir()
    model = fitted(options, scratch, features, mirrored=mirrored)
    job = {"folder": str(files[0].parent), "features": list(features), "mirrored": mirrored}
    extract = harness.Side(
        name=EXTRACT,
        about="extract(), the vectors stored",
        script=Path(__file__),
        job={**job, "model": ""},
    )
    center, every = (
        replace(
            extract,
            name=name,
            about="detect, align, the same networks, an SVM of gender",
            job={**job, "model": str(model), "faces": faces},
        )
        for name, faces in ((CENTER, "center"), (ALL, "all"))
    )
    of = ", of each face and its mirror image" if mirrored else ""
    return harness.Case(
        title=f"{len(files):,} face chips, 200 × 200: {', '.join(features)}{of}",
        unit="pictures",
        sides=[extract, center, every],
        judge=judge,
        files=files,
    )


def main() -> int:
    """Run the comparisons."""
    options = harness.options_for(__doc__, limit=LIMIT).parse_args()
    with (
        harness.pictures_of_utkface(options.data, options.limit) as folder,
        tempfile.TemporaryDirectory(prefix="featurekit-predict.") as scratch,
    ):
        files = sorted(folder.iterdir())
        cases = [
            case_of(files, options, Path(scratch) / "three", THREE, mirrored=False),
            case_of(files, options, Path(scratch) / "six", SIX, mirrored=True),
        ]
        complete = options.limit >= LIMIT
        return harness.compare("predict", "Prediction beside extraction", cases, options, complete=complete)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
