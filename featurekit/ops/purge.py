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

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.ops._unfinished import files_below
from featurekit.ops.places import places_of
from featurekit.ops.traces import VERSION, Traces, keys_of, own_keys, rows_of_others
from featurekit.project import ProjectFolder
from featurekit.records import write_facts

# What keeps what it has learned, and files below a workspace that say so.
LEARNED = {
    "models": ("models/*/model.json", "reports/*/*replaced-*/models/*/model.json"),
    "training checkpoints": ("cache/training/*.safetensors",),
    "runs": ("reports/*/runs/*.json", "reports/*/*replaced-*/runs/*.json"),
    "evidence.json": ("reports/*/evidence.json", "reports/*/*replaced-*/evidence.json"),
    "reports": ("reports/*/report.*", "reports/*/*replaced-*/report.*"),
}


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


def look(workspace: ProjectFolder, traces: Traces) -> Purged:
    """Return what a purge would remove; nothing is changed.

    Raises:
        FeaturekitError: a file cannot be read; the message says what to do.
    """
    for folder in (workspace.cache, workspace.models, workspace.reports):
        files_below(folder)  # refuses what cannot be looked into
    manifest, store = Manifest.load(workspace.manifest), Store(workspace.cache)
    counted = ((place.name, place.count(), place.unit) for place in places_of(workspace, traces))
    places = tuple(one for one in counted if one[1])
    others = rows_of_others(manifest, traces)
    remembered = _remembered(store)
    shared = keys_of(manifest, others) & remembered
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
            if keys_of(manifest, np.arange(len(manifest)) == row) & shared
        ),
        joined=bool(
            manifest.info.get("tally", {}).get("rows whose subject was joined with another")
            and mine["content"][mine["content"] != ""].duplicated().any()
        ),
        learned={what: n for what, n in there.items() if n},
        strangers=len(remembered - keys_of(manifest) - set(traces.keys)),
    )


def purge(workspace: ProjectFolder, traces: Traces) -> Purged:
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
    for place in places_of(workspace, traces):
        if place.count():
            place.remove()
    left = what_is_left(workspace, traces)
    if left:
        raise WorkspaceError(
            f"Some data of {traces.who} could not be removed: {'; '.join(left)}. Delete them, or run the"
            " purge again."
        )
    unfinished.unlink()
    return found


def what_is_left(workspace: ProjectFolder, traces: Traces) -> list[str]:
    """Read everything anew and return, a line each, what there still is of somebody."""
    damaged = Store(workspace.cache).verify().damaged
    left = [f"{damage.path}, which is damaged" for damage in damaged]
    for place in places_of(workspace, traces):
        n = place.count()
        if n:
            left.append(f"{n} {place.unit} in {place.name}")
    # Files of the cache that are no shards: whatever their format, the bytes would be there.
    keys = own_keys(Manifest.load(workspace.manifest), traces)
    needles = [needle for key in keys for needle in (bytes.fromhex(key), key.encode())]
    for path in files_below(workspace.cache):
        if path.is_file() and path.suffix != ".safetensors":
            data = path.read_bytes()
            if any(needle in data for needle in needles):
                left.append(f"a hash in {path}")
    return left


def _remembered(store: Store) -> set[str]:
    """Return every key in the cache."""
    return {bytes(key).hex() for shelf in store.shelves() for key in store.keys_on(shelf)}
