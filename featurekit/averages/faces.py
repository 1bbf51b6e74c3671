"""Mean faces of the cells of a confusion matrix: whom a model confuses, without showing anybody.

The mean face of a cell is the mean of the aligned crops of its faces; see cells.py. The crops are those
that `featurekit extract --backbone pixels` has stored. They are read a few at a time, in the order in which
they are stored, once for all targets, and only sums are kept in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from featurekit.averages.cells import Cell, CellFaces
from featurekit.averages.sheet import TILE, Tile, counts_of, png_of, sheet_of, write_sheet
from featurekit.cache.keys import as_keys, recipe_key
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import row_keys, settings_of
from featurekit.errors import WorkspaceError
from featurekit.evaluation.planning import PIXELS
from featurekit.evaluation.results import Run
from featurekit.networks.backbones import split_feature
from featurekit.progress import Progress
from featurekit.report.gallery import shelf_of_crops
from featurekit.report.select import model_name, target_title
from featurekit.text import counted

_BLOCK = 256  # crops that are in memory at a time, 20 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanFaces:
    """The mean faces of the cells of one model.

    Attributes:
        of: the faces of the cells.
        faces: position of a cell in of.cells → mean face, RGB, uint8, shape (s, s, 3). Cells that are left
            out have none.
    """

    of: CellFaces
    faces: Mapping[int, NDArray[np.uint8]]

    @property
    def run(self) -> Run:
        """The run of the model."""
        return self.of.run

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that have a face, row by row of the confusion matrix."""
        return self.of.cells

    def face(self, true: str, predicted: str) -> NDArray[np.uint8]:
        """Return the mean face of a cell, RGB, uint8, shape (s, s, 3).

        Args:
            true: the true class, or the band of the true age, as in frame().
            predicted: the predicted class or, for age, how far the predicted age is from the true one.

        Raises:
            WorkspaceError: no face is in this cell, or too few subjects are.
        """
        for place, cell in enumerate(self.cells):
            if (cell.true, cell.predicted) == (true, predicted):
                if cell.left_out:
                    raise WorkspaceError(f"The cell {cell} has no mean face: {cell.left_out}.")
                return self.faces[place]
        raise WorkspaceError(f"No face is in the cell {true} → {predicted}. frame() lists the cells.")

    def frame(self) -> pd.DataFrame:
        """Return one row for each cell that has a face.

        Returns:
            The columns true, predicted, n_faces, n_subjects, and left_out (why the cell has no mean face; ""
            if it has one).
        """
        return pd.DataFrame([vars(cell) for cell in self.cells])

    def sheet(self) -> Image.Image:
        """Return one image with the mean face of each cell and its numbers of faces and subjects."""
        tiles = {
            at: Tile(
                Image.fromarray(face).resize((TILE, TILE), Image.Resampling.BICUBIC),
                counts_of(self.cells[at]),
            )
            for at, face in self.faces.items()
        }
        return sheet_of(self.of, tiles, self._title)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the sheet as faces.png and the numbers of all cells as faces.csv, and return the files.

        If no cell has a mean face, an earlier faces.png is removed.

        Args:
            folder: folder for the files.
        """
        return write_sheet(Path(folder), "faces", self.sheet() if self.faces else None, self.frame())

    @property
    def _title(self) -> str:
        return f"{target_title(self.run.target)}: mean faces"

    def __repr__(self) -> str:
        return (
            f"<MeanFaces: {self._title} of {model_name(self.run)}, {len(self.faces)} of"
            f" {counted(len(self.cells), 'cell', 'cells')}. .frame() has their numbers,"
            " .face(true, predicted) the images.>"
        )

    def _repr_png_(self) -> bytes:
        """Return the sheet of the mean faces as a PNG for a notebook."""
        return png_of(self.sheet())


class Crops:
    """The crops of faces that are stored in the cache.

    Args:
        manifest: the data set.
        recipe: settings with which the faces were found.
        store: the cache.
    """

    def __init__(self, manifest: Manifest, recipe: Mapping[str, Any], store: Store) -> None:
        self._keys = row_keys(manifest, settings_of(recipe))
        self._shelf = shelf_of_crops(recipe, store)
        self.kind = split_feature(PIXELS)[0].template, split_feature(PIXELS)[0].input_size

    def check(self, rows: NDArray[np.intp]) -> None:
        """Raise WorkspaceError unless the crops of all these rows are stored."""
        n_missing = len(self._shelf.missing(self._keys[rows]))
        if n_missing:
            some = f"the crops of {n_missing:,} of {len(rows):,} faces are not in the cache"
            raise WorkspaceError(
                f"Mean faces are made of stored face crops, and {some}. Next: featurekit extract --backbone"
                " pixels"
            )

    def blocks(self, rows: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
        """Yield some rows and their crops, uint8, shape (n, side, side, 3), in the order of the cache."""
        stored = as_keys(self._shelf.rows())
        by_key = np.argsort(stored)
        at = by_key[np.searchsorted(stored[by_key], as_keys(self._keys[rows]))]
        ordered = rows[np.argsort(at, kind="stable")]
        for start in range(0, len(ordered), _BLOCK):
            some = ordered[start : start + _BLOCK]
            yield some, self.read(some)

    def read(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the crops of some rows, uint8, shape (n, side, side, 3)."""
        side = self.kind[1]
        vectors = self._shelf.read(self._keys[rows], ["vectors"])["vectors"]
        return np.asarray(vectors, np.uint8).reshape(-1, side, side, 3)


