"""Remember what was computed, so that no picture is read and no network run twice.

A *shelf* holds everything made by one recipe; its rows are found by a key of 32
bytes, the hash of the picture they were made from. A shelf is a folder of
*shards*: safetensors files that are written once, never changed, and named by the
hash of their own bytes; only where a person is to be forgotten are they written
anew, without them. Everything else follows from that: a damaged shard is
known by its name, several writers cannot disturb each other, a killed writer
leaves only a hidden unfinished file, and nothing but the shards has to be right,
since every shard holds all columns of its rows, their keys and the recipe.

    <root>/<kind>/<first 16 of the recipe's key>/recipe.json
                                                 <sha256 of the bytes>.safetensors
                                                 quarantine/     damaged shards, served to nobody

The vectors describe people's faces: folders are made for the user alone (0700),
and so are files (0600).
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.forget import forget_rows
from featurekit.cache.garbage import alone, collect
from featurekit.cache.keys import RowKeys, as_keys, recipe_key
from featurekit.cache.quarantine import QUARANTINE, Damage, put_aside
from featurekit.cache.recipe_file import RECIPE_FILE, recipe_of, write_recipe, wrong_recipe
from featurekit.cache.shard import ENDING, DamagedError, Shard, open_shard
from featurekit.cache.shelf import Shelf
from featurekit.cache.storage import FolderStorage, entries, in_one_line
from featurekit.errors import StoreError


@dataclass(frozen=True)
class ShelfInfo:
    """What stands on one shelf, as its files say; they are not hashed for it.

    Attributes:
        kind: e.g. "faces" or "embeddings".
        key: name of its folder, the first 16 digits of the recipe's key.
        recipe: what the rows were made by; empty where the files no longer say.
        rows: different rows.
        shards: files.
        bytes: their size.
        damaged: files in quarantine or not readable; `verify` says more.
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
        shards: files that are what they say.
        bytes: their size.
        damaged: files that are not; their rows are computed again by the next extraction.
    """

    shards: int
    bytes: int
    damaged: tuple[Damage, ...]


@dataclass(frozen=True)
class Freed:
    """What gc removed.

    Attributes:
        files: where they were.
        bytes: their size.
    """

    files: tuple[Path, ...]
    bytes: int


class Store:
    """Everything that was computed, one shelf a recipe.

    Args:
        root: folder of the store; it is made when something is first written.
        read_only: whether damaged shards are left where they are, for somebody who only looks.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._storage = FolderStorage()
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
        wrong = wrong_recipe(self._storage, folder, key)
        if wrong:
            raise StoreError(f"{folder / RECIPE_FILE} {wrong}. To repair it: featurekit cache verify")
        if folder in self._shelves:
            self._shelves[folder].refresh()
        else:
            self._shelves[folder] = Shelf(folder, kind, recipe, self._storage, read_only=self.read_only)
        return self._shelves[folder]

    @in_one_line
    def shelves(self) -> list[ShelfInfo]:
        """Return what is there, by kind and key; only verify() sees damage inside a shard."""
        infos = []
        for folder in self._folders():
            kind, key = folder.parent.name, folder.name
            shards, damaged = [], len(entries(folder / QUARANTINE))
            for path in sorted(self._storage.list(folder, ENDING)):
                try:
                    shards.append(open_shard(self._storage, path, kind, key, hashed=False))
                except FileNotFoundError:
                    continue
                except DamagedError:
                    damaged += 1
            keys = np.concatenate([np.zeros(0, "S32"), *(shard.keys for shard in shards)])
            info = ShelfInfo(
                kind=kind,
                key=key,
                recipe=recipe_of(self._storage, folder, shards),
                rows=len(np.unique(keys)),
                shards=len(shards),
                bytes=sum(shard.signature[0] for shard in shards),
                damaged=damaged + bool(wrong_recipe(self._storage, folder, key)),
            )
            infos.append(info)
        return infos

    @in_one_line
    def verify(self) -> Verified:
        """Hash every shard again and move the damaged ones to quarantine.

        A recipe.json that is damaged or of another recipe is moved too, and written again from the shards.
        """
        n_shards, n_bytes, damaged = 0, 0, []
        for folder in self._folders():
            wrong = wrong_recipe(self._storage, folder, folder.name)
            if wrong:
                damaged.append(put_aside(self._storage, folder / RECIPE_FILE, wrong))
            shards = []
            for path in sorted(self._storage.list(folder, ENDING)):
                try:
                    shards.append(open_shard(self._storage, path, folder.parent.name, folder.name))
                except FileNotFoundError:
                    continue
                except DamagedError as damage:
                    damaged.append(put_aside(self._storage, path, str(damage)))
            if shards:
                write_recipe(self._storage, folder, shards[0].recipe)
            n_shards += len(shards)
            n_bytes += sum(shard.signature[0] for shard in shards)
        return Verified(n_shards, n_bytes, tuple(damaged))

    @in_one_line
    def gc(self, *, drop: Sequence[str] = (), keep: Sequence[str] | None = None) -> Freed:
        """Remove leftovers of dead writers, quarantine, and shards all of whose rows stand in others.

        It may run beside an extraction.

        Args:
            drop: keys of whole shelves to remove, at least their first 16 digits.
            keep: keys of the only shelves to keep; all where None.

        Raises:
            StoreError: no shelf has that key, or the folder cannot be written.
        """
        folders = self._folders()
        known = {folder.name for folder in folders}
        strange = [key for key in (*drop, *(keep or ())) if key[:16] not in known]
        if strange:
            raise StoreError(
                f"The cache has no key {strange[0]}. Its keys are: {', '.join(sorted(known)) or 'none'}."
            )
        dropped = {key[:16] for key in drop}
        if keep is not None:
            dropped |= known - {key[:16] for key in keep}
        with alone(self.root):
            removed = collect(self._storage, self.root, folders, dropped)
        return Freed(tuple(path for path, _ in removed), sum(size for _, size in removed))

    @in_one_line
    def keys_on(self, shelf: ShelfInfo) -> NDArray[np.uint8]:
        """Return the key of every row that a shelf's files hold now, shape (n_rows, 32), increasing.

        Raises:
            StoreError: a shard is not what it says, so that nobody knows what it holds.
        """
        keys = [shard.keys for shard in self._shards_of(shelf)]
        return np.unique(np.concatenate([np.zeros(0, "S32"), *keys])).view(np.uint8).reshape(-1, 32)

    @in_one_line
    def forget(self, shelf: ShelfInfo, row_keys: RowKeys) -> None:
        """Take rows from a shelf, so that no byte of theirs stays in its files.

        A shard that holds some is written anew without them before it goes: a kill loses no other row, and
        forget() can be run again. The other rows stay equal to the last bit.

        Args:
            shelf: from shelves().
            row_keys: shape (n_rows, 32); those that are not there are passed over.

        Raises:
            StoreError: a shard is not what it says, or the folder cannot be written.
        """
        gone = as_keys(row_keys)
        with alone(self.root):
            for shard in self._shards_of(shelf):
                forget_rows(self._storage, shard, gone)

    @in_one_line
    def clear_quarantine(self) -> None:
        """Remove every damaged file that was put aside."""
        with alone(self.root):
            for folder in self.quarantines():
                shutil.rmtree(folder)

    @in_one_line
    def quarantines(self) -> list[Path]:
        """Return the folders that hold damaged files."""
        return [folder / QUARANTINE for folder in self._folders() if (folder / QUARANTINE).is_dir()]

    def _shards_of(self, shelf: ShelfInfo) -> "Iterator[Shard]":
        for path in sorted(self._storage.list(self.root / shelf.kind / shelf.key, ENDING)):
            try:
                yield open_shard(self._storage, path, shelf.kind, shelf.key, hashed=False)
            except FileNotFoundError:
                continue
            except DamagedError as damage:
                raise StoreError(f"{path} {damage}. To move it aside: featurekit cache verify") from damage

    def _folders(self) -> list[Path]:
        return [
            folder
            for kind in entries(self.root)
            if kind.is_dir()
            for folder in entries(kind)
            if re.fullmatch("[0-9a-f]{16}", folder.name) and folder.is_dir()
        ]
