"""Find and remove what is not needed: leftovers of dead writers, and shards whose rows are in others."""

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from featurekit.cache.shard import ENDING, open_shards
from featurekit.cache.storage import QUARANTINE, Storage, entries
from featurekit.errors import StoreError
from featurekit.files import is_running, is_unfinished, writer_of

# An unfinished file is written without a pause: a writer that has not changed it for so many seconds is dead.
# A writer on another machine shows no other sign of life.
LEFT_ALONE = 60.0


@contextmanager
def alone(root: Path) -> Iterator[None]:
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


def collect(
    storage: Storage, root: Path, folders: Sequence[Path], dropped: Collection[str]
) -> list[tuple[Path, int]]:
    """Remove leftovers, quarantine and repeated shards, and some whole shelves.

    Args:
        storage: where the shards are kept.
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
    """Return whether the writer of an unfinished file is dead."""
    writer = writer_of(path)
    try:
        quiet = time.time() - path.stat().st_mtime
    except OSError:
        return False
    # After a day the number may belong to a newer process.
    return writer is not None and quiet >= LEFT_ALONE and (not is_running(writer) or quiet > 86400)


def _redundant(storage: Storage, folder: Path) -> list[Path]:
    """Return the shards of a shelf whose rows are all in its other shards too, smallest first."""
    shards, _ = open_shards(storage, storage.list(folder, ENDING), folder.parent.name, folder.name)
    shards.sort(key=lambda shard: shard.signature[0])
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
    """Remove a file and return it with its size; 0 if another process has removed it already."""
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
