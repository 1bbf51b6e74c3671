"""Compute some vectors of an old comparison again, and say what is not as it was.

A run keeps the recipes of what it read. With them the vectors of a few faces are
computed anew from the photographs, by what is here now: the weight files, the
precision and the engine that the same words would get today. They are compared
with the vectors that are remembered, and the recipes, versions and hardware with
those of the run. Nothing is written, and nothing that is wrong hides what else is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.keys import recipe_key
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.open_networks import OpenBackbone, open_networks
from featurekit.embeddings.recipe import Recipe, make_recipes, row_keys, settings_of
from featurekit.embeddings.worker import Looked, Looker, Task
from featurekit.errors import FeaturekitError, StoreError, WorkspaceError
from featurekit.evaluation.outcomes import read_predictions
from featurekit.evaluation.provenance import packages_now, processor, versions
from featurekit.evaluation.results import Run, some_runs
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder


@dataclass(frozen=True)
class Differing:
    """A face whose vector is not the remembered one.

    Attributes:
        face_id: whose.
        largest: the largest difference of two numbers; NaN where there is only one vector.
        share: length of the difference, of that of the remembered vector; NaN likewise.
        why: why there is only one vector; "" where there are two.
    """

    face_id: str
    largest: float
    share: float
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What came of computing one recipe's vectors again.

    Attributes:
        feature: e.g. "dlib_age:pooled".
        n_faces: whose photograph was as it was.
        differing: faces whose vectors are not the same to the last bit.
        changes: what the recipe would say now, a line each: "weights: 4f9f0075 → d4c4116c".
        damaged: shards with such vectors that are not what they say, a line each.
        why: why nothing could be computed or compared; "" where it could.
    """

    feature: str
    n_faces: int
    differing: tuple[Differing, ...] = ()
    changes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is as it was when a comparison was run, and what is not.

    Attributes:
        n_faces: that were chosen.
        photographs: face_id and reason of each that cannot be compared: gone, or changed.
        checked: one for each recipe of the kept runs.
        surroundings: versions and hardware that differ, a line each: "openvino: 2026.3 → 2026.4".
    """

    n_faces: int
    photographs: tuple[tuple[str, str], ...]
    checked: tuple[Checked, ...]
    surroundings: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether everything is as it was."""
        as_it_was = all(not (one.differing or one.changes or one.damaged or one.why) for one in self.checked)
        return as_it_was and not (self.photographs or self.surroundings)


@dataclass(frozen=True)
class _Job:
    """A recipe of the kept runs, and what takes its place now.

    Attributes:
        old: as a run keeps it.
        now: what would be extracted for it now; None where nothing can.
        why: why not.
    """

    old: Mapping[str, Any]
    now: Recipe | None
    why: str


