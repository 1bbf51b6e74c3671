"""featurekit explore: look at the faces on a page of this machine, and mark those with a wrong label."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import LARGEST_SEED, ComparisonName
from featurekit.cli._signals import until_stopped
from featurekit.cli._workspace import (
    comparison_of_command,
    dataset_of_command,
    next_command,
    project_of_command,
)
from featurekit.text import counted, one_line
from featurekit.urls import place_of

if TYPE_CHECKING:
    from featurekit.explore.server import Server

_LAST_PORT = 65_535
Features = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="Feature set of the map and of the neighbours: network or network:layer, several joined by +."
        " Default: all that have been extracted and that models use.",
        autocompletion=complete.features,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        help="How the map is made: pca (the first two principal components), or umap (pip install"
        " 'featurekit[umap]').",
        autocompletion=complete.words("pca", "umap"),
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Model whose predictions are shown: a run of the comparison, or a model. Default: the best model"
        " of each target, on these features if there is one."
    ),
]
Output = Annotated[
    Path | None, typer.Option(help="File of the marks, ending in .csv. Default: marks.csv in the workspace.")
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 means any free one.", min=0, max=_LAST_PORT)]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the random numbers, for umap, for pca with many or long vectors, and to draw the faces"
        " to show if they are too many. Default: 0.",
        min=0,
        max=LARGEST_SEED,
    ),
]


def explore(
    context: typer.Context,
    features: Features = None,
    method: Method = "pca",
    name: ComparisonName = None,
    model: Model = None,
    output: Output = None,
    port: Port = 0,
    seed: Seed = None,
) -> None:
    """Show the faces on a local page: a map, filters, nearest neighbours, suspicious labels, and marks.

    The page has a map of the vectors, and filters by label, prediction, error, confidence and suspicious
    label. A mark excludes a face, replaces a label or is a note. The marks are written to a CSV file when you
    ask for it on the page, and featurekit prepare --marks applies them. The page shows the faces, so the
    server listens on 127.0.0.1 only, and only to requests with the token in the printed address: do not pass
    the address on. Ctrl-C ends it.

    Examples:
      featurekit explore
      featurekit explore --features dlib_age --model svm --output marks.csv
    """
    from featurekit.api.telling import note, shown
    from featurekit.explore.opening import explore as gathered
    from featurekit.explore.server import Server
    from featurekit.project import ComparisonFolder

    project, data = project_of_command(context), dataset_of_command(context)
    folder = comparison_of_command(context, name)
    is_asked = name is not None or model is not None
    results = fk.load_results(folder) if is_asked or ComparisonFolder(folder).all_runs() else None
    marks = place_of(output) if output else project.folder.marks
    with shown(True, "mapping", "vectors") as told:
        page = gathered(
            project.folder,
            data,
            marks,
            features=features,
            method=method,
            results=results,
            model=model,
            seed=seed,
            progress=told,
        )
    for text in page.notes:
        note(text)
    with Server(page, port) as server:
        _serve(server, page.n_faces)
    _, kept = page.read_marks()
    if kept:
        typer.echo(one_line(f"Ended. {counted(len(kept), 'mark is', 'marks are')} in {marks}"))
        typer.echo(f"Next: {next_command(context, 'prepare', 'DATASET', 'PATH', '--marks', str(marks))}")
    else:
        typer.echo(one_line(f"Ended. There are no marks in {marks}"))


def _serve(server: "Server", n_faces: int) -> None:
    """Print the address of the page, and serve it until Ctrl-C."""
    typer.echo(f"{counted(n_faces, 'face is', 'faces are')} shown at {server.address}")
    typer.echo("Only this machine can open the page. Press Ctrl-C to end it.")
    with until_stopped():
        server.serve_forever()
