"""Write files completely or not at all, and read files that somebody else may have put there.

A file that exists is complete. On this machine it is written under a temporary name, flushed, and renamed; to
a bucket it is uploaded as a whole. A file from somebody else is read only if it is a plain file, and symbolic
links that lead out of its folder can be refused.
"""

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from featurekit.errors import WorkspaceError
from featurekit.urls import Bucket, UrlPath, place_of

LONGEST_NAME = 255  # bytes, on nearly every disk


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The file is written under a temporary name, flushed to the disk and then renamed. If the with block raises
    an error, the file is deleted. A file in a bucket is kept in memory, and uploaded at the end.

    Raises:
        WorkspaceError: the folder or the bucket cannot be written, or the disk is full.
    """
    if isinstance(place := place_of(path), UrlPath):
        yield (memory := BytesIO())
        try:
            Bucket(place.scheme).replace(place, memory.getvalue())
        except OSError as error:  # whose text is featurekit's own
            raise WorkspaceError(f"Cannot write {place}: {error.strerror}.") from None
        return
    ending = f".{os.getpid()}-{threading.get_ident()}.tmp"
    name = path.name
    if len(os.fsencode(f".{name}{ending}")) > LONGEST_NAME:  # too long with the ending
        name = sha256(os.fsencode(name)).hexdigest()
    unfinished = path.with_name(f".{name}{ending}")
    try:
        make_folder(path.parent)
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise WorkspaceError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # the error above says more
            unfinished.unlink()


def fresh_name(stem: str, ending: str, taken: set[str]) -> str:
    """Return a file name with the given stem that is not in use yet, and add it to the names in use.

    Names that differ only by case count as the same, because many disks treat them so. A long stem is cut.

    Args:
        stem: the wanted file name without its ending.
        ending: the ending, with its dot.
        taken: file names in use, in lower case; the new name is added.
    """
    stem = os.fsdecode(os.fsencode(stem)[: LONGEST_NAME - 32])
    while (name := f"{stem}{ending}").casefold() in taken:
        stem += "_"
    taken.add(name.casefold())
    return name


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and its missing parents, flushed to the disk so that they survive a power cut."""
    if isinstance(place := place_of(folder), UrlPath):
        raise WorkspaceError(
            f"Cannot write {place}: these files are written to folders of this machine only. Write there, and"
            " copy them to the bucket."
        )
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode, exist_ok=True)
        sync_folder(missing.parent)


def is_unfinished(path: Path) -> bool:
    """Whether a path is a temporary file that whole_file() has not renamed yet."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def writer_of(unfinished: Path) -> int | None:
    """Return the ID of the process that wrote a temporary file of whole_file(); None if it is not known."""
    found = re.search(r"\.(\d+)(?:-\d+)?\.tmp$", unfinished.name)
    return int(found[1]) if found else None


def is_running(process: int) -> bool:
    """Whether a process with this ID is running on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number that a process can have
        pass
    return True


