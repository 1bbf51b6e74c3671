"""Find subjects and images in a workspace: their rows, files, hashes and cache keys."""

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

# Raise this number if the fields of purge.json change.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Traces:
    """The traces of subjects and images in a workspace.

    Attributes:
        asked: who was named, e.g. "subject s0" or "image s0_1.png".
        face_ids: ids of their rows in the manifest.
        files: absolute paths of their images.
        contents: hashes of the images, in hex, also of those that others share.
        keys: cache keys of their faces, in hex, also of those that others share.
    """

    asked: tuple[str, ...] = ()
    face_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def __or__(self, other: "Traces") -> "Traces":
        """Return the traces of both."""
        mine, theirs = vars(self), vars(other)
        return Traces(**{name: tuple(dict.fromkeys((*mine[name], *theirs[name]))) for name in mine})

    @property
    def who(self) -> str:
        """All who were named."""
        return ", ".join(self.asked)


def find_traces(workspace: ProjectFolder, subjects: Sequence[str], images: Sequence[str]) -> Traces:
    """Return the traces of subjects and images, and those of a purge that was not finished.

    Args:
        workspace: the folder.
        subjects: by their names in the manifest.
        images: paths as in the manifest, or from the current folder.

    Raises:
        UnknownNameError: the manifest has no such subject or image.
        ManifestError: there is no manifest, or nobody else is in it.
    """
    manifest = Manifest.load(workspace.manifest)
    begun = read_facts(workspace.purge, VERSION, Traces) or Traces()
    asked, chosen = [], np.zeros(len(manifest), bool)
    for kind, name in (*(("subject", name) for name in subjects), *(("image", path) for path in images)):
        is_theirs = (
            manifest.subjects == name
            if kind == "subject"
            else manifest.table["image_path"].isin(_names_of(name, manifest.root)).to_numpy(bool)
        )
        asked.append(f"{kind} {name}")
        if not is_theirs.any() and asked[-1] not in begun.asked:
            known = sorted(set(manifest.table["subject_id" if kind == "subject" else "image_path"]) - {""})
            raise UnknownNameError(
                unknown(kind, name, known)
                if known or kind == "image"
                else f"{workspace.manifest} has no subjects. Name images with --image instead."
            )
        chosen |= is_theirs
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
    """Return the names that an image may have in the manifest."""
    places = (
        (Path(image).absolute(), root.absolute()),
        (Path(os.path.realpath(image)), Path(os.path.realpath(root))),
    )
    inside = (path.relative_to(folder).as_posix() for path, folder in places if path.is_relative_to(folder))
    return {image.replace("\\", "/"), *inside}


def file_of(manifest: Manifest, path: str) -> str:
    """Return the absolute path of an image of the manifest."""
    return str((manifest.root / path).absolute())


def rows_of_others(manifest: Manifest, traces: Traces) -> NDArray[np.bool_]:
    """Return a mask of the rows that do not belong to the traced subjects, shape (n_rows,)."""
    return ~manifest.table["face_id"].isin(traces.face_ids).to_numpy(bool)


def keys_of(manifest: Manifest, rows: NDArray[np.bool_] | None = None) -> set[str]:
    """Return the cache keys in hex of the faces of some rows, or all, for every way to choose a face."""
    table = manifest.table if rows is None else manifest.table[rows]
    if not len(table):
        return set()
    some = replace(manifest, table=table)
    keys = [row_keys(some, FaceSettings(choose=choose)) for choose in ("center", "box")]
    return {bytes(key).hex() for key in np.concatenate(keys) if key.any()}


def own_keys(manifest: Manifest, traces: Traces) -> set[str]:
    """Return the cache keys that no other row of the manifest has."""
    return set(traces.keys) - keys_of(manifest, rows_of_others(manifest, traces))
