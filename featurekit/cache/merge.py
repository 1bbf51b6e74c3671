"""Copy the rows of another cache into a cache.

A file is named by the hash of its bytes, so a file that is here already is not read whole, and merging can be
stopped and run again. Nothing is written into the other cache.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from featurekit.cache.shelf import Shelf
from featurekit.cache.storage import Damage
from featurekit.cache.store import ShelfInfo, Store


@dataclass(frozen=True)
class Added:
    """The rows of one recipe that merging has added.

    Attributes:
        kind: kind of the rows, such as "faces" or "embeddings".
        key: name of the shelf's folder, the first 16 digits of the recipe's key.
        recipe: how the rows were computed.
        rows: number of rows that were not in the cache before.
        files: number of files that were written.
        bytes: total size of these files.
    """

    kind: str
    key: str
    recipe: Mapping[str, Any]
    rows: int = 0
    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Added") -> "Added":
        return Added(
            self.kind,
            self.key,
            self.recipe or other.recipe,
            self.rows + other.rows,
            self.files + other.files,
            self.bytes + other.bytes,
        )


def merge_shelf(
    store: Store, other: Store, info: ShelfInfo, advance: Callable[[], object]
) -> tuple[Added, list[Damage]]:
    """Copy the rows of one shelf of another cache that are not in a cache yet.

    A file of which some rows are here already is not copied: a new file gets its other rows.

    Args:
        store: the cache to write to.
        other: the cache to read; it must be read-only.
        info: the shelf, from other.shelves().
        advance: called after each file.

    Returns:
        What was added, and the damaged files of the other cache, which were left out.

    Raises:
        StoreError: a file cannot be read, or the rows have other columns than those in the cache.
        WorkspaceError: the disk is full or cannot be written.
    """
    shelf: Shelf | None = None
    damaged: list[Damage] = []
    added = Added(info.kind, info.key, info.recipe)
    for path in other.files_on(info):
        found = None if store.has_file(info, path.name) else other.load(info, path)
        if isinstance(found, Damage):
            damaged.append(found)
        elif found:  # else the file is here already, or another process has just removed it
            shard, data = found
            shelf = shelf or store.shelf(info.kind, shard.recipe)
            if new := shelf.adopt(shard, data):
                size = new.signature[0]
                added += Added(info.kind, info.key, shard.recipe, len(new.keys), 1, size)
        advance()
    return added, damaged
