"""Merge the caches of other workspaces into the cache of a workspace, with the record of their extractions.

The rows are copied first, then the record, so that a merge that is stopped has recorded no extraction whose
rows are missing. Running it again copies what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featurekit.cache.merge import Added, merge_shelf
from featurekit.cache.storage import Damage
from featurekit.cache.store import ShelfInfo, Store
from featurekit.embeddings.index import (
    Entry,
    Ledger,
    entries_at,
    entry_files,
    faces_of,
    joined,
    read_entry,
    write_entry,
)
from featurekit.errors import WorkspaceError
from featurekit.files import real_path
from featurekit.networks.feature_names import shelf_name
from featurekit.progress import Progress
from featurekit.project import CacheFolder, ProjectFolder
from featurekit.urls import place_of


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The result of a merge.

    Attributes:
        added: the rows that were added, for each recipe of the other caches.
        n_extractions: number of extractions that were added to the record.
        damaged: files of the other caches that are damaged, and were left out.
        left_out: a sentence for each cache whose record was left out, because it does not fit the record
            here, or is not in the cache.
    """

    added: tuple[Added, ...]
    n_extractions: int
    damaged: tuple[Damage, ...]
    left_out: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Return a table with one row for each recipe: what it is, and the rows, files and bytes added."""
        return pd.DataFrame(
            [
                (one.kind, one.recipe and shelf_name(one.recipe), one.key, one.rows, one.files, one.bytes)
                for one in self.added
            ],
            columns=["kind", "what", "key", "rows", "files", "bytes"],
        )


def merge(workspace: ProjectFolder, others: Sequence[Path], progress: Progress | None = None) -> Merged:
    """Copy the rows of other caches that are not in the cache of a workspace, and the record of extractions.

    Args:
        workspace: the workspace to copy to.
        others: folders of workspaces, or folders or URLs of caches, which are not changed.
        progress: called with (files done, files to do).

    Raises:
        WorkspaceError: a folder has no cache, or is the workspace itself; then nothing is copied.
        StoreError: a file cannot be read or written.
    """
    here = Store(workspace.cache)
    entries_at(workspace.extracted)  # raises an error if the record is damaged
    caches = _caches(workspace, others)
    stores = [Store(cache.root, read_only=True) for cache in caches]
    shelves = [_shelves(cache, there) for cache, there in zip(caches, stores, strict=True)]
    total = sum(
        len(there.files_on(info)) for there, infos in zip(stores, shelves, strict=True) for info in infos
    )
    added: dict[tuple[str, str], Added] = {}
    damaged: list[Damage] = []
    left_out: list[str] = []
    done = n_extractions = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, total), total)

    for cache, there, infos in zip(caches, stores, shelves, strict=True):
        for info in infos:
            new, bad = merge_shelf(here, there, info, advance)
            earlier = added.get((info.kind, info.key))
            added[info.kind, info.key] = earlier + new if earlier else new
            damaged += bad
        n_new, bad, why = _merge_record(workspace.extracted, cache)
        n_extractions += n_new
        damaged += bad
        left_out += [why] if why else []
    return Merged(
        added=tuple(added[key] for key in sorted(added)),
        n_extractions=n_extractions,
        damaged=tuple(damaged),
        left_out=tuple(left_out),
    )


def _caches(workspace: ProjectFolder, others: Sequence[Path]) -> list[CacheFolder]:
    """Return the folders of the other caches.

    Raises:
        WorkspaceError: a folder is the workspace itself, or is named twice, or a purge has not ended.
    """
    places = [place_of(path) for path in others]
    caches = [CacheFolder.at(place) for place in places]
    seen = {real_path(workspace.cache): "is the cache to merge into. Name other folders"}
    for place, cache in zip(places, caches, strict=True):
        if why := seen.get(real_path(cache.root)):
            raise WorkspaceError(f"{place} {why}.")
        seen[real_path(cache.root)] = "is named twice. Name each folder once"
    for path in (workspace.purge, *(cache.purge for cache in caches)):
        if path and path.exists():
            raise WorkspaceError(
                f"{path} exists: a purge has not ended, and its subjects would come back. Run featurekit"
                " cache purge again there first."
            )
    return caches


def _shelves(cache: CacheFolder, there: Store) -> list[ShelfInfo]:
    """Return what a cache contains.

    Raises:
        WorkspaceError: the folder has neither rows nor a record.
    """
    infos = there.shelves()
    if not infos and not (cache.extracted and entry_files(cache.extracted)):
        raise WorkspaceError(
            f"{cache.root} has no faces and no vectors. Name the folder of a workspace in which vectors were"
            " extracted, or of its cache."
        )
    return infos


def _merge_record(path: Path, cache: CacheFolder) -> tuple[int, list[Damage], str]:
    """Add the recorded extractions of another cache to the record of a workspace.

    Returns:
        The number of new extractions, the damaged files of the record, and why it was left out, or "".
    """
    entries: dict[str, Entry] = {}
    damaged: list[Damage] = []
    if cache.extracted is None:
        why = (
            f"{cache.root} has no record of its extractions: it is in the workspaces that use it. The"
            " rows were merged. To merge the record too, name such a workspace instead, or run featurekit"
            " extract with the options that were given there."
        )
        return 0, damaged, why
    for file in entry_files(cache.extracted):
        try:
            name, entry = read_entry(file)
            entries[name] = entry
        except ValueError as error:
            damaged.append(Damage(file, f"is damaged, or was not written by featurekit ({error})"))
    known = entries_at(path)
    new = [entry for name, entry in entries.items() if name not in known]
    if known and new:
        in_time = sorted(entries.values(), key=lambda entry: entry.finished)
        why = _misfit(joined([one.ledger for one in known.values()]), joined([one.ledger for one in in_time]))
        if why:
            return 0, damaged, f"The record of {cache.root} was left out: {why}."
    for entry in new:
        write_entry(path, entry)
    return len(new), damaged, ""


def _misfit(here: Ledger, there: Ledger) -> str:
    """Return why the vectors of two records cannot be used together; "" if they can."""
    remedy = (
        "The rows were merged. To use them here, run featurekit extract with the options that were given"
        " there"
    )
    if here.settings != there.settings or faces_of(here) != faces_of(there):
        return f"its faces were found with other settings than those here. {remedy}"
    other = [name for name, one in there.recipes.items() if here.recipes.get(name, one) != one]
    if other:
        return (
            f"its vectors of {other[0]} were computed with other settings than those here, such as another"
            f" precision. {remedy}"
        )
    return ""
