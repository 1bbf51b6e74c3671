"""The data behind the statistics of a comparison: row, labels and predictions of each face.

The predictions of a run contain names of faces, and stay where they were made. Outcomes
contain no names: a face is the number of its row in the manifest, and a subject is a
number too. They are small, so that a comparison can be kept with them, and every interval,
test and slice of its report can be computed again, anywhere and at any time.

    outcomes/faces.parquet      row, and the labels by which faces are sliced
    outcomes/<run>.parquet      row, subject, fold, true, predicted, p_<class>… if there are probabilities
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.errors import WorkspaceError
from featurekit.files import make_folder, whole_file
from featurekit.project import ComparisonFolder

MOST_LABELS = 24  # in a column by which faces are sliced
# Binary digits kept of the 24 of a probability: an error of 1 in 30,000, for half the size on the disk.
_DIGITS = 14


@dataclass(frozen=True)
class Outcomes:
    """The out-of-fold predictions of the models of a comparison.

    Attributes:
        tables: name of a run → row, subject, fold, true, predicted and, for a model with probabilities,
            p_<class> of each face on which it was scored; years and probabilities are float64.
        labels: row number → labels of the columns by which faces are sliced, and "age"; "" and NaN for none.
    """

    tables: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame


def collect(folder: Path, names: Sequence[str], manifest: Manifest | None = None) -> Outcomes:
    """Return the outcomes of some runs, from their predictions or as they were kept, and keep them.

    Args:
        folder: folder of the comparison.
        names: names of its runs; outcomes of runs that are no longer in the comparison are removed.
        manifest: manifest of the faces; None if there are only the outcomes that were kept.

    Returns:
        Outcomes of the runs that have any: predictions are used if they are here and contain subjects.

    Raises:
        WorkspaceError: a file is damaged.
    """
    tables, files, is_own = {}, ComparisonFolder(folder), False
    for name in names:
        path = files.outcome(name)
        kept = read_outcomes(path) if path.is_file() else None
        found = _from_predictions(files.prediction(name), manifest) if manifest is not None else None
        if found is not None:
            is_own = True
            if kept is None or hash_of(kept) != hash_of(found):
                write_outcomes(path, found)
        table = kept if found is None else found
        if table is not None:
            tables[name] = table
    labels = read_outcomes(files.faces).set_index("row") if files.faces.is_file() else None
    if manifest is not None and is_own:
        own = _labels_of(manifest, tables)
        if labels is None or not own.equals(labels):
            write_outcomes(files.faces, own.reset_index())
        labels = own
    if labels is None:
        return Outcomes({}, pd.DataFrame())
    for path in files.all_outcomes():
        # A run that is set apart keeps its outcomes.
        if path.stem not in tables and path != files.faces and not files.run(path.stem).is_file():
            path.unlink()
    return Outcomes(tables, labels)


def gives_probabilities(table: pd.DataFrame, classes: Sequence[str]) -> bool:
    """Whether predictions or outcomes contain the probability of each class."""
    return all(f"p_{label}" in table for label in classes)


def probabilities_of(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the probabilities in predictions or outcomes; if there are none, 1 for each predicted class.

    Args:
        table: the predictions or outcomes of a run.
        classes: the classes of its target.

    Returns:
        Shape (n, n_classes).
    """
    if gives_probabilities(table, classes):
        return table[[f"p_{label}" for label in classes]].to_numpy(float)
    said = table["predicted"].to_numpy(dtype=str)
    return np.asarray(said[:, None] == np.array(classes, dtype=str), dtype=np.float64)


def hash_of(table: pd.DataFrame) -> str:
    """Return a hash of the content of a table of outcomes."""
    found = sha256()
    for name, values in table.items():
        found.update(f"{name}\n".encode())
        found.update(
            np.ascontiguousarray(values.to_numpy(float)).tobytes()
            if values.dtype.kind in "if"
            else "\n".join(map(str, values)).encode()
        )
    return found.hexdigest()


