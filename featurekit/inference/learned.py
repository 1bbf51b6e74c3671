"""What a classifier has learned, as bytes that anybody may have written.

A model is kept without pickle: model.skops holds the classifier and is only loaded
through the list of types that the registered member declares, or model.safetensors holds the weights of a
network that was trained end to end.
"""

import io
import json
from collections.abc import Mapping
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from featurekit.data.targets import Target
from featurekit.errors import ModelError
from featurekit.estimators import ClassifierKind
from featurekit.estimators.given import HOW_TO_SAVE
from featurekit.inference.archive import SKOPS, TENSORS
from featurekit.networks.engines import usable_cores


def to_file(kind: ClassifierKind, estimator: Any, name: str) -> tuple[str, dict[str, Any], bytes]:
    """Return what a fitted classifier has learned: the name of its file, facts for model.json, the bytes.

    Args:
        kind: of the classifier; it says which types may be kept.
        estimator: the classifier.
        name: of the model, for the message.

    Raises:
        ModelError: the classifier is of a type that loading would refuse, or that skops cannot keep.
    """
    if hasattr(estimator, "to_tensors"):
        from safetensors.numpy import save

        facts, tensors = estimator.to_tensors()
        return TENSORS, facts, save(tensors)
    data = _dumped(estimator, name)
    strange = _strange_types(data, kind)
    if strange:
        how = f" {HOW_TO_SAVE}" if kind.is_given else ""
        raise ModelError(f"{name} contains types that no loader accepts: {', '.join(strange)}.{how}")
    return SKOPS, {}, data


def from_file(
    kind: ClassifierKind, target: Target, facts: Mapping[str, Any], file_name: str, data: bytes
) -> Any:
    """Return the fitted classifier that a file holds.

    Raises:
        ModelError: it is one of another kind, or holds types that are not allowed.
    """
    unfitted: Any = kind.make(target, 0, usable_cores())
    if (file_name == TENSORS) != hasattr(unfitted, "from_tensors"):
        raise ModelError(f"A fitted {kind.name} is not saved in {file_name}.")
    if file_name == TENSORS:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return unfitted.from_tensors(facts, load(data))
        except SafetensorError as error:
            raise ModelError(f"{TENSORS} does not contain tensors: {error}.") from error
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    strange = _strange_types(data, kind)
    if strange:
        raise ModelError(f"{SKOPS} contains types that are not allowed: {', '.join(strange)}.")
    try:
        estimator = skops.io.loads(data, trusted=list(kind.may_hold))
    except UntrustedTypesFoundException as error:
        raise ModelError(f"{SKOPS} holds types that are not allowed: {error}") from error
    if type(estimator) is not type(unfitted):
        raise ModelError(f"{SKOPS} contains a {type(estimator).__name__}, which is not a fitted {kind.name}.")
    estimator.validate()
    estimator.n_jobs = unfitted.n_jobs  # those of this machine
    estimator.check_learned(unfitted)
    return estimator


def _dumped(estimator: Any, name: str) -> bytes:
    """Return a fitted classifier as skops keeps it.

    Raises:
        ModelError: skops knows no way to keep a part of it.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data: bytes = skops.io.dumps(estimator)
    except UnsupportedTypeException as error:
        raise ModelError(f"{name} contains something that skops cannot save: {error}") from error
    return data


def _strange_types(data: bytes, kind: ClassifierKind) -> list[str]:
    """Return the types that a file of skops names and that no such classifier is made of.

    Raises:
        ValueError: it is compressed, which skops is never asked for: a few bytes could unpack to anything.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != ZIP_STORED for member in archive.infolist()):
            raise ValueError(f"{SKOPS} is compressed.")
        schema = json.loads(archive.read("schema.json"))
    found: set[str] = set()
    parts = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "__class__" in part:
                found.add(f"{part.get('__module__')}.{part['__class__']}")
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return sorted(found - set(kind.may_hold))
