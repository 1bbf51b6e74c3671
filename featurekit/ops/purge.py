"""Remove a person from a workspace, everywhere, and look whether anything is left.

A person is known by rows of the manifest, by the hashes of photographs, and by face
ids: in the cache, the folds, the predictions and the audit; and by row numbers in
the outcomes. Each such place can say
how much of the person it holds, which is read from the disk anew every time, and can
let go of it. So a list of places is at once what would go, what goes, and the check
that it is gone.

What is to go is first written to purge.json, which goes last: a purge that was
killed ends what it began when it is run again. The manifest's rows go before the
cache's, so that no extraction in between brings them back.

What has learned from a face cannot forget it, and is named instead.
"""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.store import FileIndex, ShelfInfo, Store
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.extractor import row_keys
from featurekit.errors import ManifestError, UnknownNameError, WorkspaceError
from featurekit.evaluation.outcomes import read_predictions
from featurekit.faces.find import FaceSettings
from featurekit.files import (
    is_running,
    is_unfinished,
    read_facts,
    whole_file,
    write_facts,
    write_text,
    writer_of,
)
from featurekit.ops import _forget_outcomes
from featurekit.project import ComparisonFolder, Project
from featurekit.registry import unknown
from featurekit.report.gallery import shows_people
from featurekit.text import as_it_was

# Raise when purge.json holds other things.
VERSION = 1

