"""Find and remove the data of subjects in every place of a workspace.

The data of a subject are rows of the manifest, hashes of images in the cache, face ids in the folds, the
predictions and the audit of a comparison, and row numbers of the manifest in its outcomes (files with the
prediction for each face). Each place is read from the disk again every time.
"""

import csv
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import ShelfInfo, Store
from featurekit.data.manifest import Manifest, csv_of
from featurekit.data.marks import read_marks, write_marks
from featurekit.data.splits import FoldSet
from featurekit.errors import WorkspaceError
from featurekit.evaluation.comparable import hash_of_rows
from featurekit.evaluation.outcomes import read_outcomes, read_predictions, write_outcomes
from featurekit.evaluation.results import load_runs
from featurekit.files import is_running, is_unfinished, whole_file, write_text, writer_of
from featurekit.networks.feature_names import shelf_name
from featurekit.ops.traces import Traces, file_of, most_faces, own_keys, rows_of_others
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.report.gallery import shows_people
from featurekit.text import as_it_was
from featurekit.urls import UrlPath, place_of

# How many items of the subjects a file or another part of a place has, and the function that removes them.
Items = list[tuple[int, Callable[[], object]]]


@dataclass(frozen=True)
class Place:
    """A place in a workspace that may have data of the subjects.

    Attributes:
        name: name of the place in the workspace.
        unit: the items that are counted, such as "rows".
        find: function that reads the place and returns the number of items in each of its parts, each with a
            function that removes them.
    """

    name: str
    unit: str
    find: Callable[[], Items]

    def count(self) -> int:
        """Return the number of items that the place has now."""
        return sum(n for n, _ in self.find())

    def remove(self) -> None:
        """Remove the items that the place has now."""
        for n, remove in self.find():
            if n:
                remove()


def places_of(workspace: ProjectFolder, traces: Traces) -> list[Place]:
    """Return every place that may have data of the subjects, in the order of removal."""
    manifest = Manifest.load(workspace.manifest)
    gone = set(traces.face_ids)
    comparisons = {
        part: part.relative_to(workspace.root).as_posix()
        for folder in workspace.comparisons()
        for comparison in [ComparisonFolder(folder)]
        for part in (folder, *comparison.replaced_folders(), *comparison.unfinished_replaced())
    }
    return [
        # First, because the removal is refused if another process still writes.
        Place("all folders", "unfinished files", partial(_unfinished, workspace)),
        # Before the manifest, because outcomes have its row numbers.
        *(
            Place(f"{name}/outcomes", "files", partial(_in_outcomes, folder, gone, manifest))
            for folder, name in comparisons.items()
        ),
        Place(workspace.manifest.name, "rows", partial(_in_manifest, workspace.manifest, traces)),
        Place(workspace.marks.name, "rows", partial(_in_marks, workspace.marks, gone)),
        *_places_of_cache(workspace, traces, manifest),
        *(
            Place(f"{name}/{what}", unit, partial(find, folder, gone))
            for folder, name in comparisons.items()
            for what, unit, find in (
                ("folds.json", "rows", _in_folds),
                ("predictions", "rows", _in_predictions),
                ("audit_rows.csv", "rows", _in_audit),
                ("*.html", "report pages that show faces", _pages),
            )
        ),
    ]


