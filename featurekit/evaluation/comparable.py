"""Which runs of a comparison can be compared with each other, and why other runs cannot.

Runs can be compared if they were fitted and scored on the same faces, labels and subjects.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.keys import recipe_key
from featurekit.data.manifest import Manifest
from featurekit.data.targets import Target
from featurekit.errors import WorkspaceError
from featurekit.evaluation.outcomes import read_predictions
from featurekit.evaluation.results import Run
from featurekit.networks.feature_names import feature_name
from featurekit.project import ComparisonFolder
from featurekit.text import first_few

# Why a run without outcomes is set apart if the others have some.
NO_OUTCOMES = "its predictions are missing"
_DIFFERS = {
    "split": "it was scored on a different split",
    "classes": "it has different classes",
    "faces": "faces were removed or added since it was fitted",
    "labels": "labels of its target have changed since it was fitted",
    "subjects": "the subjects of the faces have changed since it was fitted",
    "rows": "it was scored on different faces",
    "something": "faces, labels or subjects have changed since it was fitted",
}
# How vectors of one feature were extracted in different ways, by the part of the recipe that differs.
_IN_WORDS = {
    "mirrored": "with and without the mirror image",
    "weights": "other weights",
    "faces": "faces found in another way",
    "normalization": "another network or preprocessing",
    "precision": "another precision",
    "engine": "another device",
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


def set_apart(
    runs: Sequence[Run], manifest: Manifest | None = None, folder: Path | None = None
) -> dict[str, str]:
    """Return which runs cannot be compared with the newest run of their target, and why.

    The split and the scored faces of a run must be those of the newest run with the same target. Its labels
    and subjects must be those of the present manifest or, without a manifest, those of the newest run.

    Args:
        runs: runs of a comparison.
        manifest: present manifest of the faces; None to compare the runs only with each other.
        folder: folder of the comparison, with the predictions from which it is seen whether the faces, the
            labels or the subjects have changed; None if it is not needed which of them.

    Returns:
        Why each run cannot be compared, in words, by the name of the run; empty if all can be compared.
    """
    apart = {}
    for target in dict.fromkeys(run.target for run in runs):
        mine = [run for run in runs if run.target == target]
        newest = max(mine, key=lambda run: (run.created, run.name))
        wanted = {"split": newest.folds.get("sha256"), **newest.scored_on, "classes": _left_out_of(newest)}
        seen = None
        if manifest is not None and newest.scored_on:
            seen = manifest.without(target, newest.left_out)
            now = scored_on(seen, seen.target(target), np.zeros(0, np.intp))
            wanted |= {what: now[what] for what in ("labels", "subjects")}
        for run in mine:
            if newest.scored_on and not run.scored_on:
                why = "it was fitted by an older version, which did not store the data that it was scored on"
            else:
                differ = _differences(run, wanted)
                # Both hashes contain the faces, so they differ whichever of the three has changed.
                if {"labels", "subjects"} <= differ:
                    changed = _changed(run, newest, seen, folder, has_rows="rows" not in differ)
                    differ = (differ & {"split", "classes"}) | changed
                why = " and ".join(text for what, text in _DIFFERS.items() if what in differ)
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


def mixed_vectors(runs: Sequence[Run]) -> list[str]:
    """Return a sentence on each feature that was extracted in different ways for runs of one target.

    For example, a network was extracted again with the mirror image, and only some models were fitted anew.

    Args:
        runs: runs of a comparison, without those that are set apart.
    """
    recipes = {recipe_key(recipe): recipe for run in runs for recipe in run.recipes}
    readers: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run in runs:
        for recipe in run.recipes:
            feature = feature_name(recipe["backbone"], recipe["layer"])
            of_each = readers.setdefault((run.target, feature), {})
            of_each.setdefault(recipe_key(recipe), []).append(run.classifier_name)
    sentences = []
    for (target, feature), of_each in readers.items():
        if len(of_each) < 2:
            continue
        first, *others = (recipes[key] for key in of_each)
        differ = [name for name in first if any(one.get(name) != first[name] for one in others)]
        *models, last = (first_few(list(dict.fromkeys(names))) for names in of_each.values())
        sentences.append(
            f"For {target}, {'; '.join(models)} and {last} were fitted on vectors of {feature} that were"
            f" extracted in different ways ({first_few([_IN_WORDS.get(name, name) for name in differ])})."
            " Differences between these models may come from the vectors. Fit the earlier ones again to"
            " compare them on the same vectors."
        )
    return sentences


def _left_out_of(run: Run) -> str:
    return ", ".join(sorted(run.left_out))


def _differences(run: Run, wanted: Mapping[str, Any]) -> set[str]:
    """Return in which of the split, the classes, and the hashes of scored_on() a run differs."""
    has = {"split": run.folds.get("sha256"), **run.scored_on, "classes": _left_out_of(run)}
    if has["classes"] != wanted["classes"]:  # then other labels are left, and other faces, too
        has |= {what: wanted.get(what) for what in ("labels", "subjects", "rows")}
    return {what for what in _DIFFERS if has.get(what) != wanted.get(what)}


def _changed(
    run: Run, newest: Run, seen: Manifest | None, folder: Path | None, *, has_rows: bool
) -> set[str]:
    """Return which of the faces, the labels and the subjects have changed since a run was fitted.

    The labels and subjects are compared on the faces that both have.

    Args:
        run: the run, whose hashes of the labels and of the subjects both differ.
        newest: newest run of the target.
        seen: present manifest, without classes that are left out; None to compare with the newest run.
        folder: folder of the comparison; None if it is not available.
        has_rows: whether the run was scored on the same faces as the newest one.
    """
    before = _labels_of(folder, run)
    now = _labels_of(folder, newest) if seen is None else _labels_in(seen, run.target)
    if before is None or now is None:
        return {"something"}
    common = before.merge(now, on="face_id", suffixes=("", "_now"))
    changed = set()
    if (common["true"] != common["true_now"]).any():
        changed.add("labels")
    if not are_same_groups(common["subject"], common["subject_now"]):
        changed.add("subjects")
    if len(changed) < 2 or len(common) < len(before) or not has_rows:
        changed.add("faces")
    return changed


def _labels_of(folder: Path | None, run: Run) -> pd.DataFrame | None:
    """Return face_id, true and subject of each scored face of a run; None if they are not available."""
    if folder is None:
        return None
    try:
        table = read_predictions(ComparisonFolder(folder).prediction(run.name))
    except WorkspaceError:
        return None
    # An older version did not store the subjects.
    return table[["face_id", "true", "subject"]] if "subject" in table else None


def _labels_in(manifest: Manifest, name: str) -> pd.DataFrame:
    """Return face_id, true and subject of each labelled face of a manifest."""
    target = manifest.target(name)
    rows = manifest.labelled(target)
    labels = manifest.table.loc[rows, name]
    return pd.DataFrame(
        {
            "face_id": manifest.table.loc[rows, "face_id"].astype(str),
            "true": labels if target.is_regression else labels.astype(str),
            "subject": manifest.subjects[rows],
        }
    )


def fewer_stored(folder: Path, runs: Sequence[Run]) -> list[str]:
    """Return a sentence on the runs whose predictions are stored for fewer faces than were scored, if any."""
    from pyarrow import parquet

    files, fewer = ComparisonFolder(folder), []
    for run in runs:
        paths = (files.prediction(run.name), files.outcome(run.name))
        path = next((path for path in paths if path.is_file()), None)
        if path is not None and parquet.read_metadata(path).num_rows < run.n_tested:
            fewer.append(run)
    if not fewer:
        return []
    names = [run.name for run in fewer]
    return [
        f"The predictions of {first_few(names)} are stored for fewer faces than were scored, e.g. after"
        " featurekit cache purge. Intervals and tests are of the faces that are left, and scores of all of"
        f" them. {_how_to_run_again(fewer, '')}"
    ]


def are_same_groups(first: "pd.Series[Any]", second: "pd.Series[Any]") -> bool:
    """Return whether two columns group the rows in the same way, whatever the groups are called."""
    pairs = np.stack([pd.factorize(column)[0] for column in (first, second)], axis=1)
    return len({*(len(np.unique(column)) for column in pairs.T), len(np.unique(pairs, axis=0))}) == 1


def sentences_on(apart: Mapping[str, str], runs: Sequence[Run], what: str, *, where: str = "") -> list[str]:
    """Return a sentence for each reason for which runs cannot be compared, and how to run these runs again.

    Args:
        apart: why each run cannot be compared, by the name of the run.
        runs: all runs of the comparison.
        what: words that say what happens to such a run, as in "is set apart from the ranking".
        where: words that follow "again" and name the comparisons; "" for the comparison of the runs.
    """
    alike: dict[str, list[str]] = {}
    for name, why in apart.items():
        alike.setdefault(why, []).append(name)
    sentences = []
    for why, names in alike.items():
        who = names[0] if len(names) == 1 else f"Each of {len(names):,} runs ({first_few(names)})"
        again = _how_to_run_again([run for run in runs if run.name in names], where)
        sentences.append(f"{who} {what}: {why}. {again}")
    return sentences


def _how_to_run_again(runs: Sequence[Run], where: str) -> str:
    """Return a sentence that says which commands fit or average runs again."""
    fitted = [run for run in runs if not run.parameters.get("members")]
    averaged = [run for run in runs if run.parameters.get("members")]
    verbs = [f"fit {'it' if len(fitted) == 1 else 'them'}"] if fitted else []
    verbs += [f"average {'its' if len(averaged) == 1 else 'their'} members"] if averaged else []
    # What is averaged has to be fitted first.
    commands = [run.command or f"featurekit fit --target {run.target}" for run in (*fitted, *averaged)]
    named = first_few(list(dict.fromkeys(commands)), separator="; ")
    return f"{' and '.join(verbs).capitalize()} again{where}: {named}"