# What keeps what it has learned, and files below a workspace that say so.
LEARNED = {
    "models": ("models/*/model.json", "reports/*/*replaced-*/models/*/model.json"),
    "training checkpoints": ("cache/training/*.safetensors",),
    "runs": ("reports/*/runs/*.json", "reports/*/*replaced-*/runs/*.json"),
    "evidence.json": ("reports/*/evidence.json", "reports/*/*replaced-*/evidence.json"),
    "reports": ("reports/*/report.*", "reports/*/*replaced-*/report.*"),
}


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What somebody is known by in a workspace.

    Attributes:
        asked: who was named, e.g. "subject s0" or "photograph s0_1.png".
        face_ids: of their rows in the manifest.
        files: their photographs, absolute.
        contents: hashes of these, in hex, also of those that others share.
        keys: what their faces may be remembered by, in hex, also where others share it.
    """

    asked: tuple[str, ...] = ()
    face_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def __or__(self, other: "Traces") -> "Traces":
        """Return what either is known by."""
        mine, theirs = vars(self), vars(other)
        return Traces(**{name: tuple(dict.fromkeys((*mine[name], *theirs[name]))) for name in mine})

    @property
    def who(self) -> str:
        """Everybody who was named."""
        return ", ".join(self.asked)


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


@dataclass(frozen=True, kw_only=True)
class Purged:
    """What was removed, or would be.

    Attributes:
        who: everybody who was named.
        files: their photographs, which are not touched.
        places: where, how much, of what; only places that held something.
        shared: photographs whose vectors stay, another row of the manifest having the same.
        joined: whether the data set's preparation gave several subjects one name because they share a
            photograph, and this person has such photographs.
        learned: what may have learned from the faces → how many there are.
        strangers: faces in the cache that belong to no row of the manifest: whose, nobody can tell.
    """

    who: str
    files: tuple[str, ...]
    places: tuple[tuple[str, int, str], ...]
    shared: tuple[str, ...]
    joined: bool
    learned: Mapping[str, int]
    strangers: int


def find_traces(workspace: Project, subjects: Sequence[str], images: Sequence[str]) -> Traces:
    """Return what persons and photographs are known by, with those of a purge that was not finished.

    Args:
        workspace: where.
        subjects: as the manifest calls them.
        images: paths as the manifest writes them, or as they are from here.

    Raises:
        UnknownNameError: the manifest has no such subject or photograph.
        ManifestError: there is no manifest, or nobody else is in it.
    """
    manifest = Manifest.load(workspace.manifest)
    content = read_facts(workspace.purge, VERSION)
    begun = Traces(**{name: tuple(values) for name, values in (content or {}).items()})
    asked, chosen = [], np.zeros(len(manifest), bool)
    for name in subjects:
        theirs = manifest.subjects == name
        asked.append(f"subject {name}")
        if not theirs.any() and asked[-1] not in begun.asked:
            known = sorted(set(manifest.table["subject_id"]) - {""})
            if not known:
                raise UnknownNameError(
                    f"{workspace.manifest} names no subjects. Name photographs with --image."
                )
            raise UnknownNameError(unknown("subject", name, known))
        chosen |= theirs
    for path in images:
        theirs = manifest.table["image_path"].isin(_names_of(path, manifest.root)).to_numpy(bool)
        asked.append(f"photograph {path}")
        if not theirs.any() and asked[-1] not in begun.asked:
            known = sorted(set(manifest.table["image_path"]) - {""})
            raise UnknownNameError(unknown("photograph", path, known))
        chosen |= theirs
    table = manifest.table[chosen]
    traces = begun | Traces(
        asked=tuple(asked),
        face_ids=tuple(table["face_id"]),
        files=tuple(_file(manifest, path) for path in table["image_path"] if path),
        contents=tuple(content for content in table["content"] if content),
        keys=tuple(sorted(_keys(manifest, chosen))),
    )
    if not _others(manifest, traces).any():
        raise ManifestError(
            f"Nobody but {traces.who} is in {workspace.manifest}. Delete the whole folder {workspace.root}."
        )
    return traces


def look(workspace: Project, traces: Traces) -> Purged:
    """Return what a purge would remove; nothing is changed.

    Raises:
        FeaturekitError: a file cannot be read; the message says what to do.
    """
    for folder in (workspace.cache, workspace.models, workspace.reports):
        _files_below(folder)  # refuses what cannot be looked into
    manifest, store = Manifest.load(workspace.manifest), Store(workspace.cache)
    counted = ((place.name, place.count(), place.unit) for place in _places(workspace, traces))
    places = tuple(one for one in counted if one[1])
    others = _others(manifest, traces)
    remembered = _remembered(store)
    shared = _keys(manifest, others) & remembered
    mine = manifest.table[~others]
    there = {
        what: sum(len(list(workspace.root.glob(pattern))) for pattern in patterns)
        for what, patterns in LEARNED.items()
    }
    return Purged(
        who=traces.who,
        files=traces.files,
        places=places,
        shared=tuple(
            manifest.table["image_path"].iloc[row]
            for row in np.flatnonzero(~others)
            if _keys(manifest, np.arange(len(manifest)) == row) & shared
        ),
        joined=bool(
            manifest.info.get("tally", {}).get("rows whose subject was joined with another")
            and mine["content"][mine["content"] != ""].duplicated().any()
        ),
        learned={what: n for what, n in there.items() if n},
        strangers=len(remembered - _keys(manifest) - set(traces.keys)),
    )


def purge(workspace: Project, traces: Traces) -> Purged:
    """Remove all that somebody is known by, read everything anew, and return what was removed.

    Nothing else may run in the workspace meanwhile: it could write again what it remembers.

    Raises:
        WorkspaceError: something is left, or cannot be removed.
    """
    # Damaged shards may hold anybody: they are put aside, and go with the rest.
    Store(workspace.cache).verify()
    found = look(workspace, traces)
    unfinished = workspace.purge
    write_facts(unfinished, VERSION, asdict(traces))
    for place in _places(workspace, traces):
        if place.count():
            place.remove()
    left = what_is_left(workspace, traces)
    if left:
        raise WorkspaceError(f"Of {traces.who} there is still: {'; '.join(left)}. Remove it, or purge again.")
    unfinished.unlink()
    return found


def what_is_left(workspace: Project, traces: Traces) -> list[str]:
    """Read everything anew and return, a line each, what there still is of somebody."""
    damaged = Store(workspace.cache).verify().damaged
    left = [f"{damage.path}, which is damaged" for damage in damaged]
    for place in _places(workspace, traces):
        n = place.count()
        if n:
            left.append(f"{n} {place.unit} in {place.name}")
    # Files of the cache that are no shards: whatever their format, the bytes would be there.
    keys = _own_keys(Manifest.load(workspace.manifest), traces)
    needles = [needle for key in keys for needle in (bytes.fromhex(key), key.encode())]
    for path in _files_below(workspace.cache):
        if path.is_file() and path.suffix != ".safetensors":
            data = path.read_bytes()
            if any(needle in data for needle in needles):
                left.append(f"a hash in {path}")
    return left


def _files_below(folder: Path) -> list[Path]:
    """Return every file below a folder.

    Raises:
        WorkspaceError: a folder cannot be looked into; Path.rglob() would pass over it.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise WorkspaceError(
                f"Cannot look into {error.filename}: {error.strerror or error}. Whoever is in there would not"
                " be forgotten: make it readable, or delete it."
            ) from error

    return sorted(Path(where, name) for where, _, names in os.walk(folder, onerror=refuse) for name in names)


