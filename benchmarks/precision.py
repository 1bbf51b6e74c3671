"""What bf16 and int8 cost and gain: an SVM on the vectors of each precision, on the same folds; and speed.

    python benchmarks/precision.py
    python benchmarks/precision.py --even-emulated --workspace FOLDER    # resumable

For each network whose weights are here: balanced accuracy of age group and gender in fp32, bf16 and int8; the
paired difference to fp32 with its 95 % interval over subjects; and the milliseconds of one picture on one
thread. It prints the lines to add to featurekit/networks/precisions.py. What the processor has not is "not
run"; --even-emulated measures the accuracy of int8 there too, which is the same on all processors. Rows of
the last run in a precision that was not measured this time stay in the result.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness
import numpy as np

BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2", "dlib_face")
TARGETS, PRECISIONS = ("age_group", "gender"), ("fp32", "bf16", "int8")
WANTED_BF16 = 0.002
LIMIT, FOLDS = 11_852, 5
ROUNDS, PICTURES = 30, 4  # of the speed; the smallest of the rounds counts
# From this factor on a precision is worth its line in FASTEST.
FASTER = 1.05
# featurekit refuses int8 where it was not measured, or gains nothing; this is the place where it is measured.
EVEN_UNMEASURED = """
import sys
from featurekit.embeddings import calibration
calibration.check_int8 = lambda name: None
from featurekit.cli.app import main
main()
"""


def run(words: Sequence[str], workspace: Path) -> str:
    """Run featurekit's command line with int8 allowed for every network."""
    return _ours.run_command(words, workspace, program=["-c", EVEN_UNMEASURED])


def missing_in(processor: Any, precision: str) -> str:
    """Return why a processor gains nothing from a precision, or ""."""
    if processor.computes_in(precision):
        return ""
    lacks = "neither VNNI nor AMX for int8" if precision == "int8" else "no bf16"
    return f"{processor.name or 'this processor'} has {lacks}"


def sessions_of(name: str, precisions: Sequence[str]) -> dict[str, Any]:
    """Return a network on one thread in each precision."""
    from featurekit.embeddings.calibration import CALIBRATED_ON, calibration_crops
    from featurekit.networks import weights
    from featurekit.networks.backbones import BACKBONES as KNOWN
    from featurekit.networks.quantized import quantized_once

    kind = KNOWN[name]
    data = weights.read(kind.weights)
    found = {}
    for precision in precisions:
        digest = ""
        if precision == "int8":
            digest = quantized_once(kind, CALIBRATED_ON, lambda: calibration_crops(kind))
        layers, on = [kind.default_layer], {"device": "cpu", "threads": 1}
        found[precision] = kind.open(data, layers, precision=precision, quantized=digest, **on)
    return found


def milliseconds(name: str, precisions: Sequence[str]) -> dict[str, float]:
    """Return the smallest time of a picture in each precision, in turns, on one thread."""
    from featurekit.networks.backbones import BACKBONES as KNOWN

    side = KNOWN[name].input_size
    crops = np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), dtype=np.uint8)
    sessions = sessions_of(name, precisions)
    seconds: dict[str, list[float]] = {precision: [] for precision in sessions}
    for session in sessions.values():
        session(crops)
    for _ in range(ROUNDS):
        for precision, session in sessions.items():
            started = time.perf_counter()
            session(crops)
            seconds[precision].append((time.perf_counter() - started) / PICTURES)
    return {precision: 1000 * min(times) for precision, times in seconds.items()}


def predictions_in(workspace: Path, name: str) -> dict[tuple[str, str], tuple[dict[str, Any], Any]]:
    """Return the SVM's runs of a comparison and their predictions, by backbone and target."""
    import pandas as pd

    folder, found = workspace / "reports" / name, {}
    for path in (folder / "runs").glob("*.json"):
        one = json.loads(path.read_text())
        if one["classifier"] == "svm":  # fit adds baselines by itself
            table = pd.read_parquet(folder / "predictions" / f"{path.stem}.parquet")
            found[one["features"], one["target"]] = one, table
    return found


