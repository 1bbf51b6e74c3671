"""The file recipe.json of a shelf, in which people can read the recipe of its rows.

The shards hold the recipe too, so nothing is lost if the file is.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurekit.cache.keys import recipe_key
from featurekit.cache.shard import Shard
from featurekit.cache.storage import Storage
from featurekit.errors import StoreError

RECIPE_FILE = "recipe.json"


def write_recipe(storage: Storage, folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write recipe.json into the folder of a shelf, unless it is there already."""
    if not storage.exists(folder / RECIPE_FILE):
        storage.put(folder / RECIPE_FILE, json.dumps(recipe, indent=2, sort_keys=True).encode() + b"\n")


def wrong_recipe(storage: Storage, folder: Path, key: str) -> str:
    """Return what is wrong with a folder's recipe.json; "" if nothing is wrong, or if it does not exist."""
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
    """Return the recipe of a folder from its shards or its recipe.json; empty if neither states it."""
    if shards:
        return shards[0].recipe
    if wrong_recipe(storage, folder, folder.name) or not storage.exists(folder / RECIPE_FILE):
        return {}
    recipe: dict[str, Any] = json.loads(storage.read(folder / RECIPE_FILE))
    return recipe
