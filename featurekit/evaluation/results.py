"""The results of a comparison, run by run, as they are stored.

One combination of target, features and classifier is a Run. The report is made from
stored runs, so no model has to be fitted again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.replaced import how_to_have_back
from featurekit.evaluation.scores import renamed
from featurekit.files import whole_file, write_text
from featurekit.project import ComparisonFolder
from featurekit.records import read_record

# The beginning of the note of a run whose model could not be saved.
NOT_SAVED = "The model was not saved: "


@dataclass(frozen=True, kw_only=True)
class Run:
    """One classifier on one feature set for one target, with its out-of-fold scores.

    Attributes:
        target: name of the target.
        classes: classes of the target in natural order; empty for a regression target.
        features: name of the feature set, e.g. "dlib_age", "dlib_age+mobilenet_v2" or "eigenfaces".
        dim: length of the vectors; of those of the first fold if a part of them is fitted per fold.
        classifier: name of the classifier.
        is_baseline: whether the classifier is a baseline.
        parameters: parameters of the fitted classifier.
        notes: decisions that were made during the fits, a sentence each (e.g. on class weights).
        scores: each score on the faces that were found, as {"mean", "std", "folds"}; "std" is the standard
            deviation over folds. Shares are between 0 and 1, a mean absolute error is in years or groups.
        scores_all_rows: the same scores on all labelled rows, where a row without a face counts as wrong;
            empty for a regression target.
        confusion: confusion matrix, true × predicted classes in the order of classes, summed over all folds;
            empty for a regression target.
        recall: recall of each class, in the order of classes, None if no face has it; empty for a regression
            target.
        n_tested: number of faces that were scored.
        n_labelled: number of usable rows with a label.
        n_subjects: number of subjects of the scored faces.
        seconds: duration of "extract", "fit" and "predict" for all folds together. "extract" is the time for
            the features of the run, and "fit" includes the parameter search.
        bytes_on_disk: size of the model fitted on all faces; 0 if none was saved.
        peak_bytes: peak memory of the process while the run was made, with the vectors and with the fits of
            other runs at the same time; None if the system does not report it, or nothing was fitted.
        recipes: settings (Recipe) with which each part of the feature set was extracted.
        weights: name, sha256, and the three licences of each weight file that was used.
        hardware: requested and used engine, device and precision; processor, cores and memory.
        versions: versions of Python, featurekit and each library that influences numbers, and of each data
            set, detector, backbone and classifier from another package; see provenance.packages_of().
        folds: facts about the folds: {"number", "kind" ("official" or "made"), "seed", "sha256"}.
        scored_on: hashes of the "rows", "labels" and "subjects" on which the run was fitted and scored; empty
            if an older version fitted it. See featurekit.evaluation.comparable.set_apart().
        dataset: facts about the data set: {"name", "synthetic", "n_rows", "licence", "options": those of
            featurekit prepare without "root", "tally": number of rows by the reason why they are unusable,
            "counts": what featurekit prepare counted, "statuses": number of rows by status}.
        seed: seed of the random number generator.
        command: command line that made the run.
        created: UTC time, ISO 8601.
        tuned: whether parameters were searched for, inside every training part.
        search: parameter search of each fold: {"parameters": chosen ones, "score": their mean score on the
            inner folds (accuracy, or minus the mean absolute error in years), "candidates": number tried}.
        variation: non-default parameters of the classifier.
        commit: first digits of the commit of featurekit that made the run; "" if it ran from no checkout.
        left_out: number of usable rows of each class that is not learned, because it is missing in some
            training part. These rows count neither as labelled nor as tested.
        training: training of a network end to end in each fold: {"epochs", "best_epoch", "seconds", "faces",
            "held_out_faces", "engine", "device", "precision", "history": one entry for each epoch}.
    """

    target: str
    classes: tuple[str, ...]
    features: str
    dim: int
    classifier: str
    is_baseline: bool
    parameters: Mapping[str, Any]
    notes: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Any]]
    scores_all_rows: Mapping[str, Mapping[str, Any]]
    confusion: tuple[tuple[int, ...], ...]
    recall: tuple[float | None, ...]
    n_tested: int
    n_labelled: int
    n_subjects: int
    seconds: Mapping[str, float]
    bytes_on_disk: int
    recipes: tuple[Mapping[str, Any], ...]
    weights: tuple[Mapping[str, Any], ...]
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    folds: Mapping[str, Any]
    dataset: Mapping[str, Any]
    seed: int
    command: str
    created: str
    tuned: bool = False
    search: tuple[Mapping[str, Any], ...] = ()
    variation: Mapping[str, Any] = field(default_factory=dict)
    training: tuple[Mapping[str, Any], ...] = ()
    peak_bytes: int | None = None
    scored_on: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    commit: str = ""

    def seen(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the labels on which the run was fitted and scored."""
        return manifest.without(self.target, self.left_out)

    @property
    def name(self) -> str:
        """Name of the run and of its files; unique within a comparison."""
        return run_name(self.target, self.features, self.classifier, self.tuned, self.variation)

    @property
    def classifier_name(self) -> str:
        """Name of the classifier, with its non-default parameters and whether it was tuned."""
        changes = [f"{' '.join(re.split('_+', name))} {value}" for name, value in self.variation.items()]
        changes += ["tuned"] if self.tuned else []
        return f"{self.classifier} ({', '.join(changes)})" if changes else self.classifier

    def save(self, folder: Path, predictions: pd.DataFrame) -> None:
        """Write the run to folder/runs/ as JSON and its predictions to folder/predictions/ as Parquet."""
        files = ComparisonFolder(folder)
        with whole_file(files.prediction(self.name)) as file:
            predictions.to_parquet(file, index=False)
        write_text(files.run(self.name), json.dumps(asdict(self), indent=2, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read a run that save() wrote.

        Raises:
            WorkspaceError: the file is not a run of this version.
        """
        try:
            run = read_record(path, cls)
        except ValueError as error:
            raise WorkspaceError(
                f"{path} is not a run that this version of featurekit can read ({str(error).rstrip('.')})."
                " Delete it, and fit it again: featurekit fit."
            ) from error
        return replace(run, scores=_as_today(run.scores), scores_all_rows=_as_today(run.scores_all_rows))


def _as_today(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the scores of a stored run under the names that they have today."""
    return {
        name: {"std" if part == "spread" else part: value for part, value in score.items()}
        for name, score in renamed(scores).items()
    }


def load_runs(folder: Path) -> list[Run]:
    """Return every run of a comparison, in the order of their names.

    Raises:
        WorkspaceError: a file does not contain a run, or two files contain the same run.
    """
    found: dict[str, tuple[Path, Run]] = {}
    for path in ComparisonFolder(folder).all_runs():
        run = Run.load(path)
        if run.name in found:
            raise WorkspaceError(
                f"{found[run.name][0].name} and {path.name} in {path.parent} contain the same run,"
                f" {run.name}, which would be ranked twice. Delete the copy."
            )
        found[run.name] = (path, run)
    return [run for _, run in found.values()]


def some_runs(folder: Path) -> list[Run]:
    """Return every run of a comparison by name, or raise an error if there is no run.

    Raises:
        WorkspaceError: the comparison has no runs.
    """
    runs = load_runs(folder)
    if not runs:
        replaced = ComparisonFolder(folder).replaced_folders()
        if replaced:
            raise WorkspaceError(
                f"There are no runs in {folder}. The runs that were there before are in {replaced[-1]}. To"
                f" restore them: {how_to_have_back(replaced[-1], ComparisonFolder(folder).project.models)}"
            )
        others = sorted(path for path in folder.parent.glob("*") if path.is_dir())
        known = [path.name for path in others if ComparisonFolder(path).all_runs()]
        raise WorkspaceError(
            f"There are no runs in {folder}. Next: featurekit fit --name {folder.name} --model svm."
            + (f" Comparisons that have runs: {', '.join(known)}." if known else "")
        )
    return runs


def run_name(target: str, features: str, classifier: str, tuned: bool, variation: Mapping[str, Any]) -> str:
    """Return the name of the files of a run; unique within a comparison."""
    changes = "".join(f"--{name}-{value}" for name, value in variation.items())
    classifier = re.sub(r"[^\w.-]+", "-", classifier).strip("-")
    # A file name must have no colon. A dot that was there already is doubled, so that names stay different.
    features = features.replace(".", "..").replace(":", ".")
    return f"{target}--{features}--{classifier}{changes}{'--tuned' if tuned else ''}"