def _places_of_cache(workspace: ProjectFolder, traces: Traces, manifest: Manifest) -> list[Place]:
    """Return the places below cache/, by the keys in a manifest from before the removal."""
    store = Store(workspace.cache)
    own = own_keys(manifest, traces, most_faces(workspace))
    keys = np.frombuffer(bytes.fromhex("".join(sorted(own))), np.uint8).reshape(-1, 32)
    places = []
    for shelf in store.shelves():
        name = f"cache/{shelf.kind}/{shelf.key} ({shelf_name(shelf.recipe)})"
        places.append(Place(name, "rows", partial(_on_shelf, store, shelf, keys)))
    places.append(
        Place(
            "cache",
            "damaged shards",
            lambda: [(len(store.quarantined()), store.clear_quarantine)],
        )
    )
    if isinstance(store.root, UrlPath):  # those on this machine are removed before everything else
        places.append(
            Place("cache", "unfinished files", lambda: [(len(store.unfinished()), store.clear_unfinished)])
        )
    index = workspace.file_index
    if index.is_file():
        still_named = {
            file_of(manifest, path) for path in manifest.table["image_path"][rows_of_others(manifest, traces)]
        }
        files = [place_of(file) for file in traces.files if file not in still_named]
        contents = sorted(set(traces.contents) & own)
        places.append(Place("cache/files.sqlite", "files", partial(_in_index, index, files, contents)))
    return places


