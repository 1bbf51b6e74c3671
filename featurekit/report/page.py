"""What stands in the report, in which order, and the sentences between the tables.

A page is data: sections of text, tables and figures. How it looks is the business
of the two renderings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from featurekit.checks.audit import Audit
from featurekit.errors import WorkspaceError
from featurekit.evaluation.confidence import SHARES, Confidence
from featurekit.evaluation.evidence import Evidence, TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import milliseconds
from featurekit.report.anchors import anchors_table, is_comparable
from featurekit.report.apart import apart_from, apart_table
from featurekit.report.caveats import caveats
from featurekit.report.cost import front_table, pareto_front
from featurekit.report.figures import (
    Panel,
    Point,
    Spot,
    confidence_plot,
    cost_plot,
    dot_plot,
    learning_curves,
)
from featurekit.report.gallery import MOST_FACES, MOST_SUBJECTS, Errors, Subject
from featurekit.report.made_by import PATH, made_by
from featurekit.report.slices import slices_table
from featurekit.report.tables import (
    HOW_TESTED,
    MAX_MATRIX_CLASSES,
    Table,
    audit_table,
    best_first,
    confidence_table,
    confusion_table,
    counts_table,
    coverage_table,
    differences_table,
    dropped_table,
    facts_table,
    fits_table,
    headline,
    limits_table,
    machine_of,
    mean_of,
    model_name,
    opinions_table,
    ranks_table,
    recall_table,
    recipes_table,
    role,
    rows_table,
    score_kind,
    scores_table,
    searches_table,
    timed_alike,
    trainings_table,
    weights_table,
)
from featurekit.report.terms import dataset_terms, weights_terms
from featurekit.report.verdict import answer, score_word
from featurekit.text import first_few

SYNTHETIC = "synthetic: made-up portraits"
_TARGET_TITLES = {
    "age_group": "Age group",
    "gender": "Gender",
    "gender3": "Gender, three classes",
    "age": "Age in years",
}
_MAX_POINTS = 24
_MAX_CURVES = 6  # networks whose training is drawn, for each target


@dataclass(frozen=True)
class Text:
    """A paragraph; a caution is set so that it is not read over."""

    text: str
    is_caution: bool = False


@dataclass(frozen=True)
class Points:
    """A list whose items begin with a few words in bold (or none)."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answers:
    """What there is to say of each target in a few lines: (target, ((what, in words), …))."""

    items: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Code:
    """Lines to be copied as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing for wide and one for narrow screens; its numbers are those of a table beside it."""

    caption: str
    note: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Gallery:
    """Photographs of faces, a subject's together; they never leave the HTML page."""

    caption: str
    note: str
    subjects: tuple[Subject, ...]


Block = Text | Points | Answers | Code | Figure | Gallery | Table


@dataclass(frozen=True)
class Section:
    """A part of the page under its own heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: its heading.
        facts: a few words each on what was compared.
        is_synthetic: whether the portraits are made up.
        sections: in the order they are read.
        sources: files that every number of it comes from.
    """

    title: str
    facts: tuple[str, ...]
    is_synthetic: bool
    sections: tuple[Section, ...]
    sources: tuple[str, ...] = ("runs/*.json",)


