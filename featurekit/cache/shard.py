"""One shard: an immutable safetensors file of rows, named by the hash of its own bytes.

It says by what recipe its rows were made, and holds their keys and all their columns: nothing but shards
has to be right.
"""

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.keys import canonical, recipe_key
from featurekit.cache.storage import Signature, Storage, hash_of
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
    """A file of the store is not what it says; the message says why."""


@dataclass(frozen=True)
class Column:
    """Where a column lies in a shard.

    Attributes:
        dtype: little-endian.
        shape: of one row.
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
        signature: of the file when it was looked at.
        kind: of its shelf.
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
    """Look at a shard: its hash, whose it is, its keys and columns.

    Args:
        storage: where it lies.
        path: the shard.
        kind: of its shelf.
        key: of its shelf's recipe, or the beginning of it.
        hashed: whether all of it is read and compared with its name.

    Raises:
        FileNotFoundError: it has just been removed.
        StoreError: it cannot be read.
        DamagedError: it is not what it says.
    """
    try:
        with storage.open(path) as (file, signature):
            if hashed and hash_of(file) != path.stem:
                raise DamagedError("has changed since it was written: its hash is not that in its name")
            file.seek(0)
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > signature[0]:
                raise DamagedError("is not a safetensors file")
            header = start + file.read(length)
            shard = _parse_shard(path, signature, header, signature[0], file)
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


def _parse_shard(
    path: Path, signature: Signature, header: bytes, size: int, file: IO[bytes] | None = None
) -> Shard:
    """Return what a shard says about itself.

    Args:
        path: the shard.
        signature: of its file.
        header: the file's beginning, at least up to the first column.
        size: of the whole file, in bytes.
        file: where the keys are read from; from header where None.
    """
    try:
        first = 8 + int.from_bytes(header[:8], "little")
        entries = json.loads(header[8:first])
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
        str(said["kind"])
    except (ValueError, KeyError, TypeError, AttributeError, StoreError) as error:
        raise DamagedError(f"is not a featurekit cache file: {error}") from error
    if end != size or (keys.dtype, keys.shape) != (DTYPES["U8"], (32,)):
        raise DamagedError("is not a featurekit cache file: its size differs from that in its header")
    data = header[keys.start : keys.start + 32 * n_rows]
    if file:
        file.seek(keys.start)
        data = file.read(32 * n_rows)
    return Shard(path, signature, str(said["kind"]), recipe, np.frombuffer(data, "S32"), columns)


def write_shard(
    storage: Storage,
    folder: Path,
    kind: str,
    recipe: Mapping[str, Any],
    keys: NDArray[np.bytes_],
    columns: Mapping[str, NDArray[Any]],
) -> Shard:
    """Write one shard of rows whole, and return what it says.

    Raises:
        WorkspaceError: the disk is full or cannot be written.
    """
    from safetensors.numpy import save

    tensors = {**columns, ROW_KEY: keys.view(np.uint8).reshape(-1, 32)}
    said = {"version": STORE_VERSION, "kind": kind, "recipe": recipe}
    # One entry: with several, safetensors writes them in an order that changes from run to run.
    data = save(tensors, {"featurekit": canonical(said)})
    path = folder / f"{sha256(data).hexdigest()}{ENDING}"
    signature = storage.put(path, data)
    return _parse_shard(path, signature, data, len(data))


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