def files_below(folder: Path) -> list[Path]:
    """Return every file below a folder.

    Raises:
        WorkspaceError: a folder cannot be read; Path.rglob() would skip it.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise WorkspaceError(
                f"Cannot read {error.filename}: {error.strerror or error}. It may contain data of the"
                " subject. Make it readable, or delete it."
            ) from error

    return sorted(Path(where, name) for where, _, names in os.walk(folder, onerror=refuse) for name in names)


def folders_of_cache(workspace: ProjectFolder) -> list[Path]:
    """Return the folders of this machine in which the workspace caches anything."""
    places = dict.fromkeys((workspace.own_cache, workspace.cache))
    return [place for place in places if not isinstance(place, UrlPath)]


def _unfinished(workspace: ProjectFolder) -> Items:
    """Return the files that a process writes now, or that killed processes have not finished."""
    folders = (*folders_of_cache(workspace), workspace.reports)
    found = [*workspace.root.iterdir(), *(path for folder in folders for path in files_below(folder))]
    return [(1, partial(_remove_unfinished, path)) for path in sorted(found) if is_unfinished(path)]


def _remove_unfinished(path: Path) -> None:
    writer = writer_of(path)
    if writer not in (None, os.getpid()) and is_running(writer):
        raise WorkspaceError(
            f"Process {writer} is writing {path}. Stop this process and run the purge again. If it is not"
            " a featurekit process, delete the file."
        )
    path.unlink(missing_ok=True)


def _in_manifest(path: Path, traces: Traces) -> Items:
    """Return the rows of the manifest, and the cells that are listed because they cannot be read."""
    manifest = Manifest.load(path)
    others = rows_of_others(manifest, traces)
    cells = [cell for cell in manifest.info.get("bad_cells", ()) if cell["face_id"] not in traces.face_ids]
    info = {**manifest.info, **({"bad_cells": cells} if "bad_cells" in manifest.info else {})}
    left = replace(manifest, table=manifest.table[others], info=info)
    return [(int((~others).sum()), partial(left.save, path))]


def _in_marks(path: Path, gone: set[str]) -> Items:
    """Return the rows in the table of marks."""
    marks = read_marks(path) if path.is_file() else []
    left = [mark for mark in marks if mark.face_id not in gone]
    return [(len(marks) - len(left), partial(write_marks, path, left))]


def _on_shelf(store: Store, shelf: ShelfInfo, keys: NDArray[np.uint8]) -> Items:
    is_theirs = np.isin(store.keys_on(shelf).view("S32").ravel(), keys.view("S32").ravel())
    return [(int(is_theirs.sum()), partial(store.forget, shelf, keys))]


def _in_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> Items:
    with FileIndex(path) as index:
        return [(index.named(files, contents), partial(_remove_from_index, path, files, contents))]


def _remove_from_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> None:
    with FileIndex(path) as index:
        index.forget(files, contents)


def _in_folds(folder: Path, gone: set[str]) -> Items:
    """Return the rows of the folds; after the removal, all other rows are in the same fold as before."""
    path = ComparisonFolder(folder).folds
    if not path.is_file():
        return []
    folds = FoldSet.load(path)
    stay = ~np.isin(folds.face_ids, list(gone))
    left = replace(folds, face_ids=folds.face_ids[stay], numbers=folds.numbers[stay])
    return [(int((~stay).sum()), partial(left.save, path))]


def _in_predictions(folder: Path, gone: set[str]) -> Items:
    """Return the rows of each table of predictions."""
    tables = {path: read_predictions(path) for path in ComparisonFolder(folder).all_predictions()}
    are_theirs = {path: table["face_id"].isin(gone) for path, table in tables.items()}
    return [
        (int(theirs.sum()), partial(_write_predictions, path, tables[path][~theirs]))
        for path, theirs in are_theirs.items()
    ]


def _write_predictions(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as file:
        table.to_parquet(file, index=False)


def _in_audit(folder: Path, gone: set[str]) -> Items:
    """Return the rows in the table of the audit."""
    path = ComparisonFolder(folder).audit_rows
    # Not read_text(), which would turn a carriage return in a face id into a line feed.
    table = list(csv.reader(StringIO(path.read_bytes().decode(), newline=""))) if path.is_file() else []
    rows = [(*row[:-1], as_it_was(row[-1])) for row in table[1:] if row]
    left = [row for row in rows if row[-1] not in gone]
    return [(len(rows) - len(left), lambda: write_text(path, csv_of(pd.DataFrame(left, columns=table[0]))))]


def _pages(folder: Path, gone: set[str]) -> Items:
    """Return the pages that show faces. Whose faces is not checked, because a page is soon made again."""
    return [(1, page.unlink) for page in sorted(folder.glob("*.html")) if shows_people(page)]


def _in_outcomes(folder: Path, gone: Collection[str], manifest: Manifest) -> Items:
    """Return the files of outcomes, and of evidence computed from them, that may have data of the subjects.

    A comparison that has its predictions or its folds was made in this project, and featurekit report can
    make its outcomes again from the predictions. They are deleted whole, because the later rows of the
    manifest get other numbers. A comparison without predictions cannot make its outcomes again. There, only
    the rows of the subject are removed, if they are rows of this manifest, which the hash of the faces of
    each run tells.

    Args:
        folder: folder of the comparison.
        gone: face ids to remove.
        manifest: from before the removal.
    """
    files = ComparisonFolder(folder)
    # Learning curves are deleted whole: they are not part of a report that others must be able to check.
    learning: Items = [(1, path.unlink) for path in files.all_learning()]
    if not (files.folds.is_file() or files.all_predictions()):
        rows = _rows_in_outcomes(folder, gone, manifest)
        return [*learning, *rows] if rows else []
    there = files.all_outcomes()
    evidence = [path for path in [files.evidence] if there and path.is_file()]
    return [*learning, *((1, path.unlink) for path in [*there, *evidence])]


def _rows_in_outcomes(folder: Path, gone: Collection[str], manifest: Manifest) -> Items:
    """Return the files of outcomes that have rows of the subjects; only these rows are removed.

    The evidence and the labels come first, so that a stopped removal can be continued: until the end, the
    outcomes of a run still show which rows they have.
    """
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    theirs = np.flatnonzero(np.isin(ids, list(gone)))
    found: Items = []
    files = ComparisonFolder(folder)
    for run in load_runs(folder) if files.all_outcomes() else ():
        path = files.outcome(run.name)
        if not path.is_file():
            continue
        table = read_outcomes(path)
        rows = table["row"].to_numpy(np.intp)
        if rows.max(initial=-1) < len(ids) and hash_of_rows(ids[np.sort(rows)]) == run.scored_on.get("rows"):
            stay = ~table["row"].isin(theirs)
            if not stay.all():
                found.append((1, partial(write_outcomes, path, table[stay])))
    if found and files.faces.is_file():
        labels = read_outcomes(files.faces)
        stay = ~labels["row"].isin(theirs)
        found.insert(0, (1, partial(write_outcomes, files.faces, labels[stay])))
    if found and files.evidence.is_file():
        found.insert(0, (1, files.evidence.unlink))
    return found
