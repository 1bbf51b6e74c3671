"""Fit and score models on splits that never share a subject, and average their predictions."""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from featurekit.api.arguments import as_list, executor_of, threads_of
from featurekit.api.embed import Embeddings, features_of, joined_ledger
from featurekit.api.project import Project, project_of
from featurekit.api.results import Results
from featurekit.api.telling import Shown, note, say, shown, warn
from featurekit.cache.store import Store
from featurekit.checked import checked
from featurekit.cluster import connected
from featurekit.data.manifest import Manifest
from featurekit.embeddings.executors.local import LocalExecutor
from featurekit.embeddings.executors.ray import RayExecutor
from featurekit.embeddings.index import Ledger, extract_into, some_ledger_of
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import ClassifierKind, candidates, fresh
from featurekit.estimators.fitted_features import short_name
from featurekit.estimators.given import classifier_named, kind_of
from featurekit.evaluation.comparable import mixed_vectors, sentences_on, set_apart
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.curve_fits import fit_curves, stored_runs
from featurekit.evaluation.planning import PIXELS, Plan, not_asked_for, not_installed, plan, refuse_outdated
from featurekit.evaluation.provenance import as_parameters
from featurekit.evaluation.readiness import RARE
from featurekit.evaluation.replaced import saying_how_to_have_back
from featurekit.evaluation.results import Run, load_runs, run_name
from featurekit.evaluation.unused_options import unused_options
from featurekit.naming import Caller
from featurekit.networks.feature_names import backbone_of, split_features
from featurekit.project import ComparisonFolder
from featurekit.registry import unknown


