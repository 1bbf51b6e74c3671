"""What lies below the folders of a workspace, and what killed writers have left there."""

import os
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.files import is_running, is_unfinished, writer_of
from featurekit.project import ProjectFolder


def files_below(folder: Path) -> list[Path]:
    """Return every file below a folder.

    Raises:
        WorkspaceError: a folder cannot be looked into; Path.rglob() would pass over it.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise WorkspaceError(
                f"Cannot read {error.filename}: {error.strerror or error}. It may contain data of the"
                " subject. Make it readable, or delete it."
            ) from error

    return sorted(Path(where, name) for where, _, names in os.walk(folder, onerror=refuse) for name in names)


def unfinished(workspace: ProjectFolder) -> list[Path]:
    """Return the files that somebody has begun to write."""
    found = list(workspace.root.iterdir())
    for folder in (workspace.cache, workspace.reports):
        found += files_below(folder)
    return sorted(path for path in found if is_unfinished(path))


def remove_unfinished(workspace: ProjectFolder) -> None:
    for path in unfinished(workspace):
        writer = writer_of(path)
        if writer not in (None, os.getpid()) and is_running(writer):
            raise WorkspaceError(
                f"Process {writer} is writing {path}. Stop it and run the purge again. If it is not a"
                " featurekit process, delete the file."
            )
        path.unlink(missing_ok=True)
