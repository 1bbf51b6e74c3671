"""Fit the model of a run on all faces, and calibrate it on the out-of-fold predictions of the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import Recipe, describe_weights
from featurekit.errors import EmbeddingError
from featurekit.estimators import Classifier, ClassifierKind, Resources
from featurekit.estimators._threads import one_blas_thread
from featurekit.evaluation.examples import Examples, examples_of, vectors_of
from featurekit.evaluation.fitting import Fitting, fit_classifier, memory_of, said_where
from featurekit.evaluation.out_of_fold import OutOfFold
from featurekit.evaluation.outcomes import gives_probabilities, probabilities_of, read_predictions
from featurekit.evaluation.planning import Plan, full_names
from featurekit.evaluation.results import NOT_SAVED, Run
from featurekit.evaluation.tuning import Search
from featurekit.faces.settings import FaceSettings
from featurekit.inference.model import TrainedModel
from featurekit.networks.engines import usable_cores
from featurekit.project import ComparisonFolder
from featurekit.uncertainty.calibration import Calibration, calibrate_classes, calibrate_years
from featurekit.uncertainty.conformal import MISSED


class Fitted(NamedTuple):
    """A classifier fitted on all faces and, if parameters were searched for, the result of the search."""

    classifier: Classifier
    found: Search | None


def fit_on_everything(
    plan: Plan, examples: Examples, in_a_fold: NDArray[np.bool_], fitting: Fitting
) -> Fitted:
    """Fit the classifier of a plan on all faces that are in a training or test part of some fold.

    Args:
        plan: plan with the target and the classifier.
        examples: labelled faces of the plan.
        in_a_fold: which of them are these faces, shape (n,).
        fitting: settings of the fit.

    Raises:
        EstimatorError: a user's own estimator failed.
    """
    # The vectors are copied only if some of them are left out.
    everything = examples if in_a_fold.all() else examples.part(in_a_fold)
    resources = replace(fitting.resources, memory=memory_of(fitting.resources))
    with one_blas_thread(), said_where(plan.kind, plan.target, fitting, "all faces"):
        classifier, found = fit_classifier(
            plan.kind,
            plan.target,
            everything.X,
            everything.y,
            everything.subjects,
            replace(fitting, resources=resources),
            also=everything.also,
        )
    return Fitted(classifier, found)


def final_model(
    name: str,
    plan: Plan,
    examples: Examples,
    out: OutOfFold,
    fitted: Fitted,
    *,
    seed: int,
    manifest: Manifest,
    settings: FaceSettings,
    recipes: Sequence[Recipe],
    weights: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> TrainedModel:
    """Return a classifier that was fitted on all faces as a model, calibrated on the predictions of a run.

    Args:
        name: name of the model.
        plan: plan with the target and the classifier.
        examples: labelled faces of the plan.
        out: out-of-fold predictions of the run.
        fitted: the fitted classifier, from fit_on_everything().
        seed: seed of the random number generator.
        manifest: manifest of the faces.
        settings: settings with which faces were found.
        recipes: settings with which the vectors were computed, one recipe for each feature.
        weights: names, hashes and licences of the weight files that were used.
        notes: a sentence for each choice that was made during cross-validation, such as tuned parameters.
    """
    found = fitted.found
    learned = [f"All faces, {note}" for note in getattr(fitted.classifier, "learned_notes_", ())]
    chosen = ", ".join(f"{key}={value}" for key, value in found.best.items()) if found else ""
    return TrainedModel(
        name=name,
        target=plan.target,
        classifier=plan.kind.name,
        estimator=fitted.classifier,
        settings=settings,
        recipes=tuple(recipes),
        training={
            **_learned_from(manifest, examples, out),
            "seed": seed,
            "notes": [*notes, *learned, *([f"Tuned on all faces: {chosen}."] if chosen else [])],
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


def fit_on_all(
    run: Run,
    kind: ClassifierKind,
    folder: Path,
    manifest: Manifest,
    ledger: Ledger,
    store: Store,
    *,
    resources: Resources | None = None,
) -> TrainedModel:
    """Fit the classifier of an existing run on all faces, and return it as a model that can be saved.

    Args:
        run: run of a comparison; it must not be an ensemble.
        kind: kind of classifier of the run.
        folder: folder of the comparison.
        manifest: manifest of the faces.
        ledger: record of the extracted features and their settings.
        store: store that contains the vectors.
        resources: threads, memory and device to use; None for every core.

    Raises:
        EmbeddingError, FoldError, WorkspaceError: the vectors or rows differ from those of the run, or its
            predictions are missing.
    """
    seen = run.seen(manifest)
    plan = Plan(seen.target(run.target), full_names(run.features), kind, run.variation)
    files = ComparisonFolder(folder)
    folds = FoldSet.load(files.folds)
    folds.check_rows(manifest.table["face_id"].to_numpy(dtype=str), folder)
    _check_recipes(run, plan, ledger)
    vectors = vectors_of(plan, manifest, ledger, store)
    examples = examples_of(seen, plan, vectors)
    fitting = Fitting(
        features=run.features,
        blocks=vectors.blocks,
        fitted=plan.fitted,
        networks=plan.networks,
        parameters=run.variation,
        seed=run.seed,
        tune=run.tuned,
        resources=resources or Resources(threads=usable_cores()),
    )
    return final_model(
        run.name,
        plan,
        examples,
        _out_of_fold(run, files.prediction(run.name), manifest, examples),
        fit_on_everything(plan, examples, folds.numbers[examples.rows] >= 0, fitting),
        seed=run.seed,
        manifest=seen,
        settings=ledger.settings,
        recipes=vectors.recipes,
        weights=describe_weights(vectors.recipes, ledger.settings, plan.networks),
        notes=[note for note in run.notes if not note.startswith(NOT_SAVED)],
    )


def _check_recipes(run: Run, plan: Plan, ledger: Ledger) -> None:
    """Raise EmbeddingError unless the extracted vectors have the recipes of a run."""
    recipes = [asdict(ledger.recipes[part]) for part in plan.reads if part in ledger.recipes]
    # Compared as JSON, because a run that was read from a file has lists instead of tuples.
    if json.dumps(run.recipes) != json.dumps(recipes):
        raise EmbeddingError(
            f"{run.name} was evaluated on vectors of {run.features} that differ from the given ones. Give"
            " the embeddings that it was evaluated on."
        )


def _out_of_fold(run: Run, path: Path, manifest: Manifest, examples: Examples) -> OutOfFold:
    """Return the stored predictions of the models of the folds."""
    table = read_predictions(path)
    place = {name: position for position, name in enumerate(manifest.table["face_id"].iloc[examples.rows])}
    positions = np.array([place[name] for name in table["face_id"]], dtype=np.intp)
    fold = np.full(len(examples.rows), -1, dtype=np.intp)
    fold[positions] = table["fold"]
    target = examples.target
    said: NDArray[Any] = np.full(len(fold), np.nan) if target.is_regression else np.zeros(len(fold), np.intp)
    said[positions] = table["predicted"] if target.is_regression else target.encode(list(table["predicted"]))
    proba = np.full((len(fold), len(target.classes)), np.nan)
    proba[positions] = probabilities_of(table, target.classes)
    return OutOfFold(
        fold=fold,
        predicted=said,
        probabilities=proba,
        seconds_fit=run.seconds["fit"],
        seconds_predict=run.seconds["predict"],
        fitted=None,
        gives_probabilities=gives_probabilities(table, target.classes),
    )
