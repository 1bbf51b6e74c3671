"""Write the files in the folder of a model, and read them if nobody has edited them.

A model may come from anybody. Its folder holds four plain files and nothing else. SHA256SUMS, which
`sha256sum -c` can check, lists the hashes of the other three files, so that featurekit refuses to load an
edited folder. Somebody could edit the files and write a new list of hashes. Therefore model.json may have
only the fields of ModelFile, and the fitted classifier is never unpickled. It is either in model.skops, or in
model.safetensors, which has the weights of a network that was trained end to end. Only the types that the
registration of the classifier lists are loaded from model.skops.
"""

import io
import json
import os
import re
import shutil
import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZIP_STORED, ZipFile

from annotated_types import Len, MaxLen

from featurekit.data.targets import Target
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import ClassifierKind
from featurekit.estimators.fitted_features import FITTED_FEATURES, fitted_in, types_of, with_fitted
from featurekit.estimators.given import HOW_TO_SAVE
from featurekit.faces.settings import FaceSettings
from featurekit.files import make_folder, names_in, read_file, sync_folder, write_bytes
from featurekit.networks.backbones import split_feature
from featurekit.networks.engines import usable_cores
from featurekit.networks.weights import FACTS
from featurekit.records import FileName, Line, Word, must, parsed, record
from featurekit.uncertainty.calibration import Calibration
from featurekit.urls import Bucket, UrlPath

# Raise this number if the written fields change, or if the names of the types in a file of skops do. Files of
# an older version are then refused with one line.
SCHEMA = 4

SKOPS, TENSORS = "model.skops", "model.safetensors"
CONTENT, CARD, SUMS = "model.json", "README.md", "SHA256SUMS"

# The field of ModelFile.estimator that names the features of a model that are fitted per fold.
_FITTED = "fitted_features"

# The largest network that can be fine-tuned has 0.6 GB.
_MAX_BYTES = {SKOPS: 4 * 2**30, TENSORS: 4 * 2**30, CONTENT: 4 * 2**20, CARD: 2**20, SUMS: 2**12}
_HAS_FACTS = must(f"say {', '.join(FACTS)}", lambda facts: facts.keys() == set(FACTS))


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """The fields of model.json: those of TrainedModel, without the fitted classifier itself."""

    schema: int = SCHEMA
    name: FileName
    target: Target
    classifier: Word
    estimator: Mapping[str, Any]
    settings: FaceSettings
    recipes: Annotated[tuple[Recipe, ...], Len(1, 64)]
    training: Mapping[str, Any]
    weights: Annotated[tuple[Annotated[Mapping[str, Line], _HAS_FACTS], ...], MaxLen(128)]
    calibration: Calibration | None


def write_bundle(folder: Path, content: ModelFile, file_name: str, data: bytes, card: str) -> int:
    """Write a model's folder and return its size in bytes.

    Raises:
        ModelError: the content is not valid for model.json, so that read_bundle() could not read it.
    """
    try:
        text = json.dumps(asdict(content), indent=2) + "\n"
        record(ModelFile, json.loads(text))
    except ValueError as error:
        raise ModelError(f"{folder.name} cannot be saved: {error}") from error
    hashes = {CARD: sha256(card.encode()), CONTENT: sha256(text.encode()), file_name: sha256(data)}
    sums = "".join(f"{of.hexdigest()}  {name}\n" for name, of in hashes.items())
    files = {file_name: data, CARD: card.encode(), CONTENT: text.encode(), SUMS: sums.encode()}
    other = SKOPS if file_name == TENSORS else TENSORS
    if isinstance(folder, UrlPath):
        _upload(folder, files, other)
    else:
        _write(folder, files, other)
    return sum(map(len, files.values()))


