"""Gather what the page shows: vectors, labels, predictions and marks of a project."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.index import Ledger, recipe_of, some_ledger_of
from featurekit.embeddings.plane import Plane, check_method, plane_of, refuse_unused_seed
from featurekit.embeddings.vectors import faces_recipe, open_vectors
from featurekit.errors import EmbeddingError
from featurekit.estimators.fitted_features import frozen, short_name
from featurekit.evaluation.image_quality import quality_labels
from featurekit.evaluation.planning import full_names, is_for_any_model
from featurekit.explore.faces import (
    HasRuns,
    Judgement,
    columns_of,
    judgements_of,
    page_data,
    runs_to_show,
)
from featurekit.explore.marking import MarksFile, RowMark, check_marks
from featurekit.explore.neighbours import Neighbours
from featurekit.networks.backbones import here
from featurekit.progress import Progress
from featurekit.project import ProjectFolder
from featurekit.report.gallery import Crops, thumbnail
from featurekit.text import visible

MOST_FACES = 50_000  # on the page
_MOST_NUMBERS = 250_000_000  # of their vectors in memory, 1 GB
SIDE = 144  # pixels of a thumbnail


@dataclass(frozen=True, eq=False)
class Explorer:
    """What the page shows, and the file of its marks.

    Attributes:
        page: all facts about the faces, as JSON.
        n_faces: number of faces on the page.
        marks: the file of the marks.
        notes: sentences for the user.
    """

    page: bytes
    n_faces: int
    marks: MarksFile
    notes: tuple[str, ...]
    _crops: Crops
    _neighbours: Neighbours
    _rows: NDArray[np.intp]
    _position_of: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        positions = {int(row): position for position, row in enumerate(self._rows)}
        object.__setattr__(self, "_position_of", positions)

    def thumbnail(self, row: int) -> bytes | None:
        """Return the face of a row as a JPEG; None if its image is missing or has changed."""
        if row not in self._position_of:
            return None
        crop = self._crops.of(np.array([row])).get(row)
        return None if crop is None else thumbnail(crop, SIDE)

    def neighbours(self, row: int) -> list[tuple[int, float]] | None:
        """Return the rows of the most similar faces with their similarities; None for another row."""
        if row not in self._position_of:
            return None
        found = self._neighbours.of(self._position_of[row])
        return [(int(self._rows[position]), similarity) for position, similarity in found]

    def read_marks(self) -> tuple[str, list[RowMark]]:
        """Return the version of the file of the marks, and the marks of the faces on the page."""
        return self.marks.read()

    def save_marks(self, version: str, marks: Sequence[Any]) -> tuple[str, int]:
        """Write the marks of the faces on the page; see MarksFile.save()."""
        return self.marks.save(version, marks)


def explore(
    folder: ProjectFolder,
    data: Manifest,
    marks: Path,
    *,
    features: str | None = None,
    method: str = "pca",
    results: HasRuns | None = None,
    model: str | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Explorer:
    """Gather what the page shows.

    Args:
        folder: the project.
        data: its data set.
        marks: file of the marks, ending in .csv; it need not exist yet.
        features: networks or "network:layer", several joined by "+"; None for all that models use unnamed.
        method: "pca" or "umap", how the faces are placed on the map.
        results: results of a comparison; None for a page without predictions.
        model: name of the model whose predictions are shown; None for the best one of each target.
        seed: seed of the random number generator; None for 0.
        progress: called with (vectors placed, vectors to place).

    Raises:
        EmbeddingError: no face with a vector is usable.
        EngineError: UMAP is not installed.
        ManifestError: the file of the marks exists, and is not a table of marks.
        UnknownNameError: there is no network, method or model with a given name.
        WorkspaceError: the given features have not been extracted of all faces, or marks is a folder.
    """
    check_method(method)
    before = check_marks(marks)
    ledger = some_ledger_of(folder)
    names = full_names(features) if features is not None else _usual(ledger)
    short = "+".join(map(short_name, names))
    runs, notes = runs_to_show(results, data, short, model) if results is not None else ([], [])
    store = Store(folder.cache)
    recipes = [recipe_of(ledger, frozen(name)) for name in names]
    reader = open_vectors(data, recipes, ledger.settings, store)
    plane = plane_of(reader, method, seed=seed, progress=progress)
    judgements, left_out = judgements_of(runs, results, data, plane.rows)
    chosen, n_all = _chosen(plane, data, judgements, {one.face_id for one in before}, seed)
    rows, judgements = plane.rows[chosen], [one.at(chosen) for one in judgements]
    faces = faces_recipe(ledger.settings, recipes)
    quality = quality_labels(data, [faces], store, rows)
    columns = columns_of(data, quality, rows, [one.run.target for one in judgements])
    labels = [column.name for column in columns if column.name in data.table]
    facts = {"n_all": n_all, "features": visible(short), "labels": labels, "file": visible(str(marks))}
    facts["asked"] = model is not None
    return Explorer(
        page_data(data, rows, plane, chosen, columns, judgements, facts),
        len(rows),
        MarksFile(marks, data, rows, labels),
        (*notes, *left_out, *_note_of_sample(len(rows), n_all, plane)),
        Crops(data, faces, store),
        Neighbours(reader, np.searchsorted(reader.rows, rows)),
        rows,
    )


def _usual(ledger: Ledger) -> tuple[str, ...]:
    """Return the extracted features that models use unnamed; the first that is installed if there is none."""
    known = here(ledger.recipes)
    return tuple(name for name in known if is_for_any_model(name)) or tuple(known[:1] or ledger.recipes)


def _chosen(
    plane: Plane, data: Manifest, judgements: Sequence[Judgement], marked: Collection[str], seed: int | None
) -> tuple[NDArray[np.intp], int]:
    """Return the positions on the map of the faces that the page shows, increasing, and how many there are.

    These are the faces that are used, and those with a mark, so that it can be taken back. If they are too
    many, those with a mark or a suspicious label come first, and then others drawn at random.

    Raises:
        EmbeddingError: there are none.
        WorkspaceError: a seed is given, and neither the map nor the choice depends on it.
    """
    is_marked = np.isin(data.table["face_id"].to_numpy(dtype=str)[plane.rows], list(marked))
    shown = np.flatnonzero(data.usable[plane.rows] | is_marked)
    if not len(shown):
        raise EmbeddingError(
            f"None of the {len(plane.rows):,} faces that were found is used; the column reason of"
            " manifest.csv says why."
        )
    n_all = len(shown)
    most = min(MOST_FACES, _MOST_NUMBERS // plane.length)
    if len(shown) <= most:
        refuse_unused_seed(plane, seed)
    else:
        is_first = is_marked.copy()
        for one in judgements:
            is_first |= one.suspicion > 0
        mixed = np.random.default_rng(seed or 0).permutation(shown)
        shown = np.sort(mixed[np.argsort(~is_first[mixed], kind="stable")][:most])
    return shown, n_all


def _note_of_sample(n_shown: int, n_all: int, plane: Plane) -> list[str]:
    if n_shown == n_all and len(plane.rows) == plane.n_all:
        return []
    return [f"The page shows {n_shown:,} faces, drawn at random; those with a suspicious label come first."]