def compose(
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None,
    audit: Audit | None,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
) -> Page:
    """Return the report on some runs; their order makes no difference.

    Args:
        runs: what was compared.
        title: heading of the report.
        evidence: what their predictions say beyond their scores; None where they are not at hand.
        audit: what was found wrong with the data; None where nobody looked.
        errors: target → its worst errors, with faces; None for a page that shows nobody.
        apart: name of each run that cannot be compared with the others → why; None to find that out from
            the runs. These, and runs that nothing is tested with where others are tested, stand in tables of
            their own.

    Raises:
        WorkspaceError: there is no run.
    """
    if not runs:
        raise WorkspaceError("There is no run to report. Make one: featurekit fit")
    everything = sorted(runs, key=lambda run: run.name)
    names = [name for name in _TARGET_TITLES if any(run.target == name for run in everything)]
    names += sorted({run.target for run in everything} - set(names))
    reasons = apart_from(everything, evidence, apart)
    runs = [run for run in everything if run.name not in reasons]
    by_target = {name: best_first([run for run in runs if run.target == name]) for name in names}
    aside = {
        name: [run for run in everything if run.target == name and run.name in reasons] for name in names
    }
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in everything)
    known, shown = evidence.targets if evidence else {}, errors or {}
    known = {name: of for name, of in known.items() if by_target.get(name)}
    sections = []
    for name, of in by_target.items():
        blocks: list[Block] = []
        if of:
            blocks += _target_blocks(name, of, known.get(name))
            blocks += _worst_errors(name, of, shown.get(name))
        if aside[name]:
            caption = f"{target_title(name)}: runs that are set apart"
            blocks.append(apart_table(aside[name], reasons, caption))
        sections.append(Section(target_title(name), tuple(blocks)))
    by_target = {name: of for name, of in by_target.items() if of}
    titles = {name: target_title(name) for name in by_target}
    sections = [
        Section("Verdict", _verdict(by_target, known, is_synthetic)),
        *sections,
        *_published(by_target, runs),
        Section("What is wrong with the data", _audited(audit, runs)),
        Section("What was dropped, and why", _dropped(by_target, runs)),
        Section("How it was measured", _measured(by_target, runs, everything, title, audit)),
        Section(
            "What the numbers do not say",
            (Points(caveats(by_target, titles, known, is_synthetic=is_synthetic)),),
        ),
    ]
    sections = numbered(sections, is_synthetic)
    facts = _facts(everything, len(reasons), len(names))
    sources = ("runs/*.json", *(("evidence.json",) if evidence else ()), *(("audit.json",) if audit else ()))
    return Page(title, facts, is_synthetic, tuple(sections), sources)


def target_title(name: str) -> str:
    """Return what a target is called in a heading."""
    return _TARGET_TITLES.get(name, name)


def numbered(sections: Sequence[Section], is_synthetic: bool) -> list[Section]:
    """Return the sections with their tables and figures numbered, and the data called what it is."""
    counts = {"Table": 0, "Figure": 0}
    mark = f" ({SYNTHETIC})" if is_synthetic else ""
    numbered = []
    for section in sections:
        blocks: list[Block] = []
        for block in section.blocks:
            if isinstance(block, Table | Figure | Gallery):
                word = "Table" if isinstance(block, Table) else "Figure"
                counts[word] += 1
                caption = f"{word} {counts[word]}. {block.caption}{mark}"
                blocks.append(replace(block, caption=caption))
            else:
                blocks.append(block)
        numbered.append(Section(section.title + (" (synthetic)" if is_synthetic else ""), tuple(blocks)))
    return numbered