def _write(folder: Path, files: Mapping[str, bytes], other: str) -> None:
    """Write the files of a model to a folder of this machine.

    Args:
        folder: the folder.
        files: name → bytes of each file; the list of hashes last, because it fits only a complete folder.
        other: name of a file that is removed if an earlier model has it.
    """
    # Written into a folder beside, so that an earlier model stays if the disk is full.
    beside = folder.with_name(f".{folder.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        for name, data in files.items():
            write_bytes(beside / name, data)
        make_folder(folder)
        for name in files:
            (beside / name).replace(folder / name)
        (folder / other).unlink(missing_ok=True)
        sync_folder(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _upload(folder: UrlPath, files: Mapping[str, bytes], other: str) -> None:
    """Upload the files of a model to a bucket; see _write().

    A bucket cannot replace several files at once. While an earlier model is replaced, its files do not fit
    their list of hashes, so that nobody can load a mixture.

    Raises:
        WorkspaceError: the bucket cannot be written.
    """
    for name, data in files.items():
        write_bytes(folder / name, data)
    try:
        if other in names_in(folder):
            Bucket(folder.scheme).delete(folder / other)
    except OSError as error:
        raise WorkspaceError(f"Cannot write {folder}: {error.strerror}.") from None


def read_bundle(folder: Path) -> tuple[ModelFile, str, bytes]:
    """Read a model's folder that write_bundle() wrote.

    Returns:
        The content of model.json, and the name and bytes of the file of the fitted classifier.

    Raises:
        ModelError: a file is missing, was edited, is not a plain file, or does not belong to a model; or
            model.json has an unknown field or an invalid value.
    """
    try:
        names = names_in(folder)
    except OSError as error:
        raise ModelError(f"{folder} is not a saved model: {error.strerror}.") from error
    file_name = TENSORS if TENSORS in names else SKOPS
    wanted = (CONTENT, file_name, CARD, SUMS)
    if missing := [name for name in wanted if name not in names]:
        older = " It may be of an older version of featurekit. In that case, fit it again."
        raise ModelError(
            f"{folder} is not a saved model: it has no {missing[0]}.{older if missing[0] == SUMS else ''}"
        )
    if strange := sorted(names - set(wanted)):
        raise ModelError(f"{folder} was edited: a saved model has no file {strange[0]}. Remove that file.")
    files = {name: _read(folder / name) for name in wanted}
    listed = dict(re.findall(r"^([0-9a-f]{64})  (.+)$", files[SUMS].decode("utf-8", "replace"), re.M))
    for name in wanted[:3]:
        if listed.get(sha256(files[name]).hexdigest()) != name:
            raise ModelError(f"{folder} was edited: {name} is not the file that {SUMS} was written for.")
    return _parsed(files[CONTENT], folder / CONTENT), file_name, files[file_name]


def _read(path: Path) -> bytes:
    try:
        return read_file(path, _MAX_BYTES[path.name], follow=False)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error


def _parsed(data: bytes, path: Path) -> ModelFile:
    """Return the fields of model.json.

    Raises:
        ModelError: it is not JSON, of another version, or has a field or a value that it may not have.
    """
    try:
        content = parsed(data)
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ModelError(f"{path.parent} is a model of another version of featurekit. Fit it again.")
    try:
        return record(ModelFile, content)
    except ValueError as error:
        raise ModelError(f"{path} is not a model of this version: {error}") from error


def to_file(kind: ClassifierKind, estimator: Any, name: str) -> tuple[str, dict[str, Any], bytes]:
    """Return a fitted classifier as a file: the file's name, fields for model.json, and the file's bytes.

    Args:
        kind: registration of the classifier, which lists the types that may be saved.
        estimator: the classifier.
        name: name of the model, for error messages.

    Raises:
        ModelError: the classifier contains an object of a type that may not be loaded or that skops cannot
            save.
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
    fitted = fitted_in(estimator)
    if strange := _strange_types(data, (*kind.may_hold, *types_of(fitted))):
        raise ModelError(
            f"{name} contains types that cannot be loaded again safely: {', '.join(strange)}."
            + (f" {HOW_TO_SAVE}" if kind.is_given else "")
        )
    return SKOPS, {_FITTED: list(fitted)} if fitted else {}, data


def from_file(kind: ClassifierKind, content: ModelFile, file_name: str, data: bytes) -> Any:
    """Return the fitted classifier from the bytes of its file.

    Args:
        kind: registration of the classifier.
        content: content of model.json.
        file_name: name of the file, as from read_bundle().
        data: bytes of the file.

    Raises:
        ModelError: the file contains another kind of classifier, or types that may not be loaded.
        UnknownNameError: no installed package has a backbone, or a feature that is fitted per fold.
    """
    fitted, lengths = _parts_of(content)
    unfitted: Any = with_fitted(kind.make(content.target, 0, usable_cores()), fitted, lengths, 0)
    if (file_name == TENSORS) != hasattr(unfitted, "from_tensors"):
        raise ModelError(f"A fitted {kind.name} is not saved in {file_name}.")
    if file_name == TENSORS:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return unfitted.from_tensors(content.estimator, load(data))
        except SafetensorError as error:
            raise ModelError(f"{TENSORS} does not contain tensors: {error}.") from error
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = (*kind.may_hold, *types_of(fitted))
    if strange := _strange_types(data, allowed):
        raise ModelError(f"{SKOPS} contains types that are not allowed: {', '.join(strange)}.")
    try:
        estimator = skops.io.loads(data, trusted=list(allowed))
    except UntrustedTypesFoundException as error:
        raise ModelError(f"{SKOPS} contains types that are not allowed: {error}") from error
    if type(estimator) is not type(unfitted):
        raise ModelError(f"{SKOPS} contains a {type(estimator).__name__}, which is not a fitted {kind.name}.")
    estimator.validate()
    estimator.n_jobs = unfitted.n_jobs  # for the cores of this machine
    estimator.check_learned(unfitted)
    return estimator


def _parts_of(content: ModelFile) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the features of a model that are fitted per fold, as for with_fitted(), and lengths of parts.

    Raises:
        ModelError: the parts are not those of such features.
        UnknownNameError: no installed package has a backbone, or such a feature.
    """
    fitted = tuple(content.estimator.get(_FITTED, ()))
    if not fitted:
        return (), ()
    reads = [recipe.feature for recipe in content.recipes]
    if len(fitted) != len(reads) or not any(fitted) or not all(isinstance(name, str) for name in fitted):
        raise ModelError(f"{CONTENT} does not name one feature for each recipe.")
    for name, feature in zip(fitted, reads, strict=True):
        if name and FITTED_FEATURES[name].reads != feature:
            raise ModelError(f"{CONTENT} has a recipe of {feature}, from which no {name} are learned.")
    return fitted, tuple(backbone.layers[layer] for backbone, layer in map(split_feature, reads))


def _strange_types(data: bytes, allowed: Collection[str]) -> list[str]:
    """Return the types in a file of skops that are not allowed.

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
    return sorted(found - set(allowed))
