"""One shard: a safetensors file with rows of the cache, never changed, named by the hash of its own bytes.

A shard contains the recipe of its rows, their keys and all their columns, so that the cache can be read from
the shards alone.
"""

import errno
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import canonical, recipe_key
from featurekit.cache.storage import Damage, Signature, Storage
from featurekit.errors import StoreError

# Raise when the layout of a shard changes: older shards are then damaged to this version and recomputed.
STORE_VERSION = 1

# How the name of a shard ends.
ENDING = ".safetensors"

# Name of the column that holds the keys of the rows.
ROW_KEY = "row_key"

# Most bytes read into memory beside the answer.
BLOCK = 16 << 20

# The kinds of numbers a column may hold, by their name in a safetensors header.
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype("<u1"),
    "I8": np.dtype("<i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}

Loaded = TypeVar("Loaded")

CHANGED = "has changed since it was written: its hash differs from its name"


class DamagedError(Exception):
    """A file of the cache is damaged; the message says what is wrong with it."""


@dataclass(frozen=True)
class Column:
    """Data type and position of one column in a shard.

    Attributes:
        dtype: NumPy data type of the values, little-endian.
        shape: shape of one row's value.
        start: position of the column's first byte in the file.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Shard:
    """The header of one shard and the keys of its rows, in memory.

    Attributes:
        path: path of the file.
        signature: size, times and inode number of the file when it was opened.
        kind: kind of the rows, such as "embeddings".
        recipe: how the rows were computed.
        keys: keys of the rows, 32 bytes each, shape (n_rows,).
        columns: name → position of each column, without the column of the keys.
    """

    path: Path
    signature: Signature
    kind: str
    recipe: Mapping[str, Any]
    keys: NDArray[np.bytes_]
    columns: Mapping[str, Column]


def _opened(path: Path, load: Callable[[], Loaded]) -> Loaded | Damage | None:
    """Return what load() reads from a file, or what is wrong with the file; None if it does not exist.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        return load()
    except FileNotFoundError:  # another process has just removed it
        return None
    except DamagedError as damage:
        return Damage(path, str(damage))
    except OSError as error:
        if error.errno != errno.EIO:
            raise StoreError(f"Cannot read {path}: {error.strerror or error}.") from error
        # The disk has lost a part of the file.
        return Damage(path, f"cannot be read: {error.strerror}")


def _shard_in(
    file: IO[bytes], path: Path, signature: Signature, kind: str, key: str, *, hashed: bool = True
) -> Shard:
    """Return the shard in an open file; raise DamagedError if its hash, its header or its recipe is wrong."""
    if hashed and file_digest(file, "sha256").hexdigest() != path.stem:  # type: ignore[arg-type]
        raise DamagedError(CHANGED)
    file.seek(0)
    shard = _parse_shard(path, signature, file, signature[0])
    said_key = recipe_key(shard.recipe)
    if shard.kind != kind or not said_key.startswith(key):
        raise DamagedError(f"belongs to another recipe ({shard.kind}/{said_key[:16]})")
    return shard


def load_shard(storage: Storage, path: Path, kind: str, key: str) -> tuple[Shard, bytes] | Damage | None:
    """Return a shard with its bytes, or what is wrong with the file; None if it does not exist.

    Args:
        storage: the place where the file is.
        path: path of the file.
        kind: kind of the rows that the shard must have.
        key: key of the recipe that the shard must have, or the beginning of this key.

    Raises:
        StoreError: the file cannot be read.
    """

    def load() -> tuple[Shard, bytes]:
        data = storage.read(path)
        return _shard_in(BytesIO(data), path, (len(data),), kind, key), data

    return _opened(path, load)


def open_shards(
    storage: Storage, paths: Iterable[Path], kind: str, key: str, *, hashed: bool = True
) -> tuple[list[Shard], list[Damage]]:
    """Open shards in the order of their names; return the intact shards and the damaged files.

    A shard that another process has just removed is in neither list.

    Args:
        storage: the place where the files are.
        paths: paths of the shards.
        kind: kind of the rows that the shards must have.
        key: key of the recipe that the shards must have, or the beginning of this key.
        hashed: whether each whole file is hashed and compared with its name.

    Raises:
        StoreError: a file cannot be read.
    """

    def load(path: Path) -> Shard:
        with storage.open(path) as (file, signature):
            return _shard_in(file, path, signature, kind, key, hashed=hashed)

    found = [_opened(path, partial(load, path)) for path in sorted(paths)]
    return (
        [one for one in found if isinstance(one, Shard)],
        [one for one in found if isinstance(one, Damage)],
    )


def _parse_shard(path: Path, signature: Signature, file: IO[bytes], size: int) -> Shard:
    """Return what a shard says about itself.

    Args:
        path: the shard.
        signature: signature of its file.
        file: its bytes, from the start.
        size: how many there are.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size:
        raise DamagedError("is not a safetensors file")
    first = 8 + length
    try:
        entries = json.loads(file.read(length))
        said = json.loads(entries.pop("__metadata__")["featurekit"])
        if said["version"] != STORE_VERSION:
            raise DamagedError(f"was written by version {said['version']} of the cache")
        n_rows = int(entries[ROW_KEY]["shape"][0])
        columns, end = {}, first
        for name, entry in entries.items():
            dtype, (rows, *shape) = DTYPES[entry["dtype"]], entry["shape"]
            start, stop = entry["data_offsets"]
            if rows != n_rows or stop - start != dtype.itemsize * int(np.prod((rows, *shape))):
                raise DamagedError(f"has a column {name} of the wrong size")
            columns[name] = Column(dtype, tuple(shape), first + start)
            end = max(end, first + stop)
        keys = columns.pop(ROW_KEY)
        recipe = dict(said["recipe"])
        recipe_key(recipe)  # refuses what no recipe can be
        kind = str(said["kind"])
    except (ValueError, KeyError, TypeError, AttributeError, StoreError) as error:
        raise DamagedError(f"is not a featurekit cache file: {error}") from error
    if end != size or (keys.dtype, keys.shape) != (DTYPES["U8"], (32,)):
        raise DamagedError("is not a featurekit cache file: its size differs from the size in its header")
    file.seek(keys.start)
    return Shard(path, signature, kind, recipe, np.frombuffer(file.read(32 * n_rows), "S32"), columns)


def write_shard(
    storage: Storage,
    folder: Path,
    kind: str,
    recipe: Mapping[str, Any],
    keys: NDArray[np.bytes_],
    columns: Mapping[str, NDArray[Any]],
) -> Shard:
    """Write rows as one shard, and return the shard.

    Args:
        storage: the place to write to.
        folder: folder of the file.
        kind: kind of the rows, such as "embeddings".
        recipe: how the rows were computed.
        keys: keys of the rows, from as_keys().
        columns: name → one value for each row, shape (n_rows, ...).

    Raises:
        WorkspaceError: the disk is full or cannot be written.
    """
    from safetensors.numpy import save

    tensors = {**columns, ROW_KEY: keys.view(np.uint8).reshape(-1, 32)}
    said = {"version": STORE_VERSION, "kind": kind, "recipe": recipe}
    # One entry: with several, safetensors writes them in an order that changes from run to run.
    data = save(tensors, {"featurekit": canonical(said)})
    path = folder / f"{sha256(data).hexdigest()}{ENDING}"
    return _parse_shard(path, storage.put(path, data), BytesIO(data), len(data))


def read_rows(
    file: IO[bytes],
    column: Column,
    rows: NDArray[np.intp],
    answer: NDArray[Any],
    positions: NDArray[np.intp],
) -> None:
    """Read rows of one column into an array, a block at a time.

    Args:
        file: the open shard.
        column: the column to read.
        rows: numbers of the rows in the shard, in increasing order.
        answer: the array to fill.
        positions: position in the array for each row.

    Raises:
        DamagedError: the file ends too early.
    """
    row_bytes = column.dtype.itemsize * int(np.prod(column.shape))
    step = max(1, BLOCK // max(1, row_bytes))
    done = 0
    while done < len(rows):
        first = int(rows[done])
        stop = int(np.searchsorted(rows, first + step))
        block = np.empty(((int(rows[stop - 1]) + 1 - first), *column.shape), column.dtype)
        # Read, not mapped: a map of a file that another process cuts short would kill this one.
        file.seek(column.start + first * row_bytes)
        if block.nbytes and file.readinto(block.data.cast("B")) != block.nbytes:  # type: ignore[attr-defined]
            raise DamagedError("ends too early")
        answer[positions[done:stop]] = block[rows[done:stop] - first]
        done = stop


def forget_rows(storage: Storage, shard: Shard, gone: NDArray[np.bytes_]) -> None:
    """Remove rows from a shard: write a new shard with all its other rows, then delete the old shard.

    A shard without any of these rows is not changed. If the process is killed in between, both shards exist
    and no other row is lost. The values of the other rows do not change.

    Args:
        storage: the place where the shard is.
        shard: the shard to remove rows from.
        gone: keys of the rows to remove, from as_keys().

    Raises:
        StoreError: the shard is damaged.
    """
    stay = np.flatnonzero(~np.isin(shard.keys, gone))
    if len(stay) == len(shard.keys):
        return
    if len(stay):
        columns = {
            name: np.empty((len(stay), *column.shape), column.dtype) for name, column in shard.columns.items()
        }
        with storage.open(shard.path) as (file, _):
            try:
                for name, column in shard.columns.items():
                    read_rows(file, column, stay, columns[name], np.arange(len(stay)))
            except DamagedError as damage:
                raise StoreError(
                    f"{shard.path} {damage}. To move the file aside: featurekit cache verify"
                ) from damage
        write_shard(storage, shard.path.parent, shard.kind, shard.recipe, shard.keys[stay], columns)
    storage.delete(shard.path)
