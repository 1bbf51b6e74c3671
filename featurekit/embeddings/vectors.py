"""The vectors of the faces found: read back in the manifest's order, joined over networks, and exported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.shelf import Rows, Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest, csv_of
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.errors import EmbeddingError, UnknownNameError, WorkspaceError
from featurekit.faces.face import STATUSES
from featurekit.faces.settings import FaceSettings
from featurekit.files import whole_file, write_text


@dataclass(frozen=True)
class Vectors:
    """One vector per face found, in the order of the manifest.

    Attributes:
        rows: row numbers in the manifest, shape (n_faces,), increasing.
        face_ids: shape (n_faces,).
        vectors: float32, or uint8 for pixels, shape (n_faces, dim), every number finite.
        blocks: length of each part where several backbones are joined; their sum is dim.
        recipes: what each part was made from.
    """

    rows: NDArray[np.intp]
    face_ids: NDArray[np.str_]
    vectors: NDArray[Any]
    blocks: tuple[int, ...]
    recipes: tuple[Recipe, ...]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.face_ids) == len(self.vectors):
            raise EmbeddingError(f"{len(self.vectors)} vectors for {len(self.face_ids)} faces.")
        if sum(self.blocks) != self.vectors.shape[1]:
            raise EmbeddingError(
                f"Parts with {self.blocks} numbers do not add up to {self.vectors.shape[1]}."
            )
        if self.vectors.dtype.kind != "f":
            return
        finite = np.isfinite(self.vectors).all(axis=1)
        if not finite.all():
            raise EmbeddingError(f"The vector of {self.face_ids[np.argmin(finite)]} is not finite.")


def remembered_statuses(keys: NDArray[np.uint8], faces: Rows) -> NDArray[np.uint8]:
    """Return the status of every row whose face is remembered, as its number in STATUSES, shape (n_rows,).

    The status of the other rows is not_extracted.
    """
    statuses = np.full(len(keys), STATUSES.index("not_extracted"), np.uint8)
    with_image = np.flatnonzero(keys.any(axis=1))
    known = np.delete(with_image, faces.missing(keys[with_image]))
    if len(known):
        statuses[known] = faces.read(keys[known], ["status"])["status"]
    return statuses


def row_statuses(manifest: Manifest, keys: NDArray[np.uint8], faces: Rows) -> NDArray[np.uint8]:
    """Return the status of every row of a manifest as its number in STATUSES, shape (n_rows,)."""
    statuses = remembered_statuses(keys, faces)
    # Only a row whose file could not be read when the manifest was made has no image.
    for row in np.flatnonzero(~keys.any(axis=1)):
        reason = manifest.table["reason"].iloc[row]
        statuses[row] = STATUSES.index(reason if reason in STATUSES else "missing_file")
    return statuses


def faces_recipe(settings: FaceSettings, recipes: Iterable[Recipe]) -> Mapping[str, Any]:
    """Return the recipe of the faces that vectors were made of.

    Args:
        settings: how the faces were found.
        recipes: recipes of the vectors; used if the package of the detector has been removed.
    """
    try:
        return settings.recipe()
    except UnknownNameError:
        for recipe in recipes:
            return recipe.faces
        raise


def load_embeddings(
    manifest: Manifest, recipes: Sequence[Recipe], settings: FaceSettings, store: Store
) -> Vectors:
    """Return the vectors of every face found, joined over recipes.

    Args:
        manifest: manifest of the rows.
        recipes: parts to join side by side, in this order.
        settings: how the faces were found; the same as in the recipes.
        store: where the vectors are remembered.

    Raises:
        WorkspaceError: nothing was extracted by one of these recipes.
    """
    keys = row_keys(manifest, settings)
    statuses = row_statuses(manifest, keys, store.shelf("faces", faces_recipe(settings, recipes)))
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    shelves = [_shelf_with(recipe, keys[rows], store) for recipe in recipes]
    parts = [shelf.read(keys[rows], ["vectors"])["vectors"] for shelf in shelves]
    return Vectors(
        rows=rows,
        face_ids=manifest.table["face_id"].to_numpy(dtype=str)[rows],
        vectors=np.hstack(parts) if len(parts) > 1 else parts[0],
        blocks=tuple(part.shape[1] for part in parts),
        recipes=tuple(recipes),
    )


def without_vectors(
    manifest: Manifest, recipes: Sequence[Recipe], settings: FaceSettings, store: Store
) -> Vectors:
    """Return the faces found with zeros for vectors, for a classifier that does not use vectors.

    Args:
        manifest: manifest of the rows.
        recipes: recipes that the vectors would have.
        settings: how the faces were found; the same as in the recipes.
        store: store that contains the faces.
    """
    faces = store.shelf("faces", faces_recipe(settings, recipes))
    statuses = row_statuses(manifest, row_keys(manifest, settings), faces)
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    face_ids = manifest.table["face_id"].to_numpy(dtype=str)[rows]
    return Vectors(rows, face_ids, np.zeros((len(rows), 1), np.float32), (1,), tuple(recipes))


def check_extracted(
    manifest: Manifest, recipe: Recipe, settings: FaceSettings, statuses: NDArray[np.uint8], store: Store
) -> None:
    """Raise WorkspaceError unless every face found has a vector by this recipe.

    Args:
        manifest: manifest of the rows.
        recipe: what the vectors are made from.
        settings: how the faces were found.
        statuses: from row_statuses().
        store: where the vectors are remembered.
    """
    _shelf_with(recipe, row_keys(manifest, settings)[statuses == STATUSES.index("ok")], store)


def _shelf_with(recipe: Recipe, keys: NDArray[np.uint8], store: Store) -> Shelf:
    """Return the shelf of a recipe, or raise WorkspaceError unless it holds the vectors of all these rows."""
    shelf = store.shelf("embeddings", asdict(recipe))
    n_missing = len(shelf.missing(keys))
    if n_missing == len(keys):
        raise WorkspaceError(
            f"There are no vectors of {recipe.feature} yet. To compute them: featurekit extract"
            f" --backbone {recipe.backbone}"
        )
    if n_missing:
        raise WorkspaceError(
            f"{n_missing} of {len(keys)} faces have no vector of {recipe.feature} yet. To compute them:"
            f" featurekit extract --backbone {recipe.backbone}"
        )
    return shelf


def export_embeddings(embeddings: Vectors, path: Path) -> list[Path]:
    """Write vectors for other programs and return the files written.

    Args:
        embeddings: what to write.
        path: .parquet (columns face_id and vectors) or .npy (vectors; the ids go to a .csv beside).

    Raises:
        EmbeddingError: `path` does not end in .parquet or .npy, or is a folder.
    """
    check_export(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        numbers = pa.array(embeddings.vectors.ravel())
        vectors = pa.FixedSizeListArray.from_arrays(numbers, embeddings.vectors.shape[1])
        with whole_file(path) as file:
            parquet.write_table(pa.table({"face_id": embeddings.face_ids, "vectors": vectors}), file)
        return [path]
    with whole_file(path) as file:
        np.save(file, embeddings.vectors, allow_pickle=False)
    ids = path.with_suffix(".csv")
    write_text(ids, csv_of(pd.DataFrame({"face_id": embeddings.face_ids})))
    return [path, ids]


def check_export(path: Path) -> None:
    """Raise EmbeddingError unless vectors can be written to a file of this name."""
    if path.is_dir():
        raise EmbeddingError(f"{path} is a folder. Name a file in it: {path / 'vectors.parquet'}")
    if path.suffix.lower() not in (".parquet", ".npy"):
        raise EmbeddingError(f"Vectors can be written to .parquet or .npy files. Got '{path.name}' instead.")
    taken = path if path.suffix.lower() == ".parquet" else path.with_suffix(".csv")
    if not _holds_export(taken):
        raise EmbeddingError(
            f"{taken} exists and contains no exported vectors{(' or their ids' if taken != path else '')},"
            " so it would be lost. Give another file, or move it away first."
        )


def _holds_export(path: Path) -> bool:
    """Whether a file is not there, or is one that export_embeddings() writes."""
    if not path.is_file():
        return True
    if path.suffix == ".csv":
        with path.open("rb") as file:
            return file.read(200).split(b"\n")[0].strip() == b"face_id"
    from pyarrow import parquet

    try:
        return list(parquet.read_schema(path).names) == ["face_id", "vectors"]
    except (OSError, ValueError):
        return False
