"""One shelf of the cache: all rows that were computed by one recipe, in files or in memory."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import RowKeys, as_keys, hex_of, recipe_key
from featurekit.cache.shard import (
    DTYPES,
    ENDING,
    ROW_KEY,
    DamagedError,
    Shard,
    open_shards,
    read_rows,
    write_shard,
)
from featurekit.cache.storage import Damage, Storage, in_one_line, put_aside
from featurekit.errors import StoreError

# The file in a shelf's folder in which people can read the recipe of its rows. The shards hold the recipe
# too, so nothing is lost if the file is.
RECIPE_FILE = "recipe.json"

# What to do about a shelf that cannot be used, with its key.
_REMOVE = "Remove this part of the cache: featurekit cache gc --drop {key}"


class Shelf:
    """All rows of the cache that were computed by one recipe; Store.shelf() returns a shelf.

    The rows are in files called shards. A process hashes each shard when it first opens the file. A damaged
    shard is moved to the quarantine folder, and its rows count as missing, so that they are computed again.

    Args:
        folder: folder of the shards; it need not exist yet.
        kind: kind of the rows, such as "embeddings".
        recipe: how the rows are computed.
        storage: the place where the folder is.
        read_only: whether a damaged shard stays in its folder; its rows are not used in either case.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        recipe: Mapping[str, Any],
        storage: Storage,
        *,
        read_only: bool = False,
    ) -> None:
        self.folder = folder
        self.kind = kind
        self.read_only = read_only
        self._storage = storage
        self.recipe = dict(recipe)
        self.key = recipe_key(recipe)
        self._damaged: list[Damage] = []
        self._lock = threading.RLock()
        self._forget()
        self.refresh()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """The damaged files that this process has found; they were moved unless the shelf is read-only."""
        return tuple(self._damaged)

    def rows(self) -> NDArray[np.uint8]:
        """Return the key of every row, shape (n_rows, 32), in the order in which read() is fastest."""
        return self._keys[np.lexsort((self._row_of, self._shard_of))].view(np.uint8).reshape(-1, 32)

    def columns(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Return name → (dtype, shape of one row's value) of each column; empty for an empty shelf."""
        columns = self._shards[0].columns if self._shards else {}
        return {name: (column.dtype, column.shape) for name, column in columns.items()}

    def missing(self, row_keys: RowKeys) -> NDArray[np.intp]:
        """Return the increasing positions in row_keys of the rows that are not on the shelf."""
        return np.flatnonzero(self._find(as_keys(row_keys)) < 0)

    @in_one_line()
    def append(self, row_keys: RowKeys, columns: Mapping[str, NDArray[Any]]) -> Path | None:
        """Write rows as one new shard; the file is on the disk when this returns.

        A row that is on the shelf already is not written again: the same recipe gives exactly the same values
        for the same image.

        Args:
            row_keys: keys of the rows, shape (n_rows, 32).
            columns: name → one value for each row, shape (n_rows, ...); every call must give the same
                columns, dtypes and shapes.

        Returns:
            Path of the new shard, which is named by its sha256; None if every row is on the shelf already.

        Raises:
            StoreError: the columns differ from the shelf's, or do not have one value for each row.
            WorkspaceError: the disk is full or cannot be written; only these rows are lost.
        """
        keys = as_keys(row_keys)
        self._check_columns(len(keys), columns)
        with self._lock:
            _, first = np.unique(keys, return_index=True)
            fresh = np.sort(first)
            fresh = fresh[self._find(keys[fresh]) < 0]
            if not len(fresh):
                return None
            tensors = {
                name: np.ascontiguousarray(np.asarray(values)[fresh]) for name, values in columns.items()
            }
            write_recipe(self._storage, self.folder, self.recipe)
            shard = write_shard(self._storage, self.folder, self.kind, self.recipe, keys[fresh], tensors)
            self._add([shard])
            return shard.path

    @in_one_line()
    def adopt(self, shard: Shard, data: bytes) -> Shard | None:
        """Store the rows of a shard of another cache that are not on this shelf yet.

        If none of the rows is, the file gets the same bytes and the same name.

        Args:
            shard: the shard, which must have the recipe of this shelf.
            data: its bytes, from load_shard().

        Returns:
            The new shard; None if every row is on the shelf already.

        Raises:
            StoreError: the columns differ from the shelf's.
            WorkspaceError: the disk is full or cannot be written.
        """
        shapes = {name: (column.dtype, column.shape) for name, column in shard.columns.items()}
        self._check_columns(
            1, {name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in shapes.items()}
        )
        with self._lock:
            fresh = np.flatnonzero(self._find(shard.keys) < 0)
            if not len(fresh):
                return None
            write_recipe(self._storage, self.folder, self.recipe)
            if len(fresh) == len(shard.keys):
                path = self.folder / shard.path.name
                added = replace(shard, path=path, signature=self._storage.put(path, data))
            else:
                rows = {
                    name: np.empty((len(fresh), *shape), dtype) for name, (dtype, shape) in shapes.items()
                }
                for name, column in shard.columns.items():
                    read_rows(BytesIO(data), column, fresh, rows[name], np.arange(len(fresh)))
                keys = shard.keys[fresh]
                added = write_shard(self._storage, self.folder, self.kind, self.recipe, keys, rows)
            self._add([added])
            return added

    @in_one_line()
    def read(self, row_keys: RowKeys, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return columns of rows, in the order of row_keys; a key may occur twice.

        In addition to the returned arrays, only a few megabytes of memory are used, whatever the size of the
        shelf.

        Args:
            row_keys: keys of the rows, shape (n_rows, 32).
            columns: names of the columns; None for all columns.

        Returns:
            name → values of the rows, shape (n_rows, ...).

        Raises:
            StoreError: a row or a column does not exist, or a column has another type in another shard.
        """
        for _ in range(3):
            try:
                return self._gather(as_keys(row_keys), columns)
            except (DamagedError, FileNotFoundError):
                # A shard was removed or damaged after it had been opened; other shards may hold its rows.
                self.refresh()
            except OSError as error:
                raise StoreError(f"Cannot read {self.folder}: {error.strerror or error}.") from error
        raise StoreError(f"The cache files of {self.folder} were changed while they were read. Try again.")

    @in_one_line()
    def refresh(self) -> None:
        """Update the shelf with the shards that other processes have added or removed since the last call."""
        with self._lock:
            found = self._storage.list(self.folder, ENDING)
            if any(found.get(shard.path) != shard.signature for shard in self._shards):
                self._forget()
            fresh, damaged = open_shards(
                self._storage, found.keys() - {shard.path for shard in self._shards}, self.kind, self.key
            )
            for damage in damaged:
                if not self.read_only:
                    put_aside(self._storage, damage)
                if damage not in self._damaged:
                    self._damaged.append(damage)
            self._add(fresh)

    def _forget(self) -> None:
        self._shards: list[Shard] = []
        # Sorted keys, and where each one's row is: number into _shards, row in that shard.
        self._keys = np.zeros(0, "S32")
        self._shard_of = np.zeros(0, np.intp)
        self._row_of = np.zeros(0, np.intp)

    def _add(self, shards: "Sequence[Shard]") -> None:
        """Put shards into the index; a row that is in several is read from the first."""
        if not shards:
            return
        sizes = [len(shard.keys) for shard in shards]
        keys, first = np.unique(np.concatenate([shard.keys for shard in shards]), return_index=True)
        shard_of = np.repeat(np.arange(len(shards)) + len(self._shards), sizes)[first]
        row_of = np.concatenate([np.arange(size) for size in sizes])[first]
        fresh = self._find(keys) < 0
        at = np.searchsorted(self._keys, keys[fresh])
        with self._lock:
            self._shards = [*self._shards, *shards]
            self._shard_of = np.insert(self._shard_of, at, shard_of[fresh])
            self._row_of = np.insert(self._row_of, at, row_of[fresh])
            self._keys = np.insert(self._keys, at, keys[fresh])

    def _find(self, keys: NDArray[np.bytes_]) -> NDArray[np.intp]:
        """Return the position of each key in the index, or -1."""
        with self._lock:
            if not len(self._keys):
                return np.full(len(keys), -1, np.intp)
            at = np.searchsorted(self._keys, keys)
            at[at == len(self._keys)] = 0
            return np.where(self._keys[at] == keys, at, -1)

    def _check_columns(self, n_rows: int, columns: Mapping[str, NDArray[Any]]) -> None:
        for name, values in columns.items():
            array = np.asarray(values)
            if name == ROW_KEY:
                raise StoreError(f"A column must not be called {ROW_KEY}.")
            if array.dtype.newbyteorder("<") not in DTYPES.values():
                raise StoreError(
                    f"Column {name} is {array.dtype}, but it must hold numbers of 8 to 64 bits, or booleans."
                )
            if array.ndim == 0 or len(array) != n_rows:
                raise StoreError(f"Column {name} has shape {array.shape} for {n_rows} rows.")
        theirs = self.columns()
        ours = {
            name: (np.asarray(values).dtype.newbyteorder("<"), np.shape(values)[1:])
            for name, values in columns.items()
        }
        if theirs and ours != theirs:
            raise StoreError(
                f"The columns {_describe(ours)} differ from the columns of {self.folder}:"
                f" {_describe(theirs)}. {_REMOVE.format(key=self.folder.name)}"
            )

    def _gather(self, keys: NDArray[np.bytes_], columns: Sequence[str] | None) -> dict[str, NDArray[Any]]:
        with self._lock:
            at = self._find(keys)
            if (at < 0).any():
                row = int(np.argmax(at < 0))
                raise StoreError(
                    f"Row {row} ({hex_of(keys[row])}) is not in the cache of {self.folder}"
                    f" ({np.count_nonzero(at < 0)} of {len(at)} rows are missing). Run featurekit extract"
                    " again."
                )
            shard_of, row_of, shards = self._shard_of[at], self._row_of[at], self._shards
            known = self.columns()
        names = list(known) if columns is None else list(columns)
        if strange := sorted(set(names) - set(known)):
            raise StoreError(f"The cache of {self.folder} has no columns {strange}. It has: {sorted(known)}.")
        answer = {name: np.empty((len(keys), *known[name][1]), known[name][0]) for name in names}
        order = np.lexsort((row_of, shard_of))
        of_shards = np.split(order, np.flatnonzero(np.diff(shard_of[order])) + 1) if len(order) else []
        for positions in of_shards:
            shard = shards[shard_of[positions[0]]]
            with self._storage.open(shard.path) as (file, _):
                for name in names:
                    column = shard.columns.get(name)
                    if column is None or (column.dtype, column.shape) != known[name]:
                        raise StoreError(
                            f"Column {name} of {shard.path} differs from the column of {shards[0].path.name}."
                            f" {_REMOVE.format(key=self.folder.name)}"
                        )
                    read_rows(file, column, row_of[positions], answer[name], positions)
        return answer


def _describe(columns: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in sorted(columns.items())) or "none"


def write_recipe(storage: Storage, folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write the file recipe.json into the folder of a shelf, unless the file exists already."""
    if not storage.exists(folder / RECIPE_FILE):
        storage.put(folder / RECIPE_FILE, json.dumps(recipe, indent=2, sort_keys=True).encode() + b"\n")


def wrong_recipe(storage: Storage, folder: Path, key: str) -> str:
    """Return what is wrong with a folder's recipe.json; "" if nothing is wrong or there is no such file."""
    try:
        found = recipe_key(json.loads(storage.read(folder / RECIPE_FILE)))
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (ValueError, TypeError, StoreError):
        return "is damaged"
    return "" if found.startswith(key) else f"belongs to another recipe ({found[:16]})"


def recipe_of(storage: Storage, folder: Path, shards: Sequence[Shard]) -> Mapping[str, Any]:
    """Return the recipe of a shelf from its shards or its recipe.json; empty if none of them contains it."""
    if shards:
        return shards[0].recipe
    if wrong_recipe(storage, folder, folder.name) or not storage.exists(folder / RECIPE_FILE):
        return {}
    return dict(json.loads(storage.read(folder / RECIPE_FILE)))
