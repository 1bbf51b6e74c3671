"""Write vectors for other programs: as Parquet, or as numpy's format with the faces' ids beside."""

from pathlib import Path

import numpy as np
import pandas as pd

from featurekit.data.manifest import csv_of
from featurekit.embeddings.vectors import Vectors
from featurekit.errors import EmbeddingError
from featurekit.files import whole_file, write_text


def export_embeddings(embeddings: Vectors, path: Path) -> list[Path]:
    """Write vectors for other programs and return the files written.

    Args:
        embeddings: what to write.
        path: .parquet (columns face_id and vectors) or .npy (vectors; the ids go to a .csv beside).

    Raises:
        EmbeddingError: another ending, or a folder.
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
