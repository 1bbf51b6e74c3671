"""featurekit audit and verify-run: whether a comparison can be believed."""

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
        help="network[:layer], joined by +, to find close faces in. Default: a face-recognition network"
        " that has been extracted, else the first network."
    ),
]
Pictures = Annotated[
    bool, typer.Option("--pictures/--no-pictures", help="Read the pictures, to find near duplicates.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 if a finding is an error.")]
Seed = Annotated[
    int | None, typer.Option(help="What chance comes from. Default: 0.", min=0, max=LARGEST_SEED)
]
NumberOfFaces = Annotated[int, typer.Option("--n", help="How many faces are looked at.")]
SeedOfFaces = Annotated[
    int | None, typer.Option(help="Which faces they are. Default: 0.", min=0, max=LARGEST_SEED)
]


def audit(
    context: typer.Context,
    name: ComparisonName = None,
    features: Features = None,
    pictures: Pictures = True,
    strict: Strict = False,
    seed: Seed = None,
    threads: Threads = 0,
) -> None:
    """Look for what makes scores better or worse than they are: leaks between folds, and wrong labels.

    Persons, photographs and (nearly) identical pictures on both sides of a fold, faces too close to a
    training face, contradicting and suspect labels, classes dealt unevenly, and what a random split would
    have scored. Can be run at any time; a check that lacks something says what to run first.

    Examples:
      featurekit audit
      featurekit audit --features dlib_age+mobilenet_v2 --no-pictures --strict
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
            images=pictures,
            seed=seed,
            n_jobs=threads or None,
            project=project,
            progress=progress,
        )
    _print_findings(found)
    files = ComparisonFolder(project.folder.report(name or data.name))
    typer.echo(f"Wrote {files.audit} and, with the faces concerned, {files.audit_rows}")
    if strict and any(one.severity == "error" for one in found.findings):
        raise typer.Exit(1)


def _print_findings(found: "Audit") -> None:
    signs = {"ok": "ok", "note": "note", "warning": "warning", "error": "ERROR"}
    print_table(
        ["", "finding", "count", "what", "what to do"],
        [
            [signs[one.severity], one.name.replace("_", " "), f"{one.count:,}", one.what, one.advice]
            for one in found.findings
        ],
    )


def verify_run(
    context: typer.Context, name: ComparisonName = None, n: NumberOfFaces = 16, seed: SeedOfFaces = None
) -> None:
    """Compute some vectors of an old comparison again: are they the same to the last bit?

    Reads the photographs of a few faces with the recipes that the runs keep, with the weights, precision and
    engine of today, and says which vectors, photographs, parts of a recipe, versions or hardware differ.
    Writes nothing into the cache. Exit code 1 if anything differs.

    Examples:
      featurekit verify-run
      featurekit verify-run --name utkface-june --n 64 --seed 1
    """
    from featurekit.api.data import dataset_of
    from featurekit.api.upkeep import verify

    project = project_of_command(context)
    data = dataset_of(project)
    with progress_bar("verifying", unit="pictures") as progress:
        found = verify(project.folder.report(name or data.name), data, n=n, seed=seed, progress=progress)
    for face_id, why in found.photographs:
        typer.echo(f"photograph of {face_id}: {why}")
    for one in found.checked:
        _print_checked(one)
    for line in found.surroundings:
        typer.echo(f"since the run: {line}")
    if not found.is_equal:
        raise typer.Exit(1)
    typer.echo("Photographs, recipes, weights, versions and hardware are those of the runs.")


def _print_checked(one: "Checked") -> None:
    if one.why:
        typer.echo(f"{one.feature} could not be computed again: {one.why}")
    elif one.n_faces:
        n_same = one.n_faces - len(one.differing)
        typer.echo(f"{n_same} of {one.n_faces} faces of {one.feature} give the same bits.")
    for differing in one.differing:
        if not differing.why:
            apart = f"{differing.largest:.3g}, {100 * differing.share:.2g} % of the vector's length"
            typer.echo(f"{one.feature} of {differing.face_id}: differs by up to {apart}")
    for why in dict.fromkeys(differing.why for differing in one.differing if differing.why):
        theirs = [differing.face_id for differing in one.differing if differing.why == why]
        typer.echo(f"{one.feature} of {first_few(theirs)}: {why}")
    for line in one.changes:
        typer.echo(f"{one.feature}, recipe: {line}")
    for line in one.damaged:
        typer.echo(f"{one.feature}, cache: {line}")