def read_plain(path: Path, max_bytes: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a file that may come from somebody else.

    Pipes and devices are refused: reading a pipe might never end, and opening a device may have any effect.

    Args:
        path: the file.
        max_bytes: largest allowed size of the file, in bytes.
        follow: whether the path may be a symbolic link.

    Raises:
        OSError: the file does not exist, may not be read, is not a plain file (e.g. a pipe), or is larger
            than max_bytes.
    """
    how = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    if not stat.S_ISREG((path.stat() if follow else path.lstat()).st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    with os.fdopen(os.open(path, how), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):  # it was replaced in between
            raise OSError(errno.EINVAL, "it is not a plain file")
        if facts.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it has {facts.st_size:,} bytes, and at most {max_bytes:,} are read")
        return file.read(facts.st_size)


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal.

    Raises:
        OSError: the file does not exist, may not be read, or is not a plain file (e.g. a pipe).
    """
    if not path.is_file() and path.exists():
        raise OSError(errno.EINVAL, "it is not a plain file")  # opening a pipe would never end
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path leads out of a folder when its symbolic links are followed.

    Raises:
        ValueError: the path is not a valid file name, e.g. because it has a null byte.
    """
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def is_outside(path: Path, folder: Path) -> bool:
    """Whether a path leads out of a folder; on this machine its symbolic links are followed.

    Raises:
        ValueError: the path is not a valid file name, e.g. because it has a null byte.
    """
    if isinstance(folder, UrlPath):
        return ".." in path.parts or not path.is_relative_to(folder)
    return leads_out(path, folder)


@contextmanager
def _in_one_line(path: UrlPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # whose text is featurekit's own
        raise WorkspaceError(f"Cannot read {path}: {error.strerror}.") from None


def is_file(path: Path) -> bool:
    """Whether a file of this machine, or in a bucket, exists.

    Raises:
        WorkspaceError: the bucket does not answer, or denies it.
    """
    if not isinstance(path, UrlPath):
        return path.is_file()
    with _in_one_line(path), suppress(FileNotFoundError):
        Bucket(path.scheme).signature(path)
        return True
    return False


def is_folder(path: Path) -> bool:
    """Whether a folder of this machine exists, or a folder of a bucket has files.

    Raises:
        WorkspaceError: the bucket does not answer, or denies it.
    """
    if not isinstance(path, UrlPath):
        return path.is_dir()
    with _in_one_line(path):
        return any(Bucket(path.scheme).listed(path))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of this machine, or in a bucket, for reading.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(path, UrlPath):
        yield BytesIO(Bucket(path.scheme).read(path))
        return
    with path.open("rb") as file:
        yield file


def real_path(place: Path) -> str:
    """Return a name that all paths to one place share; the URL of a place in a bucket is such a name."""
    return str(place) if isinstance(place, UrlPath) else os.path.realpath(place)


def names_in(folder: Path) -> set[str]:
    """Return the names of the files and folders in a folder of this machine, or in a bucket.

    Raises:
        OSError: the folder does not exist, or cannot be read.
    """
    if not isinstance(folder, UrlPath):
        return {path.name for path in folder.iterdir()}
    files, folders = Bucket(folder.scheme).listed(folder)
    if not files and not folders:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    return {*files, *folders}


def read_file(path: Path, max_bytes: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a file of this machine, or in a bucket, that may come from somebody else.

    Args:
        path: the file.
        max_bytes: largest allowed size of the file, in bytes.
        follow: whether the path may be a symbolic link of this machine.

    Raises:
        OSError: the file does not exist, may not be read, is not a plain file, or is larger than max_bytes.
    """
    if not isinstance(path, UrlPath):
        return read_plain(path, max_bytes, follow=follow)
    bucket = Bucket(path.scheme)
    try:
        data = bucket.read(path, 0, max_bytes + 1)
    except (FileNotFoundError, PermissionError, TimeoutError):
        raise
    except OSError:
        if bucket.signature(path)[0]:
            raise
        data = b""  # no range of an empty file can be had
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes:,} bytes, which are not read")
    return data


def content_of(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal; the file is on this machine, or in a bucket.

    Raises:
        OSError: the file does not exist, may not be read, or is not a plain file.
    """
    if not isinstance(path, UrlPath):
        return sha256_of_file(path)
    return sha256(Bucket(path.scheme).read(path)).hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_to_replace(path: Path, mark: bytes, what: str, beside: Sequence[Path] = ()) -> None:
    """Raise WorkspaceError if files that are to be written would replace one that featurekit has not written.

    A file without content can be replaced.

    Args:
        path: the file that has a mark if it is from featurekit; those beside it are then, too.
        mark: bytes that are among the first of such a file.
        what: what is to be written, such as "a report".
        beside: further files that are to be written.
    """
    if mark in beginning_of(path):
        return
    for one in (path, *beside):
        if beginning_of(one).strip():
            raise WorkspaceError(
                f"{one} exists and is not {what} of featurekit, so it would be lost. Give another file, or"
                " move it away first."
            )


def beginning_of(path: Path, n_bytes: int = 2**12) -> bytes:
    """Return the first bytes of a file of this machine, or in a bucket; nothing if there is no file.

    Raises:
        WorkspaceError: the file cannot be read.
    """
    if not is_file(path):
        return b""
    try:
        with opened(path) as file:
            return file.read(n_bytes)
    except OSError as error:
        raise WorkspaceError(f"Cannot read {path}: {error.strerror}.") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, with whole_file()."""
    with whole_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, with whole_file()."""
    write_bytes(path, text.encode())
