"""Compute some vectors of an old comparison again, and find what has changed.

A run stores the recipes of its vectors, which are the settings that determine them. The vectors of a few
faces are computed again with these recipes, and with the weight files, the precision and the engine that the
same options select today. The new vectors are compared with the cached vectors, and the current recipes,
versions and hardware with those in the run. Nothing is written. A problem with one recipe does not prevent
the checks of the other recipes.
"""

import math
from collections.abc import Mapping, Sequence
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
from featurekit.networks.feature_names import feature_name
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder


@dataclass(frozen=True)
class Differing:
    """A face whose vector differs from the cached vector.

    Attributes:
        face_id: id of the face.
        largest: largest absolute difference of two values; NaN if one of the vectors is missing.
        share: length of the difference divided by the length of the cached vector; NaN if one of the vectors
            is missing.
        why: reason why one of the vectors is missing; "" if none is missing.
    """

    face_id: str
    largest: float = math.nan
    share: float = math.nan
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The result of computing the vectors of one recipe again.

    Attributes:
        feature: network and layer, such as "dlib_age:pooled".
        n_faces: number of faces whose image is unchanged.
        differing: faces whose vectors are not the same to the last bit.
        changes: one line for each setting of the recipe that differs now, "weights: 4f9f0075 → d4c4116c".
        damaged: one line for each damaged cache file with vectors of the recipe.
        why: reason why no vector could be computed or compared; "" if this was possible.
    """

    feature: str
    n_faces: int
    differing: tuple[Differing, ...] = ()
    changes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The changes since the runs of a comparison were made.

    Attributes:
        n_faces: number of faces that were checked.
        photographs: face_id and reason of each face whose image was removed or has changed.
        checked: one result for each recipe of the runs.
        surroundings: one line for each version or hardware that differs, "openvino: 2026.3 → 2026.4".
    """

    n_faces: int
    photographs: tuple[tuple[str, str], ...]
    checked: tuple[Checked, ...]
    surroundings: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing has changed."""
        changed = any(one.differing or one.changes or one.damaged or one.why for one in self.checked)
        return not (changed or self.photographs or self.surroundings)


@dataclass(frozen=True)
class _Job:
    """A recipe of the runs, and its present counterpart.

    Attributes:
        old: as a run keeps it.
        now: the recipe that featurekit extract would use now, in the precision of the run; None if there is
            none.
        why: why there is none.
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
    """Compute the vectors of some faces of a comparison again, and compare them with the cache.

    Args:
        folder: folder of the comparison.
        manifest: table of the data set.
        cache: folder of the cache, which is not changed.
        n: number of faces to check.
        seed: seed for drawing the faces at random; None for 0, or if all faces are used.
        progress: function that is called with (images done, images to do).

    Raises:
        WorkspaceError: the comparison has no runs, or no predictions that show which faces were used; or the
            seed has no effect, because all faces are used.
    """
    runs = some_runs(folder)
    if n < 1:
        raise WorkspaceError(f"At least one face must be checked. Got {n} instead.")
    face_ids = _faces_of(folder, n, seed)
    rows, photographs = _rows_of(face_ids, manifest)
    jobs = _jobs(runs)
    store = Store(cache, read_only=True)
    groups = _together(jobs)
    checked = {i: _nothing(job, job.why) for i, job in enumerate(jobs) if job.now is None}
    achieved: dict[str, dict[str, str]] = {}
    for group, numbers in enumerate(groups):
        settings = settings_of(jobs[numbers[0]].old["faces"])
        try:
            finder, networks = _open(settings, [jobs[i].now for i in numbers])
        except FeaturekitError as error:
            checked |= {i: _nothing(jobs[i], str(error)) for i in numbers}
            continue
        achieved |= {network.name: asdict(network.session.achieved) for network in networks}
        looker = Looker(manifest.root, settings, finder, networks, [])
        looked = []
        for done, row in enumerate(rows, start=group * len(rows) + 1):
            path, content, box = manifest.table[["image_path", "content", "box"]].iloc[row]
            looked.append(looker(Task(int(row), path, content, box)))
            if progress:
                progress(done, len(rows) * len(groups))
        readable = [one for one in looked if one.is_final]
        unread = [one for one in looked if not one.is_final]
        photographs |= {str(manifest.table["face_id"].iloc[one.row]): one.why for one in unread}
        keys = row_keys(manifest, settings)
        checked |= {i: _compared(jobs[i], readable, manifest, keys, store) for i in numbers}
    return Verification(
        n_faces=len(face_ids),
        photographs=tuple(sorted(photographs.items())),
        checked=tuple(checked[i] for i in range(len(jobs))),
        surroundings=_surroundings(runs, achieved),
    )


