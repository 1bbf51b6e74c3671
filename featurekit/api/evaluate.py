"""Models fitted and scored on splits that never share a subject."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurekit.api.arguments import as_list, threads_of
from featurekit.api.embed import Embeddings, features_of, joined_ledger
from featurekit.api.progress_bar import LOG, Shown, shown
from featurekit.api.project import Project, project_of
from featurekit.api.results import Results
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.in_workspace import extract_into, some_ledger_of
from featurekit.embeddings.index import Ledger
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import ClassifierKind, candidates
from featurekit.estimators.given import classifier_named, kind_of
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import PIXELS, Plan, plan
from featurekit.evaluation.readiness import RARE
from featurekit.evaluation.unused_options import unused_options
from featurekit.registry import unknown

_PIXELS = PIXELS.partition(":")[0]


def evaluate(
    data: Manifest,
    X: Embeddings | Sequence[Embeddings],
    models: Any = "svm",
    *,
    target: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    tune: bool = False,
    name: str | None = None,
    folds: int | None = None,
    seed: int | None = None,
    new_folds: bool = False,
    rare: str = RARE[0],
    save_models: bool = False,
    allow_ethnicity: bool = False,
    device: str = "auto",
    n_jobs: int | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Results:
    """Fit and score models on splits that never share a subject, beside the baselines.

    Every model learns in the training part of each split, scaling and all, and is scored on faces of people
    it has not seen. The runs are saved in the project, below reports/NAME, on one saved set of splits a
    comparison: models that are evaluated later, here or by `featurekit fit`, stand beside them.

    Args:
        data: whose labels.
        X: from `fk.embed`; of a list, each is evaluated by itself.
        models: names ("svm", "random_forest", "xgboost", "mlp", …; see `featurekit list models`), import
            paths ("sklearn.neighbors.KNeighborsClassifier"), estimators of scikit-learn's kind, or a
            mapping from a name of yours to one of these; one or several.
        target: label or labels to read; None for age_group, gender and age where there are any.
        parameters: parameter → value, or list of values that are compared, for the models that have it.
        tune: whether to search for parameters inside every training part.
        name: of the comparison; None for the data set's.
        folds: how many splits, where the data set has none of its own; None for as many as the comparison
            has, else 5.
        seed: of the random number generator; None for the comparison's, else 0.
        new_folds: whether to make new splits. That replaces the comparison's runs.
        rare: what is done with a class that too few subjects have for every training part: "leave-out", or
            "refuse".
        save_models: whether to also fit each model on all faces and save it in models/.
        allow_ethnicity: whether a label column of ethnicities may be a target.
        device: "auto", "cpu" or "cuda", for models that can choose.
        n_jobs: how many threads; None or -1 for one a core. The results do not depend on it.
        project: where the runs are saved; None for the current folder's.
        progress: whether to show a bar; or a function of (fits done, fits to do).

    Returns:
        The results: a notebook shows their ranking; see `fk.Results`.

    Raises:
        UnknownNameError: there is no such model or parameter.
        TargetError: there is no such label, nobody has it, or a model cannot learn it.
        ModelError: a parameter cannot have its value, or an object is no estimator.
        FoldError: too few subjects, or the saved splits are of other rows.

    Example:
        >>> import featurekit as fk
        >>> from sklearn.linear_model import LogisticRegression
        >>> models = ["svm", "xgboost", LogisticRegression(max_iter=500)]
        >>> results = fk.evaluate(data, X, models, target="gender")    # doctest: +SKIP
        >>> results.frame()                                            # doctest: +SKIP
    """
    if rare not in RARE:
        raise WorkspaceError(unknown("way to treat rare classes", rare, list(RARE)))
    place, several = project_of(project), features_of(X)
    kinds = kinds_of(models)
    threads = threads_of(n_jobs)
    ledger = _with_pixels(kinds, data, several, place, threads, progress)
    asked: dict[str, Any] = {
        "features": None,
        "variations": candidates({key: as_list(value) for key, value in (parameters or {}).items()}),
        "ethnicity": allow_ethnicity,
    }
    targets = None if target is None else as_list(target)
    plans = _plans(data, ledger, kinds, targets, several, asked)
    for text in unused_options(plans, tune=tune, device=device, **asked):
        LOG.warning(text)
    folder = place.folder.report(name or data.name)
    comparison = Comparison.open(folder, data, n_folds=folds, seed=seed, new_folds=new_folds)
    with shown(progress, "fitting", "fits") as told:
        runs = comparison.run(
            plans,
            ledger,
            Store(place.folder.cache),
            models_folder=place.folder.models if save_models else None,
            threads=threads,
            tune=tune,
            jobs=0,
            device=None if device == "auto" else device,
            checkpoints=place.folder.checkpoints,
            command=_call(several, kinds, targets, parameters, tune=tune),
            rare=rare,
            skip=target is None,
            progress=told,
            say=LOG.warning,
            watch=told.tell,
        )
    return Results(runs, folder, data, kinds={kind.name: kind for kind in kinds})


def ensemble(results: Results, members: Sequence[str], *, weighted: bool = False) -> Results:
    """Average what models of a comparison said of each face, and score the mean beside them.

    Args:
        results: from `fk.evaluate` or `fk.load_results`, of a data set that is at hand.
        members: names of runs, with * for any letters, e.g. ["*--svm", "*--xgboost"]; each has to mean one
            run of a target. Targets for which one does not are left out.
        weighted: whether better members count for more, learned on the other splits' answers.

    Returns:
        The results with the ensembles among them.

    Raises:
        WorkspaceError: it is not clear which runs are meant, or they cannot be averaged.

    Example:
        >>> import featurekit as fk
        >>> both = fk.ensemble(results, ["*--svm", "*--xgboost"])    # doctest: +SKIP
    """
    from featurekit.evaluation.members import make_ensembles

    if results.data is None:
        raise WorkspaceError("The data set of these results is not at hand, so nothing can be averaged.")
    call = f"fk.ensemble(results, {list(members)!r}{', weighted=True' if weighted else ''})"
    made = make_ensembles(results.folder, results.data, list(members), weighted=weighted, command=call)
    names = {run.name for run in made}
    runs = [run for run in results.runs if run.name not in names]
    return Results([*runs, *made], results.folder, results.data, kinds=results.kinds)


def kinds_of(models: Any) -> list[ClassifierKind]:
    """Return the models that are meant; see evaluate().

    Raises:
        UnknownNameError: a name that nobody registered.
        ModelError: an object is no estimator, or two have one name.
    """
    if isinstance(models, Mapping):
        named = [_kind(model, str(name)) for name, model in models.items()]
    else:
        several = models if isinstance(models, list | tuple) else [models]
        named = [_kind(model, None) for model in several]
    if not named:
        raise ModelError("No model is named. Example: fk.evaluate(data, X, ['svm', 'xgboost'])")
    names = [kind.name for kind in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ModelError(
            f"Two models are called {twice}: their runs could not be told apart. Give each a name:"
            f" models={{'{twice} 1': …, '{twice} 2': …}}"
        )
    return named


def _kind(model: Any, name: str | None) -> ClassifierKind:
    """Return one model as a member of a comparison, under a name of the user's or its own."""
    if isinstance(model, str):
        kind = classifier_named(model)
        if name not in (None, kind.name):
            raise ModelError(
                f"{kind.name} keeps its name: '{name}' can be given to an estimator that is an object."
            )
        return kind
    if isinstance(model, ClassifierKind):
        return model
    if isinstance(model, type):
        raise ModelError(f"{model.__name__} is a class. Give an estimator that is made: {model.__name__}().")
    if not hasattr(model, "fit") or not hasattr(model, "get_params"):
        raise ModelError(f"{model!r} is neither the name of a model nor an estimator of scikit-learn's kind.")
    return kind_of(model, name)


