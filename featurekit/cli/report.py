"""featurekit report and log-mlflow: write a comparison for others to read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import featurekit as fk
from featurekit.api.telling import note, warn
from featurekit.cli import _completion as complete
from featurekit.cli._options import ComparisonName, Json
from featurekit.cli._output import print_runs
from featurekit.cli._workspace import comparison_of_command, dataset_of_command, project_of_command
from featurekit.errors import WorkspaceError
from featurekit.text import counted

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
        help="How many years of mean absolute error a cheaper model of age may lose against the best"
        " model and still be recommended. Default: 0.1."
    ),
]
Xlsx = Annotated[
    bool,
    typer.Option(
        "--xlsx",
        help="Also write report.xlsx: an Excel workbook with one sheet for each table. Needs pip install"
        " 'featurekit[xlsx]'.",
    ),
]
Pdf = Annotated[
    bool,
    typer.Option(
        "--pdf",
        help="Also write report.pdf, printed by Chromium, Chrome or Edge. The first two pages are a"
        " summary. CHROME_PATH names the browser if it is not found.",
    ),
]
ModelCard = Annotated[
    bool,
    typer.Option(
        "--model-card",
        help="Also write model_card.md: the model card of the best model of each target, in the format of"
        " Hugging Face.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The HTML file to write, or its URL in a bucket; files of other formats are written beside it."
        " Default: report.html in the folder of the comparison.",
    ),
]
LegalAges = Annotated[
    list[int] | None,
    typer.Option(
        "--legal-age",
        help="A legal age in years at which the report judges the model of age. Repeat it for several ages."
        " Default: 13, 16, 18, 21 and 25.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="age-assurance: the report begins with predicted ages, and lists targets of evaluations of age"
        " checks with what the best model has achieved.",
        autocompletion=complete.words("age-assurance"),
    ),
]

Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        help="Names of an earlier and a later comparison. The report then says what has changed between them,"
        " and which models differ significantly.",
        autocompletion=complete.comparisons,
    ),
]
Faces = Annotated[
    str,
    typer.Option(
        help="none, or thumb: the HTML page also shows small images of the faces with the largest errors of"
        " the best model of each target, grouped by subject.",
        autocompletion=complete.words("none", "thumb"),
    ),
]


def report(
    context: typer.Context,
    name: ComparisonName = None,
    output: Output = None,
    compare: Compare = None,
    faces: Faces = "none",
    margin_points: MarginPoints = None,
    margin_years: MarginYears = None,
    xlsx: Xlsx = False,
    pdf: Pdf = False,
    model_card: ModelCard = False,
    legal_age: LegalAges = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Write the comparison report as HTML and Markdown.

    The HTML page is one file that works offline. The other formats have the same numbers.

    Examples:
      featurekit report
      featurekit report --xlsx
      featurekit report --pdf
      featurekit report --model-card
      featurekit report --faces thumb
      featurekit report --output s3://bucket/utkface.html --xlsx
      featurekit report --margin-points 0.5
      featurekit report --profile age-assurance --legal-age 16 --legal-age 18
      featurekit report --compare utkface-june utkface-july
    """
    from featurekit.report.gallery import shows_people
    from featurekit.report.of_comparison import check_faces, check_profile

    check_faces(faces)
    check_profile(profile)
    if compare:
        _check_alone(compare, context.params)
        _report_changes(context, compare)
        return
    results = fk.load_results(comparison_of_command(context, name))
    page = results.report(
        output,
        faces=faces,
        margin_points=margin_points,
        margin_years=margin_years,
        legal_ages=legal_age or None,
        profile=profile,
        xlsx=xlsx,
        pdf=pdf,
    )
    print_runs(results.ranked)
    _print_written(page, xlsx=xlsx, pdf=pdf)
    if model_card:
        card = page.with_name("model_card.md")
        results.model_card(path=card)
        typer.echo(f"Wrote {card}")
    if output is None:
        _tell_of_older(page, {".xlsx": xlsx, ".pdf": pdf}, model_card=model_card)
    if faces == "thumb" and (output or shows_people(page)):
        typer.echo("The page shows images of people. Share it only as the owner of the images allows.")


