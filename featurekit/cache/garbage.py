"""Find and remove what nobody needs: leftovers of dead writers, and shards that others repeat."""

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from featurekit.cache.quarantine import QUARANTINE
from featurekit.cache.shard import ENDING, DamagedError, open_shard
from featurekit.cache.storage import FolderStorage, entries
from featurekit.errors import StoreError
from featurekit.files import is_running, is_unfinished, writer_of

# An unfinished file is written without a pause; untouched for so many seconds, it has been left.
# It is the only sign of life of a writer on another machine.
LEFT_ALONE = 60.0


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let one removal run at a time: two could each remove the other's copy of a row.

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


def collect(
    storage: FolderStorage, root: Path, folders: Sequence[Path], dropped: Collection[str]
) -> list[tuple[Path, int]]:
    """Remove leftovers, quarantine and repeated shards, and some whole shelves.

    Args:
        storage: where the shards lie.
        root: folder of the store.
        folders: of its shelves.
        dropped: names of the folders to remove whole.

    Returns:
        where each removed file was, and its size.
    """
    removed = [_remove(path) for path in _unfinished(root) if _is_left(path)]
    for folder in folders:
        if folder.name in dropped:
            removed += _remove_tree(folder)
            continue
        removed += [_remove(path) for path in _unfinished(folder) if _is_left(path)]
        removed += _remove_tree(folder / QUARANTINE)
        removed += [_remove(path) for path in _redundant(storage, folder)]
    return removed


def _unfinished(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if is_unfinished(path)]


def _is_left(path: Path) -> bool:
    """Return whether an unfinished file has no writer any more."""
    writer = writer_of(path)
    try:
        quiet = time.time() - path.stat().st_mtime
    except OSError:
        return False
    if writer is None or quiet < LEFT_ALONE:
        return False
    # The number may belong to a newer process by now.
    return not is_running(writer) or quiet > 86400


def _redundant(storage: FolderStorage, folder: Path) -> list[Path]:
    """Return shards of a shelf that can go since every row of theirs stays in another, smallest first."""
    shards = []
    for path, _ in sorted(storage.list(folder, ENDING).items(), key=lambda item: (item[1][0], item[0])):
        try:
            shards.append(open_shard(storage, path, folder.parent.name, folder.name))
        except (DamagedError, FileNotFoundError):
            continue
    if len(shards) < 2:
        return []
    sizes = [len(shard.keys) for shard in shards]
    _, row, copies = np.unique(
        np.concatenate([shard.keys for shard in shards]), return_inverse=True, return_counts=True
    )
    redundant = []
    for shard, rows in zip(shards, np.split(row, np.cumsum(sizes)[:-1]), strict=True):
        if (copies[rows] > 1).all():
            copies[rows] -= 1
            redundant.append(shard.path)
    return redundant


def _remove(path: Path) -> tuple[Path, int]:
    """Remove a file and return it with its size; somebody else may have been quicker."""
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return path, 0
    return path, size


def _remove_tree(folder: Path) -> list[tuple[Path, int]]:
    """Remove a folder with what is in it and return its files with their sizes."""
    if not folder.is_dir():
        return []
    files = [(path, path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
    shutil.rmtree(folder)
    return files
