"""Where the files of shelves are kept, and all that a shelf asks of such a place.

A shelf writes whole files, lists them, reads parts of them and puts damaged ones aside. Any place that can do
this can hold shelves. Today it is a folder of this machine.

The files describe people's faces: folders are made for the user alone (0700), and so are files (0600).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from featurekit.errors import StoreError
from featurekit.files import make_folder, sync_folder, whole_file

# Name of the folder beside a damaged file that it is moved to.
QUARANTINE = "quarantine"

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")

# Size first, then what changes when a file is written again: on a disk its times and inode.
Signature = tuple[int, ...]


class Storage:
    """A folder of this machine, for files that are written once and whole, and read in parts.

    A shelf asks for nothing but these methods, so a class with the same methods can replace this one, as a
    bucket could (tests/contracts/test_storages.py has one in memory). A path is only a name for a shelf.
    Nobody writes other bytes to a path that exists, because files are named by their content. A storage that
    cannot do what it is asked raises an OSError or a FeaturekitError.
    """

    def put(self, path: Path, data: bytes) -> Signature:
        """Write a file; it is on the disk when this returns, and nobody sees it before it is whole.

        A file that exists has the same bytes, unless it is damaged: it may be left, or written again. The
        folder is created if needed, and the file is written under a temporary name, flushed to the disk and
        renamed.

        Raises:
            StoreError: the folder cannot be made.
            WorkspaceError: the disk is full or cannot be written.
        """
        make_private_folder(path.parent)
        with whole_file(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
        return signature_of(path.stat())

    def exists(self, path: Path) -> bool:
        """Whether there is a file of this name."""
        return path.exists()

    def read(self, path: Path) -> bytes:
        """Return a small file.

        Raises:
            FileNotFoundError: it does not exist.
        """
        return path.read_bytes()

    @contextmanager
    def open(self, path: Path) -> Iterator[tuple[IO[bytes], Signature]]:
        """Open a file without a buffer, to read any part of it, and return it with its signature.

        Raises:
            FileNotFoundError: it does not exist.
        """
        with path.open("rb", buffering=0) as file:
            yield file, signature_of(os.fstat(file.fileno()))

    def list(self, folder: Path, ending: str) -> dict[Path, Signature]:
        """Return the whole files with this ending in a folder itself; none if there is no folder.

        Raises:
            StoreError: the folder cannot be read.
        """
        found = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(ending) and not entry.name.startswith("."):
                        try:
                            found[folder / entry.name] = signature_of(entry.stat())
                        except FileNotFoundError:
                            continue
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"Cannot read {folder}: {error.strerror or error}.") from error
        return found

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name, also in another folder, which is made if it does not exist."""
        make_private_folder(to.parent)
        path.replace(to)

    def delete(self, path: Path) -> None:
        """Remove a file, so that a power cut does not bring it back.

        Raises:
            FileNotFoundError: it does not exist.
        """
        path.unlink()
        sync_folder(path.parent)


@dataclass(frozen=True)
class Damage:
    """A file of the store that is damaged.

    Attributes:
        path: where it was found; put_aside() moves it to the quarantine folder beside it.
        why: what is wrong with it.
    """

    path: Path
    why: str


def put_aside(storage: Storage, damage: Damage) -> None:
    """Move a damaged file to the quarantine; a file that cannot be moved is still not used."""
    with suppress(OSError, StoreError):
        storage.move(damage.path, damage.path.parent / QUARANTINE / damage.path.name)


def in_one_line(function: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """Return the function with every OSError turned into a StoreError of one line."""

    @wraps(function)
    def wrapped(*given: _Given.args, **named: _Given.kwargs) -> _Answer:
        try:
            return function(*given, **named)
        except OSError as error:
            raise StoreError(
                f"Cannot use {error.filename or 'the cache'}: {error.strerror or error}."
            ) from error

    return wrapped


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature of a file of which stat said this."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; an empty list if there is no folder.

    Path.glob() is not used, because it returns nothing for a folder that cannot be read, and a purge could
    overlook the data of a subject there.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


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
            raise StoreError(f"{folder} is not a folder. Move it away, or choose another folder.")
    except OSError as error:
        raise StoreError(f"Cannot create {folder}: {error.strerror or error}.") from error
