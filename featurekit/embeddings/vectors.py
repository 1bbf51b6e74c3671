"""Read the vectors of faces from the cache, join the vectors of several networks, and export vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest, csv_of
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.errors import EmbeddingError, UnknownNameError, WorkspaceError
from featurekit.faces.face import STATUSES
from featurekit.faces.settings import FaceSettings
from featurekit.files import is_file, is_folder, opened, whole_file, write_text


@dataclass(frozen=True)
class Vectors:
    """One vector for each face that was found, in the order of the manifest.

    Attributes:
        rows: row number of each face in the manifest, shape (n_faces,), increasing.
        face_ids: face_id of each face, shape (n_faces,).
        vectors: finite numbers, shape (n_faces, dim), float32, or uint8 for vectors of pixels.
        blocks: lengths of the vectors that are joined to one, one for each backbone; their sum is dim.
        recipes: recipe of each of the joined vectors.
    """

    rows: NDArray[np.intp]
    face_ids: NDArray[np.str_]
    vectors: NDArray[Any]
    blocks: tuple[int, ...]
    recipes: tuple[Recipe, ...]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.face_ids) == len(self.vectors):
            raise EmbeddingError(f"There are {len(self.vectors)} vectors for {len(self.face_ids)} faces.")
        if sum(self.blocks) != self.vectors.shape[1]:
            raise EmbeddingError(
                f"The lengths {self.blocks} of the joined vectors do not add up to {self.vectors.shape[1]}."
            )
        if self.vectors.dtype.kind != "f":
            return
        finite = np.isfinite(self.vectors).all(axis=1)
        if not finite.all():
            raise EmbeddingError(f"The vector of {self.face_ids[np.argmin(finite)]} is not finite.")


def remembered_statuses(keys: NDArray[np.uint8], faces: Shelf) -> NDArray[np.uint8]:
    """Return the stored status of every row, as a number, the position in STATUSES, shape (n_rows,).

    A row whose face is not stored has the status not_extracted.

    Args:
        keys: key of each row, from row_keys().
        faces: the stored faces.
    """
    statuses = np.full(len(keys), STATUSES.index("not_extracted"), np.uint8)
    with_image = np.flatnonzero(keys.any(axis=1))
    known = np.delete(with_image, faces.missing(keys[with_image]))
    if len(known):
        statuses[known] = faces.read(keys[known], ["status"])["status"]
    return statuses


def row_statuses(manifest: Manifest, keys: NDArray[np.uint8], faces: Shelf) -> NDArray[np.uint8]:
    """Return the status of every row of a manifest, as a number, the position in STATUSES, shape (n_rows,).

    Args:
        manifest: table of the images.
        keys: key of each row, from row_keys().
        faces: the stored faces.
    """
    statuses = remembered_statuses(keys, faces)
    # Only a row whose file could not be read when the manifest was made has no image.
    for row in np.flatnonzero(~keys.any(axis=1)):
        reason = manifest.table["reason"].iloc[row]
        statuses[row] = STATUSES.index(reason if reason in STATUSES else "missing_file")
    return statuses


def faces_recipe(settings: FaceSettings, recipes: Iterable[Recipe]) -> Mapping[str, Any]:
    """Return the recipe that says how the faces of some vectors were found.

    Args:
        settings: how the faces were found.
        recipes: recipes of the vectors; used if the package of the face detector is not installed any more.
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
    """Return one vector for each face that was found: the vectors of all recipes, joined.

    Args:
        manifest: table of the images.
        recipes: recipes of the vectors to join, in this order.
        settings: how the faces were found; the recipes must contain the same settings.
        store: the cache.

    Raises:
        WorkspaceError: a face has no vector of one of the recipes.
    """
    reader = open_vectors(manifest, recipes, settings, store)
    parts = [shelf.read(reader.keys, ["vectors"])["vectors"] for shelf in reader.shelves]
    return Vectors(
        rows=reader.rows,
        face_ids=manifest.table["face_id"].to_numpy(dtype=str)[reader.rows],
        vectors=np.hstack(parts) if len(parts) > 1 else parts[0],
        blocks=tuple(part.shape[1] for part in parts),
        recipes=tuple(recipes),
    )


