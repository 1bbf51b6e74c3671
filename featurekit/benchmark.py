"""Fit and score every combination, fold by fold.

One combination of target, features and classifier is a Run. Runs are what the
report is derived from, at any time and without fitting anything again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Run:
    """One classifier on one feature set for one target, scored out of fold.

    Attributes:
        target: name of the target.
        classes: its classes in natural order; empty for a target in years.
        features: name of the feature set, e.g. "dlib_age" or "dlib_age+mobilenet_v2".
        dim: length of its vectors.
        classifier: name of the classifier.
        is_baseline: whether it stands in the table as a floor.
        parameters: the classifier's parameters, as fitted.
        notes: what was decided aloud, a sentence each (e.g. linear kernel, class weights).
        scores: score → {"mean", "spread", "folds"}, on the faces found; spread is the standard
            deviation over folds; shares are between 0 and 1, MAE in years or groups.
        scores_all_rows: the same, with every labelled row without a face counted as wrong (absent for years).
        confusion: true × predicted counts over all folds, in the order of classes; empty for years.
        recall: share of each class found again, in the order of classes; empty for years.
        n_tested: faces scored; n_labelled: usable rows with a label; n_subjects: persons among the faces scored.
        seconds: "extract", "fit", "predict": of all folds together; extract is that of the recipes.
        bytes_on_disk: size of the fitted model of fold 0 when it is saved.
        recipes: the Recipe of each part of the feature set.
        weights: name, sha256, and the three licences of each weight file that took part.
        hardware: what was asked for and what was got (engine, device, precision, processor, cores, memory).
        versions: of python, featurekit and each library that decides numbers.
        folds: {"number", "kind" ("official" or "made"), "seed", "sha256"}.
        dataset: {"name", "synthetic", "n_rows", "tally": reason → rows, "statuses": status → rows}.
        seed: what chance came from.
        command: the command line that made it.
        created: UTC time, ISO 8601.
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
    recall: tuple[float, ...]
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
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its files are called; unique within a comparison."""
        return f"{self.target}--{self.features.replace(':', '.')}--{self.classifier}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)