def mean_faces(
    several: Sequence[CellFaces], manifest: Manifest, store: Store, progress: Progress | None = None
) -> list[MeanFaces]:
    """Return the mean faces of the cells of several models, and read each stored crop once.

    Args:
        several: the faces of the cells of each model.
        manifest: the data set.
        store: the cache.
        progress: called with the number of faces done, and of all faces.

    Raises:
        WorkspaceError: a crop is not in the cache.
    """
    # All models of a comparison have usually found their faces in the same way.
    alike: dict[str, list[CellFaces]] = {}
    for one in several:
        alike.setdefault(recipe_key(one.run.recipes[0]["faces"]), []).append(one)
    sums = {id(one): _Sums(one) for one in several}
    work = []
    for together in alike.values():
        crops = Crops(manifest, together[0].run.recipes[0]["faces"], store)
        parts = [sums[id(one)] for one in together]
        rows = np.unique(np.concatenate([part.rows for part in parts]))
        crops.check(rows)
        work.append((crops, parts, rows))
    n_done, n_all = 0, sum(len(rows) for _, _, rows in work)
    for crops, parts, rows in work:
        for block, pixels in crops.blocks(rows):
            for part in parts:
                part.add(block, pixels)
            n_done += len(block)
            if progress:
                progress(n_done, n_all)
    return [MeanFaces(of=one, faces=sums[id(one)].means()) for one in several]


class _Sums:
    """Weighted sums of crops, one for each cell of a model whose mean is made."""

    def __init__(self, of: CellFaces) -> None:
        self.of = of
        self._faces = np.flatnonzero(np.isin(of.cell_of, of.shown))
        self._faces = self._faces[np.argsort(of.rows[self._faces], kind="stable")]
        self.rows = of.rows[self._faces]
        self._sums: dict[int, NDArray[np.float64]] = {}

    def add(self, rows: NDArray[np.intp], pixels: NDArray[np.uint8]) -> None:
        """Add the crops of some rows of the manifest; rows of other faces are ignored."""
        if not len(self.rows):
            return
        at = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        for place in np.flatnonzero(self.rows[at] == rows):
            face = self._faces[at[place]]
            cell = int(self.of.cell_of[face])
            if cell not in self._sums:
                self._sums[cell] = np.zeros(pixels.shape[1:])
            self._sums[cell] += self.of.weights[face] * pixels[place]

    def means(self) -> dict[int, NDArray[np.uint8]]:
        """Return the mean face of each cell, by the position of the cell."""
        # Halves are rounded alike, in whatever order the crops were added.
        return {
            cell: np.asarray(self._sums[cell].round(6).round().clip(0, 255), np.uint8)
            for cell in sorted(self._sums)
        }