@dataclass(frozen=True)
class VectorReader:
    """Reads the vectors of the faces that were found some at a time, so that they need not fit into memory.

    Attributes:
        rows: row number of each face in the manifest, shape (n_faces,), increasing.
        blocks: lengths of the vectors that are joined to one.
        keys: key of each face in the cache, shape (n_faces, 32).
        shelves: where the vectors of each recipe are.
    """

    rows: NDArray[np.intp]
    blocks: tuple[int, ...]
    keys: NDArray[np.uint8]
    shelves: tuple[Shelf, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, faces: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the joined vectors of some faces, given by their positions in rows, in double precision."""
        keys = self.keys[faces]
        vectors = np.empty((len(keys), sum(self.blocks)))
        ends = np.cumsum(self.blocks)
        for shelf, start, end in zip(self.shelves, ends - self.blocks, ends, strict=True):
            vectors[:, start:end] = shelf.read(keys, ["vectors"])["vectors"].reshape(len(keys), -1)
        return vectors


def open_vectors(
    manifest: Manifest, recipes: Sequence[Recipe], settings: FaceSettings, store: Store
) -> VectorReader:
    """Return a reader of the vectors that load_embeddings() loads.

    Args:
        manifest: table of the images.
        recipes: recipes of the vectors to join, in this order.
        settings: how the faces were found; the recipes must contain the same settings.
        store: the cache.

    Raises:
        WorkspaceError: a face has no vector of one of the recipes.
    """
    keys = row_keys(manifest, settings)
    statuses = row_statuses(manifest, keys, store.shelf("faces", faces_recipe(settings, recipes)))
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    shelves = tuple(_shelf_with(recipe, keys[rows], store) for recipe in recipes)
    blocks = tuple(int(np.prod(shelf.columns()["vectors"][1])) for shelf in shelves)
    return VectorReader(rows, blocks, keys[rows], shelves)


def without_vectors(
    manifest: Manifest, recipes: Sequence[Recipe], settings: FaceSettings, store: Store
) -> Vectors:
    """Return zeros as the vectors of the faces that were found, for a classifier that does not use vectors.

    Args:
        manifest: table of the images.
        recipes: recipes of the vectors that are replaced by zeros.
        settings: how the faces were found; the recipes must contain the same settings.
        store: the cache.
    """
    faces = store.shelf("faces", faces_recipe(settings, recipes))
    statuses = row_statuses(manifest, row_keys(manifest, settings), faces)
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    return Vectors(
        rows=rows,
        face_ids=manifest.table["face_id"].to_numpy(dtype=str)[rows],
        vectors=np.zeros((len(rows), 1), np.float32),
        blocks=(1,),
        recipes=tuple(recipes),
    )


def check_extracted(
    manifest: Manifest, recipe: Recipe, settings: FaceSettings, statuses: NDArray[np.uint8], store: Store
) -> None:
    """Raise WorkspaceError if a face that was found has no vector of this recipe.

    Args:
        manifest: table of the images.
        recipe: recipe of the vectors.
        settings: how the faces were found.
        statuses: status of each row, from row_statuses().
        store: the cache.
    """
    _shelf_with(recipe, row_keys(manifest, settings)[statuses == STATUSES.index("ok")], store)


def _shelf_with(recipe: Recipe, keys: NDArray[np.uint8], store: Store) -> Shelf:
    """Return the shelf of a recipe, or raise WorkspaceError unless it holds the vectors of all these rows."""
    shelf = store.shelf("embeddings", asdict(recipe))
    n_missing = len(shelf.missing(keys))
    if n_missing or not len(keys):
        some = f"{n_missing} of {len(keys)} faces have no vector of"
        raise WorkspaceError(
            f"{some if n_missing < len(keys) else 'There are no vectors of'} {recipe.feature} yet."
            f" To compute them: featurekit extract --backbone {recipe.backbone}"
        )
    return shelf


def export_embeddings(embeddings: Vectors, path: Path) -> list[Path]:
    """Write vectors for other programs and return the files written.

    Args:
        embeddings: the vectors to write.
        path: path or URL with the ending .parquet (columns face_id and vectors), or .npy (the vectors; the
            face_ids are written to a .csv file beside it).

    Raises:
        EmbeddingError: `path` does not end in .parquet or .npy, or is a folder.
    """
    check_export(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(embeddings.vectors.ravel()), embeddings.vectors.shape[1]
        )
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
    if is_folder(path):
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
    if not is_file(path):
        return True
    with opened(path) as file:
        if path.suffix == ".csv":
            return file.read(200).split(b"\n")[0].strip() == b"face_id"
        from pyarrow import parquet

        try:
            return list(parquet.read_schema(file).names) == ["face_id", "vectors"]
        except (OSError, ValueError):
            return False