def _faces_of(folder: Path, n: int, seed: int | None) -> list[str]:
    """Return some of the faces on which the runs of a comparison were scored."""
    tables = [read_predictions(path)[["face_id"]] for path in ComparisonFolder(folder).all_predictions()]
    if not tables:
        raise WorkspaceError(
            f"There are no predictions in {folder}, so it is not known which faces the runs used. Fit the"
            f" models again: featurekit fit --name {folder.name}"
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
    """Return the rows of the faces in the manifest, and a reason for each face that is not there."""
    rows = pd.Index(manifest.table["face_id"]).get_indexer(pd.Index(face_ids))
    absent = {face_ids[i]: "the face is no longer in the manifest" for i in np.flatnonzero(rows < 0)}
    return rows[rows >= 0], absent


def _jobs(runs: Sequence[Run]) -> list[_Job]:
    """Return each recipe of the runs, once."""
    recipes = {recipe_key(recipe): (recipe, run) for run in runs for recipe in run.recipes}
    jobs = []
    for recipe, run in recipes.values():
        now, why = None, ""
        try:
            now = make_recipes(
                [_feature(recipe)],
                settings_of(recipe["faces"]),
                device=run.hardware["asked"]["device"],
                # Another precision would be a difference of today's machine or options, not of the run.
                precision=recipe["precision"],
                mirrored=recipe["mirrored"],
            )[_feature(recipe)]
        except FeaturekitError as error:
            why = str(error)
        except (KeyError, TypeError) as error:
            why = f"its recipe was written by another version of featurekit ({error})"
        jobs.append(_Job(recipe, now, why))
    return jobs


def _feature(recipe: Mapping[str, Any]) -> str:
    return feature_name(str(recipe.get("backbone")), str(recipe.get("layer")))


def _together(jobs: Sequence[_Job]) -> list[list[int]]:
    """Return the numbers of jobs in groups that need an image only once."""
    groups: dict[str, list[int]] = {}
    for i, job in enumerate(jobs):
        if job.now is not None:
            # Networks that differ in one of these cannot be opened together.
            alike = {name: getattr(job.now, name) for name in ("mirrored", "precision", "engine")}
            groups.setdefault(recipe_key({"faces": job.old["faces"], **alike}), []).append(i)
    return list(groups.values())


def _open(settings: FaceSettings, recipes: Sequence[Recipe | None]) -> tuple[Any, list[OpenBackbone]]:
    threads = usable_cores()
    # Two old recipes of a feature may have the same present one.
    once = {recipe.feature: recipe for recipe in recipes if recipe is not None}
    return open_finder(settings, threads=threads), open_networks(list(once.values()), threads)


def _compared(
    job: _Job, looked: Sequence[Looked], manifest: Manifest, keys: NDArray[np.uint8], store: Store
) -> Checked:
    """Return what differs from the cached vectors, or why these cannot be read."""
    rows = np.array([one.row for one in looked], np.intp)
    try:
        shelf = store.shelf("embeddings", job.old)
        missing = set(shelf.missing(keys[rows])) if len(rows) else set()
        there = [i for i in range(len(looked)) if i not in missing]
        read = shelf.read(keys[rows[there]], ["vectors"])["vectors"] if there else ()
    except StoreError as error:
        return _nothing(job, str(error))
    cached = dict(zip(there, read, strict=True))
    feature = _feature(job.old)
    differing = []
    for i, one in enumerate(looked):
        face_id = str(manifest.table["face_id"].iloc[one.row])
        face = one.faces[0]
        old, new = cached.get(i), face.vectors.get(feature)
        if old is None:
            why = "the cache has no vector of this face: its image has changed, or was removed"
            differing.append(Differing(face_id, why=why))
        elif new is None:
            differing.append(
                Differing(face_id, why=f"no face is found in the image now ({face.face.status})")
            )
        elif old.tobytes() != new.tobytes():
            apart = new.astype(float) - old.astype(float)
            length = float(np.linalg.norm(old.astype(float)))
            share = float(np.linalg.norm(apart)) / length if length else math.inf
            differing.append(Differing(face_id, float(np.abs(apart).max()), share))
    return Checked(
        feature=feature,
        n_faces=len(looked),
        differing=tuple(differing),
        changes=_changes(job),
        damaged=tuple(f"{damage.path} {damage.why}" for damage in shelf.damaged),
    )


def _nothing(job: _Job, why: str) -> Checked:
    """Return the result for a recipe whose vectors could not be compared."""
    return Checked(feature=_feature(job.old), n_faces=0, changes=_changes(job), why=why)


def _changes(job: _Job) -> tuple[str, ...]:
    """Return a line for each part of a recipe that differs now."""
    if job.now is None:
        return ()
    old, new = _flat(job.old), _flat(asdict(job.now))
    return tuple(
        f"{name}: {_short(old.get(name, 'none'))} → {_short(new.get(name, 'none'))}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values by the path to each. Tuples become lists, as in JSON."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name} ")
        else:
            found[f"{above}{name}"] = list(value) if isinstance(value, tuple) else value
    return found


def _short(value: Any) -> str:
    """Return a value as text; of a hash, only the first digits."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _surroundings(runs: Sequence[Run], achieved: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return a line for each version and each part of the hardware that differs now from that of a run."""
    found: dict[str, None] = {}
    here, now = processor(), versions()
    for run in runs:
        pairs = [
            (name, run.versions.get(name, "unknown"), version)
            for name, version in (now | packages_now(run.versions)).items()
        ]
        pairs.append(("processor", str(run.hardware.get("processor")), here))
        for network, got in run.hardware.get("got", {}).items():
            again = achieved.get(network, got)
            pairs += [(f"{network}, {part}", str(got.get(part)), again[part]) for part in again]
        found |= {f"{name}: {old} → {new}": None for name, old, new in pairs if old != new}
    return tuple(found)