def paired_loss(target: str, tables: Sequence[Any], seed: int = 0) -> tuple[float, float, float]:
    """Return by how much the second table's balanced accuracy is lower, and the ends of its 95 % interval.

    The interval is that of subjects resampled with replacement, as in featurekit's reports.
    """
    from featurekit.evaluation.differences import common_faces
    from featurekit.uncertainty.resampling import interval, per_subject, resampled_sums

    first, second = common_faces(dict(enumerate(tables)), "face_id").values()
    truth = first["true"].to_numpy()
    classes = np.unique(truth)
    columns = [
        np.where(truth == one, right, 0.0)
        for right in (first["predicted"] == truth, second["predicted"] == truth, np.ones(len(truth)))
        for one in classes
    ]
    of_each = per_subject(np.stack(columns, axis=1).astype(np.float64), first["subject"].to_numpy())

    def loss(sums: Any) -> Any:
        before, after, n = np.split(sums, 3, axis=-1)
        with np.errstate(invalid="ignore"):  # resamples without a class, which interval() leaves out
            return ((before - after) / n).mean(axis=-1)

    between = interval(loss(resampled_sums(of_each, seed=seed)))
    return float(loss(of_each.sum(axis=0))), between.low, between.high


def measure(options: argparse.Namespace, workspace: Path, precisions: Sequence[str]) -> list[dict[str, Any]]:
    """Extract and fit in each precision and return one row a network, target and precision but fp32."""
    threads = ["--threads", str(options.threads)]
    if not (workspace / "manifest.csv").exists():
        with (
            harness.pictures_of_utkface(options.data, options.limit)
            if options.limit < LIMIT
            else nullcontext(options.data)
        ) as chosen:
            photographs = chosen.rename(workspace / "UTKFace") if options.limit < LIMIT else chosen
        run(["prepare", "utkface", str(photographs)], workspace)
    names = options.backbone or list(BACKBONES)
    fit = ["fit", "--model", "svm", "--no-models", "--folds", str(options.folds), *threads]
    fit += [word for name in names for word in ("--features", name)]
    fit += [word for target in TARGETS for word in ("--target", target)]
    for precision in precisions:
        words = [word for name in names for word in ("--backbone", name)]
        extract = ["extract", "--device", "cpu", "--precision", precision, *words, *threads]
        print(run(extract, workspace).strip().splitlines()[-1], flush=True)
        run([*fit, "--name", precision], workspace)  # before the next extraction takes over
    found = {precision: predictions_in(workspace, precision) for precision in precisions}
    rows = []
    for name, target in ((name, target) for name in names for target in TARGETS):
        run_of, table = found["fp32"][name, target]
        for precision in precisions[1:]:
            again, other = found[precision][name, target]
            used = [{recipe["precision"] for recipe in one["recipes"]} for one in (run_of, again)]
            if used != [{"fp32"}, {precision}] or run_of["folds"]["sha256"] != again["folds"]["sha256"]:
                raise RuntimeError(f"The runs of {name} for {target} cannot be compared: {used}")
            loss, low, high = paired_loss(target, [table, other])
            scores = [one["scores"]["balanced_accuracy"]["mean"] for one in (run_of, again)]
            rows.append(
                {
                    "backbone": name,
                    "target": target,
                    "precision": precision,
                    "n": run_of["n_tested"],
                    "fp32": scores[0],
                    "score": scores[1],
                    "loss": loss,
                    "interval": [low, high],
                    "recipes": [recipe["normalization"] for recipe in again["recipes"]],
                }
            )
    return rows


def line_for_fastest(processor: Any, speeds: Mapping[str, Mapping[str, float]]) -> str:
    """Return the entry of FASTEST for a processor, by the median factor of bf16 over the networks."""
    factors = [speed["fp32"] / speed["bf16"] for speed in speeds.values() if "bf16" in speed]
    if not factors:
        return "not run: " + missing_in(processor, "bf16")
    needs = next(flag for flag in ("amx_bf16", "avx512_bf16") if flag in processor.flags)
    precision = "bf16" if statistics.median(factors) >= FASTER else "fp32"
    on = f"{'an' if processor.name[:1] in 'AEIO' else 'a'} {processor.name}"
    measured = f"bf16 is {min(factors):.1f} to {max(factors):.1f} times as fast as fp32 on {on}"
    facts = (f"{processor.vendor} with {needs}", processor.vendor, needs, precision, measured)
    return f"    Fastest({', '.join(map(json.dumps, facts))}),"


