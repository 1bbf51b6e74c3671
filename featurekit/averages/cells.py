"""The cells of a confusion matrix with their faces: which faces a model predicts correctly or confuses.

A cell has all faces with the same true class and the same predicted class, out of fold. For age, a cell has
the faces of an age band that are predicted more than NEAR years too young, within NEAR years, or more than
NEAR years too old. Only cells of at least FEWEST_SUBJECTS subjects are averaged, because a mean of fewer
could show a person. Every subject counts once, however many images there are: first the faces of a subject
are averaged, then the subjects.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import AGE_BANDS, age_bands
from featurekit.inference.explain import MIN_FACES
from featurekit.report.gallery import rows_of
from featurekit.report.select import model_name
from featurekit.text import counted, first_few

# The fewest subjects whose mean may be shown.
FEWEST_SUBJECTS = MIN_FACES
# Of a target with more cells, only the cells with the most subjects are drawn, so that memory is bounded.
MOST_CELLS = 64
NEAR = 5  # years: a predicted age with at most this error is near the true age
YEARS = (f"more than {NEAR} years too young", f"within {NEAR} years", f"more than {NEAR} years too old")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The faces with the same true and predicted class.

    Attributes:
        true: the true class, or the band of the true age, e.g. "25-32".
        predicted: the predicted class or, for age, one of YEARS.
        n_faces, n_subjects: number of the faces, and of their subjects.
        left_out: why the mean of the cell is not made; "" if it is.
    """

    true: str
    predicted: str
    n_faces: int
    n_subjects: int
    left_out: str = ""

    def __str__(self) -> str:
        return f"{self.true} → {self.predicted}"


@dataclass(frozen=True, kw_only=True, eq=False)
class CellFaces:
    """The faces of all cells of one model, by its out-of-fold predictions.

    Attributes:
        run: the run of the model.
        cells: the cells that have a face, row by row of the confusion matrix.
        rows: row number of each face in the manifest, shape (n_faces,).
        subjects: number of the subject of each face, shape (n_faces,).
        cell_of: position in cells of each face, shape (n_faces,).
        n_unnamed: number of faces whose subject the data set does not name, each of which counts as one.
    """

    run: Run
    cells: tuple[Cell, ...]
    rows: NDArray[np.intp]
    subjects: NDArray[np.intp]
    cell_of: NDArray[np.intp]
    n_unnamed: int

    @cached_property
    def shown(self) -> tuple[int, ...]:
        """Positions of the cells whose means are made."""
        return tuple(place for place, cell in enumerate(self.cells) if not cell.left_out)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each face in the mean of its cell, shape (n_faces,); subjects have equal weights."""
        pairs = self.cell_of * (self.subjects.max() + 1) + self.subjects
        _, of, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        n_subjects = np.array([cell.n_subjects for cell in self.cells])
        return np.asarray(1 / (counts[of] * n_subjects[self.cell_of]), np.float64)

    def about(self) -> list[str]:
        """Return sentences for a sheet of the cells: on the model, the rows and columns, the subjects."""
        rows, columns = (
            ("true class", "predicted class")
            if self.run.classes
            else ("band of the true age", "error of the predicted age")
        )
        sentences = [
            "SYNTHETIC: made-up portraits, not people." if self.run.dataset.get("synthetic") else "",
            f"Model: {model_name(self.run)}. Rows: {rows}. Columns: {columns}. All predictions are out of"
            " fold.",
            f"Each image is the mean of the aligned faces of at least {FEWEST_SUBJECTS} subjects; every"
            " subject counts once.",
            self.note,
        ]
        return [text for text in sentences if text]

    @property
    def note(self) -> str:
        """A sentence on images whose subjects are not known; "" if all are."""
        if not self.n_unnamed:
            return ""
        return (
            f"The data set does not name the subject of {counted(self.n_unnamed, 'image', 'images')} of"
            f" {len(self.rows):,}; each of these counts as one subject."
        )

    @property
    def left_out(self) -> str:
        """The cells whose means are not made, in words; "" if there are none."""
        few = [cell for cell in self.cells if cell.left_out]
        return first_few(
            [f"{cell} ({counted(cell.n_subjects, 'subject', 'subjects')})" for cell in few], most=8
        )


def cells_of(run: Run, predictions: pd.DataFrame, manifest: Manifest) -> CellFaces:
    """Return the faces of each cell of the out-of-fold predictions of a model.

    Args:
        run: run of the model.
        predictions: its predictions, with the columns face_id, true and predicted.
        manifest: the data set.

    Raises:
        WorkspaceError: there are no predictions, or a face is no longer in the manifest.
    """
    if not len(predictions):
        raise WorkspaceError(f"{run.name} has no predictions. Fit it again: featurekit fit")
    rows = rows_of(predictions, manifest)
    if run.classes:
        true, said = (predictions[name].to_numpy(dtype=str) for name in ("true", "predicted"))
        rows_of_matrix, columns = run.classes, run.classes
    else:
        years, off = predictions["true"], (predictions["predicted"] - predictions["true"]).to_numpy(float)
        true = age_bands(years.to_numpy(float))
        said = np.array(YEARS)[1 + (off > NEAR).astype(int) - (off < -NEAR)]
        rows_of_matrix, columns = AGE_BANDS, YEARS
    at = [
        pd.Index(of).get_indexer(pd.Index(names)) for of, names in ((rows_of_matrix, true), (columns, said))
    ]
    is_strange = (at[0] < 0) | (at[1] < 0)
    if is_strange.any():
        face = int(np.argmax(is_strange))
        raise WorkspaceError(
            f"The predictions of {run.name} contain {true[face]} → {said[face]}, which is not of its classes."
            " Fit it again: featurekit fit"
        )
    found = at[0] * len(columns) + at[1]
    present, cell_of = np.unique(found, return_inverse=True)
    subjects = np.unique(manifest.subjects[rows], return_inverse=True)[1]
    n_faces = np.bincount(cell_of)
    n_subjects = np.array([len(np.unique(subjects[cell_of == cell])) for cell in range(len(present))])
    first = set(np.argsort(-n_subjects, kind="stable")[:MOST_CELLS].tolist())
    cells = tuple(
        Cell(
            true=rows_of_matrix[label // len(columns)],
            predicted=columns[label % len(columns)],
            n_faces=int(n_faces[number]),
            n_subjects=int(n_subjects[number]),
            left_out=_why_left_out(int(n_subjects[number]), number in first),
        )
        for number, label in enumerate(present)
    )
    return CellFaces(
        run=run,
        cells=cells,
        rows=rows,
        subjects=subjects,
        cell_of=cell_of,
        n_unnamed=int((manifest.table["subject_id"].iloc[rows] == "").sum()),
    )


def _why_left_out(n_subjects: int, is_among_most: bool) -> str:
    if n_subjects < FEWEST_SUBJECTS:
        return f"fewer than {FEWEST_SUBJECTS} subjects"
    return "" if is_among_most else f"not among the {MOST_CELLS} cells with the most subjects"
