"""featurekit list and doctor: list the backbones, models and so on, and check this machine."""

import sys
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import Json
from featurekit.cli._output import as_cell, print_table
from featurekit.cli._terminal import Cell
from featurekit.cli._workspace import project_of_command
from featurekit.errors import WorkspaceError
from featurekit.networks import weights
from featurekit.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurekit.estimators import ClassifierKind
    from featurekit.findings import Finding


# The lists, in the order in which they are printed.
KINDS = ("backbones", "fitted_features", "models", "detectors", "datasets", "checks")


def list_members(
    what: Annotated[
        str | None,
        typer.Argument(
            help="backbones, layers, fitted_features, models (also called classifiers or estimators),"
            " detectors, datasets or checks. Default: all lists but layers.",
            autocompletion=complete.words("layers", *KINDS),
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(help="Backbone whose layers are listed.", autocompletion=complete.backbones),
    ] = None,
    json: Json = False,
) -> None:
    """List the available backbones, models, detectors and so on. Backbones are listed in groups.

    The last column names the package that each backbone, model and so on comes from.

    Examples:
      featurekit list backbones
      featurekit list layers dlib_age
    """
    if what == "layers":
        _print_layers(name)
        return
    if name is not None:
        raise WorkspaceError(f"'{name}' has no effect: only layers are listed of one backbone. Leave it out.")
    from featurekit.checks.audit import in_order
    from featurekit.checks.base import CHECKS
    from featurekit.data.datasets import DATASETS
    from featurekit.estimators import CLASSIFIERS
    from featurekit.estimators.fitted_features import FITTED_FEATURES
    from featurekit.faces.detectors import DETECTORS
    from featurekit.networks.backbones import BACKBONES, group_of, in_groups

    registries = (BACKBONES, FITTED_FEATURES, CLASSIFIERS, DETECTORS, DATASETS, CHECKS)
    kinds: dict[str, Any] = dict(zip(KINDS, registries, strict=True))
    what = {"classifiers": "models", "estimators": "models"}.get(what or "", what)
    if what and what not in kinds:
        raise WorkspaceError(unknown("list", what, ["layers", *kinds]))
    for kind in [what] if what else kinds:
        title, say = _MORE.get(kind, ("weights", _here))
        ordered: dict[str, Any] = {"checks": in_order, "backbones": in_groups}
        members: list[Any] = ordered[kind]() if kind in ordered else list(kinds[kind])
        is_grouped = kind == "backbones"
        rows = [
            [
                one.name,
                *([group_of(one)] if is_grouped else []),
                one.title if kind == "checks" else one.about,
                say(one),
                as_cell(str(kinds[kind].package_of(one.name))),
            ]
            for one in members
        ]
        head = ["name", *(["group"] if is_grouped else []), "what it is", title, "package"]
        print_table(head, rows, title=kind, of={"list": kind})


def _print_layers(name: str | None) -> None:
    """Print the layers of a backbone."""
    if name is None:
        raise WorkspaceError(
            "Name the backbone whose layers are listed, as in: featurekit list layers dlib_age"
        )
    table = fk.list_layers(name)
    print_table(
        ["feature", "length", "read from a"],
        [[str(row.feature), row.length, str(row.kind)] for row in table.itertuples()],
        title="layers",
        of={"list": "layers"},
    )


def _here(member: Any) -> str:
    name = getattr(member, "weights", None)
    if not getattr(member, "is_installed", True):
        return f"{member.needs} is missing: {member.install}"
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


_COLORS = {"ok": "green", "warning": "yellow", "missing": "yellow", "wrong": "red"}
# The third column of the table of each kind; for the other kinds, whether the weights are here.
_MORE: "dict[str, tuple[str, Callable[[Any], str]]]" = {
    "fitted_features": ("starts from", attrgetter("reads")),
    "models": ("needs", _needs),
    "datasets": ("terms", attrgetter("licence")),
    "checks": ("worst severity", attrgetter("severity")),
}


def _status_cell(of: "Finding") -> Cell:
    """Return the status of a finding as a cell: ok, warning, missing or wrong, and PROBLEM in a pipe."""
    from featurekit.ops.doctor import Missing

    status = "missing" if isinstance(of, Missing) else {"error": "wrong"}.get(of.severity, of.severity)
    in_pipe = "PROBLEM" if of.severity == "error" else status
    return Cell(status, status if sys.stdout.isatty() else in_pipe, _COLORS[status])


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check this machine: versions, GPU, weights and disk space.

    Each finding is printed as soon as it is known. Each problem is printed with the way to solve it. The exit
    code is 1 if there is an error.

    Example: featurekit doctor
    """
    from featurekit.ops.doctor import LONGEST_TOPIC, findings_one_by_one

    findings: list[Finding] = []

    def rows() -> Iterator[list[Any]]:
        for one in findings_one_by_one(project_of_command(context).folder.root):
            findings.append(one)
            yield [one.name, _status_cell(one), one.what]

    print_table(["topic", "status", "finding"], rows(), widths=(len(LONGEST_TOPIC), len("warning")))
    for finding in findings:
        if finding.advice and finding.severity != "ok":
            typer.echo(f"{finding.name}: {finding.advice}")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)
