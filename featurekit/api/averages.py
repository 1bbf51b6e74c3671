"""Mean faces and mean occlusion maps, such as `results.average.faces("svm", "gender")`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurekit.api._of_results import OfResults
from featurekit.api.arguments import threads_of
from featurekit.api.model import Model
from featurekit.api.telling import Shown, shown
from featurekit.averages.cells import FEWEST_SUBJECTS, CellFaces, cells_of
from featurekit.averages.faces import MeanFaces, mean_faces
from featurekit.averages.maps import SAMPLE, AverageMaps, check_sample, mean_maps, remove_maps, saved_model
from featurekit.cache.store import Store
from featurekit.checked import checked
from featurekit.data.manifest import Manifest
from featurekit.errors import FeaturekitError, TargetError, WorkspaceError
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.outcomes import read_predictions
from featurekit.evaluation.results import Run
from featurekit.inference.model import TrainedModel
from featurekit.project import ComparisonFolder
from featurekit.report.select import is_named, targets_of


@dataclass(frozen=True, kw_only=True)
class Average:
    """What Averages.save() has made for one model.

    Attributes:
        faces: the mean faces.
        maps: the mean occlusion maps; None if there are none.
        no_maps: why there are no maps; "" if there are, or if none were asked for.
        files: the written files.
    """

    faces: MeanFaces
    maps: AverageMaps | None
    no_maps: str
    files: tuple[Path, ...]


@checked()
class Averages(OfResults):
    """Mean faces and mean occlusion maps of the faces that a model predicts correctly or confuses.

    The faces are grouped as in a confusion matrix, by the true class and the class that they were predicted
    to be out of fold. For age, they are grouped by the band of the true age, and by whether the predicted age
    is more than 5 years too young, within 5 years, or more than 5 years too old. A cell with fewer than ten
    subjects is left out, because its mean could show a person. Each subject counts once, however many images
    there are. If the data set names no subjects, each image counts as a subject.

    A model is named as in the ranking ("svm"), or by the name of its run if several models have the same
    name; without a name, it is the best trained model. The target can be left out if the results have only
    one target.

    Args:
        runs: the runs of the comparison.
        folder: folder of the comparison.
        data: the data set; None if it is not available.
    """

    def __init__(self, runs: Sequence[Run], folder: Path, data: Manifest | None) -> None:
        apart = set_apart(runs, data, folder)
        super().__init__([run for run in runs if run.name not in apart], None, folder, apart)
        self._data = data

    def faces(
        self, model: str | None = None, target: str | None = None, *, progress: Shown = True
    ) -> MeanFaces:
        """Return the mean face of each cell.

        Args:
            model: name of the model; None for the best trained model.
            target: the target.
            progress: whether to show a progress bar, or a function that is called with (faces done, faces to
                do).

        Returns:
            An object that a notebook shows as a sheet of images. ``.save(folder)`` writes the sheet,
            ``.frame()`` has the numbers of faces and
            subjects of each cell, and ``.face(true, predicted)`` the mean face as RGB, uint8, shape
            (160, 160, 3).

        Raises:
            TargetError: the target is not given, and the results have several targets; or no cell has ten
                subjects.
            UnknownNameError: there is no target or model with a given name.
            WorkspaceError: the predictions or the data set are not available, or the face crops are not in
                the cache (``fk.embed(data, "pixels")`` stores them).

        Example:
            >>> results.average.faces("svm", "gender").frame()    # doctest: +SKIP
        """
        (found,) = self._faces([self._run(model, target)], progress)
        _check_any([found.of])
        return found

    def maps(
        self,
        model: str | None = None,
        target: str | None = None,
        *,
        trained: Model | None = None,
        sample: int = SAMPLE,
        random_state: int = 0,
        device: str = "auto",
        n_jobs: int | None = None,
        progress: Shown = True,
    ) -> AverageMaps:
        """Return the mean occlusion map of each cell: on which part of the face the prediction depends.

        For each drawn face, a grey square is moved over the face, and the model predicts again each time. The
        map says how much the probability of the predicted class falls, or how many years the predicted age
        changes.

        Args:
            model: name of the model; None for the best trained model.
            target: the target.
            trained: the model, fitted on all faces; None for the model that is saved in the project.
            sample: number of faces, at least 10. They are divided equally among the cells. If these are too
                many for ten faces each, only the cells with the most subjects have maps.
            random_state: seed for drawing the faces, one of each subject.
            device: "auto", "cpu" or "cuda".
            n_jobs: number of threads; None or -1 for one per core.
            progress: whether to show a progress bar, or a function that is called with (faces done, faces to
                do).

        Returns:
            An object that a notebook shows as a sheet of maps over the mean faces. ``.frame()`` has the
            numbers on a grid of 12 × 12 places, ``.heat(true, predicted)`` the map as float64, shape (48,
            48), and ``.unit`` its unit, "probability" or "years".

        Raises:
            TargetError, UnknownNameError: as for faces().
            ModelError: there is no saved model, it reads no pixels of the faces, or the sample is too small.
            WeightsError, EngineError: a network of the model cannot be run on this machine.
            WorkspaceError: as for faces(), or the images are not available.

        Example:
            >>> results.average.maps("svm", "gender", sample=200).heat("female", "male")    # doctest: +SKIP
        """
        check_sample(sample)
        run = self._run(model, target)
        fitted = saved_model(run, self._folder) if trained is None else trained._trained
        faces = self.faces(run.name, run.target, progress=progress)
        options = {"sample": sample, "seed": random_state, "device": device, "threads": threads_of(n_jobs)}
        return self._maps(faces, fitted, options, progress)

    def save(
        self,
        targets: Sequence[str] | None = None,
        *,
        model: str | None = None,
        folder: str | Path | None = None,
        sample: int = SAMPLE,
        random_state: int = 0,
        device: str = "auto",
        n_jobs: int | None = None,
        progress: Shown = True,
    ) -> list[Average]:
        """Write the mean faces and maps of one model of each target; the crops are read once for all targets.

        Each model gets a folder with faces.png and faces.csv, and with maps.png and maps.csv.

        Args:
            targets: the targets; None for all that the model predicts.
            model: name of the model; None for the best trained model of each target.
            folder: folder for the files; None for average/ in the folder of the comparison.
            sample: number of faces for the maps of each model, as for maps(); 0 for mean faces without maps.
            random_state: seed for drawing the faces, one of each subject.
            device: "auto", "cpu" or "cuda".
            n_jobs: number of threads; None or -1 for one per core.
            progress: whether to show progress bars.

        Returns:
            For each model ``.faces``, ``.maps``, ``.files`` and ``.no_maps``, which says why there are no
            maps.

        Raises:
            TargetError: no cell of any target has ten subjects.
            UnknownNameError, WorkspaceError: as for faces().
            ModelError: the sample is too small.

        Example:
            >>> results.average.save(["gender"], sample=0)[0].files    # doctest: +SKIP
        """
        if sample:
            check_sample(sample)
        place = ComparisonFolder(self._folder).average if folder is None else Path(folder)
        found = self._faces(self._chosen(targets, model), progress)
        _check_any([one.of for one in found])
        options = {"sample": sample, "seed": random_state, "device": device, "threads": threads_of(n_jobs)}
        made = []
        for faces in found:
            files, maps, why = faces.save(place / faces.run.name), None, ""
            if sample and faces.faces:
                try:
                    maps = self._maps(faces, saved_model(faces.run, self._folder), options, progress)
                except FeaturekitError as error:
                    why = str(error)
                    # Those of an earlier fit must not stand beside these faces.
                    remove_maps(place / faces.run.name)
            if maps:
                files += maps.save(place / faces.run.name)
            made.append(Average(faces=faces, maps=maps, no_maps=why, files=tuple(files)))
        return made

    def __repr__(self) -> str:
        return "<Averages: .faces(), .maps(), .save()>"

    @property
    def _manifest(self) -> Manifest:
        if self._data is None:
            raise WorkspaceError(
                f"The data set of {self._folder} is not available, so no mean of its faces can be made."
            )
        return self._data

    @property
    def _store(self) -> Store:
        return Store(ComparisonFolder(self._folder).project.cache)

    def _chosen(self, targets: Sequence[str] | None, model: str | None) -> list[Run]:
        """Return the run of each target; see save()."""
        if not self._runs:
            raise WorkspaceError("No run can be compared with other runs, so there is nothing to average.")
        if model in self._apart:
            return [self._run(model, None)]  # raises an error that says why it is set apart
        if targets is None:
            own = [run for run in self._runs if model is None or is_named(run, model)]
            targets = targets_of(own or self._runs)
        return [self._run(model, name) for name in dict.fromkeys(targets)]

    def _faces(self, runs: Sequence[Run], progress: Shown) -> list[MeanFaces]:
        """Return the mean faces of several runs."""
        manifest, predictions = self._manifest, ComparisonFolder(self._folder).prediction
        cells = [cells_of(run, read_predictions(predictions(run.name)), manifest) for run in runs]
        with shown(progress, "averaging", "faces") as told:
            return mean_faces(cells, manifest, self._store, told)

    def _maps(
        self, faces: MeanFaces, fitted: TrainedModel, options: Mapping[str, Any], progress: Shown
    ) -> AverageMaps:
        with shown(progress, f"explaining {faces.run.target}", "faces") as told:
            return mean_maps(faces, fitted, self._manifest, self._store, progress=told, **options)


def _check_any(several: Sequence[CellFaces]) -> None:
    """Raise TargetError if no cell has enough subjects for a mean face."""
    if any(one.shown for one in several):
        return
    names = ", ".join(one.run.target for one in several)
    most = max(cell.n_subjects for one in several for cell in one.cells)
    raise TargetError(
        f"No cell of {names} has {FEWEST_SUBJECTS} subjects (the largest has {most}), and a mean of fewer"
        " could show a person, so there is no mean face."
    )