def _names_of(image: str, root: Path) -> set[str]:
    """Return what the manifest may call a photograph that a user calls so."""
    names = {image.replace("\\", "/")}
    for path, folder in (
        (Path(image).absolute(), root.absolute()),
        (Path(os.path.realpath(image)), Path(os.path.realpath(root))),
    ):
        if path.is_relative_to(folder):
            names.add(path.relative_to(folder).as_posix())
    return names


def _file(manifest: Manifest, path: str) -> str:
    """Return where a photograph of the manifest lies, as featurekit prepare called it."""
    return str((manifest.root / path).absolute())


def _others(manifest: Manifest, traces: Traces) -> NDArray[np.bool_]:
    """Return which rows are of somebody else, shape (n_rows,)."""
    return ~manifest.table["face_id"].isin(traces.face_ids).to_numpy(bool)


def _keys(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> set[str]:
    """Return in hex what the faces of some rows may be remembered by, whatever chose them; None for all."""
    table = manifest.table if rows is None else manifest.table[rows]
    if not len(table):
        return set()
    some = replace(manifest, table=table)
    keys = [row_keys(some, FaceSettings(choose=choose)) for choose in ("center", "box")]
    return {bytes(key).hex() for key in np.concatenate(keys) if key.any()}


def _own_keys(manifest: Manifest, traces: Traces) -> set[str]:
    """Return the keys that no other row of the manifest needs."""
    return set(traces.keys) - _keys(manifest, _others(manifest, traces))


def _remembered(store: Store) -> set[str]:
    """Return every key in the cache."""
    return {bytes(key).hex() for shelf in store.shelves() for key in store.keys_on(shelf)}


def _places(workspace: Project, traces: Traces) -> list[Place]:
    """Return every place that may hold something of somebody, in the order it is to be removed."""
    manifest, store = Manifest.load(workspace.manifest), Store(workspace.cache)
    gone, own = set(traces.face_ids), _own_keys(manifest, traces)
    keys = np.frombuffer(bytes.fromhex("".join(sorted(own))), np.uint8).reshape(-1, 32)
    folders = workspace.comparisons()
    comparisons = [
        part for folder in folders for part in (folder, *ComparisonFolder(folder).all_replaced_folders())
    ]
    places = [
        # First, because it is refused where somebody still writes.
        Place(
            "all folders",
            "unfinished files",
            lambda: len(_unfinished(workspace)),
            lambda: _remove_unfinished(workspace),
        ),
        # These are told by row numbers of the manifest as it still is.
        *(
            Place(
                f"{folder.relative_to(workspace.root).as_posix()}/outcomes",
                "files",
                partial(_forget_outcomes.count, folder, gone, manifest),
                partial(_forget_outcomes.remove, folder, gone, manifest),
            )
            for folder in comparisons
        ),
        Place(
            workspace.manifest.name,
            "rows",
            lambda: int((~_others(Manifest.load(workspace.manifest), traces)).sum()),
            lambda: _remove_from_manifest(workspace.manifest, traces),
        ),
    ]
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
            _file(manifest, path) for path in manifest.table["image_path"][_others(manifest, traces)]
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
    for folder in comparisons:
        places += _places_of_comparison(folder, gone, folder.relative_to(workspace.root).as_posix())
    return places


def _places_of_comparison(folder: Path, gone: set[str], name: str) -> list[Place]:
    return [
        Place(f"{name}/{what}", unit, partial(count, folder, gone), partial(remove, folder, gone))
        for what, unit, count, remove in (
            ("folds.json", "rows", _count_in_folds, _remove_from_folds),
            ("predictions", "rows", _count_in_predictions, _remove_from_predictions),
            ("audit_rows.csv", "rows", _count_in_audit, _remove_from_audit),
            ("*.html", "pages that show faces", _count_pages, _remove_pages),
        )
    ]


# ---------------------------------------------------------------- manifest, cache


def _remove_from_manifest(path: Path, traces: Traces) -> None:
    manifest = Manifest.load(path)
    cells = [cell for cell in manifest.info.get("bad_cells", ()) if cell["face_id"] not in traces.face_ids]
    info = {**manifest.info, **({"bad_cells": cells} if "bad_cells" in manifest.info else {})}
    replace(manifest, table=manifest.table[_others(manifest, traces)], info=info).save(path)


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


# ---------------------------------------------------------------- comparisons


def _count_in_folds(folder: Path, gone: set[str]) -> int:
    path = ComparisonFolder(folder).folds
    return int(np.isin(FoldSet.load(path).face_ids, list(gone)).sum()) if path.is_file() else 0


def _remove_from_folds(folder: Path, gone: set[str]) -> None:
    """Leave everybody else in the fold they are in."""
    path = ComparisonFolder(folder).folds
    folds = FoldSet.load(path)
    stay = ~np.isin(folds.face_ids, list(gone))
    replace(folds, face_ids=folds.face_ids[stay], numbers=folds.numbers[stay]).save(path)


def _predictions(folder: Path) -> dict[Path, pd.DataFrame]:
    return {path: read_predictions(path) for path in ComparisonFolder(folder).all_predictions()}


def _count_in_predictions(folder: Path, gone: set[str]) -> int:
    return sum(int(table["face_id"].isin(gone).sum()) for table in _predictions(folder).values())


def _remove_from_predictions(folder: Path, gone: set[str]) -> None:
    for path, table in _predictions(folder).items():
        theirs = table["face_id"].isin(gone)
        if theirs.any():
            with whole_file(path) as file:
                table[~theirs].to_parquet(file, index=False)


def _audit_rows(folder: Path) -> list[list[str]]:
    path = ComparisonFolder(folder).audit_rows
    return list(csv.reader(StringIO(path.read_text(), newline=""))) if path.is_file() else []


def _count_in_audit(folder: Path, gone: set[str]) -> int:
    return sum(as_it_was(row[-1]) in gone for row in _audit_rows(folder)[1:] if row)


def _remove_from_audit(folder: Path, gone: set[str]) -> None:
    head, *rows = _audit_rows(folder)
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(row for row in rows if row and as_it_was(row[-1]) not in gone)
    write_text(ComparisonFolder(folder).audit_rows, table.getvalue())


def _pages(folder: Path) -> list[Path]:
    return sorted(page for page in folder.glob("*.html") if shows_people(page))


def _count_pages(folder: Path, gone: set[str]) -> int:
    """Return how many pages show faces: whose, is not looked at, since a page is soon written again."""
    return len(_pages(folder))


def _remove_pages(folder: Path, gone: set[str]) -> None:
    for page in _pages(folder):
        page.unlink()


# ---------------------------------------------------------------- what killed writers have left


def _unfinished(workspace: Project) -> list[Path]:
    """Return the files that somebody has begun to write."""
    found = list(workspace.root.iterdir())
    for folder in (workspace.cache, workspace.reports):
        found += _files_below(folder)
    return sorted(path for path in found if is_unfinished(path))


def _remove_unfinished(workspace: Project) -> None:
    for path in _unfinished(workspace):
        writer = writer_of(path)
        if writer not in (None, os.getpid()) and is_running(writer):
            raise WorkspaceError(
                f"Process {writer} is writing {path}. End it, and run the purge again; if it is another"
                " program, delete the file."
            )
        path.unlink(missing_ok=True)
