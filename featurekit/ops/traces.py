"""Find the rows, files, hashes and cache keys of subjects and images in a workspace."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import MOST_STORED, face_keys, row_keys
from featurekit.errors import ManifestError, UnknownNameError
from featurekit.faces.settings import FaceSettings
from featurekit.files import sha256_of_file
from featurekit.project import ProjectFolder
from featurekit.records import read_facts
from featurekit.registry import unknown
from featurekit.urls import UrlPath

# Raise this number if the fields of purge.json change.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Traces:
    """The names, files, hashes and cache keys of subjects and images in a workspace.

    Attributes:
        asked: names of the subjects and images, such as "subject s0" or "image s0_1.png".
        face_ids: face ids of their rows in the manifest.
        files: absolute paths of their image files.
        contents: hashes of their image files, in hex; other subjects may have the same file.
        keys: cache keys of their faces, in hex; other subjects may have the same key.
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
        """The names of all subjects and images."""
        return ", ".join(self.asked)


def find_traces(workspace: ProjectFolder, subjects: Sequence[str], images: Sequence[str]) -> Traces:
    """Return the names, files, hashes and cache keys of subjects and images to remove.

    The result includes those of a purge that was not finished.

    Args:
        workspace: folder of the workspace.
        subjects: names of subjects in the manifest.
        images: paths of images, as in the manifest or relative to the current folder.

    Raises:
        UnknownNameError: the manifest has no subject or image with a given name, and the cache has nothing of
            an image file with that path.
        ManifestError: the manifest does not exist, or has no rows of other subjects.
    """
    manifest = Manifest.load(workspace.manifest)
    begun = read_facts(workspace.purge, VERSION, Traces) or Traces()
    most, chosen = most_faces(workspace), np.zeros(len(manifest), bool)
    asked, predicted = [], Traces()
    for kind, name in (*(("subject", name) for name in subjects), *(("image", path) for path in images)):
        is_theirs = (
            manifest.subjects == name
            if kind == "subject"
            else manifest.table["image_path"].isin(_names_of(name, manifest.root)).to_numpy(bool)
        )
        asked.append(f"{kind} {name}")
        if not is_theirs.any() and asked[-1] not in begun.asked:
            found = _predicted(workspace, Path(name), most) if kind == "image" else None
            if found is None:
                column = "subject_id" if kind == "subject" else "image_path"
                known = sorted(set(manifest.table[column]) - {""})
                raise UnknownNameError(
                    unknown(kind, name, known)
                    if known or kind == "image"
                    else f"{workspace.manifest} has no subjects. Name images with --image instead."
                )
            predicted |= found
        chosen |= is_theirs
    table = manifest.table[chosen]
    traces = (
        begun
        | predicted
        | Traces(
            asked=tuple(asked),
            face_ids=tuple(table["face_id"]),
            files=tuple(file_of(manifest, path) for path in table["image_path"] if path),
            contents=tuple(content for content in table["content"] if content),
            keys=tuple(sorted(keys_of(manifest, chosen, n_faces=most))),
        )
    )
    if not rows_of_others(manifest, traces).any():
        raise ManifestError(
            f"{workspace.manifest} has only rows of {traces.who}. Delete the whole folder {workspace.root}."
        )
    return traces


def _predicted(workspace: ProjectFolder, image: Path, n_faces: int) -> Traces | None:
    """Return the traces of an image that only `predict` has read; None if the cache has nothing of it."""
    try:
        content = sha256_of_file(image)
    except OSError:
        return None
    keys = {bytes(key).hex() for key in face_keys(np.frombuffer(bytes.fromhex(content), np.uint8), n_faces)}
    store = Store(workspace.cache)
    stored = {bytes(key).hex() for shelf in store.shelves() for key in store.keys_on(shelf)}
    if not keys & stored:
        return None
    return Traces(files=(str(image.absolute()),), contents=(content,), keys=tuple(sorted(keys)))


def most_faces(workspace: ProjectFolder) -> int:
    """Return the largest number of faces of one image that the cache may have."""
    several = any(shelf.recipe.get("choose") == "all" for shelf in Store(workspace.cache).shelves())
    return MOST_STORED if several else 1


def _names_of(image: str, root: Path) -> set[str]:
    """Return the names that an image may have in the manifest."""
    if isinstance(root, UrlPath):
        return {image.replace("\\", "/"), image.removeprefix(f"{root}/")}
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
    """Return a mask of the rows of the manifest that belong to other subjects, shape (n_rows,)."""
    return ~manifest.table["face_id"].isin(traces.face_ids).to_numpy(bool)


def keys_of(manifest: Manifest, rows: NDArray[np.bool_] | None = None, *, n_faces: int = 1) -> set[str]:
    """Return the cache keys, in hex, of the faces in some or all rows, for each way to choose a face.

    Args:
        manifest: the manifest.
        rows: mask of the rows, shape (n_rows,); None for all rows.
        n_faces: largest number of faces of one image that the cache may have, from most_faces().
    """
    table = manifest.table if rows is None else manifest.table[rows]
    if not len(table):
        return set()
    some = replace(manifest, table=table)
    first, by_box = (row_keys(some, FaceSettings(choose=choose)) for choose in ("center", "box"))
    keys = np.concatenate([by_box, *(face_keys(key, n_faces) for key in first if key.any())])
    return {bytes(key).hex() for key in keys if key.any()}


def own_keys(manifest: Manifest, traces: Traces, n_faces: int) -> set[str]:
    """Return the cache keys of the subjects that no other row of the manifest has.

    Args:
        manifest: the manifest.
        traces: the traces of the subjects.
        n_faces: largest number of faces of one image that the cache may have, from most_faces().
    """
    return set(traces.keys) - keys_of(manifest, rows_of_others(manifest, traces), n_faces=n_faces)
