"""How it was measured: folds, commands, hardware, versions, recipes and parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.cache.keys import recipe_key
from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, count_cell, flatten, words
from featurekit.report.model import Block, Cell, Code, Column, Table, Text
from featurekit.report.sections.made_by import PATH, made_by
from featurekit.report.sections.terms import weights_terms
from featurekit.report.sections.tuning import searches_table
from featurekit.report.sections.weights import weights_table
from featurekit.report.select import Ranked, distinct, role
from featurekit.text import first_few


def blocks(
    ranked: Sequence[Ranked], runs: Sequence[Run], known: Sequence[Run], title: str, audit: Audit | None
) -> list[Block]:
    """Return all that it takes to make these runs again.

    Args:
        ranked: the targets.
        runs: that are compared.
        known: all of the comparison, among them the members of its ensembles.
        title: of the page, which is the comparison's name.
        audit: what was found wrong with the data; None where nobody looked.
    """
    if not runs:
        return []
    setup = [
        (run.name, {**{f"folds.{k}": v for k, v in run.folds.items()}, "seed": run.seed}) for run in runs
    ]
    found: list[Block] = [
        Text(_about(runs)),
        Text(f"Made by ({PATH} is where the data set lies):"),
        Code(made_by(runs, known, title, audit)),
        facts_table(setup, "Folds and chance"),
        facts_table([(run.name, run.hardware) for run in runs], "Hardware, asked for and got"),
        facts_table([(run.name, run.versions) for run in runs], "Versions"),
    ]
    recipes = distinct([recipe for run in runs for recipe in run.recipes])
    if recipes:
        found.append(recipes_table(recipes, "Recipes: what decides the vectors"))
    faces = [(_recipe_name(recipe), recipe["faces"]) for recipe in recipes if recipe.get("faces")]
    if faces:
        found.append(facts_table(faces, "Recipes: how pictures were read and faces found", is_folded=True))
    weights = distinct([weights_terms(entry) for run in runs for entry in run.weights])
    if weights:
        found.append(weights_table(weights, "Weight files and their licences"))
    ordered = [run for of in ranked for run in of.runs]
    found.append(fits_table(ordered, "Parameters and decisions of every run"))
    searches = searches_table(ordered, "Parameters that each fold of the tuned runs chose")
    return [*found, searches] if searches else found


def _about(runs: Sequence[Run]) -> str:
    """Say who dealt the folds, and what a fold keeps apart."""
    dealt = dict.fromkeys(
        (str(run.folds.get("number", "?")), str(run.folds.get("kind", "")), str(run.folds.get("seed", "")))
        for run in runs
    )
    folds = [
        f"The {number} folds are those that come with the data set."
        if kind == "official"
        else f"The {number} folds were dealt by featurekit (seed {seed})."
        for number, kind, seed in dealt
    ]
    return " ".join(
        [
            *folds,
            "Each fold is read by models that were fitted on the other folds, less the faces of every subject"
            " who is tested in it; scalers and everything else that learns see the training part only.",
        ]
    )


def _recipe_name(recipe: Mapping[str, Any]) -> str:
    return ":".join(str(recipe[part]) for part in ("backbone", "layer") if recipe.get(part))


def facts_table(facts: Sequence[tuple[str, Mapping[str, Any]]], caption: str, **layout: Any) -> Table:
    """Return what is the same everywhere in one line each, and what is not with whose it is.

    Args:
        facts: (whose they are, name → value) for each run or recipe; values may be nested.
        caption: of the table.
        layout: further fields of the Table.
    """
    flat = [(owner, flatten(values)) for owner, values in facts]
    rows = []
    for name in dict.fromkeys(name for _, values in flat for name in values):
        owners: dict[str, list[str]] = {}
        for owner, values in flat:
            if name in values:  # what one network is asked says nothing of runs without it
                owners.setdefault(values[name], []).append(owner)
        if len(owners) == 1:
            text = next(iter(owners))
        else:
            text = "; ".join(f"{value} ({first_few(names)})" for value, names in owners.items())
        rows.append((Cell(name.replace(".", " · ")), Cell(text)))
    return Table(caption, (Column("What"), Column("Value", is_code=True)), tuple(rows), **layout)


def recipes_table(recipes: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return one row a recipe with its key; what it says of finding the face has a table of its own."""
    entries = [flatten({k: v for k, v in recipe.items() if k not in ("faces", "key")}) for recipe in recipes]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    columns = [Column(words(name).capitalize(), is_code=True) for name in names]
    rows = []
    for recipe, entry in zip(recipes, entries, strict=True):
        cells = [Cell(_short_hash(entry.get(name, ABSENT))) for name in names]
        key = recipe.get("key") or recipe_key(recipe)
        rows.append((*cells, Cell(str(key))))
    note = "The key is the hash of everything that decides the vectors; two recipes never share one."
    return Table(caption, (*columns, Column("Key", is_code=True)), tuple(rows), note)


def _short_hash(text: str) -> str:
    """Return the first digits of a sha256, whose rest stands in the table of weights; other text as it is."""
    return text[:12] if len(text) == 64 and not set(text) - set("0123456789abcdef") else text


def fits_table(runs: Sequence[Run], caption: str) -> Table:
    """Return with which parameters each run was fitted and what was decided aloud."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Vector", "numbers", is_number=True),
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
            Cell(", ".join(f"{name}={value}" for name, value in flatten(run.parameters).items()) or ABSENT),
            Cell(" ".join(run.notes) or ABSENT),
            Cell(run.created),
        )
        for run in runs
    )
    return Table(caption, columns, rows, n_names=3, is_folded=True, is_sortable=True)
