"""featurekit audit and verify-run: check whether a comparison can be trusted."""

from typing import TYPE_CHECKING, Annotated

import typer

from featurekit.cli._options import LARGEST_SEED, ComparisonName, Threads
from featurekit.cli._output import print_table
from featurekit.cli._progress import progress_bar
from featurekit.cli._workspace import project_of_command
from featurekit.project import ComparisonFolder
from featurekit.text import first_few

if TYPE_CHECKING:
    from featurekit.checks.audit import Audit
    from featurekit.ops.verify import Checked

Features = Annotated[
    str | None,
    typer.Option(
        help="Vectors in which close faces are searched: network or network:layer, several joined by +."
        " Default: an extracted face-recognition network, or else the first extracted network."
    ),
]
Images = Annotated[
    bool,
    typer.Option("--images/--no-images", help="Whether the image files are read to find near-duplicates."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with code 1 if a finding is an error.")]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the checks that draw faces or splits at random. Default: 0.", min=0, max=LARGEST_SEED
    ),
]
NumberOfFaces = Annotated[int, typer.Option("--n", help="Number of faces to compute again.")]
SeedOfFaces = Annotated[
    int | None,
    typer.Option(help="Seed for drawing these faces at random. Default: 0.", min=0, max=LARGEST_SEED),
]


def audit(
    context: typer.Context,
    name: ComparisonName = None,
    features: Features = None,
    images: Images = True,
    strict: Strict = False,
    seed: Seed = None,
    threads: Threads = 0,
) -> None:
    """Check for leaks between folds and for wrong labels.

    The audit looks for subjects, photographs and identical or nearly identical images that are in both the
    training and the test part of a fold, for test faces that are unusually close to a training face, for
    contradicting and suspicious labels, and for classes that are spread unevenly over the folds. It also
    computes the score that a random split would have given. It can be run at any time: a check that cannot
    run yet names the command to run first.

    Examples:
      featurekit audit
      featurekit audit --features dlib_age+mobilenet_v2 --no-images --strict
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.upkeep import audit as look

    project = project_of_command(context)
    data = dataset_of(project)
    with progress_bar("auditing", unit="pieces") as progress:
        found = look(
            data,
            name=name,
            features=features,
            images=images,
            seed=seed,
            n_jobs=threads or None,
            project=project,
            progress=progress,
        )
    _print_findings(found)
    files = ComparisonFolder(project.folder.report(name or data.name))
    typer.echo(f"Wrote {files.audit} and, with the faces of each finding, {files.audit_rows}")
    if strict and any(one.severity == "error" for one in found.findings):
        raise typer.Exit(1)


def _print_findings(found: "Audit") -> None:
    signs = {"ok": "ok", "note": "note", "warning": "warning", "error": "ERROR"}
    print_table(
        ["severity", "check", "count", "finding", "what to do"],
        [
            [signs[one.severity], one.name.replace("_", " "), f"{one.count:,}", one.what, one.advice]
            for one in found.findings
        ],
    )


def verify_run(
    context: typer.Context, name: ComparisonName = None, n: NumberOfFaces = 16, seed: SeedOfFaces = None
) -> None:
    """Check that the vectors of a comparison can be reproduced.

    The vectors of a few faces are computed again, with the recipes that are stored in the runs and with the
    current weights, precision and engine, and compared bit by bit. The command lists the vectors, image
    files, parts of a recipe, versions and hardware that differ. It writes nothing into the cache. The exit
    code is 1 if anything differs.

    Examples:
      featurekit verify-run
      featurekit verify-run --name utkface-june --n 32 --seed 1
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.upkeep import verify

    project = project_of_command(context)
    data = dataset_of(project)
    with progress_bar("verifying", unit="images") as progress:
        found = verify(project.folder.report(name or data.name), data, n=n, seed=seed, progress=progress)
    for face_id, why in found.photographs:
        typer.echo(f"image of {face_id}: {why}")
    for one in found.checked:
        _print_checked(one)
    for line in found.surroundings:
        typer.echo(f"since the run: {line}")
    if not found.is_equal:
        raise typer.Exit(1)
    typer.echo("Images, recipes, weights, versions and hardware are the same as when the runs were made.")


def _print_checked(one: "Checked") -> None:
    if one.why:
        typer.echo(f"{one.feature} could not be computed again: {one.why}")
    elif one.n_faces:
        n_same = one.n_faces - len(one.differing)
        typer.echo(f"{one.feature}: {n_same} of {one.n_faces} faces have exactly the same vector as before.")
    for differing in one.differing:
        if not differing.why:
            apart = f"{differing.largest:.3g}, which is {100 * differing.share:.2g} % of its length"
            typer.echo(f"{one.feature} of {differing.face_id}: the vector differs by up to {apart}")
    for why in dict.fromkeys(differing.why for differing in one.differing if differing.why):
        theirs = [differing.face_id for differing in one.differing if differing.why == why]
        typer.echo(f"{one.feature} of {first_few(theirs)}: {why}")
    for line in one.changes:
        typer.echo(f"{one.feature}, recipe: {line}")
    for line in one.damaged:
        typer.echo(f"{one.feature}, cache: {line}")
