"""featurekit report and log-mlflow: write a comparison for others to read."""

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
    typer.Option(
        help="Names of an earlier and a later comparison. The report then says what has changed between them,"
        " and which models differ significantly."
    ),
]
ShownFaces = Annotated[
    str,
    typer.Option(
        help="none, or thumb: the HTML page also shows small images of the faces with the largest errors of"
        " the best model of each target, grouped by subject."
    ),
]
MarginPoints = Annotated[
    float | None,
    typer.Option(
        help="How many percentage points of accuracy a cheaper model may lose against the best model and"
        " still be recommended. Default: 1.",
    ),
]
MarginYears = Annotated[
    float | None,
    typer.Option(
        help="How many years of mean absolute error a cheaper model of age may lose against the best model"
        " and still be recommended. Default: 0.1."
    ),
]
TrackingStore = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow store: sqlite:///FILE, or the URL of a server. Default: mlflow.db in the workspace.",
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_EXPERIMENT_NAME",
        help="Name of the MLflow experiment. Default: the name of the data set.",
    ),
]


def report(
    context: typer.Context,
    name: ComparisonName = None,
    compare: Compare = None,
    faces: ShownFaces = "none",
    margin_points: MarginPoints = None,
    margin_years: MarginYears = None,
) -> None:
    """Write the comparison report as HTML and Markdown.

    The HTML page is one file that works offline.

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
        typer.echo("The page shows images of people. Share it only as the owner of the images allows.")


def _check_alone(
    compare: tuple[str, str],
    name: str | None,
    faces: str,
    margin_points: float | None,
    margin_years: float | None,
) -> None:
    """Refuse what has no effect beside --compare."""
    if name is not None:
        raise WorkspaceError(
            "--name has no effect with --compare, which names both comparisons. Leave it out."
        )
    if faces != "none":
        raise WorkspaceError(
            "--faces has no effect with --compare, whose report shows no faces. Leave it out."
        )
    for option, margin in (("--margin-points", margin_points), ("--margin-years", margin_years)):
        if margin is not None:
            raise WorkspaceError(
                f"{option} has no effect with --compare, whose report recommends no model. Leave it out."
            )
    if compare[0] == compare[1]:
        raise WorkspaceError(
            f"--compare needs two different comparisons, but {compare[0]} is given twice."
            " Give an earlier and a later one: --compare EARLIER LATER."
        )


def _report_changes(project: "Project", names: tuple[str, str]) -> None:
    """Write what changed between two comparisons, and print which runs differ."""
    from featurekit.api.data import dataset_of
    from featurekit.api.telling import warn
    from featurekit.report.of_comparison import write_changes_between

    changes = write_changes_between(project.folder, dataset_of(project), names, say=warn)
    for name, found in changes.differences.items():
        what = "significant difference" if found.is_shown else "no evidence of a difference"
        typer.echo(f"{name}: {what}")
    typer.echo(f"Wrote {changes.page} and {changes.page.with_suffix('.md')}")


def log_mlflow(
    context: typer.Context,
    name: ComparisonName = None,
    to: TrackingStore = None,
    experiment: Experiment = None,
) -> None:
    """Log a comparison to MLflow.

    Parameters, scores, learning curves and the report are logged. Each run of the comparison becomes an
    MLflow run, nested in one parent run, which holds the report. Runs that are in the store already are not
    changed, so the command can be repeated after every fit or report. A report that shows faces is not
    logged. Needs `pip install 'featurekit[mlflow]'`. To look at the store with `mlflow ui`, install the full
    mlflow package.

    The network is used only if --to or MLFLOW_TRACKING_URI names a server. MLflow's telemetry is switched
    off.

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
        f"Logged {len(logged.new)} new runs of {folder.name} to {logged.store}, experiment"
        f" {logged.experiment}; {len(logged.known)} runs were there already."
    )
    if logged.files:
        typer.echo(f"Also logged {', '.join(logged.files)}.")
    if logged.withheld:
        tell(
            f"{', '.join(logged.withheld)} was not logged, because it shows images of people. To log a report"
            " without images, run featurekit report and then this command again."
        )
    if logged.missing:
        tell(
            f"Not logged, because they have not been written yet: {', '.join(logged.missing)}. Run featurekit"
            " report and then this command again."
        )