def _print_written(page: Path, *, xlsx: bool, pdf: bool) -> None:
    written = [page, page.with_suffix(".md")]
    written += [page.with_suffix(ending) for ending, is_asked in ((".xlsx", xlsx), (".pdf", pdf)) if is_asked]
    typer.echo(f"Wrote {', '.join(map(str, written[:-1]))} and {written[-1]}")


def _tell_of_older(page: Path, asked: Mapping[str, bool], *, model_card: bool) -> None:
    """Note which files beside a report that was just written are of an earlier report."""
    beside = {page.with_suffix(ending): (is_asked, f"--{ending[1:]}") for ending, is_asked in asked.items()}
    beside[page.with_name("model_card.md")] = model_card, "--model-card"
    for path, (is_new, option) in beside.items():
        if path.is_file() and not is_new:
            note(f"{path} is of an earlier report. To write it again: {option}")


def _check_alone(compare: tuple[str, str], options: Mapping[str, object]) -> None:
    """Raise WorkspaceError for an option that has no effect with --compare.

    Args:
        compare: names of the earlier and of the later comparison.
        options: value of each option.
    """
    for option, why in (
        ("name", "which names both comparisons"),
        ("output", "whose report is in a folder of its own"),
        ("faces", "whose report shows no faces"),
        ("margin_points", "whose report recommends no model"),
        ("margin_years", "whose report recommends no model"),
        ("legal_age", "whose report has no section on ages"),
        ("profile", "whose report has no section on ages"),
        ("xlsx", "whose report is HTML and Markdown only"),
        ("pdf", "whose report is HTML and Markdown only"),
        ("model_card", "whose report is HTML and Markdown only"),
        ("json", "which prints no table"),
    ):
        if options[option] not in (None, False, "none", [], ()):
            typed = f"--{option.replace('_', '-')}"
            raise WorkspaceError(f"{typed} has no effect with --compare, {why}. Leave it out.")
    if compare[0] == compare[1]:
        raise WorkspaceError(
            f"--compare needs two different comparisons, but {compare[0]} is given twice."
            " Give an earlier and a later one: --compare EARLIER LATER."
        )


def _report_changes(context: typer.Context, names: tuple[str, str]) -> None:
    """Write the report on the changes between two comparisons, and print which runs differ."""
    from featurekit.report.of_comparison import write_changes_between

    changes = write_changes_between(
        project_of_command(context).folder, dataset_of_command(context), names, say=warn
    )
    for name, found in changes.differences.items():
        what = "significant difference" if found.is_shown else "no evidence of a difference"
        typer.echo(f"{name}: {what}")
    typer.echo(f"Wrote {changes.page} and {changes.page.with_suffix('.md')}")


def log_mlflow(
    context: typer.Context,
    name: ComparisonName = None,
    to: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_TRACKING_URI",
            help="MLflow store: sqlite:///FILE, or the URL of a server. Default: mlflow.db in the workspace.",
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_EXPERIMENT_NAME",
            help="Name of the MLflow experiment. Default: the name of the data set.",
        ),
    ] = None,
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
    folder = comparison_of_command(context, name)
    logged = fk.log_mlflow(folder, to, experiment=experiment)
    typer.echo(
        f"Logged {counted(len(logged.new), 'new run', 'new runs')} of {folder.name} to {logged.store},"
        f" experiment {logged.experiment}; {counted(len(logged.known), 'run was', 'runs were')} there"
        " already."
    )
    if logged.files:
        typer.echo(f"Also logged {', '.join(logged.files)}.")
    if logged.withheld:
        typer.echo(
            f"{', '.join(logged.withheld)} was not logged, because it shows images of people. To log a report"
            " without images, run featurekit report and then this command again.",
            err=True,
        )
    if logged.missing:
        typer.echo(
            f"Not logged, because they have not been written yet: {', '.join(logged.missing)}. Run featurekit"
            " report and then this command again.",
            err=True,
        )
