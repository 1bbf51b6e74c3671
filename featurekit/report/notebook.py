"""HTML of results, data sets, embeddings and models in a notebook.

Each function returns HTML without a script, for ``_repr_html_``. The colours are those of the
theme of JupyterLab or VS Code if these define them, and those of the system otherwise, light or
dark. The background is set together with the text colour, so that the text is always readable.
All text from outside is escaped, and every class name begins with "fk-", so that no style leaks
into the notebook or from it.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape

from featurekit.data.manifest import COLUMNS, REASONS, Manifest
from featurekit.data.targets import TARGETS
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import ScoreKind, score_kind
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.inference.model import TrainedModel
from featurekit.report.cells import ABSENT, count_cell
from featurekit.report.displays.words import score_title
from featurekit.report.html import breakable
from featurekit.report.model import SYNTHETIC, Cell, Column, Table
from featurekit.report.sections.verdict import answer
from featurekit.report.select import (
    Ranked,
    best_first,
    headline,
    mean_of,
    role,
    target_title,
    targets_of,
)
from featurekit.text import counted, visible

_MOST_RUNS = 8  # of a target that are shown, besides the baselines
_MOST_REASONS = 8
_MOST_CLASSES = 12
# The scores of a notebook's table beside the one that the ranking goes by.
_BESIDE = ("within_one_group", "balanced_accuracy")
_SUMMARY = ("Best model", "Second best")  # lines of the summary that are shown


def results_html(
    runs: Sequence[Run],
    evidence: Evidence | None = None,
    title: str = "",
    apart: Mapping[str, str] | None = None,
) -> str:
    """Return the rankings of some results as HTML for a notebook.

    Args:
        runs: the runs that can be compared with each other.
        evidence: their intervals and tests; None if the predictions are not available.
        title: title of the results.
        apart: name of each run that is set apart → the reason.
    """
    known = evidence.targets if evidence else {}
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in runs)
    parts = [_title(title or "Results", counted(len(runs), "run", "runs"), is_synthetic=is_synthetic)]
    for name in targets_of(runs):
        of = Ranked(name, best_first([run for run in runs if run.target == name]), known.get(name))
        parts.append(_caption(of.title))
        parts += [_text(what, said) for what, said in answer(of.runs, of.evidence) if what in _SUMMARY]
        parts.append(_table(ranking_table(of)))
    if not runs:
        parts.append(_text("", "No run can be compared with the others."))
    elif evidence is None:
        parts.append(_note("The predictions are not available, so there are no confidence intervals."))
    if apart:
        said = "; ".join(f"{name}: {why}" for name, why in apart.items())
        parts.append(_text(f"Set apart, {len(apart)}", said))
    return _whole(parts)


def ranking_table(of: Ranked) -> Table:
    """Return the models of a target, best first, with their main scores and confidence intervals."""
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
    first = {run.name for run in of.runs[:_MOST_RUNS]}
    drawn = [run for run in of.runs if run.name in first or role(run)]
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
    better = "lower is better" if kind.best is min else "higher is better"
    note = f"Means over the folds; {better}. " + (
        "In parentheses: 95 % confidence intervals over subjects."
        if any(estimates.values())
        else "± is the standard deviation over the folds."
    )
    if len(drawn) < len(of.runs):
        note += f" .frame() also has the {len(of.runs) - len(drawn)} other runs."
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
        kind.format(mean), mean, spread=around, is_strong=is_best and kind.name in ("accuracy", "mae_years")
    )


def dataset_html(dataset: Manifest) -> str:
    """Return the contents of a data set as HTML for a notebook: labels, unused rows by reason, subjects.

    Args:
        dataset: every row of it, usable or not.
    """
    table, usable = dataset.table, dataset.usable
    is_synthetic = bool(dataset.info.get("synthetic"))
    n_usable, named = int(usable.sum()), table["subject_id"][usable] != ""
    about = f"{counted(len(dataset), 'row', 'rows')}, {n_usable:,} usable"
    parts = [_title(dataset.name, about, is_synthetic=is_synthetic)]
    parts.append(_labels_of(dataset))
    reasons = table["reason"][~usable].value_counts()
    if len(reasons):
        rows = [
            (Cell(str(name)), Cell(REASONS.get(str(name), "")), count_cell(int(n)))
            for name, n in reasons.head(_MOST_REASONS).items()
        ]
        columns = (Column("Reason"), Column("Meaning"), Column("Rows", is_number=True))
        more = f"{len(reasons) - _MOST_REASONS} more reasons." if len(reasons) > _MOST_REASONS else ""
        parts.append(_table(Table("Rows that are not used", columns, tuple(rows), more)))
    n_subjects = len(set(dataset.subjects[usable]))
    subjects = (
        f"{n_subjects:,} subjects in the usable rows."
        if named.any()
        else "The data set does not name the subjects, so each image counts as a subject of its own."
    )
    licence = dataset.info.get("licence")
    parts.append(_note(subjects + (f" Terms of the data set: {licence}." if licence else "")))
    return _whole(parts)


def _labels_of(dataset: Manifest) -> Markup:
    """Return a table of the labels: how many usable rows have each, and the counts of its classes."""
    table = dataset.table[dataset.usable]
    names = [name for name in TARGETS if name in table] + [name for name in table if name not in COLUMNS]
    rows = []
    for name in dict.fromkeys(map(str, names)):
        values = table[name]
        if name in TARGETS and TARGETS[name].is_regression:
            values = values.dropna()
            said = (
                f"{values.min():g} to {values.max():g} years, median {values.median():g}"
                if len(values)
                else ""
            )
        else:
            values = values.astype(str)[values.notna() & (values != "")]
            counts = values.value_counts()
            order = list(TARGETS[name].classes) if name in TARGETS else []
            shown = [label for label in order if label in counts] or list(counts.index)
            said = ", ".join(f"{label} {counts[label]:,}" for label in shown[:_MOST_CLASSES])
            said += f" and {len(shown) - _MOST_CLASSES:,} more" if len(shown) > _MOST_CLASSES else ""
        if len(values):
            rows.append((Cell(name), count_cell(len(values)), Cell(said)))
    columns = (Column("Label"), Column("Rows", is_number=True), Column("Values"))
    return _table(Table("Labels of the usable rows", columns, tuple(rows)))


def embeddings_html(
    name: str, parts: Sequence[tuple[str, int]], statuses: Mapping[str, int], *, dataset: str = ""
) -> str:
    """Return a description of embeddings as HTML for a notebook.

    Args:
        name: of the embeddings, e.g. "dlib_age+dlib_face".
        parts: the joined parts: network and layer, e.g. "dlib_age:pooled", and the length of its vector.
        statuses: status → number of rows with it; see featurekit.faces.face.STATUS_MEANINGS.
        dataset: name of the data set.
    """
    n_found, n_rows = statuses.get("ok", 0), sum(statuses.values())
    dim = sum(length for _, length in parts)
    of = f" of {dataset}" if dataset else ""
    about = f"{n_found:,} faces found in {n_rows:,} rows{of}; vectors of length {dim:,}"
    columns = (Column("Network and layer"), Column("Length", is_number=True))
    rows = tuple((Cell(feature), count_cell(length)) for feature, length in parts)
    html = [_title(name, about), _table(Table("Parts of a vector", columns, rows))]
    lost = {status: n for status, n in statuses.items() if status != "ok" and n}
    if lost:
        ordered = sorted(lost.items(), key=lambda one: (-one[1], one[0]))
        html.append(
            _table(
                Table(
                    "Rows without a vector",
                    (Column("Status"), Column("Meaning"), Column("Rows", is_number=True)),
                    tuple(
                        (Cell(status), Cell(STATUS_MEANINGS.get(status, "")), count_cell(n))
                        for status, n in ordered
                    ),
                )
            )
        )
    return _whole(html)


def model_html(model: TrainedModel) -> str:
    """Return a description of a fitted model as HTML for a notebook: its target, features and training data.

    Args:
        model: the fitted model.
    """
    training, calibration = model.training, model.calibration
    about = f"predicts {target_title(model.target.name).lower()} with {model.classifier}"
    answers = "years" if model.target.is_regression else ", ".join(model.target.classes[:_MOST_CLASSES])
    more = len(model.target.classes) - _MOST_CLASSES
    facts = [
        ("Predicts", answers + (f" and {more} more" if more > 0 else "")),
        ("Features", " + ".join(recipe.feature for recipe in model.recipes)),
        (
            "Fitted on",
            f"{training.get('dataset', 'unknown data')}, {_count(training.get('n_faces'))} faces of"
            f" {_count(training.get('n_subjects'))} subjects",
        ),
        ("Faces found by", model.settings.detector),
    ]
    if calibration is None:
        facts.append(
            ("Calibration", "none, so it cannot abstain or predict sets of classes or intervals of years")
        )
    elif model.target.is_regression:
        facts.append(
            (
                "Calibration",
                f"prediction intervals with a coverage of {100 * (1 - calibration.missed):g} %",
            )
        )
    else:
        facts.append(
            (
                "Calibration",
                f"temperature {calibration.temperature:.2f}; prediction sets with a coverage of"
                f" {100 * (1 - calibration.missed):g} %",
            )
        )
    licences = [
        f"{one.get('name')}: code {one.get('licence_code')}, weights {one.get('licence_weights')}"
        for one in model.weights
    ]
    facts.append(("Licences", "; ".join(licences) or "no weights are used"))
    rows = tuple((Cell(what), Cell(said)) for what, said in facts)
    title = _title(model.name, about, is_synthetic=bool(training.get("synthetic")))
    notes = [_note(str(note)) for note in training.get("notes", ())]
    return _whole([title, _table(Table("", (Column(""), Column("")), rows)), *notes])


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


# ---------------------------------------------------------------- how it is written


@cache
def _style() -> Markup:
    style = files("featurekit.report").joinpath("notebook.css").read_text(encoding="utf-8")
    return Markup("<style>\n{}</style>\n").format(Markup(style))  # nosec B704  # a file of this package


def _whole(parts: Sequence[Markup]) -> str:
    body = Markup("\n").join(part for part in parts if part)
    return str(Markup('<div class="featurekit-html">\n{}{}\n</div>').format(_style(), body))


def _safe(text: str) -> Markup:
    return escape(visible(text))


def _title(title: str, about: str, *, is_synthetic: bool = False) -> Markup:
    mark = Markup('<span class="fk-mark">{}</span>').format(SYNTHETIC) if is_synthetic else ""
    shown = Markup('<p class="fk-title">{}{}</p>').format(_safe(title), mark)
    return shown + Markup('\n<p class="fk-text">{}</p>').format(_safe(about))


def _caption(text: str) -> Markup:
    return Markup('<p class="fk-caption">{}</p>').format(_safe(text))


def _text(what: str, text: str) -> Markup:
    before = Markup("<b>{}:</b> ").format(_safe(what)) if what else ""
    return Markup('<p class="fk-text">{}{}</p>').format(before, breakable(text))


def _note(text: str) -> Markup:
    return Markup('<p class="fk-note">{}</p>').format(_safe(text))


def _table(table: Table) -> Markup:
    """Return a table with its caption and its note."""
    if not table.rows:
        return Markup("")
    lines = [_caption(table.caption)] if table.caption else []
    lines.append(Markup('<table class="fk-table">'))
    if any(column.title for column in table.columns):
        heads = Markup("").join(
            Markup('<th scope="col"{}>{}</th>').format(_css(column), _safe(column.heading))
            for column in table.columns
        )
        lines.append(Markup("<thead><tr>{}</tr></thead>").format(heads))
    lines.append(Markup("<tbody>"))
    for row in table.rows:
        cells = [_cell(cell, column, "th" if i == 0 else "td") for i, (cell, column) in _numbered(row, table)]
        lines.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    lines.append(Markup("</tbody></table>"))
    if table.note:
        lines.append(_note(table.note))
    return Markup("\n").join(lines)


def _numbered(row: Sequence[Cell], table: Table) -> list[tuple[int, tuple[Cell, Column]]]:
    return list(enumerate(zip(row, table.columns, strict=True)))


def _css(column: Column, *names: str) -> Markup:
    classes = [*(["fk-number"] if column.is_number else []), *names]
    return Markup(' class="{}"').format(" ".join(classes)) if classes else Markup("")


def _cell(cell: Cell, column: Column, element: str) -> Markup:
    inner = breakable(cell.text) if not column.is_number else _safe(cell.text)
    if cell.spread:
        inner += Markup('<span class="fk-small">{}</span>').format(_safe(cell.spread))
    if cell.tag:
        inner += Markup('<span class="fk-tag">{}</span>').format(_safe(cell.tag))
    scope = Markup(' scope="row"') if element == "th" else ""
    css = _css(column, *(["fk-strong"] if cell.is_strong else []))
    return Markup("<{0}{1}{2}>{3}</{0}>").format(element, scope, css, inner)
