"""How the models were evaluated: folds, commands, hardware, versions, recipes and parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.cache.keys import recipe_key
from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, count_cell, flatten, listed, words
from featurekit.report.model import Blocks, Cell, Code, Column, Table, Text
from featurekit.report.sections.licences import weights_terms
from featurekit.report.sections.made_by import PATH, made_by, recipe_name
from featurekit.report.sections.tuning import searches_table
from featurekit.report.sections.weights import weights_table
from featurekit.report.select import Ranked, distinct, role
from featurekit.text import first_few


def blocks(
    ranked: Sequence[Ranked], runs: Sequence[Run], known: Sequence[Run], title: str, audit: Audit | None
) -> Blocks:
    """Return everything that is needed to make these runs again.

    Args:
        ranked: the targets.
        runs: the runs that are compared.
        known: all runs of the comparison, among them the members of its ensembles.
        title: title of the page, which is the name of the comparison.
        audit: findings on the data set; None if there is no audit.
    """
    if not runs:
        return []
    setup = [
        (run.name, {**{f"folds.{k}": v for k, v in run.folds.items()}, "seed": run.seed}) for run in runs
    ]
    recipes = distinct([recipe for run in runs for recipe in run.recipes])
    faces = [(recipe_name(recipe), recipe["faces"]) for recipe in recipes if recipe.get("faces")]
    weights = distinct([weights_terms(entry) for run in runs for entry in run.weights])
    ordered = [run for of in ranked for run in of.runs]
    return [
        Text(_about(runs)),
        Text(f"These commands made the results ({PATH} is the folder of the data set):"),
        Code(made_by(runs, known, title, audit)),
        facts_table(setup, "Folds and seed"),
        facts_table([(run.name, run.hardware) for run in runs], "Hardware, requested and used"),
        facts_table([(run.name, run.versions) for run in runs], "Versions of the software"),
        recipes_table(recipes, "Recipes: how the feature vectors were computed") if recipes else None,
        facts_table(faces, "Recipes: how images were read and faces were found", is_folded=True)
        if faces
        else None,
        weights_table(weights, "Weight files and their licences") if weights else None,
        fits_table(ordered, "Parameters and notes of every run"),
        searches_table(ordered, "Parameters chosen in each fold of the tuned runs"),
    ]


def _about(runs: Sequence[Run]) -> str:
    """Return how the folds were made, and which faces a model is fitted on."""
    kinds = dict.fromkeys(
        (str(run.folds.get("number", "?")), str(run.folds.get("kind", "")), str(run.folds.get("seed", "")))
        for run in runs
    )
    folds = [
        f"The {number} folds are the official folds of the data set."
        if kind == "official"
        else f"The {number} folds were made by featurekit (seed {seed})."
        for number, kind, seed in kinds
    ]
    return " ".join(
        [
            *folds,
            "The faces of each fold are predicted by models that were fitted on the other folds, without any"
            " face of a subject who is tested in this fold. Scaling and every other fitted step use the"
            " training part only.",
        ]
    )


def facts_table(facts: Sequence[tuple[str, Mapping[str, Any]]], caption: str, **layout: Any) -> Table:
    """Return a row for each fact; a value that some of them do not share is followed by its owners.

    Args:
        facts: (owner, name → value) for each run or recipe; values may be nested.
        caption: caption of the table.
        layout: further fields of the Table.
    """
    flat = [(owner, flatten(values)) for owner, values in facts]
    rows = []
    for name in dict.fromkeys(name for _, values in flat for name in values):
        owners: dict[str, list[str]] = {}
        for owner, values in flat:
            if name in values:  # a setting of one network does not concern runs without this network
                owners.setdefault(values[name], []).append(owner)
        of_each = [f"{value} ({first_few(names)})" for value, names in owners.items()]
        text = "; ".join(of_each if len(owners) > 1 else owners)
        rows.append((Cell(name.replace(".", " · ")), Cell(text)))
    return Table(caption, (Column("Name"), Column("Value", is_code=True)), tuple(rows), **layout)


def recipes_table(recipes: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return a row for each recipe with its key; its settings for face detection have their own table."""
    entries = [flatten({k: v for k, v in recipe.items() if k not in ("faces", "key")}) for recipe in recipes]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    columns = (
        *(Column(words(name).capitalize(), is_code=True) for name in names),
        Column("Key", is_code=True),
    )
    rows = tuple(
        (
            *(Cell(_short_hash(entry.get(name, ABSENT))) for name in names),
            Cell(str(recipe.get("key") or recipe_key(recipe))),
        )
        for recipe, entry in zip(recipes, entries, strict=True)
    )
    note = (
        "The key is a hash of all settings that determine the feature vectors, so different recipes have"
        " different keys."
    )
    return Table(caption, columns, rows, note)


def _short_hash(text: str) -> str:
    """Return the first digits of a SHA-256, which the table of weights has in full; other text unchanged."""
    return text[:12] if len(text) == 64 and not set(text) - set("0123456789abcdef") else text


def fits_table(runs: Sequence[Run], caption: str) -> Table:
    """Return the parameters and the notes of each run."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Vector length", is_number=True),
        Column("Parameters", is_code=True),
        Column("Notes"),
        Column("Created", is_time=True),
    )
    rows = tuple(
        (
            Cell(run.target),
            Cell(run.features),
            Cell(run.classifier_name, tag=role(run)),
            count_cell(run.dim),
            Cell(listed(run.parameters) or ABSENT),
            Cell(" ".join(run.notes) or ABSENT),
            Cell(run.created),
        )
        for run in runs
    )
    return Table(caption, columns, rows, n_names=3, is_folded=True, is_sortable=True)
