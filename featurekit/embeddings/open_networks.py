"""Make the networks that recipes need ready to run, each once with all the layers that are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.recipe import Recipe
from featurekit.faces.align import CropKind
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.engines import Session


@dataclass(frozen=True)
class OpenBackbone:
    """A backbone that is ready to run.

    Attributes:
        name: of the backbone.
        layers: what is read.
        crop: what it wants cut out.
        session: crops in, one array a layer out.
        mirrored: whether the mirror images are read too, and the mean of both is given.
    """

    name: str
    layers: tuple[str, ...]
    crop: CropKind
    session: Session
    mirrored: bool

    def vectors(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return "backbone:layer" → vectors (n, dim) of crops (n, s, s, 3)."""
        outputs = self.session(crops)
        if self.mirrored:
            others = self.session(np.ascontiguousarray(crops[:, :, ::-1]))
            outputs = [(one + other) * np.float32(0.5) for one, other in zip(outputs, others, strict=True)]
        return {f"{self.name}:{layer}": out for layer, out in zip(self.layers, outputs, strict=True)}


def open_networks(recipes: Sequence[Recipe], threads: int) -> list[OpenBackbone]:
    """Make each backbone that the recipes need ready to run, once, with all its layers.

    Raises:
        WeightsError: a weight file is missing or is not the one it should be.
        EngineError: a device or precision cannot be had.
    """
    networks = []
    for name in dict.fromkeys(recipe.backbone for recipe in recipes):
        own = [recipe for recipe in recipes if recipe.backbone == name]
        backbone, layers = BACKBONES[name], tuple(recipe.layer for recipe in own)
        data = weights.read(backbone.weights) if backbone.weights else b""
        session = backbone.open(
            data, layers, device=own[0].engine, precision=own[0].precision, threads=threads
        )
        crop = (backbone.template, backbone.input_size)
        networks.append(OpenBackbone(name, layers, crop, session, own[0].mirrored))
    return networks