@checked("X")
def evaluate(
    data: Manifest,
    X: Embeddings | str | Sequence[Embeddings | str] | None = None,
    models: Any = "svm",
    *,
    target: str | Sequence[str] | None = None,
    join: bool = False,
    parameters: Mapping[str, Any] | None = None,
    tune: bool = False,
    learning_curve: bool = False,
    name: str | None = None,
    folds: int | None = None,
    seed: int | None = None,
    new_folds: bool = False,
    rare: str = RARE[0],
    save_models: bool = False,
    allow_ethnicity: bool = False,
    device: str = "auto",
    n_jobs: int | None = None,
    parallel_folds: int = 0,
    executor: "str | RayExecutor" = "local",
    command: str | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Results:
    """Fit and score models on splits that never share a subject, beside the baselines.

    Every model, with its scaling, is fitted on the training part of each split, and is scored on faces of
    subjects that are not in it. The runs are saved in the project, below reports/NAME. A comparison has one
    saved set of splits, so models that are evaluated later, here or by `featurekit fit`, can be compared with
    the earlier ones.

    Args:
        data: the data set, which has the labels.
        X: embeddings from `fk.embed`, or names of extracted networks joined by "+". Each item of a list is
            evaluated by itself. None to evaluate each extracted network by itself, and all networks joined.
        models: one or several models, which are names ("svm", "random_forest", "xgboost", "mlp", …; see
            `featurekit list models`), import paths ("sklearn.neighbors.KNeighborsClassifier") or scikit-learn
            estimators; or a mapping from names that you choose to such models.
        target: the label or labels to predict; None for age_group, gender and age, as far as the data set has
            them.
        join: whether to evaluate only all of X joined, and not each item by itself.
        parameters: mapping from parameter to a value, or to a list of values to compare; used for the models
            that have the parameter.
        tune: whether to search for the best parameters in every training part.
        learning_curve: whether to also fit the models on 1/16, 1/8, 1/4 and 1/2 of the training subjects, for
            ``results.plot.data_curve()``. Runs that are stored with the same settings are not fitted again.
        name: name of the comparison; None for the name of the data set.
        folds: number of splits, if the data set has no folds of its own; None for the number of the
            comparison, or 5 for a new comparison.
        seed: seed of the random number generator; None for the seed of the comparison, or 0 for a new
            comparison.
        new_folds: whether to make new splits, which replaces the runs of the comparison.
        rare: what to do with a class that has too few subjects for every training part, "leave-out" or
            "refuse" (raise an error).
        save_models: whether to also fit each model on all faces and save it in models/.
        allow_ethnicity: whether a label column of ethnicities may be a target.
        device: "auto", "cpu" or "cuda", for models that support it.
        n_jobs: number of threads, which does not change the results; None or -1 for one per core.
        parallel_folds: largest number of fits, of splits or of models that are saved, at the same time; 0 for
            as many as threads and memory allow.
        executor: "local" for this machine, "ray" for the Ray cluster that it belongs to, or an object such as
            ``fk.RayExecutor(address="local")``. What a model learns is the same, and a fit has one thread.
        command: the command that is recorded in the runs; None to record this call.
        project: the project; None for the project of the current folder.
        progress: whether to show a progress bar, or a function that is called with (fits done, fits to do).

    Returns:
        The results, as an `fk.Results`. A notebook shows their ranking.

    Raises:
        UnknownNameError: there is no model or parameter with a given name.
        TargetError: the data set has no such label, no face has a value of it, or a model cannot predict it.
        ModelError: a parameter cannot have its value, or an object is not an estimator.
        FoldError: the data set has too few subjects, or the saved splits were made for other rows.

    Example:
        >>> import featurekit as fk
        >>> from sklearn.linear_model import LogisticRegression
        >>> models = ["svm", "xgboost", LogisticRegression(max_iter=500)]
        >>> results = fk.evaluate(data, X, models, target="gender")    # doctest: +SKIP
        >>> results.frame()                                            # doctest: +SKIP
    """
    chosen_executor = executor_of(executor, n_jobs)
    ray = chosen_executor if isinstance(chosen_executor, RayExecutor) else None
    if ray and learning_curve:
        raise WorkspaceError(
            "--learning-curve is fitted on this machine. Fit first with --executor ray, and then run the same"
            " command with --learning-curve and without --executor: the stored runs are not fitted again."
        )
    if rare not in RARE:
        raise WorkspaceError(unknown("way to treat rare classes", rare, list(RARE)))
    place, kinds, threads = project_of(project), kinds_of(models), threads_of(n_jobs)
    ledger, features = _asked_features(X, place)
    if any(kind.reads == "crops" for kind in kinds) and PIXELS not in ledger.recipes and X is not None:
        ledger = _with_pixels(ledger, data, place, threads, progress)
    asked: dict[str, Any] = {
        "features": features,
        "join": join,
        "variations": candidates({key: as_list(value) for key, value in (parameters or {}).items()}),
        "ethnicity": allow_ethnicity,
    }
    targets = None if target is None else as_list(target)
    folder = place.folder.report(name or data.name)
    comparison = Comparison.open(folder, data, n_folds=folds, seed=seed, new_folds=new_folds)
    plans = plan(data, ledger, models=kinds, targets=targets, **asked)
    if not isinstance(as_list(X)[0], Embeddings):
        refuse_outdated(plans, ledger)
    # Embeddings have to be given whatever the models read; only names of networks are a choice.
    chosen = features if isinstance(as_list(X)[0], str) else None
    _tell_of_replaced(plans, folder)
    unused = {**asked, "features": chosen, "tune": tune, "device": device, "learning_curve": learning_curve}
    for text in unused_options(plans, **unused):
        note(text)
    for text in (
        not_asked_for(data, plans) if targets is None else "",
        not_installed(ledger) if features is None else "",
    ):
        if text:
            note(text)
    store, models_folder = Store(place.folder.cache), place.folder.models if save_models else None
    stored = (
        stored_runs(
            comparison,
            plans,
            ledger,
            store,
            tune=tune,
            device=None if device == "auto" else device,
            models=models_folder,
        )
        if learning_curve
        else {}
    )
    with (
        saying_how_to_have_back(comparison.folder, place.folder.models, say),
        shown(progress, "fitting", "fits") as told,
        connected(ray.address) if ray else nullcontext() as cluster,
    ):
        if ray and cluster:
            parallel_folds = parallel_folds or ray.workers or max(int(cluster.total("CPU")), 1)
        runs = comparison.run(
            [one for number, one in enumerate(plans) if number not in stored],
            ledger,
            store,
            models_folder=models_folder,
            threads=threads,
            tune=tune,
            jobs=parallel_folds,
            device=None if device == "auto" else device,
            checkpoints=place.folder.checkpoints,
            cluster=cluster,
            command=command or _call(features, models, targets, parameters, tune=tune),
            rare=rare,
            skip=target is None,
            progress=told,
            say=note,
            watch=told.tell,
        )
    runs = [*stored.values(), *runs]
    if learning_curve:
        with shown(progress, "fitting the learning curves", "fits") as told:
            fit_curves(
                comparison,
                runs,
                plans,
                ledger,
                store,
                threads=threads,
                jobs=parallel_folds,
                progress=told,
                say=note,
            )
    _tell_of_apart(runs, folder, data)
    return Results(runs, folder, data, kinds={kind.name: kind for kind in kinds})


@checked()
def ensemble(
    results: Results, members: str | Sequence[str], *, weighted: bool = False, command: str | None = None
) -> Results:
    """Average the predictions of some models of a comparison for each face, and score the mean.

    Args:
        results: results from `fk.evaluate` or `fk.load_results`, with their data set.
        members: names of the runs to average, with * for any characters, such as ["*--svm", "*--xgboost"].
            Each name must match one run of a target. A target for which a name matches no run is left out.
        weighted: whether to give better runs a higher weight. The weights of each split are learned from the
            predictions in the other splits.
        command: the command that is recorded in the runs; None to record this call.

    Returns:
        The results, including the ensembles.

    Raises:
        WorkspaceError: a name matches several runs of a target, or the runs cannot be averaged.

    Example:
        >>> import featurekit as fk
        >>> both = fk.ensemble(results, ["*--svm", "*--xgboost"])    # doctest: +SKIP
    """
    from featurekit.evaluation.ensemble import make_ensembles

    members = as_list(members)
    if results.data is None:
        raise WorkspaceError("The predictions cannot be averaged, because the data set is not available.")
    call = f"fk.ensemble(results, {members!r}{', weighted=True' if weighted else ''})"
    made = make_ensembles(results.folder, results.data, members, weighted=weighted, command=command or call)
    names = {run.name for run in made}
    runs = [run for run in results.runs if run.name not in names]
    return Results([*runs, *made], results.folder, results.data, kinds=results.kinds)


def kinds_of(models: Any) -> list[ClassifierKind]:
    """Return the models to fit, for the argument models of evaluate().

    Raises:
        UnknownNameError: there is no model with a given name.
        ModelError: an object is not an estimator, or two models have the same name.
    """
    if isinstance(models, Mapping):
        named = [_kind(model, str(name)) for name, model in models.items()]
    else:
        several = as_list(models)
        # The same name twice is one model.
        named = [
            _kind(model, None)
            for number, model in enumerate(several)
            if not (isinstance(model, str) and model in several[:number])
        ]
    if not named:
        raise ModelError("No model is named. Example: fk.evaluate(data, X, ['svm', 'xgboost'])")
    names = [kind.name for kind in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ModelError(
            f"Two models are called {twice}, but each model needs a name of its own. "
            + (
                "Fit one of them under another --name."
                if Caller.is_command_line
                else f"Give each a name: models={{'{twice} 1': …, '{twice} 2': …}}"
            )
        )
    return named


def _kind(model: Any, name: str | None) -> ClassifierKind:
    """Return one model for a comparison, with a name of the user's or its own."""
    if isinstance(model, str):
        kind = classifier_named(model)
        if name not in (None, kind.name):
            raise ModelError(
                f"The model {kind.name} cannot be renamed to '{name}'. Only an estimator that is given as an"
                " object can have another name."
            )
        return kind
    if isinstance(model, ClassifierKind):
        return model
    if isinstance(model, type):
        raise ModelError(f"{model.__name__} is a class. Give an instance of it: {model.__name__}().")
    if not hasattr(model, "fit") or not hasattr(model, "get_params"):
        raise ModelError(f"{model!r} is neither the name of a model nor a scikit-learn estimator.")
    return kind_of(model, name)


def _asked_features(X: Any, place: Project) -> tuple[Ledger, list[str] | None]:
    """Return the ledger of the vectors to use, and the names of the feature sets (None for all).

    Raises:
        EmbeddingError: X is neither embeddings nor names of networks.
        WorkspaceError: nothing has been extracted.
    """
    several = as_list(X)
    if X is None:
        return some_ledger_of(place.folder), None
    if all(isinstance(one, str) for one in several):
        return some_ledger_of(place.folder), several
    embedded = features_of(X)
    return joined_ledger(embedded), ["+".join(one.features) for one in embedded]


def _with_pixels(ledger: Ledger, data: Manifest, place: Project, threads: int, progress: Shown) -> Ledger:
    """Extract the pixels of the faces, which networks are trained on, and return a ledger with them."""
    with shown(progress, "extracting", "images") as told:
        extract_into(
            place.folder,
            data,
            [backbone_of(PIXELS)],
            ledger.settings,
            executor=LocalExecutor(threads),
            progress=told,
        )
    pixels = some_ledger_of(place.folder)
    return replace(
        ledger,
        recipes={**ledger.recipes, PIXELS: pixels.recipes[PIXELS]},
        costs={**pixels.costs, **ledger.costs},
    )


def _tell_of_replaced(plans: Sequence[Plan], folder: Path) -> None:
    """Warn of runs of the user's own estimators that are replaced by runs with other parameters."""
    for one in plans:
        name = run_name(one.target.name, one.feature_name, one.kind.name, False, one.parameters)
        path = ComparisonFolder(folder).run(name)
        if not one.kind.is_given or not path.is_file():
            continue
        before = Run.load(path).parameters
        now = as_parameters(fresh(one.kind, one.target, parameters=one.parameters).shown_parameters())
        if any(before.get(key) != value for key, value in now.items() if key != "random_state"):
            names = f"give them names: models={{'{one.kind.name} 1': …, '{one.kind.name} 2': …}}"
            warn(
                f"{name} is replaced: the earlier {one.kind.name} had other parameters. To keep both,"
                f" {'fit under another --name' if Caller.is_command_line else names}"
            )


def _tell_of_apart(runs: Sequence[Run], folder: Path, data: Manifest) -> None:
    """Warn of earlier runs that cannot be compared with new runs of their target, or not on equal terms."""
    with suppress(WorkspaceError):  # of an earlier run that cannot be read, which the report will name
        targets, new = {run.target for run in runs}, {run.name for run in runs}
        stored = [run for run in load_runs(folder) if run.target in targets]
        apart = set_apart(stored, data, folder)
        earlier = {name: why for name, why in apart.items() if name not in new}
        compared = [run for run in stored if run.name not in apart]
        for text in (
            *sentences_on(earlier, stored, "is set apart from the runs of this fit"),
            *mixed_vectors(compared),
        ):
            warn(text)


def _call(
    features: Sequence[str] | None,
    models: Any,
    targets: Sequence[str] | None,
    parameters: Mapping[str, Any] | None,
    *,
    tune: bool,
) -> str:
    """Return the call that made the runs, for their record."""
    parts = [
        "data",
        repr(["+".join(map(short_name, split_features(one))) for one in features] if features else None),
        re.sub(r"\s+", " ", repr(models))[:1000],  # the text of an estimator may be long, with several lines
        "" if targets is None else f"target={list(targets)!r}",
        f"parameters={dict(parameters)!r}" if parameters else "",
        "tune=True" if tune else "",
    ]
    return f"fk.evaluate({', '.join(filter(None, parts))})"
