"""One shard: an immutable safetensors file of rows, named by the hash of its own bytes.

It states the recipe of its rows, and holds their keys and all their columns, so that nothing but the shards
has to be right.
"""

import errno
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import canonical, recipe_key
from featurekit.cache.storage import Damage, Signature, Storage, hash_of
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


class DamagedError(Exception):
    """A file of the store is damaged; the message says how."""


@dataclass(frozen=True)
class Column:
    """Where a column is in a shard.

    Attributes:
        dtype: little-endian.
        shape: shape of one row.
        start: its first byte in the file.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Shard:
    """What is kept in memory of one shard.

    Attributes:
        path: its file.
        signature: signature of the file when it was looked at.
        kind: kind of its shelf.
        recipe: what the rows were made by.
        keys: shape (n_rows,), 32 bytes each.
        columns: without the keys.
    """

    path: Path
    signature: Signature
    kind: str
    recipe: Mapping[str, Any]
    keys: NDArray[np.bytes_]
    columns: Mapping[str, Column]


def open_shard(storage: Storage, path: Path, kind: str, key: str, *, hashed: bool = True) -> Shard:
    """Check a shard's hash and recipe, and return its keys and where its columns are.

    Args:
        storage: where the shard is kept.
        path: the shard.
        kind: kind of its shelf.
        key: key of its shelf's recipe, or the beginning of it.
        hashed: whether the whole file is hashed and compared with its name.

    Raises:
        FileNotFoundError: it has just been removed.
        StoreError: it cannot be read.
        DamagedError: it is damaged.
    """
    try:
        with storage.open(path) as (file, signature):
            if hashed and hash_of(file) != path.stem:
                raise DamagedError("has changed since it was written: its hash is not that in its name")
            file.seek(0)
            shard = _parse_shard(path, signature, file, signature[0])
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.EIO:  # the disk lost a part of it
            raise DamagedError(f"cannot be read: {error.strerror}") from error
        raise StoreError(f"Cannot read {path}: {error.strerror or error}.") from error
    said_key = recipe_key(shard.recipe)
    if shard.kind != kind or not said_key.startswith(key):
        raise DamagedError(f"belongs to another recipe ({shard.kind}/{said_key[:16]})")
    return shard


def open_shards(
    storage: Storage, paths: Iterable[Path], kind: str, key: str, *, hashed: bool = True
) -> tuple[list[Shard], list[Damage]]:
    """Open shards in the order of their names; return the good ones, and the damaged ones.

    A shard that another process has just removed is in neither list. The other arguments are those of
    open_shard().

    Raises:
        StoreError: one cannot be read.
    """
    shards: list[Shard] = []
    damaged: list[Damage] = []
    for path in sorted(paths):
        try:
            shards.append(open_shard(storage, path, kind, key, hashed=hashed))
        except FileNotFoundError:
            continue
        except DamagedError as damage:
            damaged.append(Damage(path, str(damage)))
    return shards, damaged


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
        raise DamagedError("is not a featurekit cache file: its size differs from that in its header")
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
    """Write one shard of rows, and return it as open_shard() would.

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
    """Read rows of one column, in increasing order, into their positions of the answer, a block at a time."""
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
    """Remove a shard that holds some of these rows, after it has been written anew without them.

    In this order a kill loses no other row. The other rows stay equal to the last bit.

    Args:
        storage: where the shard is kept.
        shard: may hold some of them.
        gone: their keys, from as_keys().

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
                    f"{shard.path} {damage}. To move it aside: featurekit cache verify"
                ) from damage
        write_shard(storage, shard.path.parent, shard.kind, shard.recipe, shard.keys[stay], columns)
    storage.delete(shard.path)
