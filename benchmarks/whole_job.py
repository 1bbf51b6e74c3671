"""featurekit against the script an analyst would write: UTKFace folder → three embeddings → table.

    python benchmarks/whole_job.py --rounds 3

Both sides tune an SVM, a random forest and XGBoost on the three builtin networks' vectors joined, for age
group and gender, inside outer folds. What is counted is all of it, as a person waits for it: imports and
opening networks included on both sides. benchmarks/rivals/obvious_script.py is the script. The folds are each
side's own, of the same pictures, so that scores differ by chance too. --svm, --random-forest, --xgboost,
--folds and --inner-folds are the script's, and should be what featurekit does.
"""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

ENVIRONMENT = harness.Environment(
    "obvious_script",
    (
        "insightface==2.1",
        "onnxruntime==1.32.0",
        "opencv-python==5.0.0.93",
        "numpy==2.4.6",
        "torch==2.13.0",
        "torchvision==0.28.0",
        "pillow==13.0.0",
        "scikit-learn==1.9.1",
        "xgboost==3.2.0",
        "pandas==3.1.1",
    ),
)
OURS, RIVAL = "featurekit", "the obvious script"
WANTED = 6.0
LIMIT = 200  # the script's time grows faster than the pictures: 400 took it more than 24 minutes
MODELS, TARGETS = ("svm", "random_forest", "xgboost"), ("age_group", "gender")


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run featurekit's four commands in a workspace of their own."""
    workspace, threads = Path(job["scratch"]) / "workspace", str(job["threads"])
    fit = ["fit", "--join", "--no-models", "--threads", threads, *job["fit_options"]]
    fit += [word for model in MODELS for word in ("--model", model)]
    fit += [word for target in TARGETS for word in ("--target", target)]
    commands = [
        ["prepare", "utkface", job["folder"]],
        ["extract", "--device", "cpu", "--threads", threads],
        fit,
        ["report"],
    ]
    seconds = []
    for command in commands:
        started = time.perf_counter()
        _ours.run_command(command, workspace)
        seconds.append(time.perf_counter() - started)
    runs = [json.loads(path.read_text()) for path in sorted(workspace.glob("reports/*/runs/*.json"))]
    scores = {
        f"{run['target']} {run['classifier']}": run["scores"][_exact_of(run["scores"])]["mean"]
        for run in runs
    }
    parts = "; ".join(f"{words[0]} {took:.1f} s" for words, took in zip(commands, seconds, strict=True))
    return {
        "seconds": sum(seconds),
        "n": 1,
        "versions": _ours.versions("scikit-learn", "xgboost", "torch"),
        "scores": {name: f"{score:.2%}" for name, score in scores.items()},
        "notes": [parts, f"fit options: {shlex.join(job['fit_options']) or 'none'}"],
        "details": {**scores, **{f"{run['target']} faces": run["n_tested"] for run in runs}},
    }


def _exact_of(scores: Mapping[str, Any]) -> str:
    """Return what the share of right answers is called."""
    return "exact" if "exact" in scores else "accuracy"


def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
    """Compare the time, and of each target the best score of each side."""
    verdicts = harness.at_least(sides, OURS, RIVAL, WANTED)
    if len(sides) == 2:
        for target in TARGETS:
            best = {
                # Not of the baselines that featurekit adds by itself: the script has none of them.
                name: max(side.last["details"][f"{target} {model}"] for model in MODELS)
                for name, side in sides.items()
            }
            # Each side deals folds of its own, and chooses the best of three scores on few faces.
            n = sides[OURS].last["details"][f"{target} faces"]
            room = 2 * math.sqrt(best[RIVAL] * (1 - best[RIVAL]) / n)
            verdicts.append(
                harness.Verdict(
                    f"best {target} of the models that both tune, exact",
                    f"≥ {best[RIVAL]:.2%} - {room:.2%}, two standard errors",
                    f"{best[OURS]:.2%}",
                    best[OURS] >= best[RIVAL] - room,
                )
            )
    return verdicts


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = harness.options_for(__doc__, limit=LIMIT)
    models = harness.CHECKOUT.parent / "shared" / "models"
    parser.add_argument("--scrfd", type=Path, default=models / "scrfd_500m_bnkps.onnx", help="the script's")
    parser.add_argument(
        "--frame", type=int, default=320, help="where the script looks for a face; 640 finds few"
    )
    parser.add_argument("--fit-options", default="--tune", help="further options of featurekit fit")
    parser.add_argument("--svm", type=int, default=16, help="candidates")
    parser.add_argument("--random-forest", type=int, default=4, help="candidates")
    parser.add_argument("--xgboost", type=int, default=4, help="candidates")
    parser.add_argument("--folds", type=int, default=5, help="outer folds")
    parser.add_argument("--inner-folds", type=int, default=3, help="inner folds of each search")
    return parser.parse_args()


def main() -> int:
    """Run the comparison."""
    from featurekit.networks import weights

    options = parse()
    files = {
        name: weights.home() / "weights" / weights.WEIGHTS[name].file_name
        for name in ("dlib_age", "dlib_gender", "mobilenet_v2")
    }
    with harness.pictures_of_utkface(options.data, options.limit) as folder:
        pictures = sorted(folder.iterdir())
        ours = harness.Side(
            name=OURS,
            about="prepare, extract, fit, report",
            script=Path(__file__),
            job={
                "folder": str(folder),
                "fit_options": [*shlex.split(options.fit_options), "--folds", str(options.folds)],
            },
        )
        rival = harness.Side(
            name=RIVAL,
            about="benchmarks/rivals/obvious_script.py",
            script=harness.BENCHMARKS / "rivals" / "obvious_script.py",
            job={
                "folder": str(folder),
                "detector": str(options.scrfd.resolve()),
                "frame": options.frame,
                "age": str(files["dlib_age"]),
                "gender": str(files["dlib_gender"]),
                "mobilenet": str(files["mobilenet_v2"]),
                "svm": options.svm,
                "random_forest": options.random_forest,
                "xgboost": options.xgboost,
                "folds": options.folds,
                "inner_folds": options.inner_folds,
            },
            environment=ENVIRONMENT,
        )
        candidates = f"{options.svm} + {options.random_forest} + {options.xgboost} candidates"
        case = harness.Case(
            title=f"{len(pictures):,} pictures, {options.folds} × {options.inner_folds} folds, {candidates}",
            unit="",
            sides=[ours, rival],
            judge=judge,
            files=pictures,
        )
        complete = options.limit >= LIMIT and "--tune" in options.fit_options
        title = "The whole job: featurekit and the obvious script"
        return harness.compare("whole_job", title, [case], options, complete=complete)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
