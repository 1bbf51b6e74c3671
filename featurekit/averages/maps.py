"""Mean occlusion maps of the cells of a confusion matrix: which part of the faces a prediction depends on.

The occlusion map of a face says how much the score of the predicted class falls, or the predicted age
changes, if a part of the face is covered. The map of a cell is the mean over at least FEWEST_SUBJECTS
subjects, who are drawn at random, with one face each. The class that is followed is the one that the faces of
the cell were predicted to be out of fold.

The networks compute the vectors of the covered faces anew, so the image files are needed, and a saved model.
The saved model was fitted on all faces. Its maps say what it depends on, which may differ a little from the
models of the folds, whose predictions make the cells.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from featurekit.averages.cells import FEWEST_SUBJECTS, Cell, CellFaces
from featurekit.averages.faces import Crops, MeanFaces
from featurekit.averages.sheet import TILE, Tile, png_of, sheet_of, write_sheet
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.recipe import row_keys, settings_of
from featurekit.embeddings.worker import Looker, Task, face_from
from featurekit.errors import ModelError, WorkspaceError
from featurekit.evaluation.results import Run
from featurekit.inference.draw import heat_over
from featurekit.inference.explain import Occlusion
from featurekit.inference.inputs import is_model
from featurekit.inference.model import TrainedModel
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.report.select import model_name, target_title
from featurekit.text import counted, first_few

SAMPLE = 100  # faces of a target whose maps are averaged, if nothing else is asked for
_GRID = 12  # cells a side in a table of numbers: the covered square is moved in steps of one of them

# Row of the manifest → crops of its face, one for each kind that a model reads; None if there is no image.
_CropsOf = Callable[[int], "Mapping[tuple[str, int], NDArray[np.uint8]] | None"]


@dataclass(frozen=True, kw_only=True)
class AverageMap:
    """The mean occlusion map of a cell.

    Attributes:
        cell: the cell; its numbers count all its faces.
        n_faces: number of the faces whose maps are averaged, each of another subject.
        heat: how much the prediction changes if a part of the face is covered, float64, shape (t, t): the
            probability that the predicted class loses, or years.
    """

    cell: Cell
    n_faces: int
    heat: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class AverageMaps:
    """The mean occlusion maps of the cells of one model.

    Attributes:
        faces: the mean faces of the cells, over which the maps are drawn.
        maps: position of a cell in faces.cells → its map.
        left_out: position of a cell → why it has a mean face and no map.
        seed: seed with which the faces were drawn.
    """

    faces: MeanFaces
    maps: Mapping[int, AverageMap]
    left_out: Mapping[int, str]
    seed: int

    @property
    def run(self) -> Run:
        """The run of the model."""
        return self.faces.run

    @property
    def n_faces(self) -> int:
        """Number of the faces whose maps were made."""
        return sum(one.n_faces for one in self.maps.values())

    @property
    def unit(self) -> str:
        """The unit of the maps: "probability" (from 0 to 1), or "years"."""
        return "probability" if self.run.classes else "years"

    @property
    def most(self) -> float:
        """The highest number of all maps, which has the lightest color."""
        return max((float(one.heat.max()) for one in self.maps.values()), default=0.0)

    @property
    def not_drawn(self) -> str:
        """The cells that have a mean face and no map, in words; "" if there are none."""
        cells_of: dict[str, list[str]] = {}
        for at, why in self.left_out.items():
            cells_of.setdefault(why, []).append(str(self.faces.cells[at]))
        return "; ".join(f"{first_few(cells, most=8)} ({why})" for why, cells in cells_of.items())

    def heat(self, true: str, predicted: str) -> NDArray[np.float64]:
        """Return the map of a cell, float64, shape (t, t), in the unit of the maps.

        Args:
            true: the true class, or the band of the true age.
            predicted: the predicted class or, for age, how far the predicted age is from the true one.

        Raises:
            WorkspaceError: the cell has no map.
        """
        for one in self.maps.values():
            if (one.cell.true, one.cell.predicted) == (true, predicted):
                return one.heat
        raise WorkspaceError(f"The cell {true} → {predicted} has no map. frame() has those that have one.")

    def frame(self) -> pd.DataFrame:
        """Return the maps as numbers, each as a grid of 12 × 12.

        Returns:
            One row for each cell of the confusion matrix and each place of the face: true, predicted, n_faces
            (whose maps are averaged), y and x (the middle of the place, from 0, the top or left of the crop,
            to 1), change (the mean over the place of how much the prediction changes if it is covered), and
            unit.
        """
        at = (np.arange(_GRID) + 0.5) / _GRID
        tables = [
            pd.DataFrame(
                {
                    "true": one.cell.true,
                    "predicted": one.cell.predicted,
                    "n_faces": one.n_faces,
                    "y": np.repeat(at, _GRID).round(4),
                    "x": np.tile(at, _GRID).round(4),
                    "change": _in_grid(one.heat).ravel().round(6),
                    "unit": self.unit,
                }
            )
            for one in self.maps.values()
        ]
        return pd.concat(tables, ignore_index=True)

    def sheet(self) -> Image.Image:
        """Return one image with the map of each cell over its mean face, and one scale for all maps."""
        tiles = {
            at: Tile(
                Image.fromarray(heat_over(self.faces.faces[at], one.heat / max(self.most, 1e-12), TILE)),
                (
                    f"{one.n_faces:,} of {counted(one.cell.n_subjects, 'subject', 'subjects')}",
                    f"at most {self._in_unit(float(one.heat.max()))}",
                ),
            )
            for at, one in self.maps.items()
        }
        what = (
            "the probability of the predicted class falls"
            if self.run.classes
            else "the predicted age changes"
        )
        more = [
            f"Color: how much {what} if this part of the face is covered, on average over {self.n_faces:,}"
            f" faces that were drawn with the seed {self.seed}, one of each subject.",
            "The maps are those of the saved model, which was fitted on all faces; the cells are those of the"
            " out-of-fold predictions.",
        ]
        return sheet_of(self.faces.of, tiles, self._title, more, ("0", self._in_unit(self.most)))

    def save(self, folder: str | Path) -> list[Path]:
        """Write the sheet as maps.png and the numbers of all maps as maps.csv, and return the files.

        Args:
            folder: folder for the files.
        """
        return write_sheet(Path(folder), "maps", self.sheet(), self.frame())

    @property
    def _title(self) -> str:
        return f"{target_title(self.run.target)}: mean occlusion maps"

    def _in_unit(self, value: float) -> str:
        return f"{100 * value:.1f} points" if self.run.classes else f"{value:.1f} years"

    def __repr__(self) -> str:
        return (
            f"<AverageMaps: {self._title} of {model_name(self.run)},"
            f" {counted(len(self.maps), 'cell', 'cells')}, {self.n_faces:,} faces."
            " .frame() has the numbers, .heat(true, predicted) the maps.>"
        )

    def _repr_png_(self) -> bytes:
        """Return the sheet of the maps as a PNG for a notebook."""
        return png_of(self.sheet())


def _in_grid(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of a map over _GRID × _GRID places."""
    step = len(heat) // _GRID
    return np.asarray(heat.reshape(_GRID, step, _GRID, step).mean(axis=(1, 3)))


