"""Who is to be forgotten: what a person or a photograph is known by in a workspace."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import row_keys
from featurekit.errors import ManifestError, UnknownNameError
from featurekit.faces.settings import FaceSettings
from featurekit.project import ProjectFolder
from featurekit.records import read_facts
from featurekit.registry import unknown

# Raise when purge.json holds other things.
VERSION = 1


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


def find_traces(workspace: ProjectFolder, subjects: Sequence[str], images: Sequence[str]) -> Traces:
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
    begun = read_facts(workspace.purge, VERSION, Traces) or Traces()
    asked, chosen = [], np.zeros(len(manifest), bool)
    for name in subjects:
        theirs = manifest.subjects == name
        asked.append(f"subject {name}")
        if not theirs.any() and asked[-1] not in begun.asked:
            known = sorted(set(manifest.table["subject_id"]) - {""})
            if not known:
                raise UnknownNameError(
                    f"{workspace.manifest} has no subjects. Name images with --image instead."
                )
            raise UnknownNameError(unknown("subject", name, known))
        chosen |= theirs
    for path in images:
        theirs = manifest.table["image_path"].isin(_names_of(path, manifest.root)).to_numpy(bool)
        asked.append(f"image {path}")
        if not theirs.any() and asked[-1] not in begun.asked:
            known = sorted(set(manifest.table["image_path"]) - {""})
            raise UnknownNameError(unknown("photograph", path, known))
        chosen |= theirs
    table = manifest.table[chosen]
    traces = begun | Traces(
        asked=tuple(asked),
        face_ids=tuple(table["face_id"]),
        files=tuple(file_of(manifest, path) for path in table["image_path"] if path),
        contents=tuple(content for content in table["content"] if content),
        keys=tuple(sorted(keys_of(manifest, chosen))),
    )
    if not rows_of_others(manifest, traces).any():
        raise ManifestError(
            f"{workspace.manifest} contains nobody but {traces.who}. Delete the whole folder"
            f" {workspace.root}."
        )
    return traces


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


def file_of(manifest: Manifest, path: str) -> str:
    """Return where a photograph of the manifest lies, as featurekit prepare called it."""
    return str((manifest.root / path).absolute())


def rows_of_others(manifest: Manifest, traces: Traces) -> NDArray[np.bool_]:
    """Return which rows are of somebody else, shape (n_rows,)."""
    return ~manifest.table["face_id"].isin(traces.face_ids).to_numpy(bool)


def keys_of(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> set[str]:
    """Return in hex what the faces of some rows may be remembered by, whatever chose them; None for all."""
    table = manifest.table if rows is None else manifest.table[rows]
    if not len(table):
        return set()
    some = replace(manifest, table=table)
    keys = [row_keys(some, FaceSettings(choose=choose)) for choose in ("center", "box")]
    return {bytes(key).hex() for key in np.concatenate(keys) if key.any()}


def own_keys(manifest: Manifest, traces: Traces) -> set[str]:
    """Return the keys that no other row of the manifest needs."""
    return set(traces.keys) - keys_of(manifest, rows_of_others(manifest, traces))
