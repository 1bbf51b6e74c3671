"""The cache, on a disk or in a bucket: it stores rows, so that no network runs twice on the same image.

A *shelf* contains all rows that were computed by one recipe. Each row has a key of 32 bytes, the hash of the
image that the row was computed from. A shelf is a folder of *shards*: safetensors files that are written
once, never changed, and named by the hash of their own bytes. A shard is replaced only when the data of a
subject have to be removed. So a damaged shard no longer fits its name, several processes can write at the
same time, and a process that is killed leaves only a hidden unfinished file. Every shard contains all columns
of its rows, their keys and the recipe, so that the cache can be read from the shards alone.

    <root>/<kind>/<first 16 of the recipe's key>/recipe.json
                                                 <sha256 of the bytes>.safetensors
                                                 quarantine/     damaged shards, which are not used

The vectors describe people's faces, so only the user has access to the folders (mode 0700) and to the files
(mode 0600). Who may read a bucket is decided by the bucket.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import RowKeys, as_keys, recipe_key
from featurekit.cache.shard import ENDING, Shard, forget_rows, load_shard, open_shards
from featurekit.cache.shelf import RECIPE_FILE, Shelf, recipe_of, write_recipe, wrong_recipe
from featurekit.cache.storage import QUARANTINE, Damage, Storage, in_one_line, put_aside
from featurekit.errors import StoreError
from featurekit.urls import UrlPath


@dataclass(frozen=True)
class ShelfInfo:
    """The content of one shelf of the cache, from the headers of its files; the files are not hashed.

    Attributes:
        kind: kind of the rows, such as "faces" or "embeddings".
        key: name of the shelf's folder, the first 16 digits of the recipe's key.
        recipe: how the rows were computed; empty if no file contains the recipe any more.
        rows: number of different rows.
        shards: number of intact files.
        bytes: total size of the intact files.
        damaged: number of files that are in the quarantine folder or cannot be read; see
            `featurekit cache verify`.
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
    """Result of a check of every shard.

    Attributes:
        shards: number of intact files.
        bytes: total size of the intact files.
        damaged: the damaged files; the next extraction computes their rows again.
    """

    shards: int
    bytes: int
    damaged: tuple[Damage, ...]


@dataclass(frozen=True)
class Freed:
    """The files that Store.gc() has removed.

    Attributes:
        files: paths of the removed files.
        bytes: total size of the removed files.
    """

    files: tuple[Path, ...]
    bytes: int


