"""How a run was made: data set, split, networks, versions, requested and used hardware."""

import json
import os
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.datasets import DATASETS
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import UnknownNameError, WorkspaceError
from featurekit.estimators import CLASSIFIERS, Classifier
from featurekit.evaluation.results import Run
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.face import STATUSES
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.engines import usable_cores
from featurekit.networks.feature_names import backbone_of
from featurekit.networks.precisions import this_processor
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.registry import BUILTIN, SESSION, Registry
from featurekit.version import __version__, commit


def made_with(
    manifest: Manifest,
    folds: FoldSet,
    ledger: Ledger,
    *,
    features: Sequence[str],
    recipes: Sequence[Recipe],
    weights: Sequence[Mapping[str, Any]],
    statuses: NDArray[np.uint8],
    threads: int,
    trainings: Sequence[Mapping[str, Any]],
    classifier: str,
    trained: Sequence[str],
    is_on_cluster: bool = False,
) -> dict[str, Any]:
    """Return what is stored in a run about how it was made.

    Args:
        manifest: manifest of the faces.
        folds: the fold in which each subject was tested.
        ledger: record of the extracted features, and of the engines that computed them.
        features: names of the features that the run used.
        recipes: settings with which the vectors were computed, one recipe for each feature.
        weights: names, hashes and licences of the weight files that were used.
        statuses: status of each row of the manifest, shape (n_rows,).
        threads: number of threads that all folds together had.
        trainings: how the network of each fold was trained.
        classifier: name of the classifier.
        trained: names of the networks that the classifier trained further.
        is_on_cluster: whether workers of a cluster fitted the models.
    """
    return {
        "recipes": tuple(asdict(recipe) for recipe in recipes),
        "weights": tuple(weights),
        "hardware": _hardware(ledger, features, threads, trainings, is_on_cluster=is_on_cluster),
        "versions": versions()
        | packages_of(
            {
                "data set": [manifest.name],
                "detector": [ledger.settings.detector],
                "backbone": [*(recipe.backbone for recipe in recipes), *trained],
                "classifier": [classifier],
            }
        ),
        "commit": commit(),
        "folds": {"number": folds.n_folds, "kind": folds.kind, "seed": folds.seed, "sha256": folds.sha256},
        "dataset": {
            "name": manifest.name,
            "synthetic": bool(manifest.info.get("synthetic")),
            "licence": manifest.info.get("licence", ""),
            "n_rows": len(manifest),
            "tally": _tally(manifest.table["reason"]),
            # The root says where the images are, which a comparison does not keep.
            "options": {k: v for k, v in manifest.info.get("options", {}).items() if k != "root"},
            "counts": dict(manifest.info.get("tally", {})),
            "statuses": _tally(np.array(STATUSES)[statuses]),
        },
        "created": now(),
    }


def now() -> str:
    """Return the present UTC time in ISO 8601 format."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tally(values: Any) -> dict[str, int]:
    return {name: n for name, n in sorted(Counter(map(str, values)).items()) if name}


def _hardware(
    ledger: Ledger,
    features: Sequence[str],
    threads: int,
    trainings: Sequence[Mapping[str, Any]],
    *,
    is_on_cluster: bool,
) -> dict[str, Any]:
    """Return the requested and the used hardware; engines report what the networks used."""
    networks = set(map(backbone_of, features))
    got = {name: dict(ledger.achieved[name]) for name in sorted(networks & ledger.achieved.keys())}
    if trainings:
        got["training"] = {name: trainings[0][name] for name in ("engine", "device", "precision")}
    return {
        "asked": dict(ledger.asked),
        "got": got,
        # Times of a cluster's machines are not compared with those of this one.
        "processor": f"workers of a Ray cluster, started from {processor()}"
        if is_on_cluster
        else processor(),
        "cores": usable_cores(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
    }


def hardware_of_all(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the hardware of several runs: every processor, engine and device that any of them used."""
    got: dict[str, Any] = {}
    for run in runs:
        for name, one in run.hardware.get("got", {}).items():
            got[name if got.get(name, one) == one else f"{name} of {run.name}"] = one
    processors = dict.fromkeys(str(run.hardware.get("processor", "")) for run in runs)
    return {**runs[0].hardware, "got": got, "processor": " and ".join(processors)}


