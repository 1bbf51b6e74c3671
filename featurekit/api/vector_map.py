"""Map the vectors of a feature set in two dimensions, colored by label and by the error of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.api.project import Project
from featurekit.api.telling import Shown, note, shown
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.index import Ledger, recipe_of, some_ledger_of
from featurekit.embeddings.plane import check_method, plane_of, refuse_unused_seed
from featurekit.embeddings.vectors import open_vectors
from featurekit.errors import EmbeddingError, TargetError, UnknownNameError, WorkspaceError
from featurekit.estimators.fitted_features import frozen, short_name
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.planning import full_names, is_for_any_model
from featurekit.evaluation.results import Run
from featurekit.networks.backbones import here
from featurekit.report.displays.vector_map import VectorMapDisplay
from featurekit.report.gallery import predictions_in
from featurekit.report.select import best_first, is_named, model_name, run_named, target_title

_LABELS = ("gender", "age_group", "age")  # a map is colored by the first that the data set has


@runtime_checkable
class HasRuns(Protocol):
    """Results of a comparison, as far as a map needs them."""

    @property
    def runs(self) -> Sequence[Run]:
        """All runs."""

    @property
    def folder(self) -> Path:
        """Folder of the comparison."""


def map_in(
    place: Project,
    data: Manifest,
    ledger: Ledger,
    features: Sequence[str],
    *,
    method: str = "pca",
    label: str | None = None,
    results: HasRuns | None = None,
    model: str | None = None,
    seed: int | None = None,
    progress: Shown = True,
) -> VectorMapDisplay:
    """Map the vectors of some features of a record; see Embeddings.map()."""
    check_method(method)
    name = "+".join(map(short_name, features))
    if model is not None and results is None:
        raise WorkspaceError(
            "A model is named, but no results of a comparison are given. Give both, or leave the model out."
        )
    label = label or _label_of(data)
    target = data.target(label)
    run = None if results is None else _run_of(results, data, label, name, model)
    recipes = [recipe_of(ledger, frozen(one)) for one in features]
    reader = open_vectors(data, recipes, ledger.settings, Store(place.folder.cache))
    with shown(progress, "mapping", "vectors") as told:
        plane = plane_of(reader, method, seed=seed, progress=told)
    refuse_unused_seed(plane, seed)
    values = data.table[target.name].iloc[plane.rows]
    is_labelled = data.labelled(target)[plane.rows]
    labels: NDArray[Any] = (
        np.where(is_labelled, values.to_numpy(float), np.nan)
        if target.is_regression
        else np.where(is_labelled, values.fillna("").astype(str), "")
    )
    table = pd.DataFrame(
        {
            "face_id": data.table["face_id"].to_numpy(dtype=str)[plane.rows],
            "image_path": data.table["image_path"].to_numpy(dtype=str)[plane.rows],
            "x": plane.places[:, 0],
            "y": plane.places[:, 1],
            "label": labels,
            "error": _errors(run, results.folder, data, plane.rows)
            if run is not None and results is not None
            else np.full(len(plane.rows), "", dtype=object),
        }
    )
    there = set(table["label"]) if not target.is_regression else set()
    return VectorMapDisplay(
        target=target_title(target.name),
        features=name,
        plane=plane,
        table=table,
        label=target.name,
        classes=tuple(one for one in target.classes if one in there),
        is_ordered=target.ordered,
        model=model_name(run) if run else "",
        error_of=target_title(run.target) if run else "",
    )


def _label_of(data: Manifest) -> str:
    """Return the first common label of a data set."""
    found = next((name for name in _LABELS if data.labelled(data.target(name)).any()), None)
    if found is None:
        raise TargetError("Name the label by which the faces are colored, for example --label LABEL.")
    return found


def _run_of(results: HasRuns, data: Manifest, label: str, features: str, model: str | None) -> Run:
    """Return the run whose errors are shown: of the label if it is a target, and of the features if it can.

    Raises:
        TargetError: the label is not a target, and there are several targets.
        UnknownNameError: there is no such model, several have the name, or it is set apart.
        WorkspaceError: there are only baselines, or no run can be compared with the others.
    """
    apart = set_apart(results.runs, data, results.folder)
    runs = [run for run in results.runs if run.name not in apart]
    if model in apart:
        raise UnknownNameError(f"{model} is set apart, so it is not shown: {apart[model]}.")
    if not runs:
        raise WorkspaceError("No run can be compared with other runs, so there are no errors to show.")
    targets = list(dict.fromkeys(run.target for run in runs))
    target = label if label in targets else targets[0] if len(targets) == 1 else None
    if model is not None:
        own = [run for run in runs if run.features == features and target in (None, run.target)]
        return run_named(own if any(is_named(run, model) for run in own) else runs, model, target)
    if target is None:
        raise TargetError(
            f"No model predicts {label}, so name the model whose errors are shown: the name of a run."
            f" There are models for {', '.join(targets)}."
        )
    trained = [run for run in runs if run.target == target and not run.is_baseline]
    if not trained:
        raise WorkspaceError(f"No trained model predicts {target}, so there are no errors to show.")
    return best_first([run for run in trained if run.features == features] or trained)[0]


def _errors(run: Run, folder: Path, data: Manifest, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return the error on each of these rows: "right", "wrong" or "", or predicted minus true years.

    Raises:
        WorkspaceError: the predictions of the run are missing.
    """
    table, tested = predictions_in(folder, run, data)
    if not run.classes:
        years = np.full(len(data), np.nan)
        years[tested] = (table["predicted"] - table["true"]).to_numpy(float)
        return years[rows]
    words = np.full(len(data), "", dtype=object)
    words[tested] = np.where(table["predicted"].astype(str) == table["true"].astype(str), "right", "wrong")
    return np.asarray(words[rows])


