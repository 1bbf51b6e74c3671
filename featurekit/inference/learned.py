"""Save what a classifier has learned, and load it without trusting the file.

Nothing is pickled. model.skops holds a classifier, and only the types that its
registration lists are loaded. model.safetensors holds the weights of a network that
was trained end to end.
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
    """Return the file of a fitted classifier: its name, facts for model.json, and its bytes.

    Args:
        kind: of the classifier; it lists the types that may be saved.
        estimator: the classifier.
        name: of the model, for the message.

    Raises:
        ModelError: the classifier has a type that loading would refuse, or that skops cannot save.
    """
    if hasattr(estimator, "to_tensors"):
        from safetensors.numpy import save

        facts, tensors = estimator.to_tensors()
        return TENSORS, facts, save(tensors)
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data = skops.io.dumps(estimator)
    except UnsupportedTypeException as error:
        raise ModelError(f"{name} contains something that skops cannot save: {error}") from error
    if strange := _strange_types(data, kind):
        how = f" {HOW_TO_SAVE}" if kind.is_given else ""
        raise ModelError(f"{name} contains types that no loader accepts: {', '.join(strange)}.{how}")
    return SKOPS, {}, data


def from_file(
    kind: ClassifierKind, target: Target, facts: Mapping[str, Any], file_name: str, data: bytes
) -> Any:
    """Return the fitted classifier that a file holds.

    Raises:
        ModelError: the classifier is of another kind, or has types that are not allowed.
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

    if strange := _strange_types(data, kind):
        raise ModelError(f"{SKOPS} contains types that are not allowed: {', '.join(strange)}.")
    try:
        estimator = skops.io.loads(data, trusted=list(kind.may_hold))
    except UntrustedTypesFoundException as error:
        raise ModelError(f"{SKOPS} holds types that are not allowed: {error}") from error
    if type(estimator) is not type(unfitted):
        raise ModelError(f"{SKOPS} contains a {type(estimator).__name__}, which is not a fitted {kind.name}.")
    estimator.validate()
    estimator.n_jobs = unfitted.n_jobs  # for the cores of this machine
    estimator.check_learned(unfitted)
    return estimator


def _strange_types(data: bytes, kind: ClassifierKind) -> list[str]:
    """Return the types in a file of skops that the kind of classifier does not list.

    Raises:
        ValueError: the file is compressed. featurekit never compresses it, and a few bytes could unpack to
            more than fits into memory.
    """
    found: set[str] = set()

    def note(part: dict[str, Any]) -> dict[str, Any]:
        if "__class__" in part:
            found.add(f"{part.get('__module__')}.{part['__class__']}")
        return part

    with ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != ZIP_STORED for member in archive.infolist()):
            raise ValueError(f"{SKOPS} is compressed.")
        json.loads(archive.read("schema.json"), object_hook=note)  # is called for each object inside
    return sorted(found - set(kind.may_hold))
