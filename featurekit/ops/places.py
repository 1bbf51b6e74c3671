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
from featurekit.data.splits import FoldSet
from featurekit.errors import WorkspaceError
from featurekit.evaluation.comparable import hash_of_rows
from featurekit.evaluation.outcomes import read_outcomes, read_predictions, write_outcomes
from featurekit.evaluation.results import load_runs
from featurekit.files import is_running, is_unfinished, whole_file, write_text, writer_of
from featurekit.ops.traces import Traces, file_of, own_keys, rows_of_others
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.report.gallery import shows_people
from featurekit.text import as_it_was


@dataclass(frozen=True)
class Place:
    """A place in a workspace that may have data of the subjects.

    Attributes:
        name: name of the place in the workspace.
        unit: the items that are counted, such as "rows".
        count: returns how much it has, read anew.
        remove: removes that.
    """

    name: str
    unit: str
    count: Callable[[], int]
    remove: Callable[[], None]


def places_of(workspace: ProjectFolder, traces: Traces) -> list[Place]:
    """Return every place that may have data of the subjects, in the order of removal."""
    manifest = Manifest.load(workspace.manifest)
    gone = set(traces.face_ids)
    comparisons = {
        part: part.relative_to(workspace.root).as_posix()
        for folder in workspace.comparisons()
        for part in (folder, *ComparisonFolder(folder).all_replaced_folders())
    }
    return [
        # First, because the removal is refused if somebody still writes.
        Place(
            "all folders",
            "unfinished files",
            lambda: len(_unfinished(workspace)),
            lambda: _remove_unfinished(workspace),
        ),
        # Before the manifest, because outcomes have its row numbers.
        *(
            Place(
                f"{name}/outcomes",
                "files",
                partial(_count_in_outcomes, folder, gone, manifest),
                partial(_remove_from_outcomes, folder, gone, manifest),
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
        *(
            Place(f"{name}/{what}", unit, partial(count, folder, gone), partial(remove, folder, gone))
            for folder, name in comparisons.items()
            for what, unit, count, remove in (
                ("folds.json", "rows", _count_in_folds, _remove_from_folds),
                ("predictions", "rows", _count_in_predictions, _remove_from_predictions),
                ("audit_rows.csv", "rows", _count_in_audit, _remove_from_audit),
                ("*.html", "report pages that show faces", _count_pages, _remove_pages),
            )
        ),
    ]


def _places_of_cache(workspace: ProjectFolder, traces: Traces, manifest: Manifest) -> list[Place]:
    """Return the places below cache/, by the keys in a manifest from before the removal."""
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
    places.append(
        Place(
            "cache",
            "damaged shards",
            lambda: sum(len(list(folder.iterdir())) for folder in store.quarantines()),
            store.clear_quarantine,
        )
    )
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


def _unfinished(workspace: ProjectFolder) -> list[Path]:
    """Return the files that somebody writes, or that killed processes have not finished."""
    found = (*workspace.root.iterdir(), *files_below(workspace.cache), *files_below(workspace.reports))
    return sorted(path for path in found if is_unfinished(path))


def _remove_unfinished(workspace: ProjectFolder) -> None:
    for path in _unfinished(workspace):
        writer = writer_of(path)
        if writer not in (None, os.getpid()) and is_running(writer):
            raise WorkspaceError(
                f"Process {writer} is writing {path}. Stop this process and run the purge again. If it is not"
                " a featurekit process, delete the file."
            )
        path.unlink(missing_ok=True)


def _remove_from_manifest(path: Path, traces: Traces) -> None:
    manifest = Manifest.load(path)
    cells = [cell for cell in manifest.info.get("bad_cells", ()) if cell["face_id"] not in traces.face_ids]
    info = {**manifest.info, **({"bad_cells": cells} if "bad_cells" in manifest.info else {})}
    replace(manifest, table=manifest.table[rows_of_others(manifest, traces)], info=info).save(path)


def _count_on(store: Store, shelf: ShelfInfo, keys: NDArray[np.uint8]) -> int:
    return int(np.isin(store.keys_on(shelf).view("S32").ravel(), keys.view("S32").ravel()).sum())


def _count_in_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> int:
    with FileIndex(path) as index:
        return index.named(files, contents)


def _remove_from_index(path: Path, files: Sequence[Path], contents: Sequence[str]) -> None:
    with FileIndex(path) as index:
        index.forget(files, contents)


def _count_in_folds(folder: Path, gone: set[str]) -> int:
    """Return how many rows of the folds are theirs."""
    path = ComparisonFolder(folder).folds
    return int(np.isin(FoldSet.load(path).face_ids, list(gone)).sum()) if path.is_file() else 0


def _remove_from_folds(folder: Path, gone: set[str]) -> None:
    """Remove the rows; all other rows stay in their fold."""
    path = ComparisonFolder(folder).folds
    folds = FoldSet.load(path)
    stay = ~np.isin(folds.face_ids, list(gone))
    replace(folds, face_ids=folds.face_ids[stay], numbers=folds.numbers[stay]).save(path)


def _predictions(folder: Path) -> dict[Path, pd.DataFrame]:
    return {path: read_predictions(path) for path in ComparisonFolder(folder).all_predictions()}


def _count_in_predictions(folder: Path, gone: set[str]) -> int:
    """Return how many rows of all predictions are theirs."""
    return sum(int(table["face_id"].isin(gone).sum()) for table in _predictions(folder).values())


def _remove_from_predictions(folder: Path, gone: set[str]) -> None:
    """Write each table that has rows of theirs again without these rows."""
    for path, table in _predictions(folder).items():
        theirs = table["face_id"].isin(gone)
        if theirs.any():
            with whole_file(path) as file:
                table[~theirs].to_parquet(file, index=False)


def _audit_rows(folder: Path) -> list[list[str]]:
    path = ComparisonFolder(folder).audit_rows
    # Not read_text(), which would turn a carriage return in a face id into a line feed.
    return list(csv.reader(StringIO(path.read_bytes().decode(), newline=""))) if path.is_file() else []


def _count_in_audit(folder: Path, gone: set[str]) -> int:
    """Return how many rows of the audit are theirs."""
    return sum(as_it_was(row[-1]) in gone for row in _audit_rows(folder)[1:] if row)


def _remove_from_audit(folder: Path, gone: set[str]) -> None:
    """Write the table of rows of the audit again without theirs."""
    head, *rows = _audit_rows(folder)
    left = [(*row[:-1], as_it_was(row[-1])) for row in rows if row and as_it_was(row[-1]) not in gone]
    write_text(ComparisonFolder(folder).audit_rows, csv_of(pd.DataFrame(left, columns=head)))


def _pages(folder: Path) -> list[Path]:
    return sorted(page for page in folder.glob("*.html") if shows_people(page))


def _count_pages(folder: Path, gone: set[str]) -> int:
    """Return how many pages show faces. Whose faces is not checked, because a page is soon made again."""
    return len(_pages(folder))


def _remove_pages(folder: Path, gone: set[str]) -> None:
    """Delete the pages that show faces."""
    for page in _pages(folder):
        page.unlink()


def _outcomes(folder: Path, gone: Collection[str], manifest: Manifest) -> dict[Path, pd.DataFrame | None]:
    """Return the files of outcomes, and of evidence computed from them, that may have something of theirs.

    A comparison that has its predictions or its folds was made in this project, and featurekit report can
    make its outcomes again from the predictions. They are deleted whole, because the later rows of the
    manifest get other numbers. A comparison without predictions cannot make its outcomes again. There, only
    the rows of the subject are removed, if they are rows of this manifest, which the hash of the faces of
    each run tells.

    Args:
        folder: folder of the comparison.
        gone: face ids to remove.
        manifest: from before the removal.

    Returns:
        File → the rows that stay; None to delete the file.
    """
    files = ComparisonFolder(folder)
    if not (files.folds.is_file() or files.all_predictions()):
        return _outcomes_without(folder, gone, manifest)
    there = files.all_outcomes()
    return dict.fromkeys([*there, *(path for path in [files.evidence] if there and path.is_file())])


def _count_in_outcomes(folder: Path, gone: Collection[str], manifest: Manifest) -> int:
    """Return how many files of outcomes and of evidence may have something of theirs."""
    return len(_outcomes(folder, gone, manifest))


def _remove_from_outcomes(folder: Path, gone: Collection[str], manifest: Manifest) -> None:
    """Delete these files, or write them again without the rows."""
    for path, table in _outcomes(folder, gone, manifest).items():
        if table is None:
            path.unlink()
        else:
            write_outcomes(path, table)


def _outcomes_without(
    folder: Path, gone: Collection[str], manifest: Manifest
) -> dict[Path, pd.DataFrame | None]:
    """Return the remaining rows of each file that contains somebody, None if there are none.

    The evidence and the labels come first, so that a stopped removal can be continued: until the end, the
    outcomes of a run still show which rows they have.
    """
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    theirs = np.flatnonzero(np.isin(ids, list(gone)))
    remaining: dict[Path, pd.DataFrame | None] = {}
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
                remaining[path] = table[stay]
    if not remaining:
        return {}
    first: dict[Path, pd.DataFrame | None] = {files.evidence: None} if files.evidence.is_file() else {}
    if files.faces.is_file():
        labels = read_outcomes(files.faces)
        first[files.faces] = labels[~labels["row"].isin(theirs)]
    return first | remaining
