"""featurekit fit and ensemble: fit and score models, and average their predictions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import (
    LARGEST_SEED,
    Address,
    ComparisonName,
    Device,
    ExecutorName,
    Json,
    Threads,
    Workers,
    as_value,
    executor_of,
    pairs,
)
from featurekit.cli._output import print_runs
from featurekit.cli._signals import Stopped
from featurekit.cli._workspace import (
    command_line,
    comparison_of_command,
    dataset_of_command,
    next_command,
    project_of_command,
)
from featurekit.project import ComparisonFolder

if TYPE_CHECKING:
    from featurekit.evaluation.results import Run

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="Model to fit: a name of `featurekit list models`, or the import path of a scikit-learn"
        " estimator (a class or an object). Can be given several times. Default: svm. (To `featurekit"
        " predict`, --model is the folder of a saved model.)",
        autocompletion=complete.models,
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        help="Label to predict: gender, age_group, age, gender3 or a label column. Can be given several"
        " times. Default: age_group, gender and age, if the data set has these labels.",
        autocompletion=complete.targets,
    ),
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        help="Vectors that the models are fitted on: network, network:layer, or a name of `featurekit list"
        " fitted_features`, several joined by +. Can be given several times. Default: each extracted network"
        " alone, and all of them joined, without sharpness.",
        autocompletion=complete.features,
    ),
]
Join = Annotated[
    bool, typer.Option("--join", help="Fit only on all features joined, not on each of them alone.")
]
Folds = Annotated[
    int | None,
    typer.Option(
        help="Number of folds, if the data set has no folds of its own. Default: the number of the"
        " comparison, or 5 for a new comparison."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the random numbers, for the folds and for the models. Default: the seed of the"
        " comparison, or 0 for a new comparison.",
        min=0,
        max=LARGEST_SEED,
    ),
]
NewFolds = Annotated[
    bool,
    typer.Option(
        "--new-folds",
        help="Make new folds, and delete the earlier runs of the comparison when this fit has ended"
        " successfully.",
    ),
]
Rare = Annotated[
    str,
    typer.Option(
        help="What to do with a class that has too few subjects for every training part: leave-out"
        " (fit without this class), or refuse (stop with an error).",
        autocompletion=complete.words("leave-out", "refuse"),
    ),
]
SaveModels = Annotated[
    bool,
    typer.Option(
        "--save-models/--no-models",
        help="Whether each model is also fitted on all faces, and saved in models/.",
    ),
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="Choose the parameters by cross-validation inside every training part. The run is marked"
        " (tuned).",
    ),
]
LearningCurve = Annotated[
    bool,
    typer.Option(
        "--learning-curve",
        help="Also fit on 1/16, 1/8, 1/4 and 1/2 of the training subjects, to see whether more faces would"
        " help. Runs that are stored with the same settings are not fitted again.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        help="Largest number of fits (of folds, or of models that are saved) at the same time, which does not"
        " change the results; 0 means as many as the threads and the memory allow.",
        min=0,
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        help="Number of epochs, for networks trained end to end. Several numbers, such as 20,40, are"
        " compared. Default: the number of the network."
    ),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        help="Number of faces in a training step, for networks trained end to end. Several numbers, such as"
        " 16,32, are compared. Default: the number of the network."
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A parameter of the models, as name=value; several values, as name=value,value, are compared."
        " Can be given several times. Default: the default parameters.",
    ),
]
AllowEthnicity = Annotated[
    bool,
    typer.Option(
        "--allow-ethnicity", help="Allow a label column of ethnicities as a target; see the README."
    ),
]
Members = Annotated[
    list[str],
    typer.Argument(
        help="Names of at least two runs, as in reports/NAME/runs, in which * stands for any characters."
    ),
]
Weighted = Annotated[
    bool,
    typer.Option(
        "--weighted",
        help="Give better runs a higher weight. The weights of each fold are learned from the predictions in"
        " the other folds.",
    ),
]

# What the program prints if fitting is stopped.
_STOPPED = (
    "the finished runs are kept in {}. The same command fits all runs again, or with --learning-curve only"
    " what is missing; networks trained end to end continue from their last complete epoch"
)


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
    learning_curve: LearningCurve = False,
    jobs: Jobs = 0,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    set_: Parameters = None,
    allow_ethnicity: AllowEthnicity = False,
    device: Device = "auto",
    threads: Threads = 0,
    executor: ExecutorName = "local",
    address: Address = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Fit models and score them by cross-validation.

    No subject is in both the training and the test part of a fold. End-to-end networks (multitask_cnn, …)
    read the face images that `featurekit extract --backbone pixels` keeps. A stopped fit keeps its finished
    runs; the same command fits all runs again, and end-to-end networks continue from their last full epoch.

    Examples:
      featurekit fit --model svm --features dlib_age --target gender --target age_group --learning-curve
      featurekit fit --model multitask_cnn --features mobilenet_v2 --epochs 6,12
      featurekit fit --model sklearn.neighbors.KNeighborsClassifier --target gender --set n_neighbors=5,15
      featurekit fit --model svm --model random_forest --executor ray --address local
    """
    with _saying_what_is_kept(context, name):
        results = fk.evaluate(
            dataset_of_command(context),
            features,
            model or ["svm"],
            target=target,
            join=join,
            parameters=_parameters(epochs, batch_size, set_),
            tune=tune,
            learning_curve=learning_curve,
            name=name,
            folds=folds,
            seed=seed,
            new_folds=new_folds,
            rare=rare,
            save_models=save_models,
            allow_ethnicity=allow_ethnicity,
            device=device,
            executor=executor_of(executor, address, workers),
            **_caller(context, threads, jobs),
        )
    _print_results(context, results.runs, results.folder, name)


