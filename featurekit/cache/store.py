"""Keep what was computed, so that no image is read twice and no network runs twice on it.

A *shelf* holds everything made by one recipe; its rows are found by a key of 32
bytes, the hash of the image they were made from. A shelf is a folder of
*shards*: safetensors files that are written once, never changed, and named by the
hash of their own bytes. A shard is replaced only when a subject has to be forgotten.
So a damaged shard is known by its name, several writers cannot disturb each other,
and a killed writer leaves only a hidden unfinished file. Nothing but the shards has
to be right, because every shard holds all columns of its rows, their keys and the
recipe.

    <root>/<kind>/<first 16 of the recipe's key>/recipe.json
                                                 <sha256 of the bytes>.safetensors
                                                 quarantine/     damaged shards, which are not used

The vectors describe people's faces: folders are made for the user alone (0700),
and so are files (0600).
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import RowKeys, as_keys, recipe_key
from featurekit.cache.shard import ENDING, Shard, forget_rows, open_shards
from featurekit.cache.shelf import RECIPE_FILE, Shelf, recipe_of, write_recipe, wrong_recipe
from featurekit.cache.storage import QUARANTINE, Damage, Storage, entries, in_one_line, put_aside
from featurekit.errors import StoreError
from featurekit.files import is_running, is_unfinished, writer_of

# An unfinished file is written without a pause: a writer that has not changed it for so many seconds is dead.
# A writer on another machine shows no other sign of life.
LEFT_ALONE = 60.0


@dataclass(frozen=True)
class ShelfInfo:
    """What one shelf holds, as its files say; the files are not hashed for it.

    Attributes:
        kind: e.g. "faces" or "embeddings".
        key: name of its folder, the first 16 digits of the recipe's key.
        recipe: what the rows were made by; empty if no file states it any more.
        rows: number of different rows.
        shards: number of files.
        bytes: size of the files.
        damaged: number of files in quarantine or not readable; `verify` says more.
    """

    kind: str
    key: str
    recipe: Mapping[str, Any]
    rows: int
    shards: int
    bytes: int
    damaged: int


@dataclass(frozen=True)
class Verified:
    """What a check of every shard found.

    Attributes:
        shards: number of files without damage.
        bytes: size of these files.
        damaged: the damaged files; their rows are computed again by the next extraction.
    """

    shards: int
    bytes: int
    damaged: tuple[Damage, ...]


@dataclass(frozen=True)
class Freed:
    """What gc removed.

    Attributes:
        files: the paths of the removed files.
        bytes: the size of these files.
    """

    files: tuple[Path, ...]
    bytes: int


class Store:
    """Everything that was computed, with one shelf for each recipe.

    Args:
        root: folder of the store; it is made when something is first written.
        read_only: whether damaged shards are left where they are.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._storage = Storage()
        self._shelves: dict[Path, Shelf] = {}

    @in_one_line
    def shelf(self, kind: str, recipe: Mapping[str, Any]) -> Shelf:
        """Return the shelf of a recipe, with everything that is on the disk now.

        Args:
            kind: e.g. "embeddings"; a folder name.
            recipe: plain JSON.

        Raises:
            StoreError: the shelf's folder says that it belongs to another recipe.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", kind):
            raise StoreError(
                f"'{kind}' cannot be the name of a kind of cache entry: use only lower-case letters, digits"
                " and _."
            )
        key = recipe_key(recipe)
        folder = self.root / kind / key[:16]
        if wrong := wrong_recipe(self._storage, folder, key):
            raise StoreError(f"{folder / RECIPE_FILE} {wrong}. To repair it: featurekit cache verify")
        if folder in self._shelves:
            self._shelves[folder].refresh()
        else:
            self._shelves[folder] = Shelf(folder, kind, recipe, self._storage, read_only=self.read_only)
        return self._shelves[folder]

    @in_one_line
    def shelves(self) -> list[ShelfInfo]:
        """Return what every shelf holds, by kind and key; only verify() finds damage inside a shard."""
        infos = []
        for folder in self._folders():
            kind, key = folder.parent.name, folder.name
            shards, damaged = self._look_at(folder, hashed=False)
            n_damaged = len(entries(folder / QUARANTINE)) + len(damaged)
            infos.append(
                ShelfInfo(
                    kind=kind,
                    key=key,
                    recipe=recipe_of(self._storage, folder, shards),
                    rows=len(_different_keys(shards)),
                    shards=len(shards),
                    bytes=sum(shard.signature[0] for shard in shards),
                    damaged=n_damaged + bool(wrong_recipe(self._storage, folder, key)),
                )
            )
        return infos

    @in_one_line
    def verify(self) -> Verified:
        """Hash every shard again and move the damaged ones to quarantine.

        A recipe.json that is damaged or of another recipe is moved too, and written again from the shards.
        """
        sizes: list[int] = []
        all_damaged: list[Damage] = []
        for folder in self._folders():
            shards, damaged = self._look_at(folder)
            if wrong := wrong_recipe(self._storage, folder, folder.name):
                damaged.insert(0, Damage(folder / RECIPE_FILE, wrong))
            for damage in damaged:
                put_aside(self._storage, damage)
            if shards:
                write_recipe(self._storage, folder, shards[0].recipe)
            sizes += [shard.signature[0] for shard in shards]
            all_damaged += damaged
        return Verified(len(sizes), sum(sizes), tuple(all_damaged))

    @in_one_line
    def gc(self, *, drop: Sequence[str] = ()) -> Freed:
        """Remove leftovers of dead writers, the quarantine, and shards whose rows are all in other shards.

        It may run during an extraction.

        Args:
            drop: keys of whole shelves to remove, at least their first 16 digits.

        Raises:
            StoreError: no shelf has that key, or the folder cannot be written.
        """
        folders = self._folders()
        known = {folder.name for folder in folders}
        if strange := [key for key in drop if key[:16] not in known]:
            raise StoreError(
                f"The cache has no key {strange[0]}. Its keys are: {', '.join(sorted(known)) or 'none'}."
            )
        with _alone(self.root):
            removed = _collect(self._storage, self.root, folders, {key[:16] for key in drop})
        return Freed(tuple(path for path, _ in removed), sum(size for _, size in removed))

    @in_one_line
    def keys_on(self, shelf: ShelfInfo) -> NDArray[np.uint8]:
        """Return the key of every row that a shelf's files hold now, shape (n_rows, 32), increasing.

        Raises:
            StoreError: a shard is damaged, so it is not known which rows it holds.
        """
        return _different_keys(self._shards_of(shelf)).view(np.uint8).reshape(-1, 32)

    @in_one_line
    def forget(self, shelf: ShelfInfo, row_keys: RowKeys) -> None:
        """Remove rows from a shelf, so that no byte of them stays in its files.

        A shard that holds some of the rows is written anew without them before it is removed: a kill loses no
        other row, and forget() can be run again. The other rows stay equal to the last bit.

        Args:
            shelf: from shelves().
            row_keys: shape (n_rows, 32); keys that the shelf does not hold are ignored.

        Raises:
            StoreError: a shard is damaged, or the folder cannot be written.
        """
        with _alone(self.root):
            for shard in self._shards_of(shelf):
                forget_rows(self._storage, shard, as_keys(row_keys))

    @in_one_line
    def clear_quarantine(self) -> None:
        """Remove every damaged file that was put aside."""
        with _alone(self.root):
            for folder in self.quarantines():
                shutil.rmtree(folder)

    @in_one_line
    def quarantines(self) -> list[Path]:
        """Return the folders that hold damaged files."""
        return [folder / QUARANTINE for folder in self._folders() if (folder / QUARANTINE).is_dir()]

    def _look_at(self, folder: Path, *, hashed: bool = True) -> tuple[list[Shard], list[Damage]]:
        """Return the shards in the folder of a shelf, and those that are damaged; see open_shards()."""
        paths = self._storage.list(folder, ENDING)
        return open_shards(self._storage, paths, folder.parent.name, folder.name, hashed=hashed)

    def _shards_of(self, shelf: ShelfInfo) -> list[Shard]:
        shards, damaged = self._look_at(self.root / shelf.kind / shelf.key, hashed=False)
        if damaged:
            raise StoreError(f"{damaged[0].path} {damaged[0].why}. To move it aside: featurekit cache verify")
        return shards

    def _folders(self) -> list[Path]:
        return [
            folder
            for kind in entries(self.root)
            if kind.is_dir()
            for folder in entries(kind)
            if re.fullmatch("[0-9a-f]{16}", folder.name) and folder.is_dir()
        ]


def _different_keys(shards: Iterable[Shard]) -> NDArray[np.bytes_]:
    """Return the keys of all rows of some shards, each once, increasing."""
    return np.unique(np.concatenate([np.zeros(0, "S32"), *(shard.keys for shard in shards)]))


@contextmanager
def _alone(root: Path) -> Iterator[None]:
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


def _collect(
    storage: Storage, root: Path, folders: Sequence[Path], dropped: Collection[str]
) -> list[tuple[Path, int]]:
    """Remove leftovers, quarantine and repeated shards, and some whole shelves.

    Args:
        storage: where the shards are kept.
        root: folder of the store.
        folders: folders of its shelves.
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
