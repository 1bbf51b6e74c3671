"""The file recipe.json of a shelf, which tells people by what recipe its rows were made.

The shards say it too, so that nothing is lost with it.
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
    """Write recipe.json into the folder of a shelf, where it is not there."""
    if not storage.exists(folder / RECIPE_FILE):
        text = json.dumps(recipe, indent=2, sort_keys=True)
        storage.put(folder / RECIPE_FILE, text.encode() + b"\n")


def wrong_recipe(storage: Storage, folder: Path, key: str) -> str:
    """Return what is wrong with a folder's recipe.json, "" where nothing is or where it is not there."""
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
    """Return the recipe of a folder from whatever still says it."""
    if shards:
        return shards[0].recipe
    if wrong_recipe(storage, folder, folder.name) or not storage.exists(folder / RECIPE_FILE):
        return {}
    recipe: dict[str, Any] = json.loads(storage.read(folder / RECIPE_FILE))
    return recipe
