"""Outcomes: the row number, labels and predictions of each face, from which statistics are computed.

The predictions of a run contain names of faces, and should not be shared. Outcomes contain
no names: a face is the number of its row in the manifest, and a subject is a number, too.
They are small, so that they can be stored with a comparison, and every interval and test
in its report can be computed again on any machine.

    outcomes/faces.parquet      row, the labels by which faces are grouped; face_size and sharpness if known
    outcomes/<run>.parquet      row, subject, fold, true, predicted, p_<class>… if there are probabilities
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.image_quality import QUALITY_BANDS
from featurekit.files import make_folder, whole_file
from featurekit.project import ComparisonFolder

MOST_LABELS = 24  # in a column by which faces are sliced
# Returns the labels of QUALITY_BANDS that are known of the faces in some rows, a column for each.
QualityOf = Callable[[NDArray[np.intp]], pd.DataFrame]
# Binary digits kept of the 24 of a probability: an error of 1 in 30,000, for half the size on the disk.
_DIGITS = 14


@dataclass(frozen=True)
class Outcomes:
    """The out-of-fold predictions of the models of a comparison.

    Attributes:
        tables: table of each run, by its name, with the columns row, subject, fold, true, predicted and, if
            the model gives probabilities, p_<class>. It has a row for each face on which the run was scored;
            ages and probabilities are float64.
        labels: table with the columns of labels by which faces are grouped, and "age", by row number; "" or
            NaN for a face without a label.
    """

    tables: Mapping[str, pd.DataFrame]
    labels: pd.DataFrame


def collect(
    folder: Path,
    names: Sequence[str],
    manifest: Manifest | None = None,
    *,
    quality_of: QualityOf = lambda rows: pd.DataFrame(),
) -> Outcomes:
    """Return the outcomes of runs, from their predictions or as saved before, and save new ones.

    Args:
        folder: folder of the comparison.
        names: names of the runs. Outcomes of runs that are no longer in the comparison are deleted.
        manifest: manifest of the faces; None to use only the outcomes that are saved in the folder.
        quality_of: returns labels for the image of the face in each of some rows of the manifest; see
            quality_labels(). A column that it does not know is kept if it is saved in the folder.

    Returns:
        Outcomes of the runs that have any. They are computed from the stored predictions if these exist and
        contain the subjects.

    Raises:
        WorkspaceError: a file is damaged.
    """
    tables, files, is_own = {}, ComparisonFolder(folder), False
    for name in names:
        path = files.outcome(name)
        kept = read_outcomes(path) if path.is_file() else None
        found = from_predictions(files.prediction(name), manifest) if manifest is not None else None
        if found is not None:
            is_own = True
            if kept is None or hash_of(kept) != hash_of(found):
                write_outcomes(path, found)
        table = kept if found is None else found
        if table is not None:
            tables[name] = table
    labels = read_outcomes(files.faces).set_index("row") if files.faces.is_file() else None
    if manifest is not None and is_own:
        own = _with_quality(_labels_of(manifest, tables), labels, quality_of)
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
    """Whether a table of predictions or outcomes contains the probability of each class."""
    return all(f"p_{label}" in table for label in classes)


def probabilities_of(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return the probabilities in a table of predictions or outcomes, shape (n, n_classes).

    If the table contains no probabilities, each predicted class has a probability of 1.

    Args:
        table: predictions or outcomes of a run.
        classes: classes of the target.
    """
    if gives_probabilities(table, classes):
        return table[[f"p_{label}" for label in classes]].to_numpy(float)
    return np.asarray(
        table["predicted"].to_numpy(dtype=str)[:, None] == np.array(classes, dtype=str), dtype=np.float64
    )


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
        again: command that fits the run again.

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


def from_predictions(path: Path, manifest: Manifest) -> pd.DataFrame | None:
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
    columns |= {
        name: _rounded(table[name].to_numpy(float))
        for name in map(str, table.columns)
        if name.startswith("p_")
    }
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


def _with_quality(own: pd.DataFrame, kept: pd.DataFrame | None, quality_of: QualityOf) -> pd.DataFrame:
    """Return labels with those for the quality of the image that are known, and not all alike.

    Args:
        own: labels of the faces, by row number. A column of the user's own with such a name is not replaced.
        kept: labels that were saved before.
        quality_of: see collect().
    """
    known = quality_of(own.index.to_numpy(np.intp))
    for name, bands in QUALITY_BANDS.items():
        labels = known.get(name)
        # A comparison that was moved away from its cache keeps the labels that it had.
        if labels is None and kept is not None and name in kept and kept.index.equals(own.index):
            labels = kept[name] if set(kept[name]) <= {*bands, ""} else None
        if name not in own and labels is not None and len({*labels} - {""}) > 1:
            own = own.assign(**{name: labels})
    return own


def _single(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers rounded to single precision, in which they are kept."""
    return values.astype(np.float32).astype(np.float64)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities with _DIGITS binary digits."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS))


def write_outcomes(path: Path, table: pd.DataFrame) -> None:
    """Write a table of outcomes to a file; equal tables give files with equal bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    single = {name: np.float32 for name, values in table.items() if values.dtype.kind == "f"}
    # The metadata of pandas is removed, so that equal outcomes give equal bytes.
    content = pa.Table.from_pandas(table.astype(single), preserve_index=False).replace_schema_metadata(None)
    make_folder(path.parent)
    with whole_file(path) as file:
        parquet.write_table(
            content,
            file,
            compression="zstd",
            compression_level=19,
            use_dictionary=[name for name, values in table.items() if values.dtype.kind not in "if"],
            column_encoding={str(name): "BYTE_STREAM_SPLIT" for name in single},
        )


def read_outcomes(path: Path) -> pd.DataFrame:
    """Return the table of outcomes that write_outcomes() wrote.

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
    return table.astype({name: np.float64 for name, values in table.items() if values.dtype.kind == "f"})
