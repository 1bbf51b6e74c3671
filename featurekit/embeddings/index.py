"""Extract vectors into a workspace, and record there which vectors were extracted, how, and at what cost.

Each extraction is recorded in a file of its own, which is never changed and is named by the hash of its
bytes. So extractions that run at the same time do not lose each other's costs, on file systems of clusters
without locks, too, and no extraction is counted twice if the records of two workspaces are merged.

    cache/extracted/<sha256 of the bytes>.json    one extraction
    cache/extracted.json                          the sum of all extractions of older versions, if there were
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from featurekit.cache.keys import recipe_key
from featurekit.cache.storage import make_private_folder
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.executors import Executor
from featurekit.embeddings.executors.local import LocalExecutor
from featurekit.embeddings.extractor import Extraction, extract
from featurekit.embeddings.part import ALL, Part
from featurekit.embeddings.recipe import Recipe, make_recipes
from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import FaceSettings
from featurekit.files import read_plain, write_bytes
from featurekit.networks.backbones import full_name
from featurekit.networks.feature_names import backbone_and_layer, backbone_of, feature_name
from featurekit.progress import Progress
from featurekit.project import ProjectFolder
from featurekit.records import MOST_BYTES, parsed, read_record, record

# What every extraction uses when nothing is asked for: the networks that need no account.
BUILTIN_BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2")


@dataclass(frozen=True)
class Ledger:
    """Record of the vectors that have been extracted in a workspace.

    Attributes:
        settings: how the faces were found.
        recipes: "backbone:layer" → recipe of its vectors, in the order of the first extraction.
        costs: each network, and "shared" for the steps that all networks need → {"seconds", "pictures"},
            the time and the number of images, summed over all extractions.
        achieved: network → engine, device and precision that were really used when it last ran.
        asked: device and precision that the user asked for.
        on_cluster: networks that ran on a cluster, where the time says nothing about one machine.
    """

    settings: FaceSettings
    recipes: Mapping[str, Recipe]
    costs: Mapping[str, Mapping[str, int | float]]
    achieved: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, str]
    on_cluster: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "Ledger | None":
        """Return the record of all extractions of a workspace; None if nothing has been extracted.

        Args:
            path: the workspace's path of the record, ProjectFolder.extracted.

        Raises:
            WorkspaceError: a file of the record is damaged.
        """
        ledgers = [one.ledger for one in entries_at(path).values()]
        return joined(ledgers) if ledgers else None

    def seconds(self, features: Sequence[str]) -> float:
        """Return the seconds that the vectors of some features took, including the steps that they share.

        The result is NaN if it is not known, because a cluster computed the vectors.

        Args:
            features: the features, each as "backbone:layer".
        """
        names = set(map(backbone_of, features))
        if names & set(self.on_cluster):
            return math.nan
        return sum(self.costs.get(name, {}).get("seconds", 0.0) for name in ("shared", *sorted(names)))


@dataclass(frozen=True)
class Entry:
    """One file of the record of a workspace.

    Attributes:
        finished: when the extraction ended, in nanoseconds since 1970; 0 for a sum of older versions.
        ledger: the record of this extraction alone.
    """

    finished: int
    ledger: Ledger

    def as_bytes(self) -> bytes:
        """Return the content of the file."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    @property
    def name(self) -> str:
        """The sha256 of the content, after which the file is named."""
        return sha256(self.as_bytes()).hexdigest()


def entry_files(path: Path) -> list[Path]:
    """Return the paths of the files of a record, given ProjectFolder.extracted."""
    return [*([path] if path.is_file() else []), *sorted(path.with_suffix("").glob("*.json"))]


def read_entry(path: Path) -> tuple[str, Entry]:
    """Return the name of a recorded extraction, and what its file contains.

    Raises:
        ValueError: the file is damaged.
    """
    if path.stem == "extracted":
        entry = Entry(0, read_record(path, Ledger))
        return entry.name, entry
    data = read_plain(path, MOST_BYTES)
    if sha256(data).hexdigest() != path.stem:
        raise ValueError("it has changed since it was written: its hash differs from its name")
    return path.stem, record(Entry, parsed(data))


