"""What lies in a model's folder, and whether it is what was saved there.

A model may come from anybody. Its folder holds four plain files and nothing else;
SHA256SUMS, which `sha256sum -c` reads too, lists the other three, so that an edited
folder is refused. Whoever makes the list anew meets the second wall: model.json
says only what the schema below knows, and what was learned is loaded as data.
"""

import json
import math
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from featurekit.data.manifest import MAX_AGE
from featurekit.errors import ModelError
from featurekit.files import make_folder, read_plain, sync_folder, whole_file, write_text

SCHEMA = 3
SKOPS, TENSORS = "model.skops", "model.safetensors"
CONTENT, CARD, SUMS = "model.json", "README.md", "SHA256SUMS"

# A network of the largest that can be trained further has 0.6 GB.
_MAX_BYTES = {SKOPS: 4 * 2**30, TENSORS: 4 * 2**30, CONTENT: 4 * 2**20, CARD: 2**20, SUMS: 2**12}
_MAX_CLASSES = 10_000


class Bundle(NamedTuple):
    """A model's folder in memory: model.json, the name of the file with what was learned, and its bytes."""

    content: dict[str, Any]
    file_name: str
    data: bytes


def write_bundle(folder: Path, content: Mapping[str, Any], file_name: str, data: bytes, card: str) -> int:
    """Write a model's folder and return its size in bytes.

    Raises:
        ModelError: reading would refuse what model.json says.
    """
    content = {"schema": SCHEMA, **content}
    try:
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        _MODEL(json.loads(text), CONTENT)
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
        raise ModelError(f"{folder} is not a fitted model: {error.strerror}.") from error
    file_name = TENSORS if TENSORS in names else SKOPS
    wanted = (CONTENT, file_name, CARD, SUMS)
    for name in wanted:
        if name not in names:
            older = " It may be of an older version of featurekit: fit it again." if name == SUMS else ""
            raise ModelError(f"{folder} is not a fitted model: there is no {name}.{older}")
    strange = sorted(names - set(wanted))
    if strange:
        raise ModelError(f"{folder} was edited: a model has no file {strange[0]}. Take it out.")
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


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    """Return what model.json says.

    Raises:
        ModelError: it is no JSON, of another version, or says what it cannot say.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ModelError(f"{path.parent} is a model of another version of featurekit. Fit it again.")
    try:
        _MODEL(content, CONTENT)
    except ValueError as error:
        raise ModelError(f"{path} is not a model of this version: {error}") from error
    return content


# ---------------------------------------------------------------- the schema of model.json

# (value, where it stands) → nothing, or ValueError.
_Check = Callable[[Any, str], None]


def _must(holds: bool, where: str, what: str, value: Any) -> None:
    if not holds:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise ValueError(f"{where} must be {what}. Got {shown} instead.")


def _text(pattern: str = r"[^\x00-\x1f\x7f]{0,1000}") -> _Check:
    def check(value: Any, where: str) -> None:
        _must(isinstance(value, str) and bool(re.fullmatch(pattern, value)), where, "such a text", value)

    return check


def _number(low: float, high: float, *, whole: bool = False) -> _Check:
    def check(value: Any, where: str) -> None:
        kind = int if whole else (int, float)
        holds = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
        _must(holds, where, f"a{' whole' if whole else ''} number from {low:g} to {high:g}", value)

    return check


def _flag(value: Any, where: str) -> None:
    _must(isinstance(value, bool), where, "true or false", value)


def _list(of: _Check, most: int, *, least: int = 0) -> _Check:
    def check(value: Any, where: str) -> None:
        holds = isinstance(value, list) and least <= len(value) <= most
        _must(holds, where, f"a list of {least} to {most}", value)
        for number, one in enumerate(value):
            of(one, f"{where}[{number}]")

    return check


def _record(**parts: _Check) -> _Check:
    def check(value: Any, where: str) -> None:
        holds = isinstance(value, dict) and value.keys() == parts.keys()
        _must(holds, where, f"a record of {', '.join(parts)}", value if not holds else None)
        for name, part in parts.items():
            part(value[name], f"{where}: {name}")

    return check


def _or_nothing(check: _Check) -> _Check:
    return lambda value, where: None if value is None else check(value, where)


def _plain(value: Any, where: str, depth: int = 8) -> None:
    """Let through values that only describe, and are compared or shown: no number without an end."""
    _must(depth > 0, where, "less deep", "…")
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _plain(one, where, depth - 1)
    elif isinstance(value, float):
        _must(math.isfinite(value), where, "finite", value)


def _mapping(value: Any, where: str) -> None:
    _must(isinstance(value, dict), where, "a record", value)
    _plain(value, where)


_LABEL = _text(r"(?s:.{0,1000})")  # a user's own, of whatever letters
_WORD = _text(r"[\w.:+-]{0,200}")
_HASH = _text(r"([0-9a-f]{64})?")
_SHARE = _number(0, 1)
_TARGET = {
    "name": _LABEL,
    "classes": _list(_LABEL, _MAX_CLASSES),
    "ordered": _flag,
    "years": _list(_list(_number(0, MAX_AGE, whole=True), 2, least=2), _MAX_CLASSES),
}
_SETTINGS: dict[str, _Check] = {
    "detector": _WORD,
    "weights_sha256": _HASH,
    "attempts": _list(_list(_number(0, 4096), 2, least=2), 16, least=1),
    "choose": _WORD,
    "min_face": _number(0, 4096, whole=True),
}
_RECIPE: dict[str, _Check] = {
    "faces": _mapping,
    "backbone": _WORD,
    "layer": _WORD,
    "weights": _HASH,
    "input_size": _number(1, 4096, whole=True),
    "template": _WORD,
    "normalization": _mapping,
    "precision": _WORD,
    "engine": _WORD,
    "mirrored": _flag,
    "extraction_version": _number(0, 10**6, whole=True),
}
_WEIGHTS = {
    name: _text()
    for name in (
        "name",
        "file",
        "sha256",
        "source",
        "licence_code",
        "licence_weights",
        "licence_training_data",
    )
}
_STEPS = _record(confidence=_SHARE, coverage=_SHARE, risk=_SHARE, bound=_SHARE, persons=_number(0, 10**12))
_YEARS = _number(-1000, 1000)
_CALIBRATION = _record(
    missed=_SHARE,
    temperature=_number(1e-6, 1e6),
    abstention=_or_nothing(_record(steps=_list(_STEPS, 10**4))),
    sets=_or_nothing(_record(thresholds=_list(_or_nothing(_number(-10, 10)), _MAX_CLASSES), ordered=_flag)),
    ranges=_or_nothing(
        _record(
            first=_number(0, 200, whole=True),
            lowest=_list(_or_nothing(_YEARS), 1000, least=1),
            highest=_list(_or_nothing(_YEARS), 1000, least=1),
        )
    ),
)
_MODEL = _record(
    schema=_number(SCHEMA, SCHEMA, whole=True),
    name=_text(r"[^/\\\x00-\x1f\x7f]{1,255}"),
    target=_record(**_TARGET),
    classifier=_WORD,
    estimator=_mapping,
    settings=_record(**_SETTINGS),
    recipes=_list(_record(**_RECIPE), 64, least=1),
    training=_mapping,
    weights=_list(_record(**_WEIGHTS), 128),
    calibration=_or_nothing(_CALIBRATION),
)
