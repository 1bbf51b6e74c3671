"""featurekit cache: look at, check, clean and export what is remembered, and forget a person."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurekit.cli._output import print_table
from featurekit.cli._workspace import project_of_command, workspace_of
from featurekit.errors import WorkspaceError
from featurekit.text import first_few, one_line

if TYPE_CHECKING:
    from featurekit.ops.purge import Purged


def cache_ls(context: typer.Context) -> None:
    """List what is remembered, recipe by recipe.

    Example: featurekit cache ls
    """
    from featurekit.cache.store import Store

    shelves = Store(workspace_of(context).cache).shelves()
    rows = []
    for shelf in shelves:
        recipe = shelf.recipe
        what = recipe.get("detector") or f"{recipe.get('backbone')}:{recipe.get('layer')}"
        size = f"{shelf.bytes / 1e6:,.1f} MB"
        rows.append([shelf.kind, str(what), shelf.key, f"{shelf.rows:,}", size, str(shelf.damaged or "")])
    print_table(["kind", "what", "key", "rows", "size", "damaged"], rows)


def cache_verify(context: typer.Context) -> None:
    """Hash every shard again; damaged ones are put aside and computed again by the next extract.

    Example: featurekit cache verify
    """
    from featurekit.cache.store import Store

    verified = Store(workspace_of(context).cache).verify()
    typer.echo(f"{verified.shards} shards, {verified.bytes / 1e6:,.1f} MB, are what they say.")
    for damage in verified.damaged:
        typer.echo(f"error: {damage.path.name}: {damage.why}; put aside. Next: featurekit extract", err=True)
    if verified.damaged:
        raise typer.Exit(1)


def cache_gc(
    context: typer.Context,
    drop: Annotated[list[str] | None, typer.Option(help="Also remove this key of `cache ls`.")] = None,
) -> None:
    """Remove leftovers of killed runs, damaged shards and rows that stand twice.

    Example: featurekit cache gc --drop 0123456789abcdef
    """
    from featurekit.cache.store import Store

    freed = Store(workspace_of(context).cache).gc(drop=drop or [])
    typer.echo(f"Removed {len(freed.files)} files, {freed.bytes / 1e6:,.1f} MB.")


def cache_purge(
    context: typer.Context,
    subject: Annotated[
        list[str] | None, typer.Option(help="A person, as the manifest calls them; several at once.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="A photograph, by its path; several at once.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would go.")] = False,
) -> None:
    """Remove a person from the whole workspace, and check that nothing is left.

    Takes their rows from the manifest, the cache (faces, vectors, crops, hashes), the folds, the predictions
    and the audit, and deletes report pages that show faces and outcomes, which featurekit report makes again
    from the predictions that are left. The photographs are not touched. What has
    learned from the faces cannot forget them, and is named. Nothing else may run in the workspace meanwhile;
    a purge that was killed is run again.

    Examples:
      featurekit cache purge --subject s0 --dry-run
      featurekit cache purge --subject s0 --subject s1
      featurekit cache purge --image photos/s0_1.png
    """
    from featurekit.api.upkeep import purge

    if not subject and not image:
        raise WorkspaceError("Nobody was named. Name a person with --subject, or a photograph with --image.")
    purged = purge(subject or [], image or [], dry_run=dry_run, project=project_of_command(context))
    what = "would be removed" if dry_run else "removed"
    print_table(["where", what, "of"], [[place, f"{n:,}", unit] for place, n, unit in purged.places])
    _print_what_stays(purged, dry_run=dry_run)
    if not dry_run:
        typer.echo(
            f"Nothing of {purged.who} is left in the cache, the manifest, the folds, the predictions and the"
            " audit's rows."
        )


def _print_what_stays(purged: "Purged", *, dry_run: bool) -> None:
    if dry_run:
        for file in purged.files:
            typer.echo(f"photograph: {file}")
    if purged.joined:
        typer.echo(
            "featurekit prepare took subjects who share an identical file for one person: look which"
            " photographs these are (--dry-run), and name others' apart with --image."
        )
    if purged.shared:
        typer.echo(
            f"What is remembered of {first_few(purged.shared)} stays: another row of the manifest has the"
            " same file and needs it."
        )
    if purged.learned:
        there = ", ".join(f"{name} ({n:,})" for name, n in purged.learned.items())
        typer.echo(
            f"What may have learned from these faces cannot forget them: {there}; an SVM even keeps vectors."
            " Delete of models/, cache/training/ and reports/ what they took part in, and fit again."
        )
    if purged.strangers:
        typer.echo(
            f"The cache holds {purged.strangers:,} faces that no row of the manifest explains, so that nobody"
            " can tell whose they are: featurekit cache gc --drop KEY removes a shelf, featurekit extract"
            " makes it again."
        )
    typer.echo(
        "The photographs themselves are not touched; while they lie there, featurekit prepare finds them"
        " again. Nor is anything outside the workspace: exported vectors, predictions, maps, MLflow."
    )


def cache_export(
    context: typer.Context,
    features: Annotated[str, typer.Argument(help="network[:layer] that has been extracted.")],
    path: Annotated[Path, typer.Argument(help="A .parquet or .npy file.")],
) -> None:
    """Write the vectors of a manifest for other programs: one row a face found, in the manifest's order.

    Example: featurekit cache export dlib_age vectors.parquet
    """
    from featurekit.api.data import dataset_of
    from featurekit.embeddings.export import check_export, export_embeddings
    from featurekit.embeddings.in_workspace import extracted_vectors

    check_export(path)
    project = project_of_command(context)
    embeddings = extracted_vectors(project.folder, dataset_of(project), features)
    for written in export_embeddings(embeddings, path):
        size = f"{len(embeddings.rows):,} faces × {embeddings.vectors.shape[1]} numbers"
        typer.echo(one_line(f"Wrote {written}: {size}"))
