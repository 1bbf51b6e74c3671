"""featurekit extract: find the faces, and compute and cache their vectors."""

from typing import TYPE_CHECKING, Annotated

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import (
    Address,
    Device,
    ExecutorName,
    GpusPerWorker,
    Json,
    Precision,
    Profile,
    Threads,
    Workers,
    executor_of,
)
from featurekit.cli._output import print_profile, print_table
from featurekit.cli._workspace import dataset_of_command, project_of_command
from featurekit.errors import WorkspaceError
from featurekit.progress import StepTimes
from featurekit.text import counted

if TYPE_CHECKING:
    from featurekit.embeddings.extractor import Extraction

BackboneNames = Annotated[
    list[str] | None,
    typer.Option(
        help="Network, or network:layer; for a feature that is fitted per fold (eigenfaces), what it starts"
        " from is extracted. Can be given several times. Default: the built-in networks.",
        autocompletion=complete.features,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(help="Layer to use of every given network. Default: the default layer of each network."),
]
Detector = Annotated[str, typer.Option(help="Face detector.", autocompletion=complete.detectors)]
DetectorWeights = Annotated[
    str | None,
    typer.Option(
        help="Weights of the detector: a name such as scrfd_10g, an SCRFD file, or an insightface pack"
        " (zip). Default: the default weights of the detector."
    ),
]
Choose = Annotated[
    str,
    typer.Option(
        help="Which face is used if an image has several: center (the most central), largest, box (the one"
        " in the manifest's box), or only (none of them: the row gets the status many_faces).",
        autocompletion=complete.words("center", "largest", "box", "only"),
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Process only part I of N parts of the images, from 1/N to N/N, for a scheduler of your own."
        " Default: all images.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror",
        help="Average the vectors of each face and of its mirror image: usually more accurate, but slower.",
    ),
]


def extract(
    context: typer.Context,
    backbone: BackboneNames = None,
    layer: Layer = None,
    detector: Detector = "centerface",
    detector_weights: DetectorWeights = None,
    choose: Choose = "center",
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
    mirror: Mirror = False,
    executor: ExecutorName = "local",
    address: Address = None,
    workers: Workers = None,
    gpus_per_worker: GpusPerWorker = None,
    shard: Shard = None,
    profile: Profile = False,
    json: Json = False,
) -> None:
    """Find the face in each image and compute its vectors.

    The vectors are kept in the cache. If the command is stopped, run it again to continue.

    With --shard 2/4, only the second of four parts of the images is processed. Each image is in one part,
    which depends only on the content of its file. The parts may run at the same time, on several machines, in
    one workspace that they share, or each in a workspace of its own: see `featurekit cache merge`. The table
    counts the rows of the part. Until the other parts are done, their images are not extracted.

    Examples:
      featurekit extract --backbone dlib_age --backbone mobilenet_v2
      featurekit extract --mirror
      featurekit extract --detector insightface_scrfd --detector-weights scrfd_10g.onnx
      featurekit extract --executor ray --address local
      featurekit extract --mirror --shard 2/4
    """
    from featurekit.embeddings.index import feature_names

    data = dataset_of_command(context)
    extraction = fk.embed(
        data,
        feature_names(backbone, layer),
        mirror=mirror,
        detector=detector,
        detector_weights=detector_weights,
        choose=choose,
        device=device,
        precision=precision,
        n_jobs=threads or None,
        executor=executor_of(executor, address, workers, gpus_per_worker),
        shard=shard,
        project=project_of_command(context),
    ).extraction
    _print_extraction(extraction, shard, len(data), profile=profile)
    if unread := extraction.unread:
        raise WorkspaceError(
            f"{counted(len(unread), 'image was', 'images were')} not read, for the reasons above. The"
            " vectors of the other images are in the cache. If image files have changed, run `featurekit"
            " prepare` and then this command again."
        )


def _print_extraction(extraction: "Extraction", shard: str | None, n_rows: int, *, profile: bool) -> None:
    """Print the status of the images, the hardware that the networks ran on, and, if asked, the times."""
    from featurekit.faces.face import STATUS_MEANINGS

    print_table(
        ["status", "rows", "meaning"],
        [[status, n, STATUS_MEANINGS[status]] for status, n in extraction.statuses.items()],
    )
    if shard:
        own = sum(extraction.statuses.values())
        typer.echo(f"Shard {shard} has {own:,} of the {n_rows:,} rows; the table counts only them.")
    for name, got in extraction.achieved.items():
        typer.echo(f"{name}: {got['engine']} on {got['device']} in {got['precision']}")
    rate = f", {extraction.n_read / extraction.seconds:.0f}/s" if extraction.n_read else ""
    typer.echo(f"Read {counted(extraction.n_read, 'image', 'images')} in {extraction.seconds:.1f} s{rate}.")
    if profile:
        print_profile(StepTimes(extraction.n_read, extraction.seconds, extraction.threads, extraction.parts))
