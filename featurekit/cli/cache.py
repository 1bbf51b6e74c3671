"""featurekit cache: list, check, clean, merge and export the cache, and remove a subject."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import Json
from featurekit.cli._output import BYTES, print_message, print_table, size_cell
from featurekit.cli._terminal import Cell
from featurekit.cli._workspace import dataset_of_command, project_of_command
from featurekit.errors import WorkspaceError
from featurekit.text import counted, first_few, one_line
from featurekit.urls import place_of

if TYPE_CHECKING:
    from featurekit.ops.purge import Purged


def cache_ls(context: typer.Context, json: Json = False) -> None:
    """List the cached faces and vectors, one line per recipe.

    Example: featurekit cache ls
    """
    from featurekit.cache.store import Store
    from featurekit.networks.feature_names import shelf_name

    rows = [
        [
            shelf.kind,
            shelf_name(shelf.recipe),
            shelf.key,
            shelf.rows,
            size_cell(shelf.bytes),
            Cell(shelf.damaged, str(shelf.damaged or "")),
        ]
        for shelf in Store(project_of_command(context).folder.cache).shelves()
    ]
    print_table(["kind", "what", "key", "rows", BYTES, "damaged"], rows)


def cache_verify(context: typer.Context) -> None:
    """Check the hash of every cache file.

    Damaged files are moved aside, and the next `featurekit extract` computes their content again.

    Example: featurekit cache verify
    """
    from featurekit.cache.store import Store

    verified = Store(project_of_command(context).folder.cache).verify()
    typer.echo(f"{verified.shards} cache files ({verified.bytes / 1e6:,.1f} MB) have the right hash.")
    for damage in verified.damaged:
        print_message(
            f"error: {damage.path.name}: {damage.why}. It was moved aside. To compute it again: featurekit"
            " extract"
        )
    if verified.damaged:
        raise typer.Exit(1)


def cache_gc(
    context: typer.Context,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="Also remove the files with this key of `featurekit cache ls`; can be given several times."
        ),
    ] = None,
) -> None:
    """Remove temporary files, damaged files and duplicate rows.

    Temporary files are left behind when a command is killed.

    Example: featurekit cache gc --drop 0123456789abcdef
    """
    from featurekit.api.telling import note_of_no_lock
    from featurekit.cache.store import Store

    cache = project_of_command(context).folder.cache
    note_of_no_lock(cache)
    freed = Store(cache).gc(drop=drop or [])
    typer.echo(f"Removed {counted(len(freed.files), 'file', 'files')}, {freed.bytes / 1e6:,.1f} MB.")


def cache_merge(
    context: typer.Context,
    others: Annotated[
        list[Path], typer.Argument(help="Folders of other workspaces, or folders or URLs of caches.")
    ],
    json: Json = False,
) -> None:
    """Copy the faces and vectors of other caches into the cache of this workspace.

    The other caches are not changed. Rows that are here already are not copied, so if the command is stopped,
    run it again. The hash of each file is checked; a damaged file is named and left out, and the exit code is
    1. The record of the extractions is merged, too, so that `featurekit fit` needs no extraction here. The
    rows of subjects that were purged here come back if another cache has them: purge them there first.

    Examples:
      featurekit cache merge part1 part2 part3
      featurekit cache merge part1/cache part2/cache
    """
    merged = fk.merge_caches(others, project=project_of_command(context))
    print_table(
        ["kind", "what", "key", "rows added", "files", BYTES],
        [
            [kind, what, key, rows, files, size_cell(size)]
            for kind, what, key, rows, files, size in merged.frame().itertuples(index=False)
        ],
    )
    typer.echo(f"Added {counted(merged.n_extractions, 'extraction', 'extractions')} to the record.")
    if merged.damaged:
        raise WorkspaceError(
            f"{counted(len(merged.damaged), 'file was', 'files were')} left out, as named above. Everything"
            " else was merged. To compute what is missing: featurekit extract"
        )


def cache_purge(
    context: typer.Context,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Subject to remove: a subject_id of the manifest; can be given several times."),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="Image to remove, by its path; can be given several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    json: Json = False,
) -> None:
    """Remove a subject from the whole workspace.

    The rows of the subject are removed from the manifest, marks.csv, the cache (faces, vectors, crops,
    hashes), the folds, the predictions and the audit, and the command checks that none is left. Report pages
    that show faces, and outcome files, are deleted. The runs were scored with the removed faces, so the
    report ranks none of them until `featurekit fit` has fitted them again. The image files themselves are not
    touched. A fitted model cannot forget the faces that it was trained on: such models are listed. No other
    command may run in the workspace at the same time. If a purge was killed, run it again.

    Examples:
      featurekit cache purge --subject s0 --dry-run
      featurekit cache purge --subject s0 --subject s1
      featurekit cache purge --image photos/s2_0.png
    """
    purged = fk.purge(subject or [], image or [], dry_run=dry_run, project=project_of_command(context))
    print_table(
        ["where", "would be removed" if dry_run else "removed", "of"],
        purged.places,
    )
    _print_what_stays(purged, dry_run=dry_run)
    if not dry_run:
        typer.echo(
            f"Nothing of {purged.who} is left in the cache, the manifest, the folds, the predictions and the"
            " audit."
        )


def _print_what_stays(purged: "Purged", *, dry_run: bool) -> None:
    if dry_run:
        for file in purged.files:
            typer.echo(f"image: {file}")
    if purged.joined:
        typer.echo(
            "featurekit prepare has joined subjects that share an identical file into one. List the images"
            " with --dry-run, and if some are of another subject, purge only the right ones with --image."
        )
    if purged.shared:
        typer.echo(
            f"The cached data of {first_few(purged.shared)} are kept, because another row of the manifest has"
            " the same file."
        )
    if purged.learned:
        there = ", ".join(f"{name} ({n:,})" for name, n in purged.learned.items())
        typer.echo(
            f"These files may have been made from the removed faces: {there}. A fitted model cannot forget a"
            " face, and an SVM even stores vectors. Delete the files in models/, cache/training/ and"
            " reports/, and fit again."
        )
    if purged.strangers:
        typer.echo(
            f"The cache holds {purged.strangers:,} faces that belong to no row of the manifest, so it is not"
            " known whether they show the subject. Remove such faces with featurekit cache gc --drop KEY,"
            " then compute the other faces again with featurekit extract."
        )
    typer.echo(
        "The image files themselves are not deleted, and featurekit prepare reads them again if they are"
        " still there. Files outside the workspace (exported vectors, predictions, maps, MLflow) are not"
        " changed either."
    )


def cache_export(
    context: typer.Context,
    features: Annotated[
        str,
        typer.Argument(
            help="Vectors that have been extracted: network or network:layer.",
            autocompletion=complete.features,
        ),
    ],
    path: Annotated[
        Path,
        typer.Argument(
            help="File to write, or its URL: .parquet or .npy. For fiftyone: the folder to write."
        ),
    ],
    viewer: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Program that shows the faces: embedding-atlas (a .parquet file) or fiftyone (a folder)."
            " The paths of the images, the labels and a map are added.",
        ),
    ] = None,
) -> None:
    """Write the vectors to a Parquet or NumPy file, or for a program that shows the faces.

    The file has one row for each face that was found, in the order of the manifest. With --for, the files
    also have the path of each image and its labels: do not pass them on if the images must not be known.

    Examples:
      featurekit cache export dlib_age vectors.parquet
      featurekit cache export dlib_age faces.parquet --for embedding-atlas
      featurekit cache export dlib_age fiftyone/ --for fiftyone
    """
    if viewer is not None:
        _export_for(context, viewer, features, place_of(path))
        return
    from featurekit.embeddings.index import extracted_vectors
    from featurekit.embeddings.vectors import check_export, export_embeddings
    from featurekit.estimators.fitted_features import frozen_only

    path = place_of(path)
    check_export(path)
    frozen_only(features)
    embeddings = extracted_vectors(project_of_command(context).folder, dataset_of_command(context), features)
    written = export_embeddings(embeddings, path)
    _print_exported(written, *embeddings.vectors.shape, in_csv="their ids in the order of the vectors")


def _export_for(context: typer.Context, viewer: str, features: str, path: Path) -> None:
    """Write the vectors of a feature set for a viewer; several networks may be joined by +."""
    from featurekit.api.telling import note, shown
    from featurekit.cache.store import Store
    from featurekit.embeddings.index import recipe_of, some_ledger_of
    from featurekit.embeddings.vectors import open_vectors
    from featurekit.estimators.fitted_features import frozen
    from featurekit.evaluation.planning import full_names
    from featurekit.explore.viewers import check_viewer, export_for, n_hidden

    folder, data = project_of_command(context).folder, dataset_of_command(context)
    check_viewer(viewer, path, data)
    ledger = some_ledger_of(folder)
    recipes = [recipe_of(ledger, frozen(name)) for name in full_names(features)]
    reader = open_vectors(data, recipes, ledger.settings, Store(folder.cache))
    with shown(True, "mapping", "vectors") as told:
        written, how = export_for(viewer, data, reader, path, progress=told)
    _print_exported(written, len(reader), sum(reader.blocks), in_csv="their images and labels")
    note("These files have the paths of the images, and the labels.")
    if hidden := n_hidden(viewer, data, reader.rows):
        note(f"{viewer} shows one face of each image, so {hidden:,} faces are not shown.")
    typer.echo(one_line(f"To open: {how}"))


def _print_exported(written: Sequence[Path], n_faces: int, dim: int, *, in_csv: str) -> None:
    for file in written:
        what = in_csv if file.suffix == ".csv" else f"vectors of {dim} numbers"
        typer.echo(one_line(f"Wrote {file}: {n_faces:,} faces, {what}"))