def entries_at(path: Path) -> dict[str, Entry]:
    """Return the recorded extractions of a workspace by their names, in the order in which they ended.

    Args:
        path: the workspace's path of the record, ProjectFolder.extracted.

    Raises:
        WorkspaceError: a file of the record is damaged.
    """
    entries = {}
    for file in entry_files(path):
        try:
            name, entry = read_entry(file)
        except ValueError as error:
            raise WorkspaceError(
                f"{file} is damaged, or was not written by featurekit ({error}). Delete it, and run"
                " featurekit extract again: vectors that are in the cache are not computed again."
            ) from error
        entries[name] = entry
    return dict(sorted(entries.items(), key=lambda item: (item[1].finished, item[0])))


def write_entry(path: Path, entry: Entry) -> None:
    """Add an extraction to the record of a workspace, whose path is ProjectFolder.extracted."""
    folder = path.with_suffix("")
    make_private_folder(folder)
    write_bytes(folder / f"{entry.name}.json", entry.as_bytes())


def add_to_record(path: Path, ledger: Ledger) -> None:
    """Add an extraction that has just ended to the record of a workspace, if it changes the record.

    Args:
        path: the workspace's path of the record, ProjectFolder.extracted.
        ledger: the record of this extraction alone.

    Raises:
        WorkspaceError: a file of the record is damaged, or none can be written.
    """
    earlier = entries_at(path).values()
    ledgers = [one.ledger for one in earlier]
    if not ledgers or joined([*ledgers, ledger]) != joined(ledgers):
        # Later than all others, even if the clock of another machine is ahead.
        write_entry(path, Entry(max([time.time_ns(), *(one.finished + 1 for one in earlier)]), ledger))


def joined(ledgers: Sequence[Ledger]) -> Ledger:
    """Return the sum of several records.

    The last record decides how the faces are found, and for each feature the last one that has it decides how
    its vectors are computed. The costs are those of these vectors.

    Args:
        ledgers: the records, in the order in which the extractions ended; at least one.
    """
    last = ledgers[-1]
    faces = faces_of(last)
    same = [one for one in ledgers if one.settings == last.settings and faces_of(one) <= faces]
    recipes = {feature: recipe for one in same for feature, recipe in one.recipes.items()}
    costs: dict[str, dict[str, int | float]] = {}
    for one in same:
        others = {recipe.backbone for name, recipe in one.recipes.items() if recipe != recipes[name]}
        for name, cost in one.costs.items():
            if name not in others:
                total = costs.setdefault(name, {"seconds": 0.0, "pictures": 0})
                costs[name] = {unit: n + cost[unit] for unit, n in total.items()}
    achieved = {name: got for one in same for name, got in one.achieved.items()}
    on_cluster: set[str] = set()
    for one in same:
        on_cluster = on_cluster - set(one.costs) | set(one.on_cluster)
    return Ledger(last.settings, recipes, costs, achieved, last.asked, tuple(sorted(on_cluster)))


def faces_of(ledger: Ledger) -> set[str]:
    """Return the keys of the recipes of the faces, of which a record usually has one."""
    return {recipe_key(recipe.faces) for recipe in ledger.recipes.values()}


def record_of(extraction: Extraction, settings: FaceSettings, asked: Mapping[str, str]) -> Ledger:
    """Return the record of one extraction alone.

    Args:
        extraction: the extraction.
        settings: how the faces were found.
        asked: device and precision that the user asked for.
    """
    busy = sum(extraction.parts.values())
    # Each network's part of the time; a network has no part if no face was found.
    spent = {
        name: extraction.seconds * extraction.parts.get(name, 0.0) / busy for name in extraction.achieved
    }
    whole = sum(spent.values())
    if extraction.n_detected or not any(spent.values()):
        spent["shared"] = extraction.seconds - whole
    else:  # every face was known: the images were read again only for these networks
        spent = {name: extraction.seconds * seconds / whole for name, seconds in spent.items()}
    costs: dict[str, dict[str, int | float]] = {
        name: {"seconds": seconds, "pictures": extraction.n_read}
        for name, seconds in spent.items()
        if extraction.n_read and not extraction.is_on_cluster
    }
    on_cluster = tuple(sorted(extraction.achieved)) if extraction.is_on_cluster else ()
    return Ledger(settings, extraction.recipes, costs, extraction.achieved, asked, on_cluster)