def verify_run(
    folder: Path,
    manifest: Manifest,
    cache: Path,
    *,
    n: int = 16,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compute the vectors of some faces of a comparison again, and compare.

    Args:
        folder: of the comparison.
        manifest: whose photographs.
        cache: folder of the store; nothing is written there.
        n: how many faces.
        seed: which they are; None for 0, or where all are looked at.
        progress: called with (pictures looked at, pictures to look at).

    Raises:
        WorkspaceError: nothing was fitted, or the predictions, which say which faces took part, are gone;
            or a seed was given that chooses nothing, because all faces are looked at.
    """
    runs = some_runs(folder)
    if n < 1:
        raise WorkspaceError(f"At least one face must be checked. Got {n} instead.")
    face_ids = _faces_of(folder, n, seed)
    rows, photographs = _rows_of(face_ids, manifest)
    jobs = _jobs(runs)
    store = Store(cache, read_only=True)
    groups = list(_together(jobs))
    checked = {i: _nothing(job, job.why) for i, job in enumerate(jobs) if job.now is None}
    achieved: dict[str, dict[str, str]] = {}
    done = 0
    for numbers in groups:
        settings = settings_of(jobs[numbers[0]].old["faces"])
        try:
            finder, networks = _open(settings, [jobs[i].now for i in numbers])
        except FeaturekitError as error:
            checked |= {i: _nothing(jobs[i], str(error)) for i in numbers}
            done += len(rows)
            continue
        achieved |= {network.name: asdict(network.session.achieved) for network in networks}
        looker = Looker(manifest.root, settings, finder, networks, [])
        looked = []
        for row in rows:
            looked.append(_look(looker, manifest, int(row)))
            done += 1
            if progress:
                progress(done, len(rows) * len(groups))
        photographs |= _unread(looked, manifest)
        readable = [one for one in looked if one.face.status != "not_extracted"]
        keys = row_keys(manifest, settings)
        checked |= {i: _compared(jobs[i], readable, manifest, keys, store) for i in numbers}
    return Verification(
        n_faces=len(face_ids),
        photographs=tuple(sorted(photographs.items())),
        checked=tuple(checked[i] for i in range(len(jobs))),
        surroundings=_surroundings(runs, achieved),
    )


def _faces_of(folder: Path, n: int, seed: int | None) -> list[str]:
    """Return some of the faces that the runs of a comparison were scored on."""
    tables = [read_predictions(path)[["face_id"]] for path in ComparisonFolder(folder).all_predictions()]
    if not tables:
        raise WorkspaceError(
            f"There are no predictions in {folder}, so it is not known which faces the runs used. Fit them"
            f" again: featurekit fit --name {folder.name}"
        )
    known = sorted(set(pd.concat(tables)["face_id"]))
    if seed is not None and n >= len(known):
        raise WorkspaceError(
            f"--seed has no effect, because all {len(known)} faces are used. Leave it out, or use fewer"
            " faces with --n."
        )
    chosen = np.random.default_rng(seed or 0).choice(len(known), min(n, len(known)), replace=False)
    return [known[i] for i in sorted(chosen)]


def _rows_of(face_ids: list[str], manifest: Manifest) -> tuple[NDArray[np.intp], dict[str, str]]:
    """Return the rows of the faces that are in the manifest, and what is to be said of the others."""
    rows = pd.Index(manifest.table["face_id"]).get_indexer(pd.Index(face_ids))
    absent = {face_ids[i]: "is no longer in the manifest" for i in np.flatnonzero(rows < 0)}
    return rows[rows >= 0], absent


def _unread(looked: Sequence[Looked], manifest: Manifest) -> dict[str, str]:
    """Return why each photograph was not read that was not, by face_id."""
    return {
        str(manifest.table["face_id"].iloc[one.row]): one.why
        for one in looked
        if one.face.status == "not_extracted"
    }


def _jobs(runs: Sequence[Run]) -> list[_Job]:
    """Return each recipe that some run keeps, once."""
    recipes = {recipe_key(recipe): (recipe, run) for run in runs for recipe in run.recipes}
    jobs = []
    for recipe, run in recipes.values():
        now, why = None, ""
        try:
            now = _now(recipe, run.hardware["asked"])
        except FeaturekitError as error:
            why = str(error)
        except (KeyError, TypeError) as error:
            why = f"its recipe was written by another version of featurekit ({error})"
        jobs.append(_Job(recipe, now, why))
    return jobs


def _now(recipe: Mapping[str, Any], asked: Mapping[str, str]) -> Recipe:
    """Return what featurekit extract would make for a recipe now, asked in the same words as then."""
    feature = _feature(recipe)
    made = make_recipes(
        [feature],
        settings_of(recipe["faces"]),
        device=asked["device"],
        precision=asked["precision"],
        mirrored=recipe["mirrored"],
    )
    return made[feature]


def _feature(recipe: Mapping[str, Any]) -> str:
    return f"{recipe.get('backbone')}:{recipe.get('layer')}"


def _together(jobs: Sequence[_Job]) -> Iterator[list[int]]:
    """Yield the numbers of jobs that one look at a photograph serves."""
    groups: dict[str, list[int]] = {}
    for i, job in enumerate(jobs):
        if job.now is None:
            continue
        alike = {"faces": job.old["faces"], **{name: getattr(job.now, name) for name in _OPENED_BY}}
        groups.setdefault(recipe_key(alike), []).append(i)
    yield from groups.values()


# Parts of a recipe that networks are opened by, together.
_OPENED_BY = ("mirrored", "precision", "engine")


def _open(settings: FaceSettings, recipes: Sequence[Recipe | None]) -> tuple[Any, list[OpenBackbone]]:
    threads = usable_cores()
    finder = open_finder(settings, threads=threads)
    # Two recipes of a feature may have become one.
    once = {recipe.feature: recipe for recipe in recipes if recipe is not None}
    return finder, open_networks(list(once.values()), threads)


def _look(looker: Looker, manifest: Manifest, row: int) -> Looked:
    """Look at one photograph as if for the first time."""
    path, content, box = (manifest.table[name].iloc[row] for name in ("image_path", "content", "box"))
    return looker(Task(row, path, content, box, None))


def _compared(
    job: _Job, looked: Sequence[Looked], manifest: Manifest, keys: NDArray[np.uint8], store: Store
) -> Checked:
    """Return what is not as it is remembered, or why that cannot be read."""
    try:
        return _compare(job, looked, manifest, keys, store)
    except StoreError as error:
        return _nothing(job, str(error))


def _compare(
    job: _Job, looked: Sequence[Looked], manifest: Manifest, keys: NDArray[np.uint8], store: Store
) -> Checked:
    """Return what is not as it is remembered."""
    shelf = store.shelf("embeddings", job.old)
    rows = np.array([one.row for one in looked], np.intp)
    missing = set(shelf.missing(keys[rows])) if len(rows) else set()
    there = [i for i in range(len(looked)) if i not in missing]
    remembered = (
        dict(zip(there, shelf.read(keys[rows[there]], ["vectors"])["vectors"], strict=True)) if there else {}
    )
    feature = _feature(job.old)
    differing = []
    for i, one in enumerate(looked):
        face_id = str(manifest.table["face_id"].iloc[one.row])
        old, new = remembered.get(i), one.vectors.get(feature)
        if old is None:
            why = "the cache has no vector for it: the image has changed since then, or was removed"
            differing.append(Differing(face_id, float("nan"), float("nan"), why))
        elif new is None:
            why = f"no face is found in it now ({one.face.status})"
            differing.append(Differing(face_id, float("nan"), float("nan"), why))
        elif old.tobytes() != new.tobytes():
            apart = new.astype(float) - old.astype(float)
            length = float(np.linalg.norm(old.astype(float)))
            share = float(np.linalg.norm(apart)) / length if length else float("inf")
            differing.append(Differing(face_id, float(np.abs(apart).max()), share))
    return Checked(
        feature=feature,
        n_faces=len(looked),
        differing=tuple(differing),
        changes=_changes(job),
        damaged=tuple(f"{damage.path} {damage.why}" for damage in shelf.damaged),
    )


def _nothing(job: _Job, why: str) -> Checked:
    """Return that nothing could be compared, and why."""
    return Checked(feature=_feature(job.old), n_faces=0, changes=_changes(job), why=why)


def _changes(job: _Job) -> tuple[str, ...]:
    """Return which parts of a recipe are others now."""
    if job.now is None:
        return ()
    old, new = _flat(job.old), _flat(asdict(job.now))
    return tuple(
        f"{name}: {_short(old.get(name, 'none'))} → {_short(new.get(name, 'none'))}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values by the path to each, tuples as the lists that JSON makes of them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name} ")
        else:
            found[f"{above}{name}"] = list(value) if isinstance(value, tuple) else value
    return found


def _short(value: Any) -> str:
    """Return a value as text, of a hash the first digits."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _surroundings(runs: Sequence[Run], achieved: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return the versions and the hardware that are others now, over all runs."""
    found: dict[str, None] = {}
    here, now = processor(), versions()
    for run in runs:
        packages = packages_now(run.versions)
        pairs = [
            (name, run.versions.get(name, "unknown"), version) for name, version in (now | packages).items()
        ]
        pairs.append(("processor", str(run.hardware.get("processor")), here))
        for network, got in run.hardware.get("got", {}).items():
            again = achieved.get(network, got)
            pairs += [(f"{network}, {part}", str(got.get(part)), again[part]) for part in again]
        found |= {f"{name}: {old} → {new}": None for name, old, new in pairs if old != new}
    return tuple(found)
