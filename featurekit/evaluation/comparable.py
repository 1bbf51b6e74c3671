"""Which runs of a comparison can be compared with each other, and why other runs cannot.

Runs can be compared if they were fitted and scored on the same faces, labels and subjects.
"""

import json
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.targets import Target
from featurekit.evaluation.results import Run

# Why a run without outcomes is set apart if the others have some.
NO_OUTCOMES = "its predictions are missing"
_DIFFERS = {
    "split": "it was scored on a different split",
    "classes": "it has different classes",
    "labels": "faces or labels of its target have changed since it was fitted",
    "subjects": "the subjects of the faces have changed since it was fitted",
    "rows": "it was scored on different faces",
}


def scored_on(manifest: Manifest, target: Target, rows: NDArray[np.intp]) -> dict[str, str]:
    """Return hashes of the data on which a run is fitted and scored; runs with equal hashes can be compared.

    Args:
        manifest: manifest of the faces.
        target: target that the run predicts.
        rows: row numbers of the faces that are scored, shape (n,).

    Returns:
        The hashes "rows" of the faces that are scored, "labels" of all rows with a label of the target, and
        "subjects" of the subjects of these rows.
    """
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    labelled = np.flatnonzero(manifest.labelled(target))
    # to_numpy(dtype=str) would cut every text to its first letter if one is missing.
    labels = list(map(str, manifest.table[target.name].iloc[labelled]))
    return {
        "rows": hash_of_rows(ids[np.sort(rows)]),
        "labels": _hash([ids[labelled].tolist(), labels]),
        "subjects": _hash([ids[labelled].tolist(), manifest.subjects[labelled].tolist()]),
    }


def hash_of_rows(face_ids: NDArray[np.str_]) -> str:
    """Return the hash "rows" of scored_on() for these faces, in the order of the manifest."""
    return _hash([face_ids.tolist()])


def _hash(lists: Sequence[Sequence[str]]) -> str:
    return sha256(json.dumps(lists).encode()).hexdigest()


def set_apart(runs: Sequence[Run], manifest: Manifest | None = None) -> dict[str, str]:
    """Return which runs cannot be compared with the newest run of their target, and why.

    The split and the scored faces of a run must be those of the newest run with the same target. Its labels
    and subjects must be those of the present manifest or, without a manifest, those of the newest run.

    Args:
        runs: runs of a comparison.
        manifest: present manifest of the faces; None to compare the runs only with each other.

    Returns:
        Why each run cannot be compared, in words, by the name of the run; empty if all can be compared.
    """
    apart = {}
    for target in dict.fromkeys(run.target for run in runs):
        mine = [run for run in runs if run.target == target]
        newest = max(mine, key=lambda run: (run.created, run.name))
        classes = {run.name: ", ".join(sorted(run.left_out)) for run in mine}
        wanted = {"split": newest.folds.get("sha256"), **newest.scored_on, "classes": classes[newest.name]}
        if manifest is not None and newest.scored_on:
            seen = manifest.without(target, newest.left_out)
            now = scored_on(seen, seen.target(target), np.zeros(0, np.intp))
            wanted |= {what: now[what] for what in ("labels", "subjects")}
        for run in mine:
            has = {"split": run.folds.get("sha256"), **run.scored_on, "classes": classes[run.name]}
            if has["classes"] != wanted["classes"]:  # then other labels are left, too
                has["labels"], has["subjects"] = (wanted.get(what, "") for what in ("labels", "subjects"))
            why = (
                " and ".join(text for what, text in _DIFFERS.items() if has.get(what) != wanted.get(what))
                if run.scored_on or not newest.scored_on
                else "it was fitted by an older version, which did not store the data that it was scored on"
            )
            if not why:
                # The runs beside an ensemble now may not be those that were averaged.
                later = [
                    one.name
                    for one in mine
                    if one.name in run.parameters.get("members", ()) and one.created > run.created
                ]
                if later:
                    why = f"{', '.join(later)} was fitted again after its predictions were averaged"
            if why:
                apart[run.name] = why
    return apart


def how_to_run_again(name: str, runs: Sequence[Run], where: str = "") -> str:
    """Return a sentence that says which command fits or averages a run again.

    Args:
        name: name of the run.
        runs: all runs of its comparison.
        where: words that follow "again" and name the comparisons; "" for the comparison of the run.
    """
    run = next(run for run in runs if run.name == name)
    verb = "Average its members" if run.parameters.get("members") else "Fit it"
    return f"{verb} again{where}: {run.command or f'featurekit fit --target {run.target}'}"
