"""Where weight files are kept, and whether they are the right ones.

Every file is hashed when it is read, and bytes that do not match the table are
refused, wherever they come from. Nothing here uses the network.

    FEATUREKIT_HOME/weights/<file name>     default home: the platform's cache folder
"""

import errno
import hashlib
import os
from dataclasses import astuple
from pathlib import Path
from typing import Any

import platformdirs

from featurekit.errors import WeightsError
from featurekit.files import read_plain, whole_file
from featurekit.networks import weights_table
from featurekit.networks.weights_table import WeightsEntry, entry_of, expected, name_of

MAX_BYTES = 4 * 2**30  # of a weight file; the largest of the table has 0.6 GB

# What describe() states of a file.
FACTS = (
    "name",
    "file",
    "sha256",
    "source",
    "licence_code",
    "licence_weights",
    "licence_training_data",
)


def home() -> Path:
    """Folder that featurekit keeps its own files in: FEATUREKIT_HOME, or the platform's cache folder."""
    chosen = os.environ.get("FEATUREKIT_HOME") or platformdirs.user_cache_dir("featurekit")
    return Path(chosen).expanduser()


def path_of(name: str) -> Path:
    """Return the path of a weight file, whether or not it exists."""
    return home() / "weights" / entry_of(name).file_name


def present(name: str) -> bool:
    """Whether a weight file exists; read() checks whether it is the right one."""
    return path_of(name).is_file()


def read(name: str) -> bytes:
    """Return the bytes of a weight file.

    The bytes returned are the bytes that were hashed, even if the file changes on the disk meanwhile.

    Raises:
        WeightsError: the file is missing, or is not the one of the table.
        UnknownNameError: the table has no such entry.
    """
    entry, path = entry_of(name), path_of(name)
    try:
        data = read_plain(path, MAX_BYTES)
    except FileNotFoundError:
        raise WeightsError(
            f"The weight file of {name} is missing: {entry.file_name}, from {entry.source}. {entry.repair}"
        ) from None
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if not entry.matches(digest):
        raise WeightsError(f"{path} is damaged: {expected(entry.sha256, digest)} {entry.repair}")
    return data


def sha256_of(name: str) -> str:
    """Return the full hash of a weight file: what the recipe of an embedding states.

    Raises:
        WeightsError: the table knows only the beginning of the hash, and the file is missing.
    """
    entry = entry_of(name)
    return entry.sha256 if len(entry.sha256) == 64 else hashlib.sha256(read(name)).hexdigest()


def adopt(path: Path) -> str:
    """Keep a file of the user's that the table need not know, and return its sha256.

    It is found again by its hash alone. A file that the table knows is kept under its own name.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    known = name_of(digest)
    with whole_file(path_of(known) if known else _adopted(digest)) as file:
        file.write(data)
    return digest


def read_by_hash(sha256: str) -> bytes:
    """Return the bytes of the file with this hash: one of the table, or one that adopt() kept.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    if known := name_of(sha256):
        return read(known)
    path = _adopted(sha256)
    repair = "Name it again: featurekit extract --detector-weights FILE"
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(
            f"The weight file with the sha256 {sha256} is missing: it was the user's own. {repair}"
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path} is damaged: its sha256 is another one now. {repair}")
    return data


def describe_by_hash(sha256: str) -> dict[str, Any]:
    """Return what describe() does; the licences of a file outside the table are not known."""
    if known := name_of(sha256):
        return describe(known)
    licences = ["not known: the user's own file"] * 3
    facts = ("own file", _adopted(sha256).name, sha256, "given by the user", *licences)
    return dict(zip(FACTS, facts, strict=True))


def _adopted(sha256: str) -> Path:
    return home() / "weights" / f"own-{sha256}"


def describe(name: str) -> dict[str, Any]:
    """Return what a report states about a weight file, as plain JSON values; the file need not exist."""
    entry = entry_of(name)
    digest = sha256_of(name) if present(name) else entry.sha256
    facts = (name, entry.file_name, digest, entry.source, *astuple(entry.licences))
    return dict(zip(FACTS, facts, strict=True))


def verify() -> list[tuple[str, str]]:
    """Hash every file again; return the name of each entry and "ok", "damaged" or "missing"."""
    return [(name, status_of(entry)) for name, entry in weights_table.WEIGHTS.items()]


def status_of(entry: WeightsEntry) -> str:
    """Return "ok", "damaged" or "missing", after hashing the file again."""
    try:
        return "ok" if entry.matches(sha256_of_file(path_of(entry.name))) else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal; OSError if it cannot be read."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a plain file")  # opening a pipe would never end
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