def lines_for_int8(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the entries of INT8_LOSSES, with losses in points, rounded up."""
    lines = []
    for name in dict.fromkeys(row["backbone"] for row in rows if row["precision"] == "int8"):
        losses = ", ".join(
            f'"{row["target"]}": Loss({100 * row["loss"]:.2f}, {100 * row["interval"][1]:.2f})'
            for row in rows
            if (row["backbone"], row["precision"]) == (name, "int8")
        )
        lines.append(f'    "{name}": {{{losses}}},')
    return lines


def verdict_on(row: Mapping[str, Any], here: str) -> harness.Verdict:
    """Judge the loss of a network in a precision for a target; here is where this run was measured."""
    from featurekit.networks.precisions import MOST_POINTS, MOST_UPPER, Loss

    ends = [100 * end for end in row["interval"] or ()]  # earlier rows in bf16 have no interval
    said = f"{row['score']:.4f}; loses {100 * row['loss']:+.2f} points"
    said += " ({:+.2f} to {:+.2f})".format(*ends) if ends else ""
    said += ", emulated" if row["emulated"] else ""
    is_int8 = row["precision"] == "int8"
    if is_int8:
        reached = Loss(100 * row["loss"], ends[1]).is_small
    else:
        reached = abs(row["score"] - row["fp32"]) <= WANTED_BF16
    return harness.Verdict(
        f"{row['backbone']}, {row['target']}, {row['n']:,} faces: balanced accuracy {row['fp32']:.4f}",
        f"int8 loses ≤ {MOST_POINTS:g} points, at most {MOST_UPPER:g}"
        if is_int8
        else f"bf16 within {WANTED_BF16}",
        said if row["measured"] == here else f"{said}; {row['measured']}",
        reached,
    )


def rows_of_others(folder: Path, measured: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the last result in precisions that this run did not measure."""
    path = folder / "precision.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    return [row for row in rows if row["precision"] not in measured]


def main() -> int:
    """Print the table and write it as JSON."""
    from featurekit.networks.precisions import this_processor

    parser = harness.options_for(__doc__, limit=LIMIT)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--backbone", action="append", choices=BACKBONES, help="default: all")
    parser.add_argument("--even-emulated", action="store_true", help="also the accuracy of what is not there")
    parser.add_argument("--workspace", type=Path, help="folder that is kept; a second call goes on there")
    options = parser.parse_args()
    cores = harness.keep_to_cores(options.threads)
    machine = {**harness.hardware(), "threads": options.threads, "cores_used": cores}
    processor, names = this_processor(), options.backbone or list(BACKBONES)
    missing = {precision: missing_in(processor, precision) for precision in PRECISIONS}
    there = [precision for precision in PRECISIONS if not missing[precision]]
    # OpenVINO does not compute in bf16 where the processor does not, but in int8.
    emulated = ["int8"] if missing["int8"] and options.even_emulated else []
    for why in filter(None, missing.values()):
        print(f"not run: {why}", flush=True)
    scratch = tempfile.TemporaryDirectory(prefix="featurekit-precision.")
    with nullcontext(options.workspace) if options.workspace else scratch as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        rows = measure(options, Path(folder), [*there, *emulated])
    here = f"{harness.machine_name(machine)}, {harness.now()[:10]}"
    rows = [{**row, "emulated": row["precision"] in emulated, "measured": here} for row in rows]
    rows += rows_of_others(options.results, [*there, *emulated])
    speeds = {name: milliseconds(name, there) for name in names}
    took = [
        harness.Verdict(f"{name}, ms a picture, one thread", "-", _in_words(speed, missing), True, timed=True)
        for name, speed in speeds.items()
    ]
    verdicts = [*took, *(verdict_on(row, here) for row in rows)]
    line, losses = line_for_fastest(processor, speeds), lines_for_int8(rows)
    result = {
        "name": "precision",
        "title": "What bf16 and int8 cost in balanced accuracy, and gain in speed",
        "complete": options.limit >= LIMIT and options.folds == FOLDS and names == list(BACKBONES),
        "rounds": ROUNDS,
        "hardware": machine,
        "not_run": [why for why in missing.values() if why],
        "milliseconds": speeds,
        "fastest": line,
        "rows": rows,
    }
    harness.write_table(result, "An SVM on the same folds in fp32, bf16 and int8", verdicts, options.results)
    print("\n".join(["For featurekit/networks/precisions.py, FASTEST:", line, "INT8_LOSSES:", *losses]))
    return 0


def _in_words(speed: Mapping[str, float], missing: Mapping[str, str]) -> str:
    """Return the speeds of a network, and what was not run."""
    said = [f"{precision} {ms:.2f}" for precision, ms in speed.items()]
    return "; ".join([*said, *(f"{precision} not run" for precision, why in missing.items() if why)])


if __name__ == "__main__":
    sys.exit(main())
