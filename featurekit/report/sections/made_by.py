"""The commands that repeat the runs of a report, each command once, in an order that works."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, starmap
from typing import Any

from featurekit.checks.audit import Audit
from featurekit.data.datasets import DATASETS
from featurekit.evaluation.ages import LEGAL_AGES
from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS, TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.networks.feature_names import feature_name, is_reference

# Stand for the folder or the table of the data set, and for the folder of a table's images, which a page must
# not reveal.
PATH, FOLDER = "PATH", "FOLDER"
# Stands for the file of a network by reference; the options that state its preprocessing are in its recipe.
FILE = "FILE"


def made_by(
    runs: Sequence[Run], known: Sequence[Run], title: str, audit: Audit | None, report: str = ""
) -> tuple[str, ...]:
    """Return the commands that repeat the runs, from featurekit prepare to featurekit report.

    Args:
        runs: the runs in the report.
        known: all runs of the comparison, including the members of ensembles.
        title: title of the report, which is the name of the comparison.
        audit: findings on the data set; None if there is no audit.
        report: the last command, from report_command(); "" for a report without options.
    """
    needed = _with_members(runs, {run.name: run for run in known})
    features = f" --features {shlex.quote(audit.features)}" if audit and audit.features else ""
    made = [
        *(_prepared(run.dataset) for run in needed),
        *_added(needed),
        *_extracted(needed),
        *_fitted(needed),
        *([f"featurekit audit{_option_name(title, known)}{features}"] if audit else []),
        report or report_command(title, known),
    ]
    return tuple(dict.fromkeys(made))


def introduction(commands: Iterable[str]) -> str:
    """Return the sentence before the commands, which says what their placeholders stand for."""
    is_table = any(f"--root {FOLDER}" in command for command in commands)
    what = (
        "the table of the data set, FOLDER the folder of its images"
        if is_table
        else "the folder of the data set"
    )
    return f"These commands made the results ({PATH} is {what}):"


def report_command(
    title: str,
    known: Sequence[Run],
    evidence: Iterable[TargetEvidence] = (),
    *,
    profile: str | None = None,
    has_card: bool = False,
) -> str:
    """Return the command that writes the page on a comparison again, with every option that is needed.

    --faces thumb is left out on purpose: no command that is copied from a page should show people. A page
    with faces is written again only by who asks for the faces.

    Args:
        title: name of the comparison.
        known: all runs of the comparison.
        evidence: statistics of its targets, which have the margins and the legal ages.
        profile: readers for whom the page is arranged; None for any readers.
        has_card: whether the command writes the model card too.
    """
    options = [f"--profile {shlex.quote(profile)}"] if profile else []
    for of in evidence:
        option, usual, scale = _MARGINS[of.score]
        if not math.isclose(of.margin, usual / scale):
            options.append(f"{option} {of.margin * scale:g}")
        ages = [one.plain.legal_age for one in of.legal_ages]
        if ages and ages != list(LEGAL_AGES):
            options += [f"--legal-age {age}" for age in ages]
    options += ["--model-card"] if has_card else []
    return " ".join([f"featurekit report{_option_name(title, known)}", *dict.fromkeys(options)])


# Score → the option of its margin, the default of the option, and what a stored margin is multiplied with.
_MARGINS = {
    "accuracy": ("--margin-points", MARGIN_POINTS, 100),
    "mae_years": ("--margin-years", MARGIN_YEARS, 1),
}


def _option_name(title: str, known: Sequence[Run]) -> str:
    """Return the option that names a comparison; "" if it has the name of the data set of all its runs."""
    datasets = {str(run.dataset.get("name", "")) for run in known}
    return "" if datasets == {title} else f" --name {shlex.quote(title)}"


def _with_members(runs: Iterable[Run], known: Mapping[str, Run]) -> list[Run]:
    """Return the runs with the members of their ensembles, and the members of these."""
    needed: dict[str, Run] = {}
    waiting = list(runs)
    while waiting:
        run = waiting.pop(0)
        if run.name not in needed:
            needed[run.name] = run
            waiting += [known[member] for member in _members(run) if member in known]
    return list(needed.values())


def _members(run: Run) -> list[str]:
    return list(run.parameters.get("members") or ())


def _prepared(dataset: Mapping[str, Any]) -> str:
    """Return the command that prepared a data set."""
    name = str(dataset.get("name") or "DATASET")
    options = (dataset.get("options") or {}).items()
    # The folder is not stored. It is the folder of the table if none was named, so naming it is never wrong.
    root = f" --root {FOLDER}" if name in DATASETS.names() and "root" in DATASETS[name].options else ""
    made = f"featurekit prepare {shlex.quote(name)} {PATH}{root}"
    return " ".join([made, *chain.from_iterable(starmap(_options, options))])


def _options(name: str, value: object) -> list[str]:
    if name == "columns" and isinstance(value, Mapping):
        return [f"--column {shlex.quote(f'{ours}={theirs}')}" for ours, theirs in value.items()]
    return [f"--option {shlex.quote(f'{name}={value}')}"]


def _added(runs: Sequence[Run]) -> list[str]:
    """Return a command for each network by reference that somebody had to add before it was extracted."""
    names = dict.fromkeys(
        name
        for run in sorted(runs, key=lambda run: run.created)
        for recipe in run.recipes
        if is_reference(name := str(recipe.get("backbone") or ""))
    )
    return [f"featurekit weights add {shlex.quote(name)} {FILE}" for name in names]


def _extracted(runs: Sequence[Run]) -> list[str]:
    """Return one command for all networks that were extracted with the same options."""
    networks: dict[str, dict[str, None]] = {}
    for run in sorted(runs, key=lambda run: run.created):
        for recipe in run.recipes:
            networks.setdefault(_how(run, recipe), {})[recipe_name(recipe)] = None
    return [
        " ".join(["featurekit extract", *(f"--backbone {shlex.quote(one)}" for one in sorted(features))])
        + how
        for how, features in networks.items()
    ]


def recipe_name(recipe: Mapping[str, object]) -> str:
    """Return the network and the layer of a recipe, e.g. "dlib_age:pooled", as for `extract --backbone`."""
    backbone, layer = str(recipe.get("backbone") or ""), str(recipe.get("layer") or "")
    return feature_name(backbone, layer) if layer else backbone


def _how(run: Run, recipe: Mapping[str, object]) -> str:
    """Return the options with a non-default value."""
    faces = recipe.get("faces")
    faces = faces if isinstance(faces, Mapping) else {}
    asked = run.hardware.get("asked") or {}
    options = (
        ("detector", faces.get("detector"), "centerface"),
        ("choose", faces.get("choose"), "center"),
        ("device", asked.get("device"), "auto"),
        ("precision", asked.get("precision"), "auto"),
    )
    how = "".join(
        f" --{option} {shlex.quote(str(value))}"
        for option, value, usual in options
        if value not in (None, usual)
    )
    return how + (" --mirror" if recipe.get("mirrored") else "")


def _fitted(runs: Sequence[Run]) -> list[str]:
    """Return the commands that fitted the runs, the earliest first; ensembles come after their members."""
    by_name = {run.name: run for run in runs}
    ordered: list[str] = []
    seen: set[str] = set()

    def add(run: Run) -> None:
        if run.name in seen:
            return
        seen.add(run.name)
        # The command is listed once, after the members of all runs that it made.
        alike = [other for other in runs if other.command == run.command] if run.command else [run]
        for other in alike:
            for member in _members(other):
                if member in by_name:
                    add(by_name[member])
        if run.command and run.command not in ordered:
            ordered.append(run.command)

    for run in sorted(runs, key=lambda run: (run.created, run.name)):
        add(run)
    return ordered