def _with_pixels(
    kinds: Sequence[ClassifierKind],
    data: Manifest,
    several: Sequence[Embeddings],
    place: Project,
    threads: int,
    progress: Shown,
) -> Ledger:
    """Return how the embeddings were made; with the faces' pixels, if a model reads those."""
    ledger = joined_ledger(several)
    if not any(kind.reads == "crops" for kind in kinds) or PIXELS in ledger.recipes:
        return ledger
    with shown(progress, "extracting", "images") as told:
        extract_into(place.folder, data, [_PIXELS], ledger.settings, threads=threads, progress=told)
    pixels = some_ledger_of(place.folder)
    return Ledger(
        ledger.settings,
        {**ledger.recipes, PIXELS: pixels.recipes[PIXELS]},
        {**pixels.costs, **ledger.costs},
        ledger.achieved,
        ledger.asked,
    )


def _plans(
    data: Manifest,
    ledger: Ledger,
    kinds: Sequence[ClassifierKind],
    targets: Sequence[str] | None,
    several: Sequence[Embeddings],
    asked: Mapping[str, Any],
) -> list[Plan]:
    """Return every combination, each once: vectors for what reads vectors, networks for what trains them."""
    names = ["+".join(one.features) for one in several]
    networks = [name for name in names if name != PIXELS] or None
    more = {name: value for name, value in asked.items() if name != "features"}
    plans: list[Plan] = []
    for reads, features in (("embeddings", names), ("crops", networks)):
        own = [kind for kind in kinds if kind.reads == reads]
        if own:
            plans += plan(data, ledger, models=own, targets=targets, features=features, **more)
    found: dict[tuple[Any, ...], Plan] = {}
    for one in plans:  # baselines stand beside either
        key = (one.target.name, one.features, one.kind.name, tuple(sorted(one.parameters.items())))
        if key not in found or one.is_asked:
            found[key] = one
    return list(found.values())


def _call(
    several: Sequence[Embeddings],
    kinds: Sequence[ClassifierKind],
    targets: Sequence[str] | None,
    parameters: Mapping[str, Any] | None,
    *,
    tune: bool,
) -> str:
    """Return the call that made the runs, for their record."""
    parts = ["data", ", ".join(f"fk.embed(data, {one.name!r})" for one in several)]
    parts.append(repr([kind.name for kind in kinds]))
    if targets is not None:
        parts.append(f"target={list(targets)!r}")
    if parameters:
        parts.append(f"parameters={dict(parameters)!r}")
    if tune:
        parts.append("tune=True")
    return f"fk.evaluate({', '.join(parts)})"
