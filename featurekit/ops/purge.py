"""Remove all data of subjects from a workspace, and check that none are left.

The module ops/places.py lists the places that may have such data. The list is used to count what would be
removed, to remove it, and to check that it is removed.

The names and hashes to remove are first written to purge.json, which is deleted last, so that running a
killed purge again completes it. The rows of the manifest are removed before the rows of the cache, so that no
extraction adds them to the cache again.

Models that were fitted on a removed face are not changed, but listed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.ops.places import files_below, folders_of_cache, places_of
from featurekit.ops.traces import VERSION, Traces, keys_of, most_faces, own_keys, rows_of_others
from featurekit.project import ProjectFolder
from featurekit.records import write_facts

# What cannot forget a face that it was made from → its files below a workspace.
LEARNED = {
    "models": ("models/*/model.json", "reports/*/*replaced-*/models/*/model.json"),
    "training checkpoints": ("cache/training/*.safetensors",),
    "runs": ("reports/*/runs/*.json", "reports/*/*replaced-*/runs/*.json"),
    "evidence.json": ("reports/*/evidence.json", "reports/*/*replaced-*/evidence.json"),
    "reports": (
        *("reports/*/report.*", "reports/*/*replaced-*/report.*"),
        *("reports/*/model_card.md", "reports/*/*replaced-*/model_card.md"),
    ),
    "mean faces": ("reports/*/average/*/*.png", "reports/*/*replaced-*/average/*/*.png"),
}


@dataclass(frozen=True, kw_only=True)
class Purged:
    """The result of a purge, or of a dry run that removes nothing.

    Attributes:
        who: names of the subjects and images.
        files: image files of the subjects, which are not changed.
        places: name, count and unit of each place that had data of the subjects.
        shared: images whose vectors stay, because another row of the manifest has the same image.
        joined: whether featurekit prepare gave one name to several subjects because they share an image, and
            the removed subjects have such images.
        learned: mapping from a kind of file, such as "models", to the number of files that may have been made
            from the removed faces.
        strangers: number of faces in the cache that belong to no row of the manifest, so that their subjects
            are not known.
    """

    who: str
    files: tuple[str, ...]
    places: tuple[tuple[str, int, str], ...]
    shared: tuple[str, ...]
    joined: bool
    learned: Mapping[str, int]
    strangers: int


def look(workspace: ProjectFolder, traces: Traces) -> Purged:
    """Return what a purge would remove, without changing anything.

    Raises:
        FeaturekitError: a file cannot be read; the message says what to do.
    """
    for folder in (*folders_of_cache(workspace), workspace.models, workspace.reports):
        files_below(folder)  # raises an error for a folder that cannot be read
    manifest, store = Manifest.load(workspace.manifest), Store(workspace.cache)
    counted = ((place.name, place.count(), place.unit) for place in places_of(workspace, traces))
    places = tuple(one for one in counted if one[1])
    others = rows_of_others(manifest, traces)
    remembered = {bytes(key).hex() for shelf in store.shelves() for key in store.keys_on(shelf)}
    most = most_faces(workspace)
    shared = keys_of(manifest, others, n_faces=most) & remembered
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
            if keys_of(manifest, np.arange(len(manifest)) == row, n_faces=most) & shared
        ),
        joined=bool(
            manifest.info.get("tally", {}).get("rows whose subject was joined with another")
            and mine["content"][mine["content"] != ""].duplicated().any()
        ),
        learned={what: n for what, n in there.items() if n},
        strangers=len(remembered - keys_of(manifest, n_faces=most) - set(traces.keys)),
    )


def purge(workspace: ProjectFolder, traces: Traces) -> Purged:
    """Remove all data of the subjects, check that none are left, and return what was removed.

    No other command may run in the workspace at the same time, because it could write such data again.

    Raises:
        WorkspaceError: some data are left, or cannot be removed.
        StoreError: the cache is in a bucket that keeps what is deleted.
    """
    Store(workspace.cache).check_forgets()
    # Damaged shards may have rows of anybody. This moves them aside, and they are removed with the rest.
    Store(workspace.cache).verify()
    found = look(workspace, traces)
    write_facts(workspace.purge, VERSION, asdict(traces))
    for place in places_of(workspace, traces):
        place.remove()
    if left := what_is_left(workspace, traces):
        raise WorkspaceError(
            f"Some data of {traces.who} could not be removed: {'; '.join(left)}. Delete them, or run the"
            " purge again."
        )
    workspace.purge.unlink()
    return found


def what_is_left(workspace: ProjectFolder, traces: Traces) -> list[str]:
    """Read the workspace again, and return a line for each place that still has data of the subjects."""
    left = [f"{damage.path}, which is damaged" for damage in Store(workspace.cache).verify().damaged]
    counted = ((place.count(), place) for place in places_of(workspace, traces))
    left += [f"{n} {place.unit} in {place.name}" for n, place in counted if n]
    # The format of other files of the cache than shards is not known, but a hash would be in their bytes.
    keys = own_keys(Manifest.load(workspace.manifest), traces, most_faces(workspace))
    needles = [needle for key in keys for needle in (bytes.fromhex(key), key.encode())]
    places = dict.fromkeys(place.absolute() for place in (workspace.cache, workspace.own_cache))
    for path, data in (one for place in places for one in Store(place).other_files()):
        if any(needle in data for needle in needles):
            left.append(f"a hash in {path}")
    return left