def processor() -> str:
    """Return the processor's name and the vector instructions that decide how fast it multiplies."""
    here = this_processor()
    if not here.is_known:
        return platform.processor() or platform.machine()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in here.flags]
    return f"{here.name or platform.machine()} ({', '.join(known)})"


_DECIDE_NUMBERS = (
    "featurekit",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "openvino",
    "pillow",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
    "xgboost",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of every library that influences numbers."""
    found = {"python": platform.python_version()}
    for name in _DECIDE_NUMBERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = __version__ if name == "featurekit" else "not installed"
    return found


# What runs call the members of each registry: a model is a classifier there.
_REGISTRIES: dict[str, Registry[Any]] = {
    "data set": DATASETS,
    "detector": DETECTORS,
    "backbone": BACKBONES,
    "classifier": CLASSIFIERS,
}


def packages_of(members: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the package and version of each data set, detector, backbone and classifier from a plug-in.

    A key is for example "backbone my_network", and its value "my_package 1.0".

    Args:
        members: names of the members of each kind, for example {"backbone": ["my_network"]}.
    """
    found = {}
    for kind, names in members.items():
        for name in dict.fromkeys(names):
            # A member may have been removed after it was used, and estimators of scikit-learn are no members.
            with suppress(UnknownNameError):
                package = _REGISTRIES[kind].package_of(name)
                if package != BUILTIN:
                    found[f"{kind} {name}"] = str(package)
    return found


def packages_now(then: Mapping[str, str]) -> dict[str, str]:
    """Return the installed packages of the plug-ins that packages_of() listed in the versions of a run."""
    parts = {what: what.rpartition(" ") for what in then}
    return {
        what: packages_of({kind: [name]}).get(what, "not installed")
        for what, (kind, _, name) in parts.items()
        if kind in _REGISTRIES
    }


def origin_of(error: UnknownNameError, project: ProjectFolder) -> str:
    """Return a sentence on the package of a member that is not registered any more; "" if no run names it.

    Args:
        error: the error for the name of the member.
        project: the project, whose runs name the packages of the members that they used.
    """
    kinds = {registry.kind: kind for kind, registry in _REGISTRIES.items()}
    member = f"{kinds.get(error.kind, error.kind)} {error.name}"
    found = [
        (run.created, folder, run.versions[member])
        for folder in project.comparisons()
        for run in _readable_runs(folder)
        if member in run.versions
    ]
    if not found:
        return ""
    _, folder, package = max(found)
    if package == str(SESSION):
        return (
            f"The runs in {folder} have it from a Python program that registered it: use it in that program."
        )
    name = package.rpartition(" ")[0] or package
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):  # a run may come from anybody
        return ""
    said = f"The runs in {folder} have it from the package {package}"
    try:
        return f"{said}, but {name} {metadata.version(name)}, which is installed, does not register it."
    except metadata.PackageNotFoundError:
        # No command that installs it: whoever sent the run would say what is installed here.
        return f"{said}, which is not installed. Install it from where you got it."


def _readable_runs(folder: Path) -> Iterator[Run]:
    for path in ComparisonFolder(folder).all_runs():
        with suppress(WorkspaceError, OSError):
            yield Run.load(path)


def parameters_of(classifier: Classifier) -> dict[str, Any]:
    """Return the parameters of a classifier and the values that it chose itself, as plain JSON values."""
    decided = {name: value for name, value in classifier.summary_.items() if name != "notes"}
    values = {**classifier.shown_parameters(), **decided}
    # Threads change only the time, and the notes say what a memory limit changes.
    left_out = ("threads", "target", "memory_limit")
    return as_parameters({name: value for name, value in values.items() if name not in left_out})


def as_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain JSON values; objects, NaN and infinity become text."""
    return dict(json.loads(json.dumps(values, default=str), parse_constant=str))