def check_sample(sample: int) -> None:
    """Raise ModelError if so few faces cannot give a mean map."""
    if sample < FEWEST_SUBJECTS:
        raise ModelError(
            f"--sample {sample} is too few: a mean map needs at least {FEWEST_SUBJECTS} faces, each of"
            " another subject."
        )


def sample_faces(of: CellFaces, sample: int, seed: int) -> tuple[dict[int, NDArray[np.intp]], dict[int, str]]:
    """Draw subjects of each cell at random, and one face of each.

    Every cell gets the same number of faces, as far as it has so many subjects. If the sample is too small
    for FEWEST_SUBJECTS faces of each cell, only the cells with the most subjects have maps.

    Args:
        of: the faces of the cells.
        sample: number of faces for all cells together, at least FEWEST_SUBJECTS.
        seed: seed of the random number generator.

    Returns:
        Position of a cell → positions of the drawn faces in of.rows; and position of a cell → why none of its
        faces are drawn.
    """
    ordered = sorted(of.shown, key=lambda at: (-of.cells[at].n_subjects, at))
    chosen = ordered[: sample // FEWEST_SUBJECTS]
    each = sample // max(len(chosen), 1)
    drawn = {}
    for cell in sorted(chosen):
        # A generator for each cell: its faces do not depend on the other cells.
        chance = np.random.default_rng([seed, cell])
        faces = np.flatnonzero(of.cell_of == cell)
        faces = faces[np.argsort(chance.random(len(faces)))]
        _, first = np.unique(of.subjects[faces], return_index=True)  # a random face of each subject
        drawn[cell] = faces[np.sort(chance.permutation(first)[:each])]
    why = f"the sample of {sample:,} faces is too small for {FEWEST_SUBJECTS} of each cell"
    return drawn, dict.fromkeys(sorted(set(of.shown) - set(chosen)), why)


def saved_model(run: Run, folder: Path) -> TrainedModel:
    """Return the saved model of a run, which was fitted on all faces.

    Args:
        run: the run.
        folder: folder of the comparison.

    Raises:
        ModelError: there is no saved model, or it is of other vectors than the run.
    """
    place = ComparisonFolder(folder).project.models / run.name
    if run.parameters.get("members"):
        raise ModelError(
            f"{run.name} averages the predictions of other runs, so it has no model of its own. Name one of"
            f" these runs: {', '.join(run.parameters['members'])}."
        )
    if not is_model(place):
        raise ModelError(
            f"{run.name} has no saved model in {place.parent}, which a map needs. Fit it again:"
            f" {run.command or 'featurekit fit'}"
        )
    return TrainedModel.load(place)


def _check_model(run: Run, model: TrainedModel) -> None:
    """Raise ModelError unless a model is of the vectors and the classes of a run."""
    # Compared as JSON, because a run that was read from a file has lists instead of tuples.
    is_same = json.dumps(run.recipes) == json.dumps([asdict(recipe) for recipe in model.recipes])
    if not is_same or model.target.name != run.target or not set(run.classes) <= set(model.target.classes):
        raise ModelError(
            f"The model {model.place} is not of the run {run.name}: it has another target, other classes or"
            " other vectors. Fit the run again: featurekit fit"
        )


def remove_maps(folder: Path) -> None:
    """Remove the files that AverageMaps.save() wrote into a folder."""
    for name in ("maps.png", "maps.csv"):
        (folder / name).unlink(missing_ok=True)


def mean_maps(
    faces: MeanFaces,
    model: TrainedModel,
    manifest: Manifest,
    store: Store,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    progress: Progress | None = None,
) -> AverageMaps:
    """Return the mean occlusion maps of the cells of one model.

    Args:
        faces: the mean faces of the cells, of the model's run.
        model: the model, fitted on all faces.
        manifest: the data set.
        store: the cache, which has the positions of the faces in the images.
        sample: number of faces, for all cells together.
        seed: seed for drawing the faces.
        device: "auto", "cpu" or "cuda".
        threads: number of threads; 0 for one per core.
        progress: called with the number of faces done, and of all faces.

    Raises:
        ModelError: the sample is too small, or the model cannot be explained or is not of the run.
        WeightsError, EngineError: a network of the model cannot be run here.
        WorkspaceError: the images of the faces are not available.
    """
    check_sample(sample)
    _check_model(faces.run, model)
    occlusion = Occlusion(model, device=device, threads=threads)
    drawn, left_out = sample_faces(faces.of, sample, seed)
    crops_of = _crops_of(faces.run, occlusion, manifest, store)
    n_done, n_used, n_all = 0, 0, sum(map(len, drawn.values()))
    maps = {}
    for at, chosen in drawn.items():
        cell = faces.cells[at]
        number = model.target.classes.index(cell.predicted) if faces.run.classes else 0
        total, n_faces = np.zeros(()), 0
        for row in faces.of.rows[chosen]:
            if crops := crops_of(int(row)):
                total, n_faces = total + occlusion(crops, number), n_faces + 1
            n_done += 1
            if progress:
                progress(n_done, n_all)
        n_used += n_faces
        if n_faces >= FEWEST_SUBJECTS:
            maps[at] = AverageMap(cell=cell, n_faces=n_faces, heat=total / n_faces)
        else:
            left_out[at] = f"only {n_faces} of {len(chosen)} images are available"
    if not maps:
        raise WorkspaceError(
            f"{n_all - n_used:,} of {n_all:,} images that were drawn in {manifest.root} are missing or have"
            " changed since featurekit prepare, and a map needs them. Restore them, or leave out the maps:"
            " --sample 0"
        )
    return AverageMaps(faces=faces, maps=maps, left_out=dict(sorted(left_out.items())), seed=seed)


def _crops_of(run: Run, occlusion: Occlusion, manifest: Manifest, store: Store) -> _CropsOf:
    """Return a function that cuts out the faces of rows for a model.

    A model that reads the stored crops gets these. For others, the images are opened, and the faces are cut
    out at their stored positions.
    """
    recipe = run.recipes[0]["faces"]
    settings = settings_of(recipe)
    stored = Crops(manifest, recipe, store)
    if occlusion.kinds == (stored.kind,):
        return lambda row: {stored.kind: stored.read(np.array([row]))[0]}
    known = store.shelf("faces", recipe)
    # Every face is known, so the detector has nothing to do.
    looker = Looker(manifest.root, settings, lambda *_: [], [], occlusion.kinds)

    def cut(row: int) -> Mapping[tuple[str, int], NDArray[np.uint8]] | None:
        own = replace(manifest, table=manifest.table.iloc[[row]])
        key = row_keys(own, settings)
        if len(known.missing(key)):
            return None
        face = face_from(known.read(key), 0)
        path, content, box = (own.table[name].iloc[0] for name in ("image_path", "content", "box"))
        return looker(Task(row, path, content, box, (face,))).faces[0].crops or None

    return cut
