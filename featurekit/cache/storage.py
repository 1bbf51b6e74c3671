"""The place where the cache stores its files, and everything that the cache does with this place.

The cache writes whole files, lists them, reads parts of them, removes them and moves damaged files to another
folder. Any place that can do this can store the cache: a folder of this machine (Storage), or a folder in a
bucket (featurekit.cache.bucket.BucketStorage).

The files describe people's faces, so only the user has access to the folders (mode 0700) and to the files
(mode 0600).
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from featurekit.errors import StoreError
from featurekit.files import is_running, is_unfinished, make_folder, sync_folder, whole_file, writer_of

# Name of the folder beside a damaged file that it is moved to.
QUARANTINE = "quarantine"

# An unfinished file is written without a pause: a writer that has not changed it for so many seconds is dead.
# A writer on another machine shows no other sign of life.
LEFT_ALONE = 60.0

# Size first, then what changes when a file is written again: on a disk its times and inode.
Signature = tuple[int, ...]


class Storage:
    """A folder of this machine, for files that are written once as a whole, and read in parts.

    The cache uses only these methods, so another class with the same methods can replace this class. The
    cache uses a path only as a name. A file is named by its content, so an existing file is
    never written again with other bytes. A method that fails raises an OSError or a FeaturekitError.
    """

    def put(self, path: Path, data: bytes) -> Signature:
        """Write a file as a whole, and return its signature (size, times and inode number).

        The file is on the disk when this returns. Its folder is created if needed. The file is written under
        a temporary name, flushed to the disk and renamed, so that no other process sees an unfinished file.
        A file that exists already has the same bytes, unless it is damaged, so a storage need not write it
        again.

        Raises:
            StoreError: the folder cannot be created.
            WorkspaceError: the disk is full or cannot be written.
        """
        make_private_folder(path.parent)
        with whole_file(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
        return signature_of(path.stat())

    def exists(self, path: Path) -> bool:
        """Whether a file of this name exists."""
        return path.exists()

    def read(self, path: Path) -> bytes:
        """Return the bytes of a small file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return path.read_bytes()

    @contextmanager
    def open(self, path: Path) -> Iterator[tuple[IO[bytes], Signature]]:
        """Open a file without a buffer, to read any part of it; yield the open file and its signature.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with path.open("rb", buffering=0) as file:
            yield file, signature_of(os.fstat(file.fileno()))

    def list(self, folder: Path, ending: str) -> dict[Path, Signature]:
        """Return the signature of each finished file in a folder whose name has this ending, by path.

        The result is empty if the folder does not exist. Subfolders are not searched.

        Raises:
            StoreError: the folder cannot be read.
        """
        found = {}
        with in_one_line(f"read {folder}"), suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(ending) and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):  # it has just been removed
                        found[folder / entry.name] = signature_of(entry.stat())
        return found

    def move(self, path: Path, to: Path) -> None:
        """Give a file another path; the folder of the new path is created if it does not exist."""
        make_private_folder(to.parent)
        path.replace(to)

    def delete(self, path: Path) -> int:
        """Remove a file, so that it does not exist after a power cut either, and return its size.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        size = path.lstat().st_size
        path.unlink()
        sync_folder(path.parent)
        return size

    def folders(self, folder: Path) -> Sequence[Path]:
        """Return the paths of the folders in a folder, sorted."""
        return [path for path in entries(folder) if path.is_dir()]

    def files(self, folder: Path) -> dict[Path, int]:
        """Return the size of every file in a folder and in the folders below, by path.

        Raises:
            OSError: a folder cannot be read; Path.rglob() would skip it.
        """
        found = {}
        for where, _, names in os.walk(folder, onerror=_unless_gone):
            for path in (Path(where, name) for name in names):
                with suppress(FileNotFoundError):  # it has just been removed
                    if path.is_file():
                        found[path] = path.stat().st_size
        return dict(sorted(found.items()))

    def remove(self, path: Path) -> int:
        """Remove a file and return its size; 0 if another process has removed it already."""
        try:
            return self.delete(path)
        except FileNotFoundError:
            return 0

    def remove_folder(self, folder: Path) -> Sequence[tuple[Path, int]]:
        """Remove a folder with all files in it and below; return the files with their sizes."""
        files = list(self.files(folder).items())
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        return files

    def unfinished(self, folder: Path) -> Sequence[Path]:
        """Return the unfinished files in a folder whose writers are dead."""
        return [path for path in entries(folder) if _is_left(path)]

    @contextmanager
    def removal_lock(self, root: Path) -> Iterator[None]:
        """Let one removal run at a time: two removals could each remove the other's copy of a row.

        Args:
            root: folder of the store.
        """
        if not root.is_dir():
            yield
            return
        descriptor = os.open(root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise StoreError(f"Cannot clean {root}: {error.strerror or error}.") from error
        finally:
            os.close(descriptor)

    def check_forgets(self, root: Path) -> None:
        """Raise an error if files that are deleted are kept by somebody: a disk keeps none."""


@dataclass(frozen=True)
class Damage:
    """A damaged file of the cache.

    Attributes:
        path: path where the file was found; put_aside() moves it to the quarantine folder beside it.
        why: what is wrong with the file.
    """

    path: Path
    why: str


def put_aside(storage: Storage, damage: Damage) -> None:
    """Move a damaged file to the quarantine folder; if that fails, the file stays but is not used."""
    with suppress(OSError, StoreError):
        storage.move(damage.path, damage.path.parent / QUARANTINE / damage.path.name)


@contextmanager
def in_one_line(action: str = "") -> Iterator[None]:
    """Turn an OSError into a StoreError with a message of one line; for a function or a `with` block.

    Args:
        action: what the code does, as in "read FOLDER"; "" to name the file of the OSError.
    """
    try:
        yield
    except OSError as error:
        what = action or f"use {error.filename or 'the cache'}"
        raise StoreError(f"Cannot {what}: {error.strerror or error}.") from error


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature of a file (size, times and inode number) from the result of os.stat()."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _unless_gone(error: OSError) -> None:
    """Raise the error of a folder that cannot be read, but not that of one that does not exist."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _is_left(path: Path) -> bool:
    """Whether this is an unfinished file whose writer is dead."""
    writer = writer_of(path) if is_unfinished(path) else None
    try:
        quiet = time.time() - path.stat().st_mtime
    except OSError:
        return False
    # After a day the number may belong to a newer process.
    return writer is not None and quiet >= LEFT_ALONE and (not is_running(writer) or quiet > 86400)


def entries(folder: Path) -> list[Path]:
    """Return the paths of everything in a folder, sorted by name; an empty list if there is no folder.

    Path.glob() is not used, because it returns nothing for a folder that cannot be read, and a purge could
    overlook the data of a subject there.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def make_private_folder(folder: Path) -> None:
    """Create a folder and the missing folders above it, with access for the user alone."""
    with in_one_line(f"create {folder}"):
        make_folder(folder, 0o700)
        if not folder.is_dir():
            raise StoreError(f"{folder} is not a folder. Move it away, or choose another folder.")
