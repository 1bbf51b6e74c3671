"""Open the networks that recipes need; each network is opened once, with all layers that are read from it."""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.recipe import Recipe, changed_since
from featurekit.errors import WeightsError
from featurekit.faces.align import LANDMARKS, CropKind, mirrored_landmarks
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Session
from featurekit.networks.feature_names import feature_name


@dataclass(frozen=True)
class OpenBackbone:
    """A backbone that is ready to run.

    Attributes:
        name: name of the backbone.
        layers: names of the layers that are read.
        crop: template and side in pixels of the crops that it takes as input; LANDMARKS if it takes the
            landmarks of a face instead.
        session: the open network, which takes crops as input and returns one array for each layer.
        mirrored: whether each vector is the mean of the vectors of the crop and of its mirror image.
    """

    name: str
    layers: tuple[str, ...]
    crop: CropKind
    session: Session
    mirrored: bool

    def vectors(self, crops: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Return "backbone:layer" → vectors, shape (n, dim), for face crops of shape (n, side, side, 3).

        A backbone that reads landmarks gets landmarks of shape (n, 5, 2) instead.
        """
        outputs = self.session(crops)
        if self.mirrored:
            mirrored: NDArray[Any] = (
                mirrored_landmarks(crops)
                if self.crop == LANDMARKS
                else np.ascontiguousarray(crops[:, :, ::-1])
            )
            others = self.session(mirrored)
            outputs = [(one + other) * np.float32(0.5) for one, other in zip(outputs, others, strict=True)]
        return {feature_name(self.name, layer): out for layer, out in zip(self.layers, outputs, strict=True)}


# Networks ready to run, and a detector.
Opened = tuple[list[OpenBackbone], FaceFinder]

# A process keeps so many sets of networks and a detector open for later calls.
_MOST_KEPT = 2
_kept: "OrderedDict[tuple[Any, ...], Opened]" = OrderedDict()
_opening = threading.Lock()


def opened_once(recipes: Sequence[Recipe], settings: FaceSettings, threads: int) -> Opened:
    """Return the networks that recipes need and the face detector, opened now or by an earlier call.

    The networks of the last few calls stay open, so that a transformer that scikit-learn clones for every
    fold does not open its networks in every fold.

    Args:
        recipes: recipes of the vectors to compute.
        settings: settings of the face detector.
        threads: number of threads that run the networks.

    Raises:
        WeightsError: a weight file is missing, or has another hash than expected.
        EngineError: a device or precision is not available.
    """
    # A forked process must not use its parent's threads, and a member that was registered again under the
    # same name is another one.
    backbones = [BACKBONES[recipe.backbone] for recipe in recipes]
    members = tuple(one.load or one.prepare or one.compute for one in backbones)
    key = (os.getpid(), tuple(recipe.key for recipe in recipes), members, settings, threads)
    with _opening:
        if key not in _kept:
            _kept[key] = open_networks(recipes, threads), open_finder(settings, threads=threads)
        _kept.move_to_end(key)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[key]


def open_networks(recipes: Sequence[Recipe], threads: int) -> list[OpenBackbone]:
    """Open each backbone that the recipes need once, with all its layers.

    Args:
        recipes: recipes of the vectors to compute.
        threads: number of threads that run the networks.

    Raises:
        WeightsError: a weight file is missing, or has another hash than expected; or a network by reference
            is not the one of the recipe.
        EngineError: a device or precision is not available.
    """
    networks = []
    for name in dict.fromkeys(recipe.backbone for recipe in recipes):
        own = [recipe for recipe in recipes if recipe.backbone == name]
        backbone, layers = BACKBONES[name], tuple(recipe.layer for recipe in own)
        if backbone.facts:
            _check_same(backbone, own[0])
        session = backbone.open(
            weights.read(backbone.weights) if backbone.weights else b"",
            layers,
            device=own[0].engine,
            precision=own[0].precision,
            threads=threads,
            quantized=own[0].quantized,
        )
        crop = (backbone.template, backbone.input_size)
        networks.append(OpenBackbone(name, layers, crop, session, own[0].mirrored))
    return networks


def _check_same(backbone: Backbone, recipe: Recipe) -> None:
    """Raise WeightsError unless a network by reference is the one of the recipe.

    Another one may have been added under the same name, here or on another machine.
    """
    backbone.check_installed()
    if what := changed_since(recipe):
        raise WeightsError(
            f"{backbone.name} is not the network here that computed the vectors of this recipe: it has"
            f" another {what}. Add that network again with --replace, or extract and fit again."
        )