def read_predictions(path: Path, again: str = "featurekit fit") -> pd.DataFrame:
    """Return the predictions of a run for each tested face.

    Args:
        path: path of the predictions.
        again: the command that makes them again.

    Raises:
        WorkspaceError: the file is missing or damaged.
    """
    try:
        table = pd.read_parquet(path)
        table["face_id"]
    except FileNotFoundError as error:
        raise WorkspaceError(
            f"The predictions of {path.stem} are not in {path.parent}. Fit it again: {again}"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise WorkspaceError(
            f"{path} contains no predictions ({error}). Delete it, and fit the run again."
        ) from error
    return table


def _from_predictions(path: Path, manifest: Manifest) -> pd.DataFrame | None:
    """Return the outcomes in predictions; None if there are none, or they are of other rows."""
    if not path.is_file():
        return None
    table = read_predictions(path)
    rows = pd.Index(manifest.table["face_id"]).get_indexer(pd.Index(table["face_id"]))
    if "subject" not in table or (rows < 0).any():  # written by an older version, or before another prepare
        return None
    columns: dict[str, Any] = {
        "row": rows.astype(np.int32),
        "subject": table["subject"].to_numpy(np.int32),
        "fold": table["fold"].to_numpy(np.int16),
    }
    for name in ("true", "predicted"):
        values: pd.Series[Any] = table[name]
        # Numbers are years; a class whose name is a number is stored as text.
        columns[name] = _single(values.to_numpy()) if values.dtype.kind in "if" else values.astype(str)
    probabilities = [name for name in map(str, table.columns) if name.startswith("p_")]
    columns |= {name: _rounded(table[name].to_numpy(float)) for name in probabilities}
    return pd.DataFrame(columns)


def _labels_of(manifest: Manifest, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the labels of every face on which some run was scored, by row number."""
    rows = np.unique(np.concatenate([table["row"].to_numpy() for table in tables.values()]))
    whole = manifest.table
    # The known columns of labels, and the user's own with few labels.
    names = [
        str(name)
        for name in whole.columns
        if name in ("gender", "age_group")
        or (name not in COLUMNS and 2 <= whole[name].iloc[rows].astype(str).nunique() <= MOST_LABELS)
    ]
    labels: dict[str, NDArray[Any]] = {
        name: whole[name].iloc[rows].fillna("").astype(str).to_numpy(dtype=object) for name in names
    }
    labels["age"] = _single(whole["age"].iloc[rows].to_numpy(float))
    return pd.DataFrame(labels, index=pd.Index(rows, name="row"))


def _single(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers rounded to single precision, in which they are kept."""
    return values.astype(np.float32).astype(np.float64)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities with _DIGITS binary digits."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS))


def write_outcomes(path: Path, table: pd.DataFrame) -> None:
    """Write one table of outcomes; equal tables give equal bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    single = {name: np.float32 for name, values in table.items() if values.dtype.kind == "f"}
    # The metadata of pandas is removed, so that equal outcomes give equal bytes.
    content = pa.Table.from_pandas(table.astype(single), preserve_index=False).replace_schema_metadata(None)
    words = [name for name, values in table.items() if values.dtype.kind not in "if"]
    make_folder(path.parent)
    with whole_file(path) as file:
        parquet.write_table(
            content,
            file,
            compression="zstd",
            compression_level=19,
            use_dictionary=words,
            column_encoding={str(name): "BYTE_STREAM_SPLIT" for name in single},
        )


def read_outcomes(path: Path) -> pd.DataFrame:
    """Return what write_outcomes() wrote.

    Raises:
        WorkspaceError: the file is damaged.
    """
    try:
        table = pd.read_parquet(path)
        table["row"]
    except (OSError, ValueError, KeyError) as error:
        raise WorkspaceError(
            f"{path} contains no outcomes ({error}). Delete it, and run featurekit report again."
        ) from error
    numbers = {name: np.float64 for name, values in table.items() if values.dtype.kind == "f"}
    return table.astype(numbers)
