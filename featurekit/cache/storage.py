"""Where the files of the cache lie: how they are written whole, listed and read.

They describe people's faces: folders are made for the user alone (0700), and so are files (0600).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import IO, BinaryIO, ParamSpec, TypeVar

from featurekit.errors import StoreError
from featurekit.project import make_folder, whole_file

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")

# Size, times and inode: what changes when a file is written again.
Signature = tuple[int, int, int, int]


def in_one_line(function: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Return the function, for which whatever the operating system refuses is a StoreError."""

    @wraps(function)
    def told(*given: _Given.args, **named: _Given.kwargs) -> _Answer:
        try:
            return function(*given, **named)
        except OSError as error:
            raise StoreError(
                f"Cannot use {error.filename or 'the cache'}: {error.strerror or error}."
            ) from error

    return told


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature of a file of which stat said this."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing where there is none.

    Path.glob() would find nothing in a folder that may not be read either, and who is to be forgotten could
    be in there.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def signatures(folder: Path) -> dict[Path, Signature]:
    """Return the shards in a folder; none where there is no folder."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".safetensors") and not entry.name.startswith("."):
                    try:
                        found[folder / entry.name] = signature_of(entry.stat())
                    except FileNotFoundError:
                        continue
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"Cannot read {folder}: {error.strerror or error}.") from error
    return found


def hash_of(file: IO[bytes]) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    digest = sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for the user alone."""
    try:
        make_folder(folder, 0o700)
        if not folder.is_dir():
            raise StoreError(f"{folder} is not a folder. Move it away or choose another place.")
    except OSError as error:
        raise StoreError(f"Cannot make {folder}: {error.strerror or error}.") from error


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Write a whole file that only the user may read."""
    with whole_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        yield file
