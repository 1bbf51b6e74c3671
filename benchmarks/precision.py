"""What bf16 costs: an SVM on the vectors of fp32 and of bf16, on the same folds.

    python benchmarks/precision.py

For each builtin network: balanced accuracy of age group and gender, in fp32 and in bf16, and the difference,
which should be at most 0.002. It says nothing of speed. Where the processor has no bf16 it says so.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

BACKBONES, TARGETS = ("dlib_age", "dlib_gender", "mobilenet_v2"), ("age_group", "gender")
WANTED = 0.002
LIMIT, FOLDS = 11_852, 5


def runs_in(workspace: Path, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the SVM's runs of a comparison by features and target; fit adds baselines by itself."""
    runs = [json.loads(path.read_text()) for path in (workspace / "reports" / name / "runs").glob("*.json")]
    return {(run["features"], run["target"]): run for run in runs if run["classifier"] == "svm"}


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Extract and fit in both precisions and return one row a network and target."""
    workspace, threads = folder / "workspace", ["--threads", str(options.threads)]
    photographs = options.data
    if options.limit < LIMIT:
        with harness.pictures_of_utkface(options.data, options.limit) as chosen:
            photographs = chosen.rename(folder / "UTKFace")
    _ours.run_command(["prepare", "utkface", str(photographs)], workspace)
    words = [word for name in BACKBONES for word in ("--backbone", name)]
    fit = ["fit", "--model", "svm", "--no-models", "--folds", str(options.folds), *threads]
    fit += [word for name in BACKBONES for word in ("--features", name)]
    fit += [word for target in TARGETS for word in ("--target", target)]
    for precision in ("fp32", "bf16"):
        extract = ["extract", "--device", "cpu", "--precision", precision, *words, *threads]
        print(_ours.run_command(extract, workspace).strip().splitlines()[-1], flush=True)
        _ours.run_command([*fit, "--name", precision], workspace)  # before the next extraction takes over
    one, other = runs_in(workspace, "fp32"), runs_in(workspace, "bf16")
    wanted = {(name, target) for name in BACKBONES for target in TARGETS}
    if not set(one) == set(other) == wanted:
        raise RuntimeError(f"Runs of {sorted(one)} and {sorted(other)} instead of {sorted(wanted)}.")
    rows = []
    for (features, target), run in sorted(one.items()):
        again = other[features, target]
        precisions = [{recipe["precision"] for recipe in found["recipes"]} for found in (run, again)]
        if precisions != [{"fp32"}, {"bf16"}] or run["folds"]["sha256"] != again["folds"]["sha256"]:
            raise RuntimeError(f"The runs of {features} for {target} cannot be compared: {precisions}")
        fp32, bf16 = (found["scores"]["balanced_accuracy"]["mean"] for found in (run, again))
        rows.append(
            {
                "backbone": features,
                "target": target,
                "n": run["n_tested"],
                "fp32": fp32,
                "bf16": bf16,
                "difference": bf16 - fp32,
                "reached": abs(bf16 - fp32) <= WANTED,
            }
        )
    return rows


def main() -> int:
    """Print the table and write it as JSON."""
    parser = harness.options_for(__doc__, limit=LIMIT)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--even-emulated", action="store_true", help="also where bf16 is only emulated")
    options = parser.parse_args()
    cores = harness.keep_to_cores(options.threads)
    machine = {**harness.hardware(), "threads": options.threads, "cores_used": cores}
    if not {"amx_bf16", "avx512_bf16"} & set(machine["flags"]) and not options.even_emulated:
        print(f"{machine['processor']} has no bf16: nothing to compare.")
        return 0
    with tempfile.TemporaryDirectory(prefix="featurekit-precision.") as scratch:
        rows = measure(options, Path(scratch))
    verdicts = [
        harness.Verdict(
            f"{row['backbone']}, {row['target']}, {row['n']:,} faces: balanced accuracy {row['fp32']:.4f}",
            f"within {WANTED}",
            f"{row['bf16']:.4f} in bf16, {row['difference']:+.4f}",
            row["reached"],
        )
        for row in rows
    ]
    case = {
        "title": "An SVM on the same folds, fp32 and bf16",
        "unit": "",
        "sides": [],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    print(harness.case_in_words(case))
    result = {
        "name": "precision",
        "title": "What bf16 costs in balanced accuracy",
        "created": harness.now(),
        "command": harness.command_line(sys.argv),
        "complete": options.limit >= LIMIT and options.folds == FOLDS,
        "rounds": 1,
        "hardware": machine,
        "rows": rows,
        "cases": [case],
    }
    harness.write_result(result, options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
