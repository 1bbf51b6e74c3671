"""The places of a workspace that may hold something of a person: how much, and how it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import ShelfInfo, Store
from featurekit.data.manifest import Manifest
from featurekit.ops import _forget_comparison as comparison
from featurekit.ops import _forget_outcomes
from featurekit.ops._unfinished import remove_unfinished, unfinished
from featurekit.ops.traces import Traces, file_of, own_keys, rows_of_others
from featurekit.project import ComparisonFolder, ProjectFolder


@dataclass(frozen=True)
class Place:
    """A place that may hold something of a person.

    Attributes:
        name: below the workspace.
        unit: what is counted, e.g. "rows".
        count: how much it holds, read anew.
        remove: let go of it.
    """

    name: str
    unit: str
    count: Callable[[], int]
    remove: Callable[[], None]


def places_of(workspace: ProjectFolder, traces: Traces) -> list[Place]:
    """Return every place that may hold something of somebody, in the order it is to be removed."""
    manifest = Manifest.load(workspace.manifest)
    gone = set(traces.face_ids)
    folders = workspace.comparisons()
    comparisons = {
        part: part.relative_to(workspace.root).as_posix()
        for folder in folders
        for part in (folder, *ComparisonFolder(folder).all_replaced_folders())
    }
    places = [
        # First, because it is refused where somebody still writes.
        Place(
            "all folders",
            "unfinished files",
            lambda: len(unfinished(workspace)),
            lambda: remove_unfinished(workspace),
        ),
        # These are told by row numbers of the manifest as it still is.
        *(
            Place(
                f"{name}/outcomes",
                "files",
                partial(_forget_outcomes.count, folder, gone, manifest),
                partial(_forget_outcomes.remove, folder, gone, manifest),
            )
            for folder, name in comparisons.items()
        ),
        Place(
            workspace.manifest.name,
            "rows",
            lambda: int((~rows_of_others(Manifest.load(workspace.manifest), traces)).sum()),
            lambda: _remove_from_manifest(workspace.manifest, traces),
        ),
        *_places_of_cache(workspace, traces, manifest),
    ]
    for folder, name in comparisons.items():
        places += _places_of_comparison(folder, gone, name)
    return places


def _places_of_cache(workspace: ProjectFolder, traces: Traces, manifest: Manifest) -> list[Place]:
    """Return the places below cache/, told by the manifest as it was before anybody was taken out."""
    store = Store(workspace.cache)
    own = own_keys(manifest, traces)
    keys = np.frombuffer(bytes.fromhex("".join(sorted(own))), np.uint8).reshape(-1, 32)
    places = []
    for shelf in store.shelves():
        what = shelf.recipe.get("detector") or f"{shelf.recipe.get('backbone')}:{shelf.recipe.get('layer')}"
        places.append(
            Place(
                f"cache/{shelf.kind}/{shelf.key} ({what})",
                "rows",
                partial(_count_on, store, shelf, keys),
                partial(store.forget, shelf, keys),
            )
        )
    places.append(Place("cache", "damaged shards", partial(_count_damaged, store), store.clear_quarantine))
    index = workspace.file_index
    if index.is_file():
        still_named = {
            file_of(manifest, path) for path in manifest.table["image_path"][rows_of_others(manifest, traces)]
        }
        files = [Path(file) for file in traces.files if file not in still_named]
        contents = sorted(set(traces.contents) & own)
        places.append(
            Place(
                "cache/files.sqlite",
                "files",
                partial(_count_in_index, index, files, contents),
                partial(_remove_from_index, index, files, contents),
            )
        )
    return places


def _places_of_comparison(folder: Path, gone: set[str], name: str) -> list[Place]:
    return [
        Place(f"{name}/{what}", unit, partial(count, folder, gone), partial(remove, folder, gone))
        for what, unit, count, remove in (
            ("folds.json", "rows", comparison.count_in_folds, comparison.remove_from_folds),
            ("predictions", "rows", comparison.count_in_predictions, comparison.remove_from_predictions),
            ("audit_rows.csv", "rows", comparison.count_in_audit, comparison.remove_from_audit),
            ("*.html", "report pages that show faces", comparison.count_pages, comparison.remove_pages),
        )
    ]


def _remove_from_manifest(path: Path, traces: Traces) -> None:
    manifest = Manifest.load(path)
    cells = [cell for cell in manifest.info.get("bad_cells", ()) if cell["face_id"] not in traces.face_ids]
    info = {**manifest.info, **({"bad_cells": cells} if "bad_cells" in manifest.info else {})}
    replace(manifest, table=manifest.table[rows_of_others(manifest, traces)], info=info).save(path)


def _count_on(store: Store, shelf: ShelfInfo, keys: NDArray[np.uint8]) -> int:
    there = store.keys_on(shelf).view("S32").ravel()
    return int(np.isin(there, keys.view("S32").ravel()).sum())


def _count_damaged(store: Store) -> int:
    return sum(len(list(folder.iterdir())) for folder in store.quarantines())


def _count_in_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> int:
    with FileIndex(path) as index:
        return index.named(files, contents)


def _remove_from_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> None:
    with FileIndex(path) as index:
        index.forget(files, contents)