def _distinct(runs: Sequence[Run], values: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the different values, each with the name of the first run that has it."""
    seen: list[tuple[str, Any]] = []
    for run, value in zip(runs, values, strict=True):
        if all(value != known for _, known in seen):
            seen.append((run.name, value))
    return seen


def _facts(runs: Sequence[Run], n_apart: int, n_targets: int) -> tuple[str, ...]:
    datasets = list(dict.fromkeys(str(run.dataset.get("name", "data set without a name")) for run in runs))
    n_rows = max(run.dataset.get("n_rows") or 0 for run in runs)
    n_folds = sorted({str(run.folds.get("number", "?")) for run in runs})
    facts = [", ".join(datasets)]
    facts += [f"{n_rows:,} rows"] if n_rows else []
    facts += [f"{' or '.join(n_folds)} folds", f"{len(runs)} run{'s' if len(runs) > 1 else ''}"]
    facts += [f"{n_apart} of them set apart"] if n_apart else []
    facts += [f"{n_targets} targets"] if n_targets > 1 else []
    return tuple(facts)


def _verdict(
    by_target: Mapping[str, Sequence[Run]], known: Mapping[str, TargetEvidence], is_synthetic: bool
) -> tuple[Block, ...]:
    how = ""
    if known:
        how = (
            f"Intervals are 95 % intervals over subjects. Models are compared subject by subject:"
            f" {HOW_TESTED}. No evidence of a difference does not mean that two models are equal."
        )
    untested = [target_title(name) for name in by_target if name not in known]
    if untested:
        of = f" of {', '.join(untested)}" if known else ""
        how += (
            f"{' ' if how else ''}The predictions{of} are not at hand, so that nothing was tested: whether"
            " the difference between the first two is chance is not known. ± is the standard deviation over"
            " the folds, which is not a confidence interval."
        )
    if not by_target:
        how = "No run can be compared: the sections below say why, and what to do."
    answers = tuple((target_title(name), answer(of, known.get(name))) for name, of in by_target.items())
    blocks: list[Block] = [Answers(answers), Text(how)]
    if is_synthetic:
        synthetic = (
            "The portraits are synthetic (made up): these numbers show that the software works and say"
            " nothing about real faces."
        )
        blocks.insert(0, Text(synthetic, is_caution=True))
    for name, runs in by_target.items():
        datasets = _distinct(runs, [run.dataset.get("name") for run in runs])
        if len(datasets) > 1:
            mixed = (
                f"{target_title(name)}: the runs were scored on different data sets, so they cannot be"
                " compared. Run them again with one set of folds: featurekit fit --new-folds"
            )
            blocks.append(Text(mixed, is_caution=True))
    return tuple(blocks)


def _target_blocks(name: str, runs: Sequence[Run], evidence: TargetEvidence | None) -> tuple[Block, ...]:
    """Return the part of one target; its runs are best first."""
    kind, title = headline(runs), target_title(name)
    classes = runs[0].classes
    counts = {(run.n_tested, run.n_subjects) for run in runs}
    n_tested, n_subjects = max(counts)
    few = f"{n_tested:,} faces of {n_subjects:,} subjects"
    about = f"{len(classes)} classes ({first_few(classes, 11)}); " if classes else "In years; "
    without = "it" if n_tested == n_subjects else "its subject"
    about += f"{few}, each scored by a model that was fitted without {without}."
    if len(counts) > 1:
        about += " Not every run was scored on as many faces: see the column Faces."
    if evidence and evidence.n_faces > evidence.n_subjects:
        about += (
            " Several faces of one subject do not count as several subjects: by the numbers of faces, all"
            f" tell as much as {evidence.effective_subjects:,.0f} subjects with equally many faces would"
            " (Kish)."
        )
    blocks: list[Block] = [Text(about), scores_table(runs, f"{title}: all models, best first", evidence)]
    plot = _plot(runs, f"{title}: {score_word(kind)} of all models", evidence)
    blocks += [plot] if plot else []
    differences = (
        differences_table(runs, f"{title}: which differences are shown", evidence) if evidence else None
    )
    blocks += [differences] if differences else []
    if evidence:
        second = (
            opinions_table(runs, f"{title}: what other tests say of the best model", evidence),
            ranks_table(runs, f"{title}: mean ranks over the folds", evidence),
        )
        blocks += [table for table in second if table]
    cost = _cost(runs, f"{title}: {score_word(kind)} against time")
    if cost:
        blocks += [cost, front_table(runs, f"{title}: what the models of the front cost", evidence)]
    networks = [run for run in runs if run.training]
    if networks:
        blocks.append(_curves(networks, f"{title}: how the networks learned"))
        took = f"{title}: what training the networks took"
        blocks.append(trainings_table(networks, took, machine_of(runs)))
    trained = [run for run in runs if not run.is_baseline]
    if trained and trained[0].confusion and len(classes) <= MAX_MATRIX_CLASSES:
        best = trained[0]
        blocks.append(confusion_table(best, f"{title}: who was read as whom by {model_name(best)}"))
    recall = recall_table(runs, f"{title}: recall of each class")
    blocks += [recall] if recall else []
    if evidence:
        names = {run.name: run.classifier_name for run in runs}
        whose = f"the best model ({names.get(evidence.sliced, evidence.sliced)})"
        more = (
            slices_table(evidence, f"{title}: for whom {whose} fails"),
            limits_table(evidence, f"{title}: limits of age as {whose} would decide them"),
        )
        blocks += [table for table in more if table]
        if evidence.confidence:
            blocks.append(_knowing(evidence.confidence, f"{title}: whether {whose} knows when it is wrong"))
            blocks.append(confidence_table(evidence.confidence, f"{title}: confidence of {whose}"))
        coverage = coverage_table(evidence, f"{title}: answers of {whose} that leave room")
        blocks += [coverage] if coverage else []
    return tuple(blocks)


def _worst_errors(name: str, runs: Sequence[Run], errors: Errors | None) -> tuple[Block, ...]:
    if errors is None:
        return ()
    best = next(run for run in runs if run.name == errors.run)
    caption = f"{target_title(name)}: the worst errors of the best model ({best.classifier_name})"
    wrong = "read half a year or more off" if errors.is_in_years else "read wrong"
    note = f"{errors.n_wrong:,} of {errors.n_faces:,} faces were {wrong}."
    n_shown = sum(len(one.faces) for one in errors.subjects)
    if n_shown:
        first = "farthest off" if errors.is_in_years else "those that the model was surest of"
        note += (
            f" Shown are {n_shown:,}, {first} first, a subject's together: at most {MOST_FACES} of each of"
            f" {MOST_SUBJECTS} subjects. Beside a face: its label → what was read. A label may be wrong:"
            " featurekit audit looks for suspect ones."
        )
    if errors.n_missing:
        note += (
            f" The pictures of {errors.n_missing:,} more cannot be shown: they are gone, or have changed"
            " since featurekit prepare."
        )
    return (Gallery(caption, note, errors.subjects),) if n_shown else (Text(f"{caption}. {note}"),)


def _cost(runs: Sequence[Run], caption: str) -> Figure | None:
    """Return score against time; None where fewer than three trained models have both."""
    kind = headline(runs)
    front = [run.name for run in pareto_front(runs)]
    spots = []
    for run in timed_alike(runs):
        mean, time = mean_of(run, kind.name), milliseconds(run)
        if mean is not None and time:
            mark = str(front.index(run.name) + 1) if run.name in front else ""
            spots.append(Spot(time, mean * kind.scale, mark))
    if len(spots) < 3:
        return None
    spots.sort(key=lambda spot: spot.time)
    limit = 100.0 if kind.unit == "%" else float("inf")
    axis = f"{kind.title}, {kind.unit}" if kind.unit else kind.title
    summary = f"{caption}. {len(spots)} trained models; the table below has those of the front."
    wide, narrow = (
        cost_plot(spots, axis=axis, limit=limit, is_narrow=is_narrow, summary=summary)
        for is_narrow in (False, True)
    )
    note = (
        "Each dot is a trained model. The filled ones with a number, those of the table below, are the front:"
        " no other is both quicker and better."
    )
    machine = machine_of(runs)
    note += f" Times are those of the best model's machine{f' ({machine})' if machine else ''}."
    n_elsewhere = sum(not run.is_baseline for run in runs) - len(timed_alike(runs))
    note += f" Left out: {n_elsewhere} timed on another." if n_elsewhere else ""
    return Figure(caption, note, wide, narrow)


def _knowing(confidence: Confidence, caption: str) -> Figure:
    bins = [(100 * one.confidence, 100 * one.right) for one in confidence.bins]
    risks = [(100 * share, 100 * risk) for share, risk in zip(SHARES, confidence.risks, strict=True)]
    summary = f"{caption}. Two line plots; the table beside it has the main numbers."
    wide, narrow = (
        confidence_plot(bins, risks, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    note = (
        f"First: faces in {len(confidence.bins)} groups of equal size by the model's confidence, and how"
        " often it is right on them; on the dashed line it would be right as often as it says. Second: how"
        " often it is wrong when it answers only the faces that it is surest of."
    )
    return Figure(caption, note, wide, narrow)


def _plot(runs: Sequence[Run], caption: str, evidence: TargetEvidence | None) -> Figure | None:
    kind = headline(runs)
    estimates = {name: of.get(kind.name) for name, of in evidence.estimates.items()} if evidence else {}
    # Bars are all of one kind: intervals where there are any, else standard deviations.
    are_intervals = any(estimates.get(run.name) for run in runs)
    scored: list[Run] = []
    other: list[Run] = []
    for run in runs:
        if mean_of(run, kind.name) is not None:
            (other if are_intervals and not estimates.get(run.name) else scored).append(run)
    if not scored:
        return None
    # Of many models the best are drawn, and whatever they are to beat.
    first = {run.name for run in scored[:_MAX_POINTS]}
    drawn = [run for run in scored if run.name in first or role(run)]
    if len(drawn) < len(scored):
        caption += f", the best {_MAX_POINTS} of {len(scored)} runs and the baselines"
    points = []
    for run in drawn:
        mean = mean_of(run, kind.name)
        assert mean is not None
        estimate = estimates.get(run.name)
        spread = run.scores[kind.name].get("spread") or 0.0
        low, high = (estimate.low, estimate.high) if estimate else (mean - spread, mean + spread)
        shown = kind.format(mean) + (f" ± {kind.format(spread)}" if spread else "")
        if estimate:
            shown = f"{kind.format(mean)} ({kind.format(low)}–{kind.format(high)})"
        ends = (low * kind.scale, high * kind.scale)
        points.append(Point(model_name(run), mean * kind.scale, *ends, shown, role(run)))
    axis = f"{kind.title}, {kind.unit}" if kind.unit else kind.title
    better = "less is better" if kind.best is min else "more is better" if kind.best else ""
    axis += f" ({better})" if better else ""
    limit = 100.0 if kind.unit == "%" else float("inf")
    summary = (
        f"Dot plot of {axis}. Best: {points[0].label}, {points[0].shown}. The table above has every number."
    )
    wide, narrow = (
        dot_plot(points, axis=axis, limit=limit, is_narrow=is_narrow, summary=summary)
        for is_narrow in (False, True)
    )
    lines = "95 % intervals over subjects" if are_intervals else "standard deviations over the folds"
    note = f"Means over the folds; the bars are {lines}. Filled circles are trained models."
    if any(role(run) for run in drawn):
        note += " Hollow marks are baselines, and the upright lines stand where they do."
    if other:
        note += f" Left out, for want of an interval: {', '.join(map(model_name, other))}."
    return Figure(caption, note, wide, narrow)


def _curves(runs: Sequence[Run], caption: str) -> Figure:
    """Return the loss and the score of each epoch, means over the folds; runs are best first."""
    if len(runs) > _MAX_CURVES:
        caption += f", the best {_MAX_CURVES} of {len(runs)}"
    panels = []
    for run in runs[:_MAX_CURVES]:
        kind = score_kind("exact" if run.classes else "mae_years")
        kept = sum(one["best_epoch"] or one["epochs"] for one in run.training) / len(run.training)
        score = f"{kind.title}, {kind.unit}" if run.classes else "MAE, years"
        for what, name, scale, limit in (
            ("Loss", "loss", 1.0, float("inf")),
            (score, run.target, kind.scale, 100.0 if kind.unit == "%" else float("inf")),
        ):
            learned, held_out = _over_folds(run, name, scale), _over_folds(run, f"held_out_{name}", scale)
            panels.append(Panel(f"{what}: {model_name(run)}", learned, held_out, kept, limit))
    summary = f"{caption}. {len(panels)} line plots over the epochs; the table beside it has the numbers."
    wide, narrow = (
        learning_curves(panels, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    drawn = runs[:_MAX_CURVES]
    are_changed = all(run.parameters.get("augment") for run in drawn)
    note = (
        f"Means over the folds. Dashed: on the faces learned"
        f" from,{' changed at random and' if are_changed else ''} in the middle of learning."
    )
    shares = [_held_out(run) for run in drawn]
    if any(shares):
        low, high = min(filter(None, shares)), max(shares)
        part = f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
        note += (
            f" Solid: on {part} % of the training part's faces, held out to choose the epoch; they are no"
            " result."
        )
    note += " The upright line is the epoch whose weights were kept, the mean over the folds."
    return Figure(caption, note, wide, narrow)


def _held_out(run: Run) -> float:
    """Return how many percent of a training part's faces were held out, over all folds."""
    held_out = sum(one["held_out_faces"] for one in run.training)
    return float(100 * held_out / (held_out + sum(one["faces"] for one in run.training)))


def _over_folds(run: Run, name: str, scale: float) -> tuple[float, ...]:
    """Return a number of every epoch that all folds came to, the mean over them; empty where it is absent."""
    each = [[line[name] for line in one["history"] if name in line] for one in run.training]
    return tuple(scale * sum(values) / len(values) for values in zip(*each, strict=False))


def _published(by_target: Mapping[str, Sequence[Run]], runs: Sequence[Run]) -> list[Section]:
    """Return published results where they passed the same test, else nothing."""
    if not is_comparable(runs):
        return []
    return [Section("Published results", (anchors_table(by_target, "Adience: results of others"),))]


def _audited(audit: Audit | None, runs: Sequence[Run]) -> tuple[Block, ...]:
    if audit is None:
        nobody = "No audit is stored beside these runs. Next: featurekit audit, then featurekit report."
        return (Text(nobody),)
    blocks: list[Block] = []
    folds = {run.folds.get("sha256") for run in runs}
    if audit.folds and folds != {audit.folds}:
        old = "The audit looked at other folds than the runs were scored on. Run it again: featurekit audit"
        blocks.append(Text(old, is_caution=True))
    grave = sum(one.severity in ("error", "warning") for one in audit.findings)
    about = f"{grave} of {len(audit.findings)} checks found something to look at before scores are believed."
    if audit.features:
        about += f" Close faces were looked for in {audit.features}."
    return (*blocks, Text(about), audit_table(audit, "Findings of the audit"))


def _dropped(by_target: Mapping[str, Sequence[Run]], runs: Sequence[Run]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for _, dataset in _distinct(runs, [run.dataset for run in runs]):
        n_rows = dataset.get("n_rows") or 0
        unused = sum((dataset.get("tally") or {}).values())
        found = (dataset.get("statuses") or {}).get("ok")
        name = dataset.get("name", "The data set")
        sentence = f"{name} names {n_rows:,} rows. Of these, {unused:,} are not used."
        if found is not None:
            sentence += f" A face was found in the pictures of {found:,} rows, used or not."
        terms = dataset_terms(dataset)
        sentence += f" Terms of the data set: {terms}." if terms else ""
        blocks.append(Text(sentence))
        blocks.append(dropped_table(dataset, f"{name}: what became of the rows"))
        counts = counts_table(dataset, f"{name}: what prepare counted")
        blocks += [counts] if counts else []
    targets = {target_title(name): of for name, of in by_target.items()}
    blocks.append(rows_table(targets, "What each target's scores stand for"))
    return tuple(blocks)


def _measured(
    by_target: Mapping[str, Sequence[Run]],
    runs: Sequence[Run],
    everything: Sequence[Run],
    title: str,
    audit: Audit | None,
) -> tuple[Block, ...]:
    if not runs:
        return ()
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
    about = " ".join(
        [
            *folds,
            "Each fold is read by models that were fitted on the other folds, less the faces of every subject"
            " who is tested in it; scalers and everything else that learns see the training part only.",
        ]
    )
    recipes = _distinct_values([recipe for run in runs for recipe in run.recipes])
    weights = _distinct_values([weights_terms(entry) for run in runs for entry in run.weights])
    faces = [(_recipe_name(recipe), recipe["faces"]) for recipe in recipes if recipe.get("faces")]
    commands = made_by(runs, everything, title, audit)
    setup = [
        (run.name, {**{f"folds.{k}": v for k, v in run.folds.items()}, "seed": run.seed}) for run in runs
    ]
    blocks: list[Block] = [Text(about)]
    blocks += [Text(f"Made by ({PATH} is where the data set lies):"), Code(commands)]
    blocks.append(facts_table(setup, "Folds and chance"))
    blocks.append(facts_table([(run.name, run.hardware) for run in runs], "Hardware, asked for and got"))
    blocks.append(facts_table([(run.name, run.versions) for run in runs], "Versions"))
    if recipes:
        blocks.append(recipes_table(recipes, "Recipes: what decides the vectors"))
    if faces:
        blocks.append(facts_table(faces, "Recipes: how pictures were read and faces found", is_folded=True))
    if weights:
        blocks.append(weights_table(weights, "Weight files and their licences"))
    ordered = [run for of in by_target.values() for run in of]
    blocks.append(fits_table(ordered, "Parameters and decisions of every run"))
    searches = searches_table(ordered, "Parameters that each fold of the tuned runs chose")
    blocks += [searches] if searches else []
    return tuple(blocks)


def _recipe_name(recipe: Mapping[str, Any]) -> str:
    return ":".join(str(recipe[part]) for part in ("backbone", "layer") if recipe.get(part))


def _distinct_values(values: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    distinct: list[Mapping[str, Any]] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct
