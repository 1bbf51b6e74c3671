"""The results of a comparison, with tables, figures, the report and fitted models."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.api.ages import Ages
from featurekit.api.arguments import threads_of
from featurekit.api.averages import Averages
from featurekit.api.data import Dataset
from featurekit.api.disparities import DisparitiesOf
from featurekit.api.embed import Embeddings, features_of, joined_ledger
from featurekit.api.exports import Exports
from featurekit.api.model import Model
from featurekit.api.plots import Plots
from featurekit.api.telling import Shown, shown, warn
from featurekit.checked import checked
from featurekit.checks.audit import Audit
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import ClassifierKind, Resources
from featurekit.estimators.given import kind_of_saved
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.examples import labels_of
from featurekit.evaluation.outcomes import collect
from featurekit.evaluation.results import Run, some_runs
from featurekit.networks.engines import usable_cores
from featurekit.project import ComparisonFolder
from featurekit.report import frames
from featurekit.report.select import best_first, one_target, run_named, targets_of


@checked()
class Results(Exports):
    """The results of a comparison, as `fk.evaluate` and `fk.load_results` return them.

    A run that was not scored on the same faces, labels and subjects as the other runs is set apart, which
    means that it is in no ranking. The attribute `apart` has these runs with the reason.

    Args:
        runs: the runs, each with the results of one model on one feature set for one target.
        folder: folder of the comparison.
        data: the data set; None if it is not available.
        kinds: mapping from name to model, for models that were given as objects.

    Attributes:
        runs: all runs, including the runs that are set apart.
        folder: folder of the comparison.
        data: the data set, or None if it is not available.
        plot: figures, such as ``results.plot.accuracy()``.
        ages: tables on predicted ages: errors by single year, and checks of a legal age.
        average: mean faces and mean occlusion maps, such as ``results.average.faces()``.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        folder: Path,
        data: Manifest | None = None,
        *,
        kinds: Mapping[str, ClassifierKind] | None = None,
    ) -> None:
        super().__init__(runs, folder, data)
        self.kinds = dict(kinds or {})

    @property
    def evidence(self) -> Evidence | None:
        """Confidence intervals, differences and slices, which are computed at the first use.

        The value is None if the predictions of the models are not available.
        """
        return self._weighed.evidence

    @property
    def apart(self) -> Mapping[str, str]:
        """The reason for each run that cannot be compared with the other runs, by name of the run."""
        return self._weighed.apart

    @property
    def ranked(self) -> list[Run]:
        """The runs that can be compared, grouped by target, best first."""
        return self._ranked(None)

    @property
    def targets(self) -> list[str]:
        """The targets that were predicted."""
        return targets_of(self.runs)

    @property
    def plot(self) -> Plots:
        """Figures of these results, each with ``.plot(ax=None)``, ``.frame()`` and ``.help()``."""
        return Plots(self.ranked, self.evidence, self.folder, self.apart)

    @property
    def ages(self) -> Ages:
        """Tables on predicted ages, such as ``results.ages.checks(18, 25)``."""
        return Ages(self.ranked, self.evidence, self.folder, self.apart)

    @property
    def average(self) -> Averages:
        """Mean faces and mean occlusion maps of the faces that a model confuses."""
        return Averages(self.runs, self.folder, self.data)

    def frame(self, target: str | None = None, *, long: bool = False) -> pd.DataFrame:
        """Return the scores of all models, best first, with their intervals.

        Args:
            target: the target; None for all targets.
            long: whether to return one row for each score of each model, instead of one for each model.

        Returns:
            The wide table has the columns target, features, model and role; for each score its mean over the
            splits (a share between 0 and 1, or years), _std, _low and _high (95 % interval over subjects) and
            _all_rows; then n_faces, n_subjects, seconds and bytes. The long table has target, features,
            model, role, run, score, rows, value, std, low and high.

        Example:
            >>> results.frame()[["model", "accuracy", "accuracy_low"]]    # doctest: +SKIP
        """
        make = frames.scores_frame if long else frames.ranking_frame
        ranked = self._ranked(target)
        if not ranked:
            warn("every run is set apart, so the table is empty: results.apart has the reasons")
        return make(ranked, self.evidence)

    def differences(self, target: str | None = None) -> pd.DataFrame:
        """Return the difference of each pair of models, on the faces that both models were scored on.

        Args:
            target: the target; None for all targets.

        Returns:
            One row for each pair, the better model first: target, first, second, score, gain, low and high
            (95 % confidence interval over subjects), p_value (adjusted for all pairs of the target),
            p_value_unadjusted, p_value_limit (the smallest p-value that the test can give), p_value_folds
            (corrected t-test over the folds) and is_shown (whether p_value is at most 0.05).

        Raises:
            WorkspaceError: the models' predictions are not available.
        """
        return frames.differences_frame(self._ranked(target), self._known())

    def slices(self, target: str | None = None) -> pd.DataFrame:
        """Return the scores of the best models of each target on slices of the faces, worst first.

        They are those of the best three trained models, and of the off-the-shelf networks. A slice has all
        faces with one label, such as one age group, or with two labels. The size of the face on the image is
        a label (face_size, in bands of pixels) if the cache knows it, and so is its sharpness (in thirds of
        the faces) if the backbone "sharpness" has been extracted.

        Args:
            target: the target; None for all targets.

        Returns:
            One row for each slice: target, model, slice, score, value, low, high, gap (to all other faces),
            p_value (adjusted for all slices), n_faces and n_subjects.

        Raises:
            WorkspaceError: the models' predictions are not available.
        """
        return frames.slices_frame(self._ranked(target), self._known())

    def disparities(
        self,
        model: str | None = None,
        *,
        column: str | None = None,
        reference: str | None = None,
        target: str | None = None,
    ) -> pd.DataFrame:
        """Return how much a model's scores differ between groups: the faces with each label of a column.

        The values are those of fairlearn (Bird et al. 2020). Groups with fewer than 30 subjects are left out.

        Args:
            model: name of a model, such as "svm", or of a run; None for the best trained model.
            column: column of labels, such as "gender"; None for all columns.
            reference: label of the reference group of this column; None for the group with most subjects.
            target: the target; None if the results have only one target.

        Returns:
            One row for each number: model, column, measure, group ("" for all together), reference, predicted
            (the class that the number is about, or ""), value, low and high (95 % interval over subjects),
            n_faces and n_subjects. Measures of a group are its score (a share, or years; NaN for a group that
            is left out), gap_to_reference (in the same unit, negative if the model is worse on the group) and
            ratio_to_reference. Measures of all groups are difference and ratio (of the largest and the
            smallest score), difference_to_overall and ratio_to_overall; with two classes also
            demographic_parity_difference, equalized_odds_difference, and both as a ratio for each class.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no such target, model, column or label.
            ModelError: the reference group has fewer than 30 subjects, or it is given without a column.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.disparities("svm", column="gender", reference="male")    # doctest: +SKIP
        """
        of = DisparitiesOf(self.ranked, self.evidence, self.folder, self.apart)
        return of.frame(model, column, reference, target)

    def predictions(self, model: str | None = None, target: str | None = None) -> pd.DataFrame:
        """Return the out-of-fold predictions, by models that were fitted without the subject of the face.

        Args:
            model: name of a model, such as "svm", or of a run; None for all models of the target.
            target: the target; None if the results have only one target.

        Returns:
            One row for each face and model: run, face_id (the row number if the comparison has no
            ids), subject (a number), fold, true, predicted, and the probability of each class as p_CLASS.
        """
        name = one_target(self.runs, target)
        runs = [run_named(self.runs, model, name)] if model is not None else self._ranked(name)
        if not runs:
            raise WorkspaceError(
                f"No run of {name} can be compared with other runs: results.apart has the reasons."
                " To get the predictions of one run, give its name."
            )
        tables = []
        for run in runs:
            path = ComparisonFolder(self.folder).prediction(run.name)
            if path.is_file():
                table = pd.read_parquet(path)
            else:
                kept = collect(self.folder, [run.name]).tables.get(run.name)
                if kept is None:
                    raise WorkspaceError(f"The predictions of {run.name} are not in {self.folder}.")
                table = kept.rename(columns={"row": "face_id"})
            table.insert(0, "run", run.name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def splits(
        self, X: Embeddings, target: str | None = None
    ) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return the splits that the models of a target were scored on, for scikit-learn's ``cv=``.

        Args:
            X: embeddings of the data set.
            target: the target; None if the results have only one target.

        Returns:
            For each split, the positions in X.vectors of the training faces and of the test faces. Faces
            without a label are left out.

        Raises:
            WorkspaceError: the comparison's data set or splits are not available.

        Example:
            >>> y = X.labels("gender")                                                    # doctest: +SKIP
            >>> cross_val_score(SVC(), X.vectors, y, cv=results.splits(X, "gender"))      # doctest: +SKIP
        """
        name = one_target(self.runs, target)
        path = ComparisonFolder(self.folder).folds
        if self.data is None or not path.is_file():
            raise WorkspaceError(f"The data set or the splits of {self.folder} are not available.")
        seen = next(run for run in self.runs if run.target == name).seen(self.data)
        of = seen.target(name)
        positions = np.flatnonzero(seen.labelled(of)[X.rows])
        rows = X.rows[positions]
        _, labels = labels_of(seen, of, rows)
        return [
            (positions[fold.train], positions[fold.test])
            for fold in FoldSet.load(path).folds(rows, labels, seen.subjects[rows])
        ]

    def best(self, target: str | None = None) -> "Result":
        """Return the best trained model of a target, which is the first one in the ranking.

        Args:
            target: the target; None if the results have only one target.
        """
        ranked = [run for run in self._ranked(one_target(self.runs, target)) if not run.is_baseline]
        if not ranked:
            raise WorkspaceError("There is no trained model among these results, only baselines.")
        return Result(self, ranked[0])

    def __getitem__(self, name: str) -> "Result":
        """Return the result with the name of a run, or of a model that only one run has."""
        return Result(self, run_named(self.runs, name))

    def __iter__(self) -> Iterator["Result"]:
        return (Result(self, run) for run in self.ranked)

    def __len__(self) -> int:
        return len(self.runs)

    def audit(self) -> Audit | None:
        """Return the findings of `fk.audit`, or None if the comparison has not been audited."""
        return Audit.load(self.folder)

    def __repr__(self) -> str:
        n_models = len({run.classifier_name for run in self.runs})
        return (
            f"Results({self.folder.name!r}: {len(self.runs)} runs of {n_models} models for"
            f" {', '.join(self.targets)})"
        )

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import results_html

        return results_html(self.ranked, self.evidence, self.folder.name, self.apart)

    def _known(self) -> Evidence:
        if self.evidence is None:
            raise WorkspaceError(
                f"The predictions of the models are not in {self.folder}, so the models cannot be compared."
            )
        return self.evidence

    def _ranked(self, target: str | None) -> list[Run]:
        """Return the runs that can be compared, best first, of one target or target by target."""
        names = self.targets if target is None else [one_target(self.runs, target)]
        runs = [run for run in self.runs if run.name not in self.apart]
        return [run for name in names for run in best_first([one for one in runs if one.target == name])]


@checked("X")
class Result:
    """One model of a comparison, with one feature set and one target.

    Attributes:
        run: the stored run, with all facts about the model and its scores.
    """

    def __init__(self, results: Results, run: Run) -> None:
        self._results, self.run = results, run

    @property
    def name(self) -> str:
        """Name of the run, which is unique within the comparison."""
        return self.run.name

    @property
    def scores(self) -> "pd.Series[float]":
        """The scores of the model on the faces found, as means over the splits."""
        means = {name: one["mean"] for name, one in self.run.scores.items()}
        return pd.Series(means, name=self.name, dtype=float)

    def predictions(self) -> pd.DataFrame:
        """Return the out-of-fold predictions of the model; see Results.predictions."""
        return self._results.predictions(self.name, self.run.target)

    def fit(
        self,
        data: Manifest,
        X: Embeddings | Sequence[Embeddings],
        *,
        n_jobs: int | None = None,
        progress: Shown = True,
    ) -> Model:
        """Fit the model on all faces of the comparison, and calibrate it on the out-of-fold predictions.

        ``fk.evaluate(..., save_models=True)`` and `featurekit fit` save the same model.

        Args:
            data: the data set that the model was evaluated on.
            X: the embeddings that the model was evaluated on.
            n_jobs: number of threads; None or -1 for one per core.
            progress: whether to show a progress bar.

        Returns:
            The fitted model, which has ``.predict(images)`` and ``.save(folder)``.

        Raises:
            EmbeddingError: the model was evaluated on other embeddings.
            FoldError: the data set has other rows than the comparison.
        """
        from featurekit.evaluation.final_fit import fit_on_all

        if self.run.parameters.get("members"):
            raise WorkspaceError(f"{self.name} is the mean of other runs. Fit these runs instead.")
        several = features_of(X)
        with shown(progress, "fitting", "fits") as told:

            def tell(text: str, share: float) -> None:
                told.tell(text)
                told(share, 1)

            trained = fit_on_all(
                self.run,
                self._results.kinds.get(self.run.classifier) or kind_of_saved(self.run.classifier),
                self._results.folder,
                data,
                joined_ledger(several),
                several[0].store,
                resources=Resources(threads=threads_of(n_jobs) or usable_cores(), progress=tell),
            )
        return Model(trained)

    def predict(self, *_: Any, **__: Any) -> Any:
        """Raise an error, because a result has no fitted model; use ``.fit(data, X).predict(images)``.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} is a result, and its model is not fitted yet. First: model = result.fit(data, X),"
            " then model.predict(images)."
        )

    def __repr__(self) -> str:
        shown_scores = ", ".join(f"{name} {value:.3f}" for name, value in self.scores.head(3).items())
        return f"Result({self.name!r}: {shown_scores})"


@checked()
def load_results(folder: str | Path) -> Results:
    """Load the results of a comparison that was made by `fk.evaluate` or `featurekit fit`.

    Args:
        folder: folder of the comparison, such as "reports/utkface".

    Returns:
        The results, with the data set of the project if they were made from it.

    Raises:
        WorkspaceError: the folder has no runs.

    Example:
        >>> import featurekit as fk
        >>> fk.load_results("reports/utkface-builtin").frame()    # doctest: +SKIP
    """
    place = Path(folder)
    place = place if place.name else place.absolute()
    return Results(some_runs(place), place, _data_of(place))


def _data_of(folder: Path) -> Dataset | None:
    """Return the data set of a comparison; None if it is not available."""
    files = ComparisonFolder(folder)
    # A comparison with outcomes but without splits was copied here, and is not of this project's data set.
    came_from_elsewhere = files.outcomes.is_dir() and not files.folds.is_file()
    if came_from_elsewhere or not files.project.manifest.is_file():
        return None
    found = Dataset.load(files.project.manifest)
    # If some rows have changed, a message says so later; without common rows it is another data set.
    known = FoldSet.load(files.folds).face_ids if files.folds.is_file() else found.table["face_id"]
    return found if set(known) & set(found.table["face_id"]) else None
