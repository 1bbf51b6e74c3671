"""A recipe says exactly how vectors are computed; its hash is the key of the vectors in the cache."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from featurekit.cache.keys import recipe_key
from featurekit.data.manifest import Manifest
from featurekit.embeddings.calibration import quantized_network
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.settings import FaceSettings, refuse_landmarks
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, split_feature
from featurekit.networks.engines import resolve
from featurekit.networks.feature_names import feature_name
from featurekit.records import Hash, Word, record

# Raise whenever an extraction starts to compute different numbers: old cache files are then not used.
EXTRACTION_VERSION = 2
# The faces of an image with more of them are not stored, so that the keys of all its faces can be listed.
MOST_STORED = 64


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the values of a vector; vectors with different recipes are not mixed.

    Attributes:
        faces: how the image is decoded and its face is found, from FaceSettings.recipe().
        backbone: name of the network.
        layer: name of the layer whose output is the vector.
        weights: sha256 of the network's weight file; "" if it has no weight file.
        input_size: side of the face crop, in pixels; 5 if the backbone reads landmarks.
        template: name of the template that says where the face's landmarks are in the crop; "landmarks" if
            the backbone reads the five landmarks instead of a crop.
        normalization: how pixel values are scaled for the network; for a backbone that does not come with
            featurekit, also the version of its code, as "code"; in int8, also the sha256 of the quantized
            network, as "quantized", and the images it was calibrated on, as "calibrated_on".
        mirrored: whether each vector is the mean of the vectors of the crop and of its mirror image.
        precision: "fp32", "bf16" or "int8".
        engine: "cpu" or "cuda"; all engines of the same kind give exactly the same values.
        extraction_version: version number of the code that computes vectors.
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
        """Hash of the recipe: different recipes have different keys."""
        return recipe_key(asdict(self))

    @property
    def feature(self) -> str:
        """Name of the network and its layer, as in "dlib_age:pooled"."""
        return feature_name(self.backbone, self.layer)

    @property
    def quantized(self) -> str:
        """The sha256 of the quantized network; "" unless the precision is int8."""
        return str(self.normalization.get("quantized", "")) if self.precision == "int8" else ""


def make_recipes(
    features: Sequence[str],
    settings: FaceSettings,
    *,
    device: str = "auto",
    precision: str = "auto",
    mirrored: bool = False,
    resolve: Callable[[str, str], tuple[str, str]] = resolve,
) -> dict[str, Recipe]:
    """Return the recipe of each feature, and of the output layers (heads) of its backbone.

    Args:
        features: the features, each as "backbone" or "backbone:layer".
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32", "bf16" or "int8".
        mirrored: whether each vector is the mean of the vectors of the crop and of its mirror image.
        resolve: replaces "auto" by the device and the precision of the machines that compute the vectors.

    Returns:
        "backbone:layer" → recipe, in the order of the features.

    Raises:
        UnknownNameError: there is no backbone or layer with one of the names.
        WeightsError: a weight file is missing; the message names it and says how to get it.
        EngineError: a device, a precision or a package is not available.
        EmbeddingError: a backbone reads landmarks, and the detector gives none.
    """
    device, precision = resolve(device, precision)
    recipes: dict[str, Recipe] = {}
    for feature in features:
        backbone, layer = split_feature(feature)
        if backbone.reads == "landmarks" and not DETECTORS[settings.detector].gives_landmarks:
            refuse_landmarks(settings.detector)
        backbone.check_installed()
        if backbone.weights and not weights.present(backbone.weights):
            weights.read(backbone.weights)  # says what is missing and how to get it
        more: dict[str, Any] = {"code": backbone.code} if backbone.code else {}
        more |= backbone.facts() if backbone.facts else {}
        if precision == "int8" and backbone.is_network:
            more |= quantized_network(backbone)
        for name in dict.fromkeys((layer, *backbone.heads)):
            recipe = Recipe(
                faces=settings.recipe(),
                backbone=backbone.name,
                layer=name,
                weights=weights.sha256_of(backbone.weights) if backbone.weights else "",
                input_size=backbone.input_size,
                template=backbone.template,
                # As JSON gives it back, lists for tuples, so that a recipe equals itself when it is read.
                normalization=json.loads(json.dumps(asdict(backbone.normalization) | more)),
                precision=precision if backbone.is_network else "fp32",
                engine=device if backbone.is_network else "cpu",
                mirrored=mirrored and not backbone.is_picture,
            )
            recipes.setdefault(recipe.feature, recipe)
    return recipes


def changed_since(recipe: Recipe) -> str:
    """Return what of a backbone has changed since it computed the vectors of a recipe; "" if nothing has.

    A weight file or a package that is missing here is no change.
    """
    backbone = BACKBONES[recipe.backbone]
    file = backbone.weights
    if file and weights.present(file) and weights.sha256_of(file) != recipe.weights:
        return "weight file"
    now = {**asdict(backbone.normalization), "template": backbone.template, "code": backbone.code}
    if backbone.facts and backbone.is_installed:
        now |= backbone.facts()
    then = {"code": "", **recipe.normalization, "template": recipe.template}
    differs = [name for name, value in json.loads(json.dumps(now)).items() if then.get(name) != value]
    if not differs:
        return ""
    if differs[0] == "network":
        libraries = [one["network"]["library"] for one in (then, now)]
        if libraries[0] != libraries[1]:
            return f"version of its library: {libraries[1]} instead of {libraries[0]}"
        return "configuration"
    return "version of its code" if differs[0] == "code" else differs[0]


def settings_of(faces: Mapping[str, Any]) -> FaceSettings:
    """Return the FaceSettings whose recipe() is this mapping."""
    content = {name: faces[name] for name in ("detector", "attempts", "choose", "min_face")}
    return record(FaceSettings, {**content, "weights_sha256": faces["detector_weights"]})


def describe_weights(
    recipes: Sequence[Recipe], settings: FaceSettings, trained: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return name, file, sha256, source and licences of every weight file that was used.

    Args:
        recipes: recipes of the vectors.
        settings: how the faces were found.
        trained: names of further backbones, whose weights were the start of a network trained end to end.
    """
    detector = [weights.describe_by_hash(settings.weights_sha256)] if settings.weights_sha256 else []
    names = [BACKBONES[name].weights for name in (*(recipe.backbone for recipe in recipes), *trained)]
    return detector + [weights.describe(name) for name in dict.fromkeys(names) if name]


def row_keys(manifest: Manifest, settings: FaceSettings) -> NDArray[np.uint8]:
    """Return the key of each row's face in the cache, shape (n_rows, 32); zeros for a row without an image.

    A key depends on the content of the image, and on the row's box if boxes choose the faces.
    """
    keys = np.zeros((len(manifest), 32), np.uint8)
    boxes = manifest.table["box"] if settings.choose == "box" else [""] * len(manifest)
    for row, (content, box) in enumerate(zip(manifest.table["content"], boxes, strict=True)):
        if content:
            key = bytes.fromhex(content)
            keys[row] = np.frombuffer(sha256(key + box.encode()).digest() if box else key, np.uint8)
    return keys


def face_keys(key: NDArray[np.uint8], n_faces: int) -> NDArray[np.uint8]:
    """Return the keys of the faces of one image in the cache, shape (n_faces, 32).

    Args:
        key: key of the image, shape (32,); it is the key of the first face.
        n_faces: number of faces, at least one.
    """
    first = key.tobytes()
    others = (sha256(first + number.to_bytes(4, "big")).digest() for number in range(1, n_faces))
    return np.frombuffer(b"".join((first, *others)), np.uint8).reshape(n_faces, 32)
