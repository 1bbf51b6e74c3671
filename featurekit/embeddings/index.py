"""Extract vectors in a workspace, and find there later what has been extracted, how, and what it cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from featurekit.cache.keys import recipe_key
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.extractor import Extraction, extract
from featurekit.embeddings.recipe import Recipe, make_recipes
from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import FaceSettings
from featurekit.files import write_text
from featurekit.networks.backbones import split_feature
from featurekit.progress import Progress
from featurekit.project import ProjectFolder
from featurekit.records import read_record

# What every extraction uses when nothing is asked for: the networks that need no account.
BUILTIN_BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2")


@dataclass(frozen=True)
class Ledger:
    """What has been extracted in a workspace, for the later steps.

    Attributes:
        settings: how the faces were found.
        recipes: "backbone:layer" → recipe, in the order first extracted.
        costs: "shared" and each network → {"seconds", "pictures"}, summed over every pass.
        achieved: network → engine, device and precision, read back when it last ran.
        asked: the device and precision that were asked for.
    """

    settings: FaceSettings
    recipes: Mapping[str, Recipe]
    costs: Mapping[str, Mapping[str, int | float]]
    achieved: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "Ledger | None":
        """Read what save() wrote; None if nothing has been extracted.

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
                " featurekit extract again: what is in the cache is not computed again."
            ) from error

    def save(self, path: Path) -> None:
        """Write it as JSON, whole."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    def seconds(self, features: Sequence[str]) -> float:
        """Return the seconds of the vectors of a feature set, with those shared by all networks once."""
        networks = sorted({feature.partition(":")[0] for feature in features})
        return sum(self.costs.get(name, {}).get("seconds", 0.0) for name in ("shared", *networks))


def enter(
    ledger: Ledger | None, extraction: Extraction, settings: FaceSettings, asked: Mapping[str, str]
) -> Ledger:
    """Return the ledger with one more extraction; a new ledger if the faces were found in another way."""
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
    spent = extraction.network_seconds
    whole = sum(spent.values())
    if extraction.n_detected or not any(spent.values()):
        spent["shared"] = extraction.seconds - whole
    else:  # every face was known: the images were read again only for these networks
        spent = {name: extraction.seconds * seconds / whole for name, seconds in spent.items()}
    if extraction.n_read:
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
    )


def feature_names(backbones: Sequence[str] | None = None, layer: str | None = None) -> list[str]:
    """Return the features that are asked for, as "backbone" or "backbone:layer".

    Args:
        backbones: names of networks, with or without a layer; None for BUILTIN_BACKBONES.
        layer: another layer for all of them.

    Raises:
        WorkspaceError: a layer is named twice.

    >>> feature_names(["vgg16"], "fc6")
    ['vgg16:fc6']
    """
    names = [f"{name}:{layer}" if layer else name for name in backbones or BUILTIN_BACKBONES]
    if layer and any(":" in name for name in backbones or ()):
        raise WorkspaceError(
            f"--layer {layer} cannot be combined with a layer after the name of a network. Leave one of"
            " them out."
        )
    return names


def extract_into(
    workspace: ProjectFolder,
    manifest: Manifest,
    features: Sequence[str],
    settings: FaceSettings,
    *,
    device: str = "auto",
    precision: str = "auto",
    mirrored: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> Extraction:
    """Find every face of a manifest, remember its vectors, and record in the workspace what was extracted.

    Args:
        workspace: where faces and vectors are remembered.
        manifest: manifest of the images.
        features: from feature_names().
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        mirrored: whether the vectors are the mean of the crop's and its mirror image's.
        threads: how many; 0 for one a core. They change the time and nothing else.
        progress: called with (images done, images to do).

    Raises:
        UnknownNameError: no such backbone or layer.
        WeightsError: a weight file is missing; the message says which and how to get it.
        EngineError: a device or precision is not available.
        ManifestError: a box must say which face is meant, and no row has one.
        WorkspaceError: the cache cannot be written.
    """
    recipes = make_recipes(features, settings, device=device, precision=precision, mirrored=mirrored)
    extraction = extract(
        manifest, recipes, settings, Store(workspace.cache), threads=threads, progress=progress
    )
    asked = {"device": device, "precision": precision}
    enter(Ledger.load(workspace.extracted), extraction, settings, asked).save(workspace.extracted)
    return extraction


def some_ledger_of(workspace: ProjectFolder) -> Ledger:
    """Return what has been extracted in a workspace.

    Raises:
        WorkspaceError: nothing has been extracted.
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
        workspace: where they are remembered.
        manifest: manifest of the faces.
        features: "backbone[:layer]".

    Raises:
        UnknownNameError: no such backbone or layer.
        WorkspaceError: it has not been extracted.
    """
    ledger = some_ledger_of(workspace)
    backbone, layer = split_feature(features)
    recipe = ledger.recipes.get(f"{backbone.name}:{layer}")
    if recipe is None:
        raise WorkspaceError(
            f"{features} has not been extracted. Next: featurekit extract --backbone {features}"
        )
    return load_embeddings(manifest, [recipe], ledger.settings, Store(workspace.cache))
