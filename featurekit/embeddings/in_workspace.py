"""Extract vectors in a workspace, and find them there later."""

from collections.abc import Sequence

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.extractor import Extraction, extract
from featurekit.embeddings.index import Ledger, enter
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import FaceSettings
from featurekit.networks.backbones import split_feature
from featurekit.progress import Progress
from featurekit.project import ProjectFolder

# What every extraction uses when nothing is asked for: the networks that need no account.
BUILTIN_BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2")


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
        manifest: whose photographs.
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
        EngineError: a device or precision cannot be had.
        ManifestError: a box must say which face is meant, and no row has one.
        WorkspaceError: the cache cannot be written.
    """
    recipes = make_recipes(features, settings, device=device, precision=precision, mirrored=mirrored)
    extraction = extract(
        manifest, recipes, settings, Store(workspace.cache), threads=threads, progress=progress
    )
    asked = {"device": device, "precision": precision}
    enter(ledger_of(workspace), extraction, settings, asked).save(workspace.extracted)
    return extraction


def ledger_of(workspace: ProjectFolder) -> Ledger | None:
    """Return what has been extracted in a workspace; None if nothing has been extracted."""
    return Ledger.load(workspace.extracted)


def some_ledger_of(workspace: ProjectFolder) -> Ledger:
    """Return what has been extracted in a workspace.

    Raises:
        WorkspaceError: nothing has been extracted.
    """
    ledger = ledger_of(workspace)
    if ledger is None:
        raise WorkspaceError(
            f"No vectors have been extracted in {workspace.root} yet. Next: featurekit extract"
        )
    return ledger


def extracted_vectors(workspace: ProjectFolder, manifest: Manifest, features: str) -> Vectors:
    """Return the vectors of one network's layer that have been extracted in a workspace.

    Args:
        workspace: where they are remembered.
        manifest: whose faces.
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
