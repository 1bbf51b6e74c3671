"""What lies in a model's folder, and whether it is what was saved there.

A model may come from anybody. Its folder holds four plain files and nothing else;
SHA256SUMS, which `sha256sum -c` reads too, lists the other three, so that an edited
folder is refused. Whoever makes the list anew meets the second wall: model.json
says only what the schema knows, and what was learned is loaded as data.
"""

import json
import os
import re
import shutil
import threading
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from featurekit.errors import ModelError
from featurekit.files import make_folder, read_plain, sync_folder, whole_file, write_text
from featurekit.inference._schema import SCHEMA, ModelFile
from featurekit.records import parsed, record

SKOPS, TENSORS = "model.skops", "model.safetensors"
CONTENT, CARD, SUMS = "model.json", "README.md", "SHA256SUMS"

# A network of the largest that can be trained further has 0.6 GB.
_MAX_BYTES = {SKOPS: 4 * 2**30, TENSORS: 4 * 2**30, CONTENT: 4 * 2**20, CARD: 2**20, SUMS: 2**12}


class Bundle(NamedTuple):
    """A model's folder in memory: model.json, the name of the file with what was learned, and its bytes."""

    content: ModelFile
    file_name: str
    data: bytes


def write_bundle(folder: Path, content: ModelFile, file_name: str, data: bytes, card: str) -> int:
    """Write a model's folder and return its size in bytes.

    Raises:
        ModelError: reading would refuse what model.json says.
    """
    try:
        text = json.dumps(asdict(content), indent=2) + "\n"
        record(ModelFile, json.loads(text))
    except ValueError as error:
        raise ModelError(f"{folder.name} cannot be saved: {error}") from error
    # Written beside: where the disk is full, the model that was there before stays.
    beside = folder.with_name(f".{folder.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with whole_file(beside / file_name) as file:
            file.write(data)
        write_text(beside / CARD, card)
        write_text(beside / CONTENT, text)
        hashes = {CARD: sha256(card.encode()), CONTENT: sha256(text.encode()), file_name: sha256(data)}
        write_text(beside / SUMS, "".join(f"{of.hexdigest()}  {name}\n" for name, of in hashes.items()))
        make_folder(folder)
        for name in (file_name, CARD, CONTENT, SUMS):  # the list last: a folder whose list fits is complete
            (beside / name).replace(folder / name)
        (folder / (SKOPS if file_name == TENSORS else TENSORS)).unlink(missing_ok=True)
        sync_folder(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return sum(path.stat().st_size for path in folder.iterdir())


def read_bundle(folder: Path) -> Bundle:
    """Return what write_bundle() wrote.

    Raises:
        ModelError: a file is missing, is one too many, is no plain file or another one than was written, or
            model.json says what it cannot say.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ModelError(f"{folder} is not a saved model: {error.strerror}.") from error
    file_name = TENSORS if TENSORS in names else SKOPS
    wanted = (CONTENT, file_name, CARD, SUMS)
    for name in wanted:
        if name not in names:
            older = (
                " It may be of an older version of featurekit. In that case, fit it again."
                if name == SUMS
                else ""
            )
            raise ModelError(f"{folder} is not a saved model: it has no {name}.{older}")
    strange = sorted(names - set(wanted))
    if strange:
        raise ModelError(f"{folder} was edited: a saved model has no file {strange[0]}. Remove that file.")
    files = {name: _read(folder / name) for name in wanted}
    listed = dict(re.findall(r"^([0-9a-f]{64})  (.+)$", files[SUMS].decode("utf-8", "replace"), re.M))
    for name in wanted[:3]:
        if listed.get(sha256(files[name]).hexdigest()) != name:
            raise ModelError(f"{folder} was edited: {name} is not the file that {SUMS} was written for.")
    return Bundle(_parsed(files[CONTENT], folder / CONTENT), file_name, files[file_name])


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, _MAX_BYTES[path.name], follow=False)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error


def _parsed(data: bytes, path: Path) -> ModelFile:
    """Return what model.json says.

    Raises:
        ModelError: it is no JSON, of another version, or says what it cannot say.
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
