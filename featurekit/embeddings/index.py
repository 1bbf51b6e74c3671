"""Extract vectors into a workspace, and record there which vectors were extracted, how, and at what cost."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from featurekit.cache.keys import recipe_key
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.executors import Executor
from featurekit.embeddings.executors.local import LocalExecutor
from featurekit.embeddings.extractor import Extraction, extract
from featurekit.embeddings.recipe import Recipe, make_recipes
from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import FaceSettings
from featurekit.files import write_text
from featurekit.networks.backbones import full_name
from featurekit.networks.feature_names import backbone_and_layer, backbone_of, feature_name
from featurekit.progress import Progress
from featurekit.project import ProjectFolder
from featurekit.records import read_record

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
        """Return the record that save() has written; None if nothing has been extracted.

        Args:
            path: path of the file.

        Raises:
            WorkspaceError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            return read_record(path, cls)
        except ValueError as error:
            raise WorkspaceError(
                f"{path} is damaged, or was not written by featurekit ({error}). Delete it, and run"
                " featurekit extract again: vectors that are in the cache are not computed again."
            ) from error

    def save(self, path: Path) -> None:
        """Write the record to a JSON file."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

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


def enter(
    ledger: Ledger | None, extraction: Extraction, settings: FaceSettings, asked: Mapping[str, str]
) -> Ledger:
    """Add an extraction to the record of a workspace, and return the new record.

    Args:
        ledger: the record so far; None for the first extraction.
        extraction: the new extraction.
        settings: how the faces were found. If the faces of earlier extractions were found in another way, a
            new record is started.
        asked: device and precision that the user asked for.
    """
    faces = {recipe_key(recipe.faces) for recipe in extraction.recipes.values()}
    if (
        ledger is None
        or ledger.settings != settings
        or any(recipe_key(recipe.faces) not in faces for recipe in ledger.recipes.values())
    ):
        ledger = Ledger(settings, {}, {}, {}, asked)
    costs = {name: dict(cost) for name, cost in ledger.costs.items()}
    for feature, recipe in extraction.recipes.items():
        if ledger.recipes.get(feature, recipe) != recipe:
            costs.pop(recipe.backbone, None)  # those were the costs of other vectors of that name
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
    on_cluster = set(ledger.on_cluster) - set(extraction.achieved if extraction.n_read else ())
    if extraction.is_on_cluster:
        on_cluster |= set(extraction.achieved)
    elif extraction.n_read:
        for name, seconds in spent.items():
            cost = costs.setdefault(name, {"seconds": 0.0, "pictures": 0})
            cost["seconds"] += seconds
            cost["pictures"] += extraction.n_read
    return Ledger(
        settings,
        {**ledger.recipes, **extraction.recipes},
        costs,
        {**ledger.achieved, **extraction.achieved},
        asked,
        tuple(sorted(on_cluster)),
    )


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
    progress: Progress | None = None,
) -> Extraction:
    """Find the face of every image of a manifest, store its vectors in the cache, and record the extraction.

    Args:
        workspace: folder of the cache and of the record.
        manifest: table of the images.
        features: the features to extract, from feature_names().
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32", "bf16" or "int8".
        mirrored: whether each vector is the mean of the vectors of the crop and of its mirror image.
        executor: where the vectors are computed; None for this machine, with one thread for each core.
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
        extraction = extract(manifest, recipes, settings, store, run=workers.run, progress=progress)
    enter(
        Ledger.load(workspace.extracted), extraction, settings, {"device": device, "precision": precision}
    ).save(workspace.extracted)
    return extraction


def some_ledger_of(workspace: ProjectFolder) -> Ledger:
    """Return the record of the vectors that have been extracted in a workspace.

    Raises:
        WorkspaceError: no vectors have been extracted.
    """
    ledger = Ledger.load(workspace.extracted)
    if ledger is None:
        raise WorkspaceError(
            f"No vectors have been extracted in {workspace.root} yet. Next: featurekit extract"
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
