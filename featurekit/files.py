"""How a file gets to the disk whole, and how one that somebody else put there is read.

A file that exists is whole: it is written beside, flushed, and renamed. What somebody else put into a folder
is read without following where it leads out, and without opening what is no plain file.
"""

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from featurekit.errors import WorkspaceError

LONGEST_NAME = 255  # bytes of a file's name, on nearly every disk


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    It is written beside, flushed to the disk and renamed; if the block raises, nothing appears.

    Raises:
        WorkspaceError: the folder cannot be written, or the disk is full.
    """
    ending = f".{os.getpid()}-{threading.get_ident()}.tmp"
    name = path.name
    if len(os.fsencode(f".{name}{ending}")) > LONGEST_NAME:  # the file's own name may fill what is allowed
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
    """Return a file name made of a stem that no file of one call has yet, and remember it.

    Two names that differ only by case are one file on many disks. A stem may be too long to have anything
    added to it, and is cut.

    Args:
        stem: what the file is called after.
        ending: of the name, with its dot.
        taken: the names given before, in small letters.
    """
    stem = os.fsdecode(os.fsencode(stem)[: LONGEST_NAME - 32])
    while (name := f"{stem}{ending}").casefold() in taken:
        stem += "_"
    taken.add(name.casefold())
    return name


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are not there, so that they survive a power cut."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode, exist_ok=True)
        sync_folder(missing.parent)


def is_unfinished(path: Path) -> bool:
    """Whether whole_file() has begun a file of this name, and not yet finished it."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def writer_of(unfinished: Path) -> int | None:
    """Return the process that whole_file() names in an unfinished file's name; None where it names none."""
    found = re.search(r"\.(\d+)(?:-\d+)?\.tmp$", unfinished.name)
    return int(found[1]) if found else None


def is_running(process: int) -> bool:
    """Whether a process of this number is there, on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number that a process can have
        pass
    return True


def read_plain(path: Path, max_bytes: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a file that somebody else may have put there.

    A pipe would never end, and opening a device may do anything.

    Args:
        path: the file.
        max_bytes: refuse a file of more.
        follow: whether it may be a link.

    Raises:
        OSError: it is not there, may not be read, is no plain file, or is larger.
    """
    how = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    if not stat.S_ISREG((path.stat() if follow else path.lstat()).st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file")
    with os.fdopen(os.open(path, how), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):  # it has been exchanged since
            raise OSError(errno.EINVAL, "it is not a plain file")
        if facts.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it has {facts.st_size:,} bytes, and at most {max_bytes:,} are read")
        return file.read(facts.st_size)


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, once its links are followed, lies outside a folder.

    Raises:
        ValueError: no file can be called so.
    """
    # Path.resolve() would raise a RuntimeError for a link that leads to itself.
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, in UTF-8."""
    with whole_file(path) as file:
        file.write(text.encode())
