"""featurekit extract: every face is found, and its vectors are remembered."""

from typing import TYPE_CHECKING, Annotated

import typer

from featurekit.cli._options import Device, Precision, Threads
from featurekit.cli._output import print_table
from featurekit.cli._progress import progress_bar
from featurekit.cli._workspace import project_of_command
from featurekit.errors import WorkspaceError

if TYPE_CHECKING:
    from featurekit.embeddings.extractor import Extraction

BackboneNames = Annotated[
    list[str] | None,
    typer.Option(help="Network, or network:layer; several at once. Default: the builtin ones."),
]
Layer = Annotated[str | None, typer.Option(help="Another layer of every backbone named.")]
DetectorWeights = Annotated[
    str | None,
    typer.Option(help="Another file for the detector, e.g. scrfd_10g, an SCRFD file or its pack (zip)."),
]
Choose = Annotated[
    str, typer.Option(help="Which of several faces: center, largest, box, or only (several: none).")
]
Mirror = Annotated[
    bool,
    typer.Option("--mirror", help="Read each face's mirror image too and keep the mean: better, slower."),
]
Profile = Annotated[
    bool, typer.Option("--profile", help="Print where the time went, and how busy the threads were.")
]


def extract(
    context: typer.Context,
    backbone: BackboneNames = None,
    layer: Layer = None,
    detector: Annotated[str, typer.Option(help="How faces are found.")] = "centerface",
    detector_weights: DetectorWeights = None,
    choose: Choose = "center",
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
    mirror: Mirror = False,
    profile: Profile = False,
) -> None:
    """Find every face and remember its vectors. Goes on where it was stopped.

    Examples:
      featurekit extract --backbone dlib_age --backbone mobilenet_v2
      featurekit extract --mirror
      featurekit extract --detector insightface_scrfd --detector-weights scrfd_10g.onnx
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.embed import embed
    from featurekit.embeddings.in_workspace import feature_names

    project = project_of_command(context)
    with progress_bar("extracting", unit="pictures") as progress:
        embedded = embed(
            dataset_of(project),
            feature_names(backbone, layer),
            mirror=mirror,
            detector=detector,
            detector_weights=detector_weights,
            choose=choose,
            device=device,
            precision=precision,
            n_jobs=threads or None,
            project=project,
            progress=progress,
        )
    _print_extraction(embedded.extraction)
    if profile:
        _print_profile(embedded.extraction)
    if unread := embedded.extraction.unread:
        raise WorkspaceError(
            f"{len(unread)} pictures were not read, for the reasons above; what was extracted is kept. After"
            " changes to the photographs run `featurekit prepare` again, then this."
        )


def _print_extraction(extraction: "Extraction") -> None:
    """Print what became of the pictures, and what the networks ran on."""
    from featurekit.faces.face import STATUS_MEANINGS

    print_table(
        ["status", "rows", "meaning"],
        [[status, f"{n:,}", STATUS_MEANINGS[status]] for status, n in extraction.statuses.items()],
    )
    for name, got in extraction.achieved.items():
        typer.echo(f"{name}: {got['engine']} on {got['device']} in {got['precision']}")
    rate = f", {extraction.n_read / extraction.seconds:.0f}/s" if extraction.n_read else ""
    typer.echo(f"Read {extraction.n_read:,} pictures in {extraction.seconds:.1f} s{rate}.")


def _print_profile(extraction: "Extraction") -> None:
    """Print what each part of an extraction took of the threads' time, and how much of it they worked."""
    if not extraction.n_read:
        typer.echo("Nothing had to be read: everything was remembered.")
        return
    whole, busy = extraction.threads * extraction.seconds, sum(extraction.parts.values())
    rows = [
        [part, f"{seconds:.1f}", f"{1000 * seconds / extraction.n_read:.2f}", f"{seconds / whole:.0%}"]
        for part, seconds in extraction.parts.items()
    ]
    rows.append(["waiting, starting", f"{whole - busy:.1f}", "", f"{1 - busy / whole:.0%}"])
    print_table(["part", "thread-seconds", "ms a picture", "of the threads' time"], rows)
    # Without waiting, starting and writing, the same threads would have read this many.
    limit = extraction.threads * extraction.n_read / (busy - extraction.parts.get("write", 0.0))
    share = extraction.n_read / extraction.seconds / limit
    typer.echo(
        f"{share:.0%} of the {limit:,.0f}/s that {extraction.threads} threads without a pause would reach."
    )
