"""featurekit audit and verify-run: check whether a comparison can be trusted."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurekit as fk
from featurekit.api.telling import SHOWN
from featurekit.cli import _completion as complete
from featurekit.cli._options import LARGEST_SEED, ComparisonName, Json, Threads
from featurekit.cli._output import print_table
from featurekit.cli._terminal import Cell
from featurekit.cli._workspace import comparison_of_command, dataset_of_command, project_of_command
from featurekit.project import ComparisonFolder
from featurekit.text import first_few

if TYPE_CHECKING:
    from featurekit.findings import Finding, Severity
    from featurekit.ops.verify import Checked


_COLORS: "dict[Severity, str]" = {"error": "red", "warning": "yellow", "note": "", "ok": "green"}
Features = Annotated[
    str | None,
    typer.Option(
        help="Vectors that are used to find close faces: network or network:layer, several joined by +."
        " Default: an extracted face-recognition network, or else the first extracted network.",
        autocompletion=complete.features,
    ),
]


def audit(
    context: typer.Context,
    name: ComparisonName = None,
    features: Features = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images/--no-images", help="Whether the image files are read to find near-duplicates."
        ),
    ] = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 if a finding is an error.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of the checks that draw faces or splits at random. Default: 0.",
            min=0,
            max=LARGEST_SEED,
        ),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Check for leaks between folds and for wrong labels.

    The audit looks for subjects, photographs and identical or nearly identical images that are in both the
    training and the test part of a fold, for test faces that are unusually close to a training face, for
    contradicting and suspicious labels, and for classes that are spread unevenly over the folds. The audit
    also computes the score that a random split would have given. It can be run at any time: a check that
    cannot run yet names the command to run first.

    Examples:
      featurekit audit
      featurekit audit --features dlib_age+mobilenet_v2 --no-images --strict
    """
    data = dataset_of_command(context)
    found = fk.audit(
        data,
        name=name,
        features=features,
        images=images,
        seed=seed,
        n_jobs=threads or None,
        project=project_of_command(context),
    )
    print_table(["severity", "check", "count", "finding", "what to do"], map(_row_of, found.findings))
    files = ComparisonFolder(comparison_of_command(context, name or data.name))
    typer.echo(f"Wrote {files.audit} and, with the faces of each finding, {files.audit_rows}")
    if strict and any(one.severity == "error" for one in found.findings):
        raise typer.Exit(1)


def _row_of(one: "Finding") -> list[Any]:
    """Return the row of a finding in the table."""
    said = "ERROR" if one.severity == "error" else one.severity
    severity = Cell(one.severity, said, _COLORS[one.severity])
    return [severity, Cell(one.name, one.name.replace("_", " ")), one.count, one.what, one.advice]


def verify_run(
    context: typer.Context,
    name: ComparisonName = None,
    n: Annotated[int, typer.Option("--n", help="Number of faces whose vectors are computed again.")] = 16,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed for drawing the faces at random. Default: 0.", min=0, max=LARGEST_SEED),
    ] = None,
) -> None:
    """Check that the vectors of a comparison can be reproduced.

    The vectors of a few faces are computed again, with the recipes that are stored in the runs and with the
    current weights, precision and engine, and compared bit by bit. The command lists the vectors, image
    files, settings, versions and hardware that differ. It does not change the cache. The exit code is 1 if
    anything differs.

    Examples:
      featurekit verify-run
      featurekit verify-run --name utkface-june --n 32 --seed 1
    """
    found = fk.verify(comparison_of_command(context, name), dataset_of_command(context), n=n, seed=seed)
    for face_id, why in found.photographs:
        typer.echo(f"image of {face_id}: {why}")
    for one in found.checked:
        _print_checked(one)
    for line in found.surroundings:
        typer.echo(f"changed since the run: {line}")
    if not found.is_equal:
        raise typer.Exit(1)
    typer.echo("Images, recipes, weights, versions and hardware are the same as when the runs were made.")


def _print_checked(one: "Checked") -> None:
    if one.why:
        typer.echo(f"{one.feature} could not be computed again: {one.why}")
    elif one.n_faces:
        n_equal = one.n_faces - len(one.differing)
        typer.echo(f"{one.feature}: {n_equal} of {one.n_faces} faces have exactly the same vector as before.")
    apart = [differing for differing in one.differing if not differing.why]
    for differing in apart[:SHOWN]:
        much = f"{differing.largest:.3g}, which is {100 * differing.share:.2g} % of its length"
        typer.echo(f"{one.feature} of {differing.face_id}: the vector differs by up to {much}")
    if len(apart) > SHOWN:
        typer.echo(f"{one.feature}: … and the vectors of {len(apart) - SHOWN:,} more faces")
    for why in dict.fromkeys(differing.why for differing in one.differing if differing.why):
        theirs = [differing.face_id for differing in one.differing if differing.why == why]
        typer.echo(f"{one.feature} of {first_few(theirs)}: {why}")
    for line in one.changes:
        typer.echo(f"{one.feature}, recipe: {line}")
    for line in one.damaged:
        typer.echo(f"{one.feature}, cache: {line}")
