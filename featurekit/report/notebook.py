"""HTML of results, data sets, embeddings and models in a notebook.

Each function returns HTML without JavaScript, for ``_repr_html_``. The colours are those of the
theme of JupyterLab or VS Code if the theme defines them, and else those of the system, light or
dark. The background is set together with the text colour, so that the text is always readable.
All text from outside is escaped. Every CSS class begins with "fk-", so that the styles of the
notebook and of this HTML do not affect each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from markupsafe import Markup

from featurekit.data.manifest import COLUMNS, REASONS, Manifest
from featurekit.data.targets import TARGETS
from featurekit.embeddings.description import VectorFacts
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.inference.model import TrainedModel
from featurekit.report.cells import ABSENT, better, count_cell, score_title, sentences
from featurekit.report.html import fill, part
from featurekit.report.model import Cell, Column, Page, Points, Section, Table, Text, section_of
from featurekit.report.sections.verdict import answer
from featurekit.report.select import (
    Ranked,
    headline,
    mean_of,
    ranked_targets,
    role,
    target_title,
)
from featurekit.report.vectors import errors_table, facts_table, pairs_table
from featurekit.text import counted, first_few

_MOST_RUNS = 8  # runs of a target that are shown, besides the baselines
_MOST_REASONS = 8
_MOST_CLASSES = 12
# The scores that are shown next to the score of the ranking.
_BESIDE = ("within_one_group", "balanced_accuracy")


def results_html(
    runs: Sequence[Run],
    evidence: Evidence | None = None,
    title: str = "",
    apart: Mapping[str, str] | None = None,
) -> str:
    """Return the ranking of the models of each target as HTML for a notebook.

    Args:
        runs: the runs that can be compared with each other.
        evidence: confidence intervals and tests of the runs; None if their predictions are not available.
        title: title of the results.
        apart: name of each run that cannot be compared with the other runs → reason.
    """
    missing = "The predictions are not available, so there are no confidence intervals."
    reasons = "; ".join(f"{name}: {why}" for name, why in (apart or {}).items())
    return _html(
        title or "Results",
        counted(len(runs), "run", "runs"),
        *map(_ranking, ranked_targets(runs, evidence)),
        section_of(
            "",
            [
                None if runs else Points((("", "No run can be compared with another."),)),
                Text(missing) if runs and evidence is None else None,
                Points(((f"Not in the ranking, {len(apart)}", reasons),)) if apart else None,
            ],
        ),
        is_synthetic=any(bool(run.dataset.get("synthetic")) for run in runs),
    )


def _ranking(of: Ranked) -> Section:
    said = answer(replace(of, numbers={}))
    sure = [(f"{what}:", text) for what, text in said.lines if what == "How sure"]
    return Section(of.title, (Points((("Best model:", said.best), *sure)), ranking_table(of)))


def ranking_table(of: Ranked) -> Table:
    """Return a table of the models of a target, best first, with their main scores and intervals."""
    kind, estimates = headline(of.runs), of.evidence.estimates if of.evidence else {}
    beside = [name for name in _BESIDE if name != kind.name and any(name in run.scores for run in of.runs)]
    kinds = [kind, *map(score_kind, beside)]
    columns = (
        Column("Model"),
        Column("Features"),
        *(Column(score_title(one), one.unit, is_number=True) for one in kinds),
        Column("Faces", is_number=True),
        Column("Subjects", is_number=True),
    )
    drawn = [run for place, run in enumerate(of.runs) if place < _MOST_RUNS or role(run)]
    best = next((run.name for run in of.runs if not run.is_baseline), "")
    rows = tuple(
        (
            Cell(run.classifier_name, tag=role(run), is_strong=run.name == best),
            Cell("" if "members" in run.parameters else run.features),
            *(_score(run, one, estimates.get(run.name, {}), run.name == best) for one in kinds),
            count_cell(run.n_tested),
            count_cell(run.n_subjects),
        )
        for run in drawn
    )
    note = sentences(
        f"Means over the folds; {better(kind)} is better.",
        "In parentheses: 95 % confidence intervals over subjects."
        if any(estimates.values())
        else "± is the standard deviation over the folds.",
        f"{len(of.runs) - len(drawn)} other runs are not shown; .frame() has all runs."
        if len(drawn) < len(of.runs)
        else "",
    )
    return Table("", columns, rows, note)


def _score(run: Run, kind: ScoreKind, estimates: Mapping[str, Estimate], is_best: bool) -> Cell:
    mean, between = mean_of(run, kind.name), estimates.get(kind.name)
    if mean is None:
        return Cell(ABSENT)
    std = run.scores[kind.name].get("std")
    around = f"± {kind.format(std)}" if std is not None and not estimates else ""
    if between:
        around = f"({kind.format(between.low)}–{kind.format(between.high)})"
    return Cell(
        kind.format(mean), mean, around=around, is_strong=is_best and kind.name in ("accuracy", "mae_years")
    )


def dataset_html(dataset: Manifest) -> str:
    """Return the labels, subjects and unused rows of a data set as HTML for a notebook.

    Args:
        dataset: the manifest, with the unused rows.
    """
    table, usable = dataset.table, dataset.usable
    reasons = table["reason"][~usable].value_counts()
    why = tuple(
        (Cell(str(name)), Cell(REASONS.get(str(name), "")), count_cell(int(n)))
        for name, n in reasons.head(_MOST_REASONS).items()
    )
    columns = (Column("Reason"), Column("Meaning"), Column("Rows", is_number=True))
    more = (
        f"{len(reasons) - _MOST_REASONS} more reasons are not shown." if len(reasons) > _MOST_REASONS else ""
    )
    licence = dataset.info.get("licence")
    subjects = sentences(
        f"{len(set(dataset.subjects[usable])):,} subjects in the usable rows."
        if (table["subject_id"][usable] != "").any()
        else "The data set does not name the subjects, so each image counts as a subject of its own.",
        f"Terms of the data set: {licence}." if licence else "",
    )
    return _html(
        dataset.name,
        f"{counted(len(dataset), 'row', 'rows')}, {int(usable.sum()):,} usable",
        section_of(
            "", [_labels_of(dataset), Table("Rows that are not used", columns, why, more), Text(subjects)]
        ),
        is_synthetic=bool(dataset.info.get("synthetic")),
    )


def _labels_of(dataset: Manifest) -> Table:
    """Return a table of the labels: how many usable rows have each, and the counts of its classes."""
    table = dataset.table[dataset.usable]
    names = [name for name in TARGETS if name in table] + [name for name in table if name not in COLUMNS]
    values = {name: _known_values(name, table[name]) for name in dict.fromkeys(map(str, names))}
    columns = (Column("Label"), Column("Rows", is_number=True), Column("Values"))
    rows = tuple(
        (Cell(name), count_cell(len(of)), Cell(_values_in_words(name, of)))
        for name, of in values.items()
        if len(of)
    )
    return Table("Labels of the usable rows", columns, rows)


def _known_values(name: str, values: pd.Series) -> pd.Series:
    if name in TARGETS and TARGETS[name].is_regression:
        return values.dropna()
    return values.astype(str)[values.notna() & (values != "")]


def _values_in_words(name: str, values: pd.Series) -> str:
    if name in TARGETS and TARGETS[name].is_regression:
        return f"{values.min():g} to {values.max():g} years, median {values.median():g}"
    counts = values.value_counts()
    order = [label for label in TARGETS[name].classes if label in counts] if name in TARGETS else []
    return first_few([f"{label} {counts[label]:,}" for label in order or counts.index], _MOST_CLASSES)


def embeddings_html(
    name: str, parts: Sequence[tuple[str, int]], statuses: Mapping[str, int], *, dataset: str = ""
) -> str:
    """Return a description of embeddings as HTML for a notebook.

    Args:
        name: name of the embeddings, e.g. "dlib_age+dlib_face".
        parts: networks whose vectors are joined: network and layer, e.g. "dlib_age:pooled", and the length
            of its vector.
        statuses: status → number of rows with this status; see featurekit.faces.face.STATUS_MEANINGS.
        dataset: name of the data set; "" if it is not known.
    """
    n_found, n_rows = statuses.get("ok", 0), sum(statuses.values())
    about = (
        f"{n_found:,} faces found in {n_rows:,} rows{f' of {dataset}' if dataset else ''}; vectors of length"
        f" {sum(length for _, length in parts):,}"
    )
    columns = (Column("Network and layer"), Column("Length", is_number=True))
    rows = tuple((Cell(feature), count_cell(length)) for feature, length in parts)
    columns_of_lost = (Column("Status"), Column("Meaning"), Column("Rows", is_number=True))
    lost = tuple(
        (Cell(status), Cell(STATUS_MEANINGS.get(status, "")), count_cell(n))
        for status, n in sorted(statuses.items(), key=lambda one: (-one[1], one[0]))
        if status != "ok" and n
    )
    tables = [
        Table("Parts of a vector", columns, rows),
        Table("Rows without a vector", columns_of_lost, lost),
    ]
    return _html(name, about, section_of("", tables))


def description_html(facts: Sequence[VectorFacts], *, dataset: str = "") -> str:
    """Return facts about extracted vectors as HTML for a notebook.

    Args:
        facts: facts about the vectors of each feature set.
        dataset: name of the data set; "" if it is not known.
    """
    about = f"{counted(len(facts), 'feature set', 'feature sets')}{f' of {dataset}' if dataset else ''}"
    tables = [facts_table(facts), pairs_table(facts), errors_table(facts)]
    blocks = [table if table.rows else Text(table.note) if table.note else None for table in tables]
    return _html("Vectors", about, section_of("", blocks))


def model_html(model: TrainedModel) -> str:
    """Return the target, features, training data and licences of a fitted model as HTML for a notebook.

    Args:
        model: the fitted model.
    """
    training = model.training
    predicted = "years" if model.target.is_regression else first_few(model.target.classes, _MOST_CLASSES)
    licences = [
        f"{one.get('name')}: code {one.get('licence_code')}, weights {one.get('licence_weights')}"
        for one in model.weights
    ]
    facts = (
        ("Predicts", predicted),
        ("Features", " + ".join(model.features)),
        (
            "Fitted on",
            f"{training.get('dataset', 'unknown data')}, {_count(training.get('n_faces'))} faces of"
            f" {_count(training.get('n_subjects'))} subjects",
        ),
        ("Faces found by", model.settings.detector),
        ("Calibration", _calibrated(model)),
        ("Licences", "; ".join(licences) or "no weights are used"),
    )
    return _html(
        model.name,
        f"predicts {target_title(model.target.name).lower()} with {model.classifier}",
        section_of(
            "",
            [
                Table("", (Column(""), Column("")), tuple((Cell(what), Cell(said)) for what, said in facts)),
                *(Text(str(note)) for note in training.get("notes", ())),
            ],
        ),
        is_synthetic=bool(training.get("synthetic")),
    )


def _calibrated(model: TrainedModel) -> str:
    if model.calibration is None:
        return "none, so the model cannot abstain, and cannot predict sets of classes or intervals of years"
    coverage = f"with a coverage of {100 * (1 - model.calibration.missed):g} %"
    if model.target.is_regression:
        return f"prediction intervals {coverage}"
    return f"temperature {model.calibration.temperature:.2f}; prediction sets {coverage}"


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


def _html(title: str, about: str, *sections: Section, is_synthetic: bool = False) -> str:
    style = Markup(part("notebook.css"))  # nosec B704  # a file of this package
    return fill("notebook.html.j2", Page(title, (about,), is_synthetic, sections), style=style)
