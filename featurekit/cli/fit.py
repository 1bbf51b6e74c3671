"""featurekit fit and ensemble: classifiers are fitted and scored, and averaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit.api.project import Project
from featurekit.cli._options import LARGEST_SEED, ComparisonName, Device, Threads, as_value, pairs
from featurekit.cli._output import print_runs
from featurekit.cli._progress import progress_bar
from featurekit.cli._signals import Stopped
from featurekit.cli._workspace import command_line, next_command, project_of_command
from featurekit.project import ComparisonFolder

if TYPE_CHECKING:
    from featurekit.api.data import Dataset

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="Classifier, or the import path of an estimator of scikit-learn's kind (a class, or an object);"
        " several at once. Default: svm.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        help="gender, age_group, age, gender3 or a label column; several. Default: age_group, gender and age"
        " where there are labels; label columns of your own have to be named."
    ),
]
Features = Annotated[
    list[str] | None,
    typer.Option(help="network[:layer], joined by +; several at once. Default: each one, and all joined."),
]
Join = Annotated[bool, typer.Option("--join", help="Only the features joined, not each alone.")]
Folds = Annotated[
    int | None,
    typer.Option(
        help="How many folds, where the data set has none of its own. Default: as many as the comparison"
        " has, else 5."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="What chance comes from. Default: the comparison's seed, else 0.", min=0, max=LARGEST_SEED
    ),
]
NewFolds = Annotated[
    bool,
    typer.Option(
        "--new-folds",
        help="Make new folds and replace the comparison's runs, which are kept until this fit ends well.",
    ),
]
Rare = Annotated[
    str,
    typer.Option(
        help="What is done with a class that too few subjects have for every training part: leave-out,"
        " of its target; or refuse."
    ),
]
SaveModels = Annotated[
    bool, typer.Option("--save-models/--no-models", help="Also fit on all faces, into models/.")
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="Search for parameters on folds inside every training part; the run is called (tuned).",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        help="Folds at once; 0 for as many as threads and memory allow. Results do not depend on it.",
        min=0,
    ),
]
Epochs = Annotated[
    str | None, typer.Option(help="For networks trained end to end: 20, or 20,40 to compare them.")
]
BatchSize = Annotated[str | None, typer.Option(help="The same for the faces a step learns from.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value[,value], another parameter of the classifiers; several."),
]
AllowEthnicity = Annotated[
    bool,
    typer.Option("--allow-ethnicity", help="Let a label column of ethnicities be a target; see README."),
]
Members = Annotated[
    list[str],
    typer.Argument(help="Name of a run below reports/<name>/runs, * for any letters; at least two."),
]
Weighted = Annotated[
    bool,
    typer.Option("--weighted", help="Better members count for more; learned on the other folds' answers."),
]


def fit(
    context: typer.Context,
    model: Models = None,
    target: Targets = None,
    features: Features = None,
    join: Join = False,
    folds: Folds = None,
    seed: Seed = None,
    name: ComparisonName = None,
    new_folds: NewFolds = False,
    rare: Rare = "leave-out",
    save_models: SaveModels = True,
    tune: Tune = False,
    jobs: Jobs = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    set_: Parameters = None,
    allow_ethnicity: AllowEthnicity = False,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Fit and score classifiers on folds that never share a person; fitted models go to models/.

    Networks that are trained end to end (multitask_cnn, levi_hassner, …) read the faces that
    `featurekit extract --backbone pixels` keeps. A fit that is stopped keeps the runs that were finished. The
    same command fits all of them again; networks trained end to end go on from their last whole epoch.

    Examples:
      featurekit fit --model svm --model xgboost --target gender --target age_group
      featurekit fit --model multitask_cnn --features mobilenet_v2 --epochs 6,12
      featurekit fit --model sklearn.neighbors.KNeighborsClassifier --set n_neighbors=5,15
    """
    from featurekit.api.evaluate import evaluate

    project, data, folder = _where(context, name)
    with _saying_what_is_kept(folder), progress_bar("fitting", unit="fits") as progress:
        results = evaluate(
            data,
            features,
            model or ["svm"],
            target=target,
            join=join,
            parameters=_parameters(epochs, batch_size, set_),
            tune=tune,
            name=name,
            folds=folds,
            seed=seed,
            new_folds=new_folds,
            rare=rare,
            save_models=save_models,
            allow_ethnicity=allow_ethnicity,
            device=device,
            n_jobs=threads or None,
            parallel_folds=jobs,
            command=command_line(),
            project=project,
            progress=progress,
        )
    print_runs(results.runs)
    _say_where_runs_are(context, folder, name)


def _where(context: typer.Context, name: str | None) -> "tuple[Project, Dataset, Path]":
    """Return the project that a command works in, its data set, and the folder of the comparison meant."""
    from featurekit.api.data import dataset_of

    project = project_of_command(context)
    data = dataset_of(project)
    return project, data, project.folder.report(name or data.name)


@contextmanager
def _saying_what_is_kept(folder: Path) -> Iterator[None]:
    """Where fitting is stopped, have the program say what is kept and what the same command does."""
    try:
        yield
    except Stopped as stopped:
        stopped.remark = (
            f"runs that were finished are kept in {ComparisonFolder(folder).runs}; the same command fits all"
            " of them again, and networks trained end to end go on from their last whole epoch"
        )
        raise


def _say_where_runs_are(context: typer.Context, folder: Path, name: str | None) -> None:
    """Say where the runs are, and how to make a report of them."""
    report = next_command(context, "report", *(["--name", name] if name else []))
    typer.echo(f"Runs are in {ComparisonFolder(folder).runs}. Now: {report}")


def _parameters(epochs: str | None, batch_size: str | None, others: list[str] | None) -> dict[str, list[Any]]:
    """Return the values that each parameter was given."""
    given = pairs(others, "--set")
    given |= {
        name: text for name, text in (("epochs", epochs), ("batch_size", batch_size)) if text is not None
    }
    return {name: [as_value(one) for one in text.split(",")] for name, text in given.items()}


def ensemble(
    context: typer.Context, member: Members, name: ComparisonName = None, weighted: Weighted = False
) -> None:
    """Average what runs of a comparison said of each face, and score the mean beside them.

    Each name has to mean one run of a target; the targets of which all do are combined. A run is called
    TARGET--FEATURES--MODEL, so that "*--dlib_age--svm" means the svm on dlib_age of every target.

    Examples:
      featurekit ensemble "*--dlib_age--svm" "*--dlib_age--xgboost"
      featurekit ensemble "*--dlib_age--svm" "*--multitask_cnn" --weighted
    """
    from featurekit.api.evaluate import ensemble as average
    from featurekit.api.results import load_results

    _, _, folder = _where(context, name)
    results = load_results(folder)
    command = command_line()
    made = average(results, member, weighted=weighted, command=command)
    print_runs([run for run in made.runs if run.command == command and "members" in run.parameters])
    _say_where_runs_are(context, folder, name)
