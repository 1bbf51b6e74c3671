"""Remove a subject from a whole workspace, and check whether anything is left.

A subject is known by rows of the manifest, by the hashes of images in the cache, by
face ids in the folds, the predictions and the audit, and by row numbers in the
outcomes. Each such place can count what it has of the subject, which is read from the
disk anew every time, and can remove it. So one list of places tells what would be
removed, removes it, and checks that it is removed.

What is to be removed is first written to purge.json, which is deleted last: if a purge
is killed, running it again completes it. The manifest's rows are removed before those of
the cache, so that no extraction in between adds them again.

Models that were fitted on a face cannot forget it. They are listed instead.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.ops.places import files_below, places_of
from featurekit.ops.traces import VERSION, Traces, keys_of, own_keys, rows_of_others
from featurekit.project import ProjectFolder
from featurekit.records import write_facts

# What cannot forget a face that it was made from → its files below a workspace.
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
        who: all who were named.
        files: their image files, which are not touched.
        places: name, count and unit of each place that had something of them.
        shared: images whose vectors stay, because another row of the manifest has the same content.
        joined: whether featurekit prepare gave one name to several subjects because they share an image, and
            the removed subjects have such images.
        learned: kind of file that may have been made from the faces → number of such files.
        strangers: number of faces in the cache that belong to no row of the manifest, so that nobody knows
            whose they are.
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
        files_below(folder)  # raises an error for a folder that cannot be read
    manifest, store = Manifest.load(workspace.manifest), Store(workspace.cache)
    counted = ((place.name, place.count(), place.unit) for place in places_of(workspace, traces))
    places = tuple(one for one in counted if one[1])
    others = rows_of_others(manifest, traces)
    remembered = {bytes(key).hex() for shelf in store.shelves() for key in store.keys_on(shelf)}
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
    """Remove everything of somebody, check that, and return what was removed.

    Nothing else may run in the workspace at the same time, because it could write something again.

    Raises:
        WorkspaceError: something is left, or cannot be removed.
    """
    # Damaged shards may have rows of anybody. This moves them aside, and they are removed with the rest.
    Store(workspace.cache).verify()
    found = look(workspace, traces)
    write_facts(workspace.purge, VERSION, asdict(traces))
    for place in places_of(workspace, traces):
        if place.count():
            place.remove()
    if left := what_is_left(workspace, traces):
        raise WorkspaceError(
            f"Some data of {traces.who} could not be removed: {'; '.join(left)}. Delete them, or run the"
            " purge again."
        )
    workspace.purge.unlink()
    return found


def what_is_left(workspace: ProjectFolder, traces: Traces) -> list[str]:
    """Read everything anew and return a line about each thing that is left of somebody."""
    left = [f"{damage.path}, which is damaged" for damage in Store(workspace.cache).verify().damaged]
    counted = ((place.count(), place) for place in places_of(workspace, traces))
    left += [f"{n} {place.unit} in {place.name}" for n, place in counted if n]
    # The format of other files of the cache than shards is not known, but a hash would be in their bytes.
    keys = own_keys(Manifest.load(workspace.manifest), traces)
    needles = [needle for key in keys for needle in (bytes.fromhex(key), key.encode())]
    for path in files_below(workspace.cache):
        if path.is_file() and path.suffix != ".safetensors":
            data = path.read_bytes()
            if any(needle in data for needle in needles):
                left.append(f"a hash in {path}")
    return left