def map_extracted(
    data: Manifest,
    features: str | None,
    *,
    results: HasRuns | None,
    is_asked: bool,
    label: str | None,
    model: str | None,
    project: Project,
    **options: Any,
) -> VectorMapDisplay:
    """Map the vectors of a feature set that has been extracted in a project, for `featurekit embeddings map`.

    Args:
        data: the data set.
        features: networks or "network:layer", several joined by "+"; None for the only one that has been
            extracted, beside what models use only if it is named.
        results: results of a comparison, for the errors of a model; None for a map without errors.
        is_asked: whether the results were asked for; if not, results without a model of the label are no
            error.
        label: label by which the faces are colored; None for gender, age_group or age.
        model: name of the model; None for the best one.
        project: the project.
        **options: further arguments of Embeddings.map().

    Raises:
        UnknownNameError: there is no network, method or model with a given name.
        WorkspaceError: nothing has been extracted, or not the given features, or not of all faces.
        EmbeddingError: several networks have been extracted, and no features are given.
        EngineError: UMAP is not installed.
    """
    ledger = some_ledger_of(project.folder)
    usual = _usual(ledger)
    if features is None and len(usual) > 1:
        raise EmbeddingError(
            f"Name the feature set to map with --features. Extracted: {', '.join(ledger.recipes)}. Several"
            " are joined by +."
        )
    names = full_names(features) if features is not None else usual
    if results is not None and not is_asked:
        try:
            _run_of(results, data, label or _label_of(data), "+".join(map(short_name, names)), model)
        except (TargetError, UnknownNameError, WorkspaceError) as error:
            note(f"The map has no errors of a model. {error}")
            results = None
    return map_in(project, data, ledger, names, label=label, results=results, model=model, **options)


def _usual(ledger: Ledger) -> tuple[str, ...]:
    """Return the extracted features that a model uses unnamed; all of them if there is none."""
    apart = {name for name in here(ledger.recipes) if not is_for_any_model(name)}
    return tuple(name for name in ledger.recipes if name not in apart) or tuple(ledger.recipes)
