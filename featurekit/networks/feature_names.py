"""The names of features: a network and one of its layers, and several features joined by "+".

A registered backbone and its layer are joined by a colon, as in ``vgg16:fc6``. A network by reference has a
colon in its own name, so its layer follows "@", and a way to pool the layer follows "+":

    timm:vit_small_patch16_224@blocks.8+cls
"""

from collections.abc import Mapping
from typing import Any

# How a feature map or the tokens of a transformer become one vector. No backbone can have such a name.
POOLS = ("mean", "max", "cls")


def is_reference(name: str) -> bool:
    """Whether a name of a backbone or a feature is that of a network by reference.

    >>> is_reference("timm:resnet18"), is_reference("vgg16:fc6"), is_reference("vgg16")
    (True, False, False)
    """
    return name.partition(":")[0] in ("timm", "torchvision", "onnx", "hf") and ":" in name


def split_features(text: str) -> list[str]:
    """Return the features that are joined by "+"; the pools of a reference stay with it.

    >>> split_features("dlib_age+timm:vit_small_patch16_224@blocks.8+cls+mean+dlib_face:embedding")
    ['dlib_age', 'timm:vit_small_patch16_224@blocks.8+cls+mean', 'dlib_face:embedding']
    """
    parts: list[str] = []
    for part in text.split("+"):
        if part.strip() in POOLS and parts and is_reference(parts[-1].strip()):
            parts[-1] += f"+{part}"
        else:
            parts.append(part)
    return parts


def backbone_and_layer(feature: str) -> tuple[str, str]:
    """Return the name of the backbone and of the layer; "" for the layer if none is named.

    >>> backbone_and_layer("vgg16:fc6"), backbone_and_layer("vgg16")
    (('vgg16', 'fc6'), ('vgg16', ''))
    >>> backbone_and_layer("timm:resnet18@layer3+max"), backbone_and_layer("timm:resnet18+max")
    (('timm:resnet18', 'layer3+max'), ('timm:resnet18', '+max'))
    """
    if not is_reference(feature):
        name, _, layer = feature.partition(":")
        return name, layer
    pools: list[str] = []
    while feature.rpartition("+")[2] in POOLS:
        feature, _, pool = feature.rpartition("+")
        pools.insert(0, pool)
    name, _, layer = feature.partition("@")
    return name, "+".join([layer, *pools])


def backbone_of(feature: str) -> str:
    """Return the name of the backbone of a feature.

    >>> backbone_of("dlib_age:middle")
    'dlib_age'
    """
    return backbone_and_layer(feature)[0]


def feature_name(backbone: str, layer: str) -> str:
    """Return the full name of a feature.

    >>> feature_name("vgg16", "fc6"), feature_name("timm:resnet18", "layer3+max")
    ('vgg16:fc6', 'timm:resnet18@layer3+max')
    """
    return f"{backbone}{'@' if is_reference(backbone) else ':'}{layer}"


def shelf_name(recipe: Mapping[str, Any]) -> str:
    """Return the name of what a shelf of the cache contains, given its recipe: a detector or a feature."""
    return str(recipe.get("detector") or feature_name(str(recipe.get("backbone")), str(recipe.get("layer"))))
