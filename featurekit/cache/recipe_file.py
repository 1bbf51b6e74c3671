"""The file recipe.json of a shelf, which tells people by what recipe its rows were made.

The shards say it too, so that nothing is lost with it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurekit.cache.keys import recipe_key
from featurekit.cache.shard import Shard
from featurekit.cache.storage import private_file
from featurekit.errors import StoreError


def write_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Write recipe.json into the folder of a shelf."""
    with private_file(folder / "recipe.json") as file:
        file.write(json.dumps(recipe, indent=2, sort_keys=True).encode() + b"\n")


def wrong_recipe(folder: Path, key: str) -> str:
    """Return what is wrong with a folder's recipe.json, "" where nothing is or where it is not there."""
    try:
        found = recipe_key(json.loads((folder / "recipe.json").read_bytes()))
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except (ValueError, TypeError, StoreError):
        return "is damaged"
    return "" if found.startswith(key) else f"is of another recipe ({found[:16]})"


def recipe_of(folder: Path, shards: Sequence[Shard]) -> Mapping[str, Any]:
    """Return the recipe of a folder from whatever still says it."""
    if shards:
        return shards[0].recipe
    if wrong_recipe(folder, folder.name) or not (folder / "recipe.json").exists():
        return {}
    recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_bytes())
    return recipe
