"""What the statistics of a comparison are made of: of each face its row, its labels and every model's answer.

The predictions of a run name faces, and stay where they were made. Outcomes name
nobody: a face is the number of its row in the manifest, a subject is a number too.
They are small, so that a comparison can be kept with them, and every interval, test
and slice of its report can be computed anew, anywhere and at any time.

    outcomes/faces.parquet      row, and the labels that faces are sliced by
    outcomes/<run>.parquet      row, subject, fold, true, predicted, p_<class>… where there are probabilities
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

MOST_LABELS = 24  # of a column that faces are sliced by
# Of a probability's 24 binary digits so many are kept: exact to 1 in 30,000, in half the size on the disk.
_DIGITS = 14


@dataclass(frozen=True)
class Outcomes:
    """What the models of a comparison said of the faces they had not seen.

    Attributes:
        tables: name of a run → row, subject, fold, true, predicted and, of a model that gives probabilities,
            p_<class> of each face it was scored on; years and probabilities are float64.
        labels: row number → labels of the columns that faces are sliced by, and "age"; "" and NaN for none.
    """

    tables: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame

    def of_faces(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the labels of the faces of a table, in its order."""
        return self.labels.loc[table["row"]]


def collect(folder: Path, names: Sequence[str], manifest: Manifest | None = None) -> Outcomes:
    """Return the outcomes of some runs, and keep them in the folder: from predictions, or as they were kept.

    Args:
        folder: of the comparison.
        names: of runs of it; outcomes of what is no run of the comparison any more are removed.
        manifest: whose faces; None where only what was kept is at hand.

    Returns:
        Outcomes of the runs that have any: predictions are read where they are here and name subjects.

    Raises:
        WorkspaceError: a file holds something else.
    """
    tables, files, is_own = {}, ComparisonFolder(folder), False
    known = files.all_outcomes()
    for name in names:
        path = files.outcome(name)
        before = read_outcomes(path) if path.is_file() else None
        table = before
        if manifest is not None:
            found = _from_predictions(files.prediction(name), manifest)
            if found is not None:
                table, is_own = found, True
                if before is None or hash_of(before) != hash_of(found):
                    write_outcomes(path, found)
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
    for path in known:
        is_run = files.run(path.stem).is_file()  # one that is set apart keeps its own
        if path.stem not in tables and path != files.faces and not is_run:
            path.unlink()
    return Outcomes(tables, labels)


def gives_probabilities(table: pd.DataFrame, classes: Sequence[str]) -> bool:
    """Whether predictions or outcomes hold the probability of each class."""
    return all(f"p_{label}" in table for label in classes)


def probabilities_of(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the probabilities that predictions or outcomes hold; where they hold none, 1 for each answer.

    Args:
        table: of a run.
        classes: of its target.

    Returns:
        Shape (n, n_classes).
    """
    if gives_probabilities(table, classes):
        return table[[f"p_{label}" for label in classes]].to_numpy(float)
    said = table["predicted"].to_numpy(dtype=str)
    sure: NDArray[np.float64] = (said[:, None] == np.array(classes, dtype=str)).astype(np.float64)
    return sure


def is_sliced_by(name: str, values: "pd.Series[Any]") -> bool:
    """Whether a column is one of labels: the known ones, or few enough of the user's own."""
    if name in COLUMNS:
        return name in ("gender", "age_group")
    return 2 <= values.astype(str).nunique() <= MOST_LABELS


def hash_of(table: pd.DataFrame) -> str:
    """Return a hash of everything that a table of outcomes says."""
    found = sha256()
    for name, values in table.items():
        found.update(f"{name}\n".encode())
        if values.dtype.kind in "if":
            found.update(np.ascontiguousarray(values.to_numpy(float)).tobytes())
        else:
            found.update("\n".join(map(str, values)).encode())
    return found.hexdigest()


def read_predictions(path: Path, again: str = "featurekit fit") -> pd.DataFrame:
    """Return what a run said of each face that it was tested on.

    Args:
        path: of a run's predictions.
        again: the command that makes them anew.

    Raises:
        WorkspaceError: the file is not there, or holds something else.
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
    """Return the outcomes that predictions hold; None where there are none, or they are of other rows."""
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
        # Years; a class that is called like a number is still a word.
        columns[name] = _single(values.to_numpy()) if values.dtype.kind in "if" else values.astype(str)
    for column in map(str, table.columns):
        if column.startswith("p_"):
            columns[column] = _rounded(table[column].to_numpy(float))
    return pd.DataFrame(columns)


def _labels_of(manifest: Manifest, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the labels of every face that some run was scored on, by row number."""
    rows = np.unique(np.concatenate([table["row"].to_numpy() for table in tables.values()]))
    whole = manifest.table
    names = [str(name) for name in whole.columns if is_sliced_by(str(name), whole[name].iloc[rows])]
    labels: dict[str, NDArray[Any]] = {
        name: whole[name].iloc[rows].fillna("").astype(str).to_numpy(dtype=object) for name in names
    }
    labels["age"] = _single(whole["age"].iloc[rows].to_numpy(float))
    return pd.DataFrame(labels, index=pd.Index(rows, name="row"))


def _single(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers as they are kept: in single precision."""
    return values.astype(np.float32).astype(np.float64)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities with _DIGITS binary digits."""
    mantissa, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.round(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)
    return rounded


def write_outcomes(path: Path, table: pd.DataFrame) -> None:
    """Write one table of outcomes; the same one is the same bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    single = {name: np.float32 for name, values in table.items() if values.dtype.kind == "f"}
    # Without pandas' own metadata, so that the same outcomes are the same bytes.
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
        WorkspaceError: the file holds something else.
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
