"""A recipe: everything that decides the numbers of a vector, and its key in the cache."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from featurekit.cache.keys import recipe_key
from featurekit.data.manifest import Manifest
from featurekit.faces.settings import FaceSettings
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, split_feature
from featurekit.networks.engines import resolve
from featurekit.records import Hash, Word, record

# Raise whenever an extraction starts to compute different numbers: old cache files are then not used.
EXTRACTION_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the numbers. Change one part and it is another embedding.

    Attributes:
        faces: how the image was decoded and the face found (FaceSettings.recipe()).
        backbone: name of the network.
        layer: where it was read.
        weights: sha256 of its weight file; "" if it has none.
        input_size: side of the crop, in pixels.
        template: where the landmarks were put.
        normalization: what was done to the pixels first; of a backbone that is not featurekit's own, also the
            version of its code, as "code".
        mirrored: whether the vectors are the mean of the crop's and its mirror image's.
        precision: "fp32" or "bf16".
        engine: class of engine, whose members agree to the last bit: "cpu" or "cuda".
        extraction_version: version of this module's arithmetic.
    """

    faces: Mapping[str, Any]
    backbone: Word
    layer: Word
    weights: Hash
    input_size: Annotated[int, Interval(ge=1, le=4096)]
    template: Word
    normalization: Mapping[str, Any]
    precision: Word
    engine: Word
    mirrored: bool = False
    extraction_version: Annotated[int, Interval(ge=0, le=10**6)] = EXTRACTION_VERSION

    @property
    def key(self) -> str:
        """A name that no two different recipes share."""
        return recipe_key(asdict(self))

    @property
    def feature(self) -> str:
        """Name of the vectors, e.g. "dlib_age:pooled"."""
        return f"{self.backbone}:{self.layer}"


def make_recipes(
    features: Sequence[str],
    settings: FaceSettings,
    *,
    device: str = "auto",
    precision: str = "auto",
    mirrored: bool = False,
) -> dict[str, Recipe]:
    """Return the recipe of each feature and of the heads that come with its backbone.

    Args:
        features: "backbone" or "backbone:layer".
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        mirrored: whether the vectors are the mean of the crop's and its mirror image's.

    Returns:
        "backbone:layer" → recipe, in the order asked.

    Raises:
        UnknownNameError: no such backbone or layer.
        WeightsError: a weight file is missing; the message says which and how to get it.
    """
    device, precision = resolve(device, precision)
    recipes: dict[str, Recipe] = {}
    for feature in features:
        backbone, layer = split_feature(feature)
        if backbone.weights and not weights.present(backbone.weights):
            weights.read(backbone.weights)  # says what is missing and how to get it
        code = {"code": backbone.code} if backbone.code else {}
        for name in dict.fromkeys((layer, *backbone.heads)):
            recipe = Recipe(
                faces=settings.recipe(),
                backbone=backbone.name,
                layer=name,
                weights=weights.sha256_of(backbone.weights) if backbone.weights else "",
                input_size=backbone.input_size,
                template=backbone.template,
                # As JSON gives it back, lists for tuples, so that a recipe equals itself when it is read.
                normalization=json.loads(json.dumps(asdict(backbone.normalization) | code)),
                precision=precision if backbone.weights else "fp32",
                engine=device if backbone.weights else "cpu",
                mirrored=mirrored and not backbone.is_picture,
            )
            recipes.setdefault(recipe.feature, recipe)
    return recipes


def settings_of(faces: Mapping[str, Any]) -> FaceSettings:
    """Return the settings that FaceSettings.recipe() has turned into this recipe of faces."""
    content = {name: faces[name] for name in ("detector", "attempts", "choose", "min_face")}
    return record(FaceSettings, {**content, "weights_sha256": faces["detector_weights"]})


def describe_weights(
    recipes: Sequence[Recipe], settings: FaceSettings, trained: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return name, file, sha256, source and the three licences of every weight file that was used.

    Args:
        recipes: recipes of the vectors.
        settings: how the faces were found.
        trained: names of further backbones, that a network trained end to end started from.
    """
    detector = [weights.describe_by_hash(settings.weights_sha256)] if settings.weights_sha256 else []
    names = [BACKBONES[name].weights for name in (*(recipe.backbone for recipe in recipes), *trained)]
    return detector + [weights.describe(name) for name in dict.fromkeys(names) if name]


def row_keys(manifest: Manifest, settings: FaceSettings) -> NDArray[np.uint8]:
    """Return the key of each row's face in the cache, shape (n_rows, 32); zeros for a row without an image.

    It depends on the content of the image, and on the box if the box chooses the face.
    """
    keys = np.zeros((len(manifest), 32), np.uint8)
    boxes = manifest.table["box"] if settings.choose == "box" else [""] * len(manifest)
    for row, (content, box) in enumerate(zip(manifest.table["content"], boxes, strict=True)):
        if content:
            key = bytes.fromhex(content)
            keys[row] = np.frombuffer(sha256(key + box.encode()).digest() if box else key, np.uint8)
    return keys