class Store:
    """The cache in one folder, with one shelf for each recipe.

    Args:
        root: folder of the cache, on this machine or in a bucket (see featurekit.urls.place_of); it is
            created when something is first written.
        read_only: whether damaged shards stay in their folders.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._storage = _storage_of(root)
        self._shelves: dict[Path, Shelf] = {}

    @in_one_line()
    def shelf(self, kind: str, recipe: Mapping[str, Any]) -> Shelf:
        """Return the shelf of a recipe, with all rows that are on the disk now.

        Args:
            kind: kind of the rows, such as "embeddings"; used as a folder name.
            recipe: how the rows are computed, as plain JSON values.

        Raises:
            StoreError: the shelf's folder belongs to another recipe.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", kind):
            raise StoreError(
                f"'{kind}' cannot be the name of a kind of cache entry: use only lower-case letters, digits"
                " and _."
            )
        key = recipe_key(recipe)
        folder = self.root / kind / key[:16]
        if wrong := wrong_recipe(self._storage, folder, key):
            raise StoreError(f"{folder / RECIPE_FILE} {wrong}. To repair the cache: featurekit cache verify")
        if folder in self._shelves:
            self._shelves[folder].refresh()
        else:
            self._shelves[folder] = Shelf(folder, kind, recipe, self._storage, read_only=self.read_only)
        return self._shelves[folder]

    @in_one_line()
    def shelves(self) -> list[ShelfInfo]:
        """Return the content of every shelf, sorted by kind and key.

        Damage inside a shard is not noticed: see verify().
        """
        infos = []
        for folder in self._folders():
            kind, key = folder.parent.name, folder.name
            shards, damaged = self._look_at(folder, hashed=False)
            infos.append(
                ShelfInfo(
                    kind=kind,
                    key=key,
                    recipe=recipe_of(self._storage, folder, shards),
                    rows=len(_different_keys(shards)),
                    shards=len(shards),
                    bytes=sum(shard.signature[0] for shard in shards),
                    damaged=len(self._storage.list(folder / QUARANTINE, ""))
                    + len(damaged)
                    + bool(wrong_recipe(self._storage, folder, key)),
                )
            )
        return infos

    @in_one_line()
    def verify(self) -> Verified:
        """Hash every shard again and move damaged shards to the quarantine folder.

        A recipe.json that is damaged, or contains another recipe, is moved too and written again from the
        shards.
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

    @in_one_line()
    def gc(self, *, drop: Sequence[str] = ()) -> Freed:
        """Remove the files that are no longer needed, and the shelves with the given keys.

        Files that are no longer needed are unfinished files of processes that have ended, files in the
        quarantine folder, and shards whose rows are all in other shards too. This may run during an
        extraction of vectors. In a bucket, which has no lock, no other removal may run at the same time.

        Args:
            drop: keys of whole shelves to remove, at least the first 16 digits of each key.

        Raises:
            StoreError: no shelf has one of the keys, or the folder cannot be written.
        """
        folders = self._folders()
        known = {folder.name for folder in folders}
        if strange := [key for key in drop if key[:16] not in known]:
            raise StoreError(
                f"The cache has no key {strange[0]}. Its keys are: {', '.join(sorted(known)) or 'none'}."
            )
        storage = self._storage
        with storage.removal_lock(self.root):
            removed = [(path, storage.remove(path)) for path in self.unfinished()]
            for folder in folders:
                if folder.name in {key[:16] for key in drop}:
                    removed += storage.remove_folder(folder)
                    continue
                removed += storage.remove_folder(folder / QUARANTINE)
                redundant = _redundant(self._look_at(folder)[0])
                removed += [(path, storage.remove(path)) for path in redundant]
        return Freed(tuple(path for path, _ in removed), sum(size for _, size in removed))

    @in_one_line()
    def files_on(self, shelf: ShelfInfo) -> list[Path]:
        """Return the paths of the files of a shelf, intact or damaged, sorted by name.

        Args:
            shelf: the shelf, from shelves().
        """
        return sorted(self._storage.list(self.root / shelf.kind / shelf.key, ENDING))

    @in_one_line()
    def has_file(self, shelf: ShelfInfo, name: str) -> bool:
        """Whether a shelf has a file of this name, intact or damaged.

        Args:
            shelf: the shelf, from shelves() of this cache or of another one.
            name: name of the file.
        """
        return self._storage.exists(self.root / shelf.kind / shelf.key / name)

    def load(self, shelf: ShelfInfo, path: Path) -> tuple[Shard, bytes] | Damage | None:
        """Return a file of a shelf as a shard and its bytes, what is wrong with it, or None if it is gone.

        Args:
            shelf: the shelf, from shelves().
            path: path of the file, from files_on().

        Raises:
            StoreError: the file cannot be read.
        """
        return load_shard(self._storage, path, shelf.kind, shelf.key)

    @in_one_line()
    def keys_on(self, shelf: ShelfInfo) -> NDArray[np.uint8]:
        """Return the increasing keys of all rows that are in a shelf's files now, shape (n_rows, 32).

        Args:
            shelf: the shelf, from shelves().

        Raises:
            StoreError: a shard is damaged, so the keys of its rows are not known.
        """
        return _different_keys(self._shards_of(shelf)).view(np.uint8).reshape(-1, 32)

    @in_one_line()
    def forget(self, shelf: ShelfInfo, row_keys: RowKeys) -> None:
        """Remove rows from a shelf, so that nothing about them stays in its files.

        A shard with some of the rows is written again without them before the old file is deleted. So if the
        process is killed, no other row is lost, and forget() can be run again. The values of the other rows
        do not change.

        Args:
            shelf: the shelf, from shelves().
            row_keys: keys of the rows to remove, shape (n_rows, 32); a key that is not on the shelf is
                ignored.

        Raises:
            StoreError: a shard is damaged, or the folder cannot be written.
        """
        with self._storage.removal_lock(self.root):
            for shard in self._shards_of(shelf):
                forget_rows(self._storage, shard, as_keys(row_keys))

    @in_one_line()
    def clear_quarantine(self) -> None:
        """Remove every damaged file that was moved to a quarantine folder."""
        with self._storage.removal_lock(self.root):
            for folder in self._folders():
                self._storage.remove_folder(folder / QUARANTINE)

    @in_one_line()
    def quarantined(self) -> list[Path]:
        """Return the damaged files that were moved to a quarantine folder."""
        return [path for folder in self._folders() for path in self._storage.files(folder / QUARANTINE)]

    @in_one_line()
    def unfinished(self) -> list[Path]:
        """Return the unfinished files that killed processes have left in the cache."""
        kinds = self._storage.folders(self.root)
        folders = dict.fromkeys((self.root, *kinds, *self._folders()))
        return [path for folder in folders for path in self._storage.unfinished(folder)]

    @in_one_line()
    def clear_unfinished(self) -> None:
        """Remove the unfinished files that killed processes have left in the cache."""
        with self._storage.removal_lock(self.root):
            for path in self.unfinished():
                self._storage.remove(path)

    def other_files(self) -> Iterator[tuple[Path, bytes]]:
        """Yield the path and the bytes of each file below the folder of the cache that is not a shard.

        Raises:
            StoreError: a folder or a file cannot be read.
        """
        with in_one_line():
            for path in self._storage.files(self.root):
                if path.suffix != ENDING:
                    with suppress(FileNotFoundError):  # it has just been removed
                        yield path, self._storage.read(path)

    @in_one_line()
    def check_forgets(self) -> None:
        """Check that what is deleted is gone.

        Raises:
            StoreError: the cache is in a bucket that keeps versions of deleted files, or does not say so.
        """
        self._storage.check_forgets(self.root)

    def _look_at(self, folder: Path, *, hashed: bool = True) -> tuple[list[Shard], list[Damage]]:
        """Return the shards in the folder of a shelf, and those that are damaged; see open_shards()."""
        paths = self._storage.list(folder, ENDING)
        return open_shards(self._storage, paths, folder.parent.name, folder.name, hashed=hashed)

    def _shards_of(self, shelf: ShelfInfo) -> list[Shard]:
        shards, damaged = self._look_at(self.root / shelf.kind / shelf.key, hashed=False)
        if damaged:
            raise StoreError(
                f"{damaged[0].path} {damaged[0].why}. To move the file aside: featurekit cache verify"
            )
        return shards

    def _folders(self) -> list[Path]:
        return [
            folder
            for kind in self._storage.folders(self.root)
            for folder in self._storage.folders(kind)
            if re.fullmatch("[0-9a-f]{16}", folder.name)
        ]


def _storage_of(root: Path) -> Storage:
    """Return the storage for a folder of this machine, or of a bucket, whose library is then imported."""
    if not isinstance(root, UrlPath):
        return Storage()
    from featurekit.cache.bucket import BucketStorage

    return BucketStorage(root)


def is_stored(path: Path) -> bool:
    """Whether a file of a cache exists, on this machine or in a bucket.

    Raises:
        StoreError: the folder or the bucket cannot be read.
    """
    with in_one_line():
        return _storage_of(path).exists(path)


def _different_keys(shards: Iterable[Shard]) -> NDArray[np.bytes_]:
    """Return the keys of all rows of some shards, each once, increasing."""
    return np.unique(np.concatenate([np.zeros(0, "S32"), *(shard.keys for shard in shards)]))


def _redundant(shards: list[Shard]) -> list[Path]:
    """Return the files of those shards whose rows are all in other shards too, smallest first."""
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
