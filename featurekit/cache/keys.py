"""The keys of the cache: a hash of each recipe, and a hash of each row's image."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import StoreError

RowKeys = Sequence[bytes] | NDArray[np.uint8]


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Return the sha256 of a recipe, a mapping that says how rows were computed.

    Equal recipes have equal keys, whatever the order of their entries.

    >>> recipe_key({"a": 1, "b": (2, 3)}) == recipe_key({"b": [2, 3], "a": 1})
    True

    Raises:
        StoreError: a value is not plain JSON (text, numbers, lists, mappings), or is a number that is not
            finite.
    """
    return sha256(canonical(recipe).encode()).hexdigest()


def canonical(recipe: Mapping[str, Any]) -> str:
    """Return a recipe as JSON text that is the same for all equal recipes.

    Raises:
        StoreError: a value is not plain JSON, or is a number that is not finite.
    """
    _refuse_other_than_json(recipe, "recipe")
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_other_than_json(part: Any, where: str) -> None:
    # json.dumps turns the keys 1, True and None into text, so two recipes could share a key.
    if isinstance(part, Mapping):
        for name, value in part.items():
            if not isinstance(name, str):
                raise StoreError(f"{where} has the key {name}, but a key must be text.")
            _refuse_other_than_json(value, f"{where}.{name}")
    elif isinstance(part, (list, tuple)):
        for number, value in enumerate(part):
            _refuse_other_than_json(value, f"{where}[{number}]")
    elif isinstance(part, float) and not np.isfinite(part):
        raise StoreError(f"{where} is {part}, but the numbers of a recipe must be finite.")
    elif part is not None and type(part) not in (str, int, float, bool):
        raise StoreError(f"{where} is a {type(part).__name__}, but a recipe must be plain JSON.")


def as_keys(row_keys: RowKeys) -> NDArray[np.bytes_]:
    """Return row keys as an array of 32-byte strings, shape (n_rows,)."""
    if not isinstance(row_keys, np.ndarray):
        if any(len(key) != 32 for key in row_keys):
            raise StoreError("A row key must have 32 bytes.")
        row_keys = np.frombuffer(b"".join(row_keys), np.uint8).reshape(-1, 32)
    if row_keys.dtype != np.uint8 or row_keys.ndim != 2 or row_keys.shape[1] != 32:
        raise StoreError(f"Row keys must be uint8 (n_rows, 32), not {row_keys.dtype} {row_keys.shape}.")
    return np.ascontiguousarray(row_keys).view("S32").ravel()


def hex_of(key: np.bytes_) -> str:
    """Return the key of a row in hexadecimal."""
    # numpy drops zeros at the end of a scalar of bytes.
    return bytes(key).ljust(32, b"\0").hex()
