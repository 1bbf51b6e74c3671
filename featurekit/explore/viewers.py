"""Write vectors, labels and the paths of the images for other programs that show them.

    embedding-atlas     a Parquet file with the columns face_id, image_path, the labels, x, y and vectors
    fiftyone            a folder with labels.csv, which FiftyOne reads as a CSVDataset, and vectors.npy

x and y are the first two principal components, as in `featurekit explore`. The paths are whole paths, so the
files name the images, and show people to whoever can read both.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import COLUMNS, Manifest, csv_of
from featurekit.embeddings.plane import plane_of
from featurekit.embeddings.vectors import VectorReader
from featurekit.errors import EmbeddingError, UnknownNameError
from featurekit.files import make_folder, whole_file, write_text
from featurekit.progress import Progress
from featurekit.registry import unknown
from featurekit.urls import UrlPath

ATLAS, FIFTYONE = VIEWERS = ("embedding-atlas", "fiftyone")
_LABELS = ("age", "age_group", "gender")
# Fields that each sample of FiftyOne has.
_TAKEN = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at")


def check_viewer(viewer: str, path: Path, data: Manifest) -> None:
    """Raise an error unless files for a viewer can be written to a path.

    Raises:
        EmbeddingError: the name has the wrong ending, or what is there is no such file; or the images are in
            a bucket, which FiftyOne cannot read.
        UnknownNameError: there is no such viewer.
    """
    if viewer not in VIEWERS:
        raise UnknownNameError(unknown("viewer", viewer, list(VIEWERS)))
    if isinstance(path, UrlPath):
        raise EmbeddingError(f"Files for {viewer} are written to this machine only. Got {path} instead.")
    if viewer == ATLAS:
        if path.is_dir() or path.suffix.lower() != ".parquet":
            raise EmbeddingError(f"{viewer} reads a .parquet file. Got '{path.name}' instead.")
        if path.exists() and not _is_ours(path):
            raise EmbeddingError(f"{path} exists and was not written for {viewer}. Give another file.")
        return
    if isinstance(data.root, UrlPath):
        raise EmbeddingError("FiftyOne reads images of this machine only, but these are in a bucket.")
    labels = path / "labels.csv"
    if path.exists() and not path.is_dir():
        raise EmbeddingError(f"The files for {viewer} need a folder, but {path} is a file.")
    others = [one.name for one in path.iterdir()] if path.is_dir() else []
    if others and not (labels.is_file() and labels.read_bytes()[:17] == b"filepath,face_id,"):
        raise EmbeddingError(f"{path} has other files than those for {viewer}. Give another folder.")


def export_for(
    viewer: str, data: Manifest, reader: VectorReader, path: Path, *, progress: Progress | None = None
) -> tuple[list[Path], str]:
    """Write the vectors of all faces for a viewer, and return the files and a sentence on how to open them.

    Args:
        viewer: one of VIEWERS.
        data: the data set.
        reader: the vectors.
        path: the file, or for fiftyone the folder, see check_viewer().
        progress: called with (vectors placed, vectors to place).

    Raises:
        EmbeddingError: there are too few vectors for a map.
        WorkspaceError: the files cannot be written.
    """
    plane = plane_of(reader, "pca", progress=progress)
    table = data.table.iloc[plane.rows]
    own = [str(name) for name in table.columns if name not in COLUMNS]
    labels = {name: table[name] for name in (*_LABELS, *own)}
    labels = {name: column for name, column in labels.items() if not column.isin(["", np.nan]).all()}
    images = [str(data.root / image) for image in table["image_path"]]
    places = {"x": plane.places[:, 0], "y": plane.places[:, 1]}
    vectors = reader.read(np.arange(len(reader))).astype(np.float32)
    if viewer == ATLAS:
        frame = pd.DataFrame({"face_id": table["face_id"], "image_path": images, **labels, **places})
        _write_parquet(path, frame, vectors)
        return [path], f"embedding-atlas {path} --x x --y y"
    named = dict(zip(_fields(labels), labels.values(), strict=True))
    frame = pd.DataFrame({"filepath": images, "face_id": table["face_id"], **named, **places})
    make_folder(path)
    with whole_file(path / "vectors.npy") as file:
        np.save(file, vectors, allow_pickle=False)
    write_text(path / "labels.csv", csv_of(frame))
    labels_path = str(path / "labels.csv")
    # With dataset_dir instead, FiftyOne wants the images in the folder.
    return [path / "labels.csv", path / "vectors.npy"], (
        f"fiftyone.Dataset.from_dir(labels_path={labels_path!r}, dataset_type=fiftyone.types.CSVDataset)"
    )


def n_hidden(viewer: str, data: Manifest, rows: NDArray[np.intp]) -> int:
    """Return how many of the faces a viewer leaves out: FiftyOne shows one of those on the same image."""
    return int(data.table["image_path"].iloc[rows].duplicated().sum()) if viewer == FIFTYONE else 0


def _fields(labels: Iterable[str]) -> list[str]:
    """Return names that FiftyOne takes for fields.

    >>> _fields(["beard", "tags", "hair colour", "hair.colour"])
    ['beard', 'tags_label', 'hair_colour', 'hair_colour_label']
    """
    made: list[str] = []
    for label in labels:
        name = re.sub(r"\W", "_", label, flags=re.ASCII).lstrip("_") or "label"
        while name in (*_TAKEN, "face_id", "x", "y", *made):
            name += "_label"
        made.append(name)
    return made


def _write_parquet(path: Path, frame: pd.DataFrame, vectors: NDArray[np.float32]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    with whole_file(path) as file:
        parquet.write_table(table.append_column("vectors", lists), file)


def _is_ours(path: Path) -> bool:
    """Whether a file is one that export_for() writes."""
    from pyarrow import parquet

    try:
        names = list(parquet.read_schema(path).names)
    except (OSError, ValueError):
        return False
    return names[:2] == ["face_id", "image_path"] and names[-3:] == ["x", "y", "vectors"]
