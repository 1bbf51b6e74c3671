"""The workspace that a command works in, and what must lie there before."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from featurekit.errors import ManifestError
from featurekit.project import ProjectFolder

if TYPE_CHECKING:
    from featurekit.data.manifest import Manifest


@dataclass
class State:
    """What the options before the command say."""

    workspace: ProjectFolder


def workspace_of(context: typer.Context) -> ProjectFolder:
    """Return the workspace that a command was given."""
    state: State = context.obj
    return state.workspace


def manifest_of(workspace: ProjectFolder) -> "Manifest":
    """Load the manifest of a workspace.

    Raises:
        ManifestError: there is none yet.
    """
    from featurekit.data.manifest import Manifest

    if not workspace.manifest.is_file():
        raise ManifestError(
            f"There is no {workspace.manifest} yet. First: featurekit prepare DATASET PATH"
            " (see featurekit list datasets)."
        )
    return Manifest.load(workspace.manifest)


def command_line() -> str:
    """Return the command as typed, but for the workspace: a record names no folder of this machine."""
    import shlex

    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in ("-w", "--workspace"):
            next(words, None)
        elif not word.startswith("--workspace="):
            kept.append(word)
    return shlex.join(["featurekit", *kept])
