"""The project that a command works in."""

import shlex
import sys
from dataclasses import dataclass

import typer

from featurekit.api.project import Project
from featurekit.project import ProjectFolder


@dataclass
class State:
    """What the options before the command say."""

    project: Project


def project_of_command(context: typer.Context) -> Project:
    """Return the project that a command was given."""
    state: State = context.obj
    return state.project


def workspace_of(context: typer.Context) -> ProjectFolder:
    """Return the paths of the project that a command was given."""
    return project_of_command(context).folder


def next_command(context: typer.Context, *words: str) -> str:
    """Return a command to type next, in the folder that this one was told to work in."""
    root = context.find_root()
    source = root.get_parameter_source("workspace")
    is_typed = source is not None and source.name == "COMMANDLINE"
    there = ["--workspace", str(root.params["workspace"])] if is_typed else []
    return shlex.join(["featurekit", *there, *words])


def command_line() -> str:
    """Return the command as typed, but for the workspace: a record names no folder of this machine."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in ("-w", "--workspace"):
            next(words, None)
        elif not word.startswith("--workspace="):
            kept.append(word)
    return shlex.join(["featurekit", *kept])
