"""The project that a command works in."""

import shlex
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

import featurekit as fk
from featurekit.errors import FeaturekitError, UnknownNameError


class Commands(TyperGroup):
    """All commands; an error for the name of a backbone and the like gets a note on where it came from."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except FeaturekitError as error:
            if said := _origin(error, ctx.params["workspace"]):
                error.add_note(said)
            raise


def _origin(error: FeaturekitError, workspace: Path) -> str:
    """Return a sentence on the package of a name that is unknown, if that is the cause of an error."""
    from featurekit.evaluation.provenance import origin_of

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UnknownNameError):
        cause = cause.__cause__
    if cause is None or not cause.name:
        return ""
    said = origin_of(cause, fk.Project(workspace).folder)
    # A mistyped name is of no package, and the error of a model says what to do.
    if said or cause is not error or not cause.group or "Did you mean" in str(cause):
        return said
    return (
        f"If it is of another package, install that package: its {cause.kind}s are found by its entry points"
        f" in {cause.group}."
    )


def project_of_command(context: typer.Context) -> fk.Project:
    """Return the project that a command works in.

    --cache is recorded only here, so that a command that ends before, such as one with --help or with a
    mistyped option, records nothing.
    """
    given = context.find_root().params
    return fk.Project(given["workspace"], cache=given["cache"])


def dataset_of_command(context: typer.Context) -> "fk.Dataset":
    """Return the data set of the project that a command works in."""
    return fk.Dataset.load(project_of_command(context).folder.manifest)


def comparison_of_command(context: typer.Context, name: str | None) -> Path:
    """Return the folder of a comparison; without a name, of the one that is named after the data set."""
    return project_of_command(context).folder.report(name or dataset_of_command(context).name)


def next_command(context: typer.Context, *words: str) -> str:
    """Return the next command to type, with the --workspace that was given to this one."""
    root = context.find_root()
    source = root.get_parameter_source("workspace")
    if source is not None and source.name == "COMMANDLINE":
        words = ("--workspace", str(root.params["workspace"]), *words)
    return shlex.join(["featurekit", *words])


def command_line() -> str:
    """Return the command as typed, without --workspace and --cache, because a record names no folder."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in ("-w", "--workspace", "--cache"):
            next(words, None)
        elif not word.startswith(("--workspace=", "--cache=")):
            kept.append(word)
    return shlex.join(["featurekit", *kept])
