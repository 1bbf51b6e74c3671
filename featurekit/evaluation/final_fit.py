"""The model that is fitted on all faces and saved, with a calibration from the folds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.recipe import Recipe
from featurekit.evaluation.examples import Examples
from featurekit.evaluation.fitting import Fitting, fit_classifier, said_where
from featurekit.evaluation.memory import may_take
from featurekit.evaluation.out_of_fold import OutOfFold
from featurekit.evaluation.planning import Plan
from featurekit.faces.settings import FaceSettings
from featurekit.inference.model import TrainedModel
from featurekit.uncertainty.calibration import Calibration, calibrate_classes, calibrate_years
from featurekit.uncertainty.conformal import MISSED


def final_model(
    name: str,
    plan: Plan,
    examples: Examples,
    out: OutOfFold,
    fitting: Fitting,
    *,
    manifest: Manifest,
    folds: FoldSet,
    settings: FaceSettings,
    recipes: Sequence[Recipe],
    weights: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> TrainedModel:
    """Return a model fitted on all faces that are in a training or test part of some fold.

    Args:
        name: of the model.
        plan: which classifier.
        examples: its faces.
        out: the predictions of the models of the folds.
        fitting: how it is fitted.
        manifest: whose faces.
        folds: the fold in which each subject was tested.
        settings: how faces were found.
        recipes: of the vectors.
        weights: the weight files that were used.
        notes: decisions that were made in the folds.

    Raises:
        EstimatorError: a user's own estimator failed.
    """
    everything = examples.part(folds.numbers[examples.rows] >= 0)
    with said_where(plan.kind, plan.target, fitting, "all faces"):
        final, found = fit_classifier(
            plan.kind,
            plan.target,
            everything.X,
            everything.y,
            everything.subjects,
            replace(fitting, resources=replace(fitting.resources, memory=may_take())),
            also=everything.also,
        )
    chosen = ", ".join(f"{key}={value}" for key, value in found.best.items()) if found else ""
    return TrainedModel(
        name=name,
        target=plan.target,
        classifier=plan.kind.name,
        estimator=final,
        settings=settings,
        recipes=tuple(recipes),
        training={
            **_learned_from(manifest, examples, out),
            "seed": fitting.seed,
            "notes": [*notes, *([f"Tuned on all faces: {chosen}."] if chosen else [])],
        },
        weights=tuple(weights),
        calibration=_calibration(examples, out),
    )


def _learned_from(manifest: Manifest, examples: Examples, out: OutOfFold) -> dict[str, Any]:
    """Return the data set of a model, and the numbers of its faces and subjects."""
    tested = out.fold >= 0
    return {
        "dataset": manifest.name,
        "synthetic": bool(manifest.info.get("synthetic")),
        "licence": manifest.info.get("licence", ""),
        "n_faces": int(tested.sum()),
        "n_subjects": len(np.unique(examples.subjects[tested])),
    }


def _calibration(examples: Examples, out: OutOfFold) -> Calibration | None:
    """Return the calibration of a model fitted on all faces, from the predictions of the folds.

    None for a model without probabilities, or too few subjects.
    """
    tested = out.fold >= 0
    target, y, subjects = examples.target, examples.y[tested], examples.subjects[tested]
    if target.is_regression:
        return calibrate_years(out.predicted[tested], y, subjects, missed=MISSED)
    if not out.gives_probabilities:
        return None
    return calibrate_classes(out.probabilities[tested], y, subjects, missed=MISSED, ordered=target.ordered)
