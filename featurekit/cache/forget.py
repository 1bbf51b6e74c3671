"""Take rows out of a shard, so that no byte of theirs stays in any file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.shard import DamagedError, Shard, read_rows, write_shard
from featurekit.cache.storage import Storage
from featurekit.errors import StoreError


def forget_rows(storage: Storage, shard: Shard, gone: NDArray[np.bytes_]) -> None:
    """Remove a shard that holds some of these rows, once it stands anew without them.

    In this order a kill loses no other row. The other rows stay equal to the last bit.

    Args:
        storage: where it lies.
        shard: may hold some of them.
        gone: their keys, from as_keys().
    """
    stay = np.flatnonzero(~np.isin(shard.keys, gone))
    if len(stay) == len(shard.keys):
        return
    if len(stay):
        columns = _columns_of(storage, shard, stay)
        write_shard(storage, shard.path.parent, shard.kind, shard.recipe, shard.keys[stay], columns)
    storage.delete(shard.path)


def _columns_of(storage: Storage, shard: Shard, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Return every column of some rows of a shard, in increasing order."""
    columns = {}
    with storage.open(shard.path) as (file, _):
        for name, column in shard.columns.items():
            columns[name] = np.empty((len(rows), *column.shape), column.dtype)
            try:
                read_rows(file, column, rows, columns[name], np.arange(len(rows)))
            except DamagedError as damage:
                raise StoreError(
                    f"{shard.path} {damage}. To move it aside: featurekit cache verify"
                ) from damage
    return columns
