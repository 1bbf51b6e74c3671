"""featurekit list and doctor: list the backbones, models and so on, and check this machine."""

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit.cli._output import print_table
from featurekit.cli._workspace import project_of_command
from featurekit.errors import WorkspaceError
from featurekit.networks import weights
from featurekit.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurekit.estimators import ClassifierKind


def list_members(
    what: Annotated[
        str | None,
        typer.Argument(
            help="backbones, fitted_features, models (also called classifiers or estimators), detectors,"
            " datasets or checks. Default: all lists."
        ),
    ] = None,
) -> None:
    """List the available backbones, models, detectors and so on.

    The last column names the package that each backbone, model and so on comes from.

    Example: featurekit list backbones
    """
    from featurekit.checks.audit import in_order
    from featurekit.checks.base import CHECKS
    from featurekit.data.datasets import DATASETS
    from featurekit.estimators import CLASSIFIERS
    from featurekit.estimators.fitted_features import FITTED_FEATURES
    from featurekit.faces.detectors import DETECTORS
    from featurekit.networks.backbones import BACKBONES

    kinds: dict[str, Any] = {
        "backbones": BACKBONES,
        "fitted_features": FITTED_FEATURES,
        "models": CLASSIFIERS,
        "detectors": DETECTORS,
        "datasets": DATASETS,
        "checks": CHECKS,
    }
    what = {"classifiers": "models", "estimators": "models"}.get(what or "", what)
    if what and what not in kinds:
        raise WorkspaceError(unknown("list", what, list(kinds)))
    for kind in [what] if what else kinds:
        title, say = _MORE.get(kind, ("weights", _here))
        members: list[Any] = in_order() if kind == "checks" else list(kinds[kind])
        rows = [
            [
                one.name,
                one.title if kind == "checks" else one.about,
                say(one),
                str(kinds[kind].package_of(one.name)),
            ]
            for one in members
        ]
        print_table(["name", "what it is", title, "package"], rows, title=kind)


def _here(member: Any) -> str:
    name = getattr(member, "weights", None)
    if not name:
        return "not needed"
    return "here" if weights.present(name) else f"missing: {weights.entry_of(name).command}"


def _needs(kind: "ClassifierKind") -> str:
    from importlib.util import find_spec

    if kind.needs is None:
        return "no further package"
    return (
        kind.needs
        if find_spec(kind.needs)
        else f"{kind.needs}, missing: pip install 'featurekit[{kind.needs}]'"
    )


# The third column of the table of each kind; for the other kinds, whether the weights are here.
_MORE: "dict[str, tuple[str, Callable[[Any], str]]]" = {
    "fitted_features": ("starts from", attrgetter("reads")),
    "models": ("needs", _needs),
    "datasets": ("terms", attrgetter("licence")),
    "checks": ("worst severity", attrgetter("severity")),
}


def doctor(context: typer.Context) -> None:
    """Check this machine: versions, GPU, weights and disk space.

    Each problem is printed with the way to solve it. The exit code is 1 if there is an error.

    Example: featurekit doctor
    """
    from featurekit.ops.doctor import diagnose

    findings = diagnose(project_of_command(context).folder.root)
    print_table(
        ["topic", "status", "finding"],
        [[one.name, "PROBLEM" if one.severity == "error" else one.severity, one.what] for one in findings],
    )
    for finding in findings:
        if finding.advice and finding.severity != "ok":
            typer.echo(f"{finding.name}: {finding.advice}")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)