def feature_names(backbones: Sequence[str] | None = None, layer: str | None = None) -> list[str]:
    """Return the features that the user asks for, each as "backbone" or "backbone:layer".

    Args:
        backbones: names of networks, with or without a layer; None for BUILTIN_BACKBONES.
        layer: layer to read from all networks; None for each network's own layer.

    Raises:
        WorkspaceError: both arguments name a layer.

    >>> feature_names(["vgg16"], "fc6")
    ['vgg16:fc6']
    """
    if layer and any(backbone_and_layer(name)[1] for name in backbones or ()):
        raise WorkspaceError(
            f"--layer {layer} cannot be combined with a layer after the name of a network. Name the"
            " layer in one of the two places only."
        )
    return [feature_name(name, layer) if layer else name for name in backbones or BUILTIN_BACKBONES]


def extract_into(
    workspace: ProjectFolder,
    manifest: Manifest,
    features: Sequence[str],
    settings: FaceSettings,
    *,
    device: str = "auto",
    precision: str = "auto",
    mirrored: bool = False,
    executor: Executor | None = None,
    part: Part = ALL,
    progress: Progress | None = None,
) -> Extraction:
    """Find the face of every image of a manifest, store its vectors in the cache, and record the extraction.

    Several processes may do this in one workspace at the same time.

    Args:
        workspace: folder of the cache and of the record.
        manifest: table of the images.
        features: the features to extract, from feature_names().
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32", "bf16" or "int8".
        mirrored: whether each vector is the mean of the vectors of the crop and of its mirror image.
        executor: where the vectors are computed; None for this machine, with one thread for each core.
        part: the images to process, all or a part of them.
        progress: called with (images done, images to do).

    Raises:
        UnknownNameError: there is no backbone or layer with one of the names.
        WeightsError: a weight file is missing; the message names it and says how to get it.
        EngineError: a device or precision is not available.
        ManifestError: boxes choose the faces (choose "box"), and no row has a box.
        WorkspaceError: the cache cannot be written.
    """
    with (executor or LocalExecutor()).opened() as workers:
        recipes = make_recipes(
            features,
            settings,
            device=device,
            precision=precision,
            mirrored=mirrored,
            resolve=workers.resolve,
        )
        store = Store(workspace.cache)
        extraction = extract(
            manifest, recipes, settings, store, part=part, run=workers.run, progress=progress
        )
    asked = {"device": device, "precision": precision}
    add_to_record(workspace.extracted, record_of(extraction, settings, asked))
    return extraction


def some_ledger_of(workspace: ProjectFolder) -> Ledger:
    """Return the record of the vectors that have been extracted in a workspace.

    Raises:
        WorkspaceError: no extraction has been completed.
    """
    ledger = Ledger.load(workspace.extracted)
    if ledger is None:
        raise WorkspaceError(
            "No extraction has been completed in this workspace yet. Next: featurekit extract, which goes on"
            " where an earlier one was interrupted"
        )
    return ledger


def extracted_vectors(workspace: ProjectFolder, manifest: Manifest, features: str) -> Vectors:
    """Return the vectors of one network's layer that have been extracted in a workspace.

    Args:
        workspace: folder of the cache and of the record.
        manifest: table of the images.
        features: name of the network, and optionally of the layer, as "backbone[:layer]".

    Raises:
        UnknownNameError: there is no backbone or layer with this name.
        WorkspaceError: the vectors have not been extracted.
    """
    ledger = some_ledger_of(workspace)
    recipe = recipe_of(ledger, features)
    return load_embeddings(manifest, [recipe], ledger.settings, Store(workspace.cache))


def recipe_of(ledger: Ledger, features: str) -> Recipe:
    """Return the recipe of the extracted vectors of one network's layer.

    Args:
        ledger: the record of what has been extracted.
        features: name of the network, and optionally of the layer, as "backbone[:layer]".

    Raises:
        UnknownNameError: there is no backbone or layer with this name.
        WorkspaceError: the vectors have not been extracted.
    """
    if features in ledger.recipes:  # the package of the network need not be installed any more
        return ledger.recipes[features]
    recipe = ledger.recipes.get(full_name(features))
    if recipe is None:
        raise WorkspaceError(
            f"{features} has not been extracted. Next: featurekit extract --backbone {features}"
        )
    return recipe
