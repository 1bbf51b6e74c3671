"""featurekit report and log-mlflow: a comparison as others read it."""

from typing import TYPE_CHECKING, Annotated

import typer

from featurekit.cli._options import ComparisonName
from featurekit.cli._output import print_runs, tell
from featurekit.cli._progress import progress_bar
from featurekit.cli._workspace import project_of_command
from featurekit.errors import WorkspaceError

if TYPE_CHECKING:
    from featurekit.api.project import Project

Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(help="Names of an earlier and a later comparison: what changed, and whether it matters."),
]
ShownFaces = Annotated[
    str,
    typer.Option(
        help="none; or thumb: the HTML page also shows, by subject, the faces that the best model of each"
        " target reads worst."
    ),
]
MarginPoints = Annotated[
    float | None,
    typer.Option(
        help="Points of accuracy that a cheaper model may lose against the best one and still be"
        " recommended. Default: 1.",
    ),
]
MarginYears = Annotated[
    float | None, typer.Option(help="Years of mean absolute error that it may lose. Default: 0.1.")
]
TrackingStore = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI",
        help="sqlite:///FILE, or the address of a server. Default: mlflow.db in the workspace.",
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_EXPERIMENT_NAME", help="Name of the experiment. Default: the data set's."),
]


def report(
    context: typer.Context,
    name: ComparisonName = None,
    compare: Compare = None,
    faces: ShownFaces = "none",
    margin_points: MarginPoints = None,
    margin_years: MarginYears = None,
) -> None:
    """Write the comparison report: one HTML file that works offline, and Markdown.

    Examples:
      featurekit report
      featurekit report --faces thumb
      featurekit report --margin-points 0.5
      featurekit report --compare utkface-june utkface-july
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.results import load_results
    from featurekit.report.gallery import shows_people
    from featurekit.report.of_comparison import check_faces

    project = project_of_command(context)
    check_faces(faces)
    if compare:
        _check_alone(compare, name, faces, margin_points, margin_years)
        _report_changes(project, compare)
        return
    results = load_results(project.folder.report(name or dataset_of(project).name))
    with progress_bar("comparing", "pieces") as progress:
        page = results.report(
            faces=faces, margin_points=margin_points, margin_years=margin_years, progress=progress
        )
    print_runs(results.ranked)
    typer.echo(f"Wrote {page} and {page.with_suffix('.md')}")
    if shows_people(page):
        typer.echo("The page shows photographs of people: pass it on only as their owner allows.")


def _check_alone(
    compare: tuple[str, str],
    name: str | None,
    faces: str,
    margin_points: float | None,
    margin_years: float | None,
) -> None:
    """Refuse what has no effect beside --compare."""
    if name is not None:
        raise WorkspaceError("--compare names both comparisons: --name would have no effect. Leave it out.")
    if faces != "none":
        raise WorkspaceError("A report on what changed shows no faces. Leave out --faces.")
    for option, margin in (("--margin-points", margin_points), ("--margin-years", margin_years)):
        if margin is not None:
            raise WorkspaceError(f"A report on what changed recommends no model. Leave out {option}.")
    if compare[0] == compare[1]:
        raise WorkspaceError(
            f"--compare names {compare[0]} twice, and nothing has changed since itself."
            " Name an earlier and a later one: --compare EARLIER LATER."
        )


def _report_changes(project: "Project", names: tuple[str, str]) -> None:
    """Write what changed between two comparisons, and print which runs differ."""
    from featurekit.api.data import dataset_of
    from featurekit.api.telling import warn
    from featurekit.report.of_comparison import write_changes_between

    changes = write_changes_between(project.folder, dataset_of(project), names, say=warn)
    for name, found in changes.differences.items():
        what = "differs beyond chance" if found.is_shown else "no evidence of a difference"
        typer.echo(f"{name}: {what}")
    typer.echo(f"Wrote {changes.page} and {changes.page.with_suffix('.md')}")


def log_mlflow(
    context: typer.Context,
    name: ComparisonName = None,
    to: TrackingStore = None,
    experiment: Experiment = None,
) -> None:
    """Write a comparison to an MLflow store: parameters, scores, learning curves and the report.

    Each run is an MLflow run of its own, nested in one for the comparison, which has the report. What is in
    the store already is left as it is, so that this can be repeated after every fit or report. A report that
    shows faces is not written. Needs `pip install 'featurekit[mlflow]'`; to look at the store, `mlflow ui` is
    part of the whole mlflow package.

    A server that --to or MLFLOW_TRACKING_URI names is reached over the network, else nothing is. MLflow's
    own reports to its makers are switched off.

    Examples:
      featurekit log-mlflow
      featurekit log-mlflow --name utkface --to sqlite:///mlflow.db --experiment faces
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.upkeep import log_mlflow as log

    project = project_of_command(context)
    folder = project.folder.report(name or dataset_of(project).name)
    with progress_bar("logging", unit="runs") as progress:
        logged = log(folder, to, experiment=experiment, progress=progress)
    typer.echo(
        f"{len(logged.new)} runs of {folder.name} are new in {logged.store}, experiment"
        f" {logged.experiment}; {len(logged.known)} were there already."
    )
    if logged.files:
        typer.echo(f"Also wrote {', '.join(logged.files)}.")
    if logged.withheld:
        tell(
            f"{', '.join(logged.withheld)} shows photographs of people and was not written. One that shows"
            " nobody: featurekit report, then this again."
        )
    if logged.missing:
        tell(f"Not here yet: {', '.join(logged.missing)}. Next: featurekit report, then this again.")
