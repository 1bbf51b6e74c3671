"""How the models were evaluated: folds, commands, hardware, versions, recipes and parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.cache.keys import recipe_key
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import SCORES
from featurekit.networks import weights as weight_files
from featurekit.report.cells import ABSENT, count_cell, finite, flatten, listed, words
from featurekit.report.model import Blocks, Cell, Code, Column, Table, Text
from featurekit.report.sections.made_by import introduction, recipe_name
from featurekit.report.select import Ranked, distinct, role
from featurekit.text import first_few


def blocks(ranked: Sequence[Ranked], runs: Sequence[Run], commands: Sequence[str]) -> Blocks:
    """Return everything that is needed to repeat the runs.

    Args:
        ranked: runs of each target, best first.
        runs: the runs that are compared.
        commands: the commands that repeat the runs, from made_by().
    """
    if not runs:
        return []
    setup = [
        (run.name, {**{f"folds.{k}": v for k, v in run.folds.items()}, "seed": run.seed}) for run in runs
    ]
    recipes = distinct([recipe for run in runs for recipe in run.recipes])
    faces = [(recipe_name(recipe), recipe["faces"]) for recipe in recipes if recipe.get("faces")]
    weights = weights_of(runs)
    ordered = [run for of in ranked for run in of.runs]
    return [
        Text(_about(runs)),
        Text(introduction(commands)),
        Code(tuple(commands)),
        facts_table(setup, "Folds and seed"),
        facts_table(
            [(run.name, run.hardware) for run in runs], "Hardware, requested and used", is_folded=True
        ),
        facts_table([(run.name, run.versions) for run in runs], "Versions of the software", is_folded=True),
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
    """Return a table with one row for each setting; if the runs differ, each value is followed by its runs.

    Args:
        facts: name of each run or recipe, and its settings as a dictionary, which may be nested.
        caption: caption of the table.
        layout: other fields of the Table.
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
    """Return a table of the recipes (settings of the embeddings) without the settings for face detection."""
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
    return Table(caption, columns, rows, note, is_folded=True)


def _short_hash(text: str) -> str:
    """Return the first digits of a SHA-256, which the table of weights has in full; other text unchanged."""
    return text[:12] if len(text) == 64 and not set(text) - set("0123456789abcdef") else text


def fits_table(runs: Sequence[Run], caption: str) -> Table:
    """Return a table of the parameters and the notes of each run."""
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


def weights_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the facts about each weight file that the runs used, with its present source and licences."""
    return distinct([_with_terms(entry) for run in runs for entry in run.weights])


def _with_terms(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's entry of a weight file, with the source and licences of `featurekit weights list`.

    The terms that the run stored may have been corrected since, so they are used only for other files.
    """
    known = weight_files.WEIGHTS.get(str(entry.get("name", "")))
    # A file with this name and another hash is another file. If nobody states a hash, only the name is known.
    if known is None or not str(entry.get("sha256", "")).startswith(known.sha256):
        return dict(entry)
    licences = known.licences
    return {
        **entry,
        "source": known.source,
        "licence_code": licences.code,
        "licence_weights": licences.weights,
        "licence_training_data": licences.training_data,
    }


def weights_table(weights: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return a table of the weight files with their hashes and licences."""
    entries = [flatten(entry) for entry in weights]
    # Names and licences come before file names and hashes.
    known = ("name", "licence_code", "licence_weights", "licence_training_data")
    found = dict.fromkeys(name for entry in entries for name in entry)
    names = [name for name in known if name in found]
    names += [name for name in found if name not in (*known, "sha256")] + ["sha256"]
    titles = {
        "name": "Weights",
        "sha256": "SHA-256",
        "licence_code": "Licence of the code",
        "licence_weights": "Licence of the weights",
        "licence_training_data": "Terms of the training data",
    }
    columns = [Column(titles.get(n, words(n).capitalize()), is_code=n not in known[1:]) for n in names]
    rows = [tuple(Cell(entry.get(name, ABSENT)) for name in names) for entry in entries]
    return Table(caption, tuple(columns), tuple(rows), is_folded=True)


def searches_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return a table of the parameters chosen in each fold of the tuned runs; None without tuned runs."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Fold", is_number=True),
        Column("Chosen parameters", is_code=True),
        Column("Candidates", is_number=True),
        Column("Score on the inner folds", is_number=True),
    )
    rows = tuple(
        (
            Cell(run.target),
            Cell(run.features),
            Cell(run.classifier_name),
            count_cell(number),
            Cell(listed(found["parameters"]) or "default parameters"),
            count_cell(found["candidates"]),
            _inner_score_cell(finite(found["score"]), is_years=not run.classes),
        )
        for run in runs
        for number, found in enumerate(run.search)
    )
    note = (
        "In each fold, the parameters are searched on inner folds of the training part; no subject is in two"
        " inner folds. The score is the accuracy on the inner folds, or the mean absolute error for age. It"
        " is too optimistic, because it was used to choose the parameters; the tables of the targets have the"
        " results."
    )
    return Table(caption, columns, rows, note, n_names=3, is_folded=True) if rows else None


def _inner_score_cell(score: float | None, *, is_years: bool) -> Cell:
    if score is None:
        return Cell(ABSENT)
    kind = SCORES["mae_years" if is_years else "accuracy"]
    return Cell(f"{kind.format(abs(score))} {kind.unit}", round(abs(score) * kind.scale, 6))