@contextmanager
def _saying_what_is_kept(context: typer.Context, name: str | None) -> Iterator[None]:
    """Say which runs are kept, if fitting is stopped inside the with statement."""
    try:
        yield
    except Stopped as stopped:
        stopped.remark = _STOPPED.format(ComparisonFolder(comparison_of_command(context, name)).runs)
        raise


def _caller(context: typer.Context, threads: int, jobs: int) -> dict[str, Any]:
    """Return the command, the project and how many fits run at a time, as arguments of a function."""
    return {
        "parallel_folds": jobs,
        "command": command_line(),
        "project": project_of_command(context),
        "n_jobs": threads or None,
    }


def _print_results(context: typer.Context, runs: "Sequence[Run]", folder: Path, name: str | None) -> None:
    """Print the scores of runs, where the runs are, and the command that makes a report of them."""
    print_runs(runs)
    report = next_command(context, "report", *(["--name", name] if name else []))
    typer.echo(f"The runs are in {ComparisonFolder(folder).runs}. Next: {report}")


def _parameters(epochs: str | None, batch_size: str | None, others: list[str] | None) -> dict[str, list[Any]]:
    """Return the values that each parameter was given."""
    given = pairs(others, "--set") | {
        name: text for name, text in (("epochs", epochs), ("batch_size", batch_size)) if text is not None
    }
    return {name: [as_value(one) for one in text.split(",")] for name, text in given.items()}


def ensemble(
    context: typer.Context,
    member: Members,
    name: ComparisonName = None,
    weighted: Weighted = False,
    json: Json = False,
) -> None:
    """Average the predictions of several runs and score them.

    The result is a new run of the comparison. Runs are named TARGET--FEATURES--MODEL, so "*--dlib_age--svm"
    is the svm on dlib_age of every target. For each target, every name must match exactly one run; targets
    for which a name matches no run are left out.

    Examples:
      featurekit ensemble "*--dlib_age--svm" "*--dlib_age--xgboost"
      featurekit ensemble "*--dlib_age--svm" "*--multitask_cnn" --weighted
    """
    results = fk.load_results(comparison_of_command(context, name))
    command = command_line()
    made = fk.ensemble(results, member, weighted=weighted, command=command)
    runs = [run for run in made.runs if run.command == command and "members" in run.parameters]
    _print_results(context, runs, results.folder, name)
