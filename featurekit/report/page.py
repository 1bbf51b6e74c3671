"""What stands in the report, in which order, and the sentences between the tables.

A page is data: sections of text, tables and figures. How it looks is the business
of the two renderings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from featurekit.audit import Audit
from featurekit.benchmark import Run
from featurekit.errors import WorkspaceError
from featurekit.evidence import SHARES, Confidence, Evidence, TargetEvidence
from featurekit.outcomes import set_apart
from featurekit.report.anchors import anchors_table, is_comparable
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
from featurekit.report.tables import (
    MAX_MATRIX_CLASSES,
    Cell,
    Column,
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
    front_table,
    headline,
    limits_table,
    mean_of,
    model_name,
    opinions_table,
    pareto_front,
    ranks_table,
    recall_table,
    recipes_table,
    role,
    rows_table,
    score_kind,
    scores_table,
    searches_table,
    slices_table,
    timed_alike,
    trainings_table,
    weights_table,
)
from featurekit.report.verdict import answer, score_word
from featurekit.timing import milliseconds

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
    """

    title: str
    facts: tuple[str, ...]
    is_synthetic: bool
    sections: tuple[Section, ...]


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
            the runs.

    Raises:
        WorkspaceError: there is no run.
    """
    if not runs:
        raise WorkspaceError("There is no run to report. Make one: featurekit fit")
    runs = sorted(runs, key=lambda run: run.name)
    apart = set_apart(runs) if apart is None else apart
    aside = [run for run in runs if run.name in apart]
    runs = [run for run in runs if run.name not in apart]
    names = [name for name in _TARGET_TITLES if any(run.target == name for run in runs)]
    names += sorted({run.target for run in runs} - set(names))
    by_target = {name: best_first([run for run in runs if run.target == name]) for name in names}
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in runs)
    known, shown = evidence.targets if evidence else {}, errors or {}
    sections = [
        Section("Verdict", _verdict(by_target, known, is_synthetic)),
        *(
            Section(
                target_title(name),
                (*_target_blocks(name, of, known.get(name)), *_worst_errors(name, of, shown.get(name))),
            )
            for name, of in by_target.items()
        ),
        *_set_apart(aside, apart),
        *_published(by_target, runs),
        Section("What is wrong with the data", _audited(audit, runs)),
        Section("What was dropped, and why", _dropped(by_target, runs)),
        Section("How it was measured", _measured(by_target, runs)),
        Section("What the numbers do not say", (_limits(runs, is_synthetic),)),
    ]
    sections = numbered(sections, is_synthetic)
    return Page(title, _facts(runs, by_target), is_synthetic, tuple(sections))


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


def _facts(runs: Sequence[Run], by_target: Mapping[str, Sequence[Run]]) -> tuple[str, ...]:
    datasets = list(dict.fromkeys(str(run.dataset.get("name", "data set without a name")) for run in runs))
    n_rows = max(run.dataset.get("n_rows") or 0 for run in runs)
    n_folds = sorted({str(run.folds.get("number", "?")) for run in runs})
    facts = [", ".join(datasets)]
    facts += [f"{n_rows:,} rows"] if n_rows else []
    facts += [f"{' or '.join(n_folds)} folds", f"{len(runs)} run{'s' if len(runs) > 1 else ''}"]
    facts += [f"{len(by_target)} targets"] if len(by_target) > 1 else []
    return tuple(facts)


def _verdict(
    by_target: Mapping[str, Sequence[Run]], known: Mapping[str, TargetEvidence], is_synthetic: bool
) -> tuple[Block, ...]:
    if known:
        how = (
            "Intervals are 95 % intervals over subjects. p-values come from sign-flip tests over subjects and"
            " hold for all pairs of models of a target together (Holm). No evidence of a difference does not"
            " mean that two models are equal."
        )
    else:
        how = (
            "The predictions are not at hand, so that nothing was tested: whether the difference between the"
            " first two is chance is not known. ± is the standard deviation over the folds, which is not a"
            " confidence interval."
        )
    answers = tuple((target_title(name), answer(of, known.get(name))) for name, of in by_target.items())
    blocks: list[Block] = [Answers(answers), Text(how)]
    if is_synthetic:
        synthetic = (
            "The portraits are synthetic (made up): these numbers show that the software works and say"
            " nothing about real faces."
        )
        blocks.insert(0, Text(synthetic, is_caution=True))
    for name, of in by_target.items():
        folds = _distinct(of, [run.folds.get("sha256") for run in of])
        datasets = _distinct(of, [run.dataset.get("name") for run in of])
        if len(folds) > 1 or len(datasets) > 1:
            what = "different data sets" if len(datasets) > 1 else "different folds"
            mixed = (
                f"{target_title(name)}: the runs were scored on {what}, so they cannot be compared."
                " Run them again with one set of folds: featurekit fit --new-folds"
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
    about = f"{len(classes)} classes ({_listed(classes)}); " if classes else "In years; "
    about += f"{few}, each scored by a model that has not seen its subject."
    if len(counts) > 1:
        about += " Not every run was scored on as many faces: see the column Faces."
    if evidence and evidence.n_faces > evidence.n_subjects:
        about += (
            f" Faces of one subject go right or wrong together: they tell as much as"
            f" {evidence.effective_subjects:,.0f} subjects with equally many faces would (Kish)."
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
        blocks += [cost, front_table(runs, f"{title}: what the models of the front cost")]
    networks = [run for run in runs if run.training]
    if networks:
        blocks.append(_curves(networks, f"{title}: how the networks learned"))
        blocks.append(trainings_table(networks, f"{title}: what training the networks took"))
    trained = [run for run in runs if not run.is_baseline and run.confusion]
    if trained and len(classes) <= MAX_MATRIX_CLASSES:
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
            f" {MOST_SUBJECTS} subjects. Beside a face: its label → what was read. Some labels are wrong:"
            " featurekit audit looks for them."
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
        " no other is both quicker and better. Times are those of one machine; models that were timed on"
        " another are left out."
    )
    return Figure(caption, note, wide, narrow)


def _knowing(confidence: Confidence, caption: str) -> Figure:
    bins = [(100 * one.confidence, 100 * one.right) for one in confidence.bins]
    risks = [(100 * share, 100 * risk) for share, risk in zip(SHARES, confidence.risks, strict=True)]
    summary = f"{caption}. Two line plots; the table beside it has the main numbers."
    wide, narrow = (
        confidence_plot(bins, risks, is_narrow=is_narrow, summary=summary) for is_narrow in (False, True)
    )
    note = (
        "First: faces in ten groups of equal size by the model's confidence, and how often it is right on"
        " them; on the dashed line it would be right as often as it says. Second: how often it is wrong when"
        " it answers only the faces that it is surest of."
    )
    return Figure(caption, note, wide, narrow)


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes if len(classes) <= 12 else [*classes[:11], "…"])


def _plot(runs: Sequence[Run], caption: str, evidence: TargetEvidence | None) -> Figure | None:
    kind = headline(runs)
    scored = [run for run in runs if mean_of(run, kind.name) is not None]
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
        estimate = evidence.estimates.get(run.name, {}).get(kind.name) if evidence else None
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
    lines = "95 % interval over subjects" if evidence else "standard deviation over the folds"
    note = f"Mean over the folds and {lines}. Filled circles are trained models."
    if any(role(run) for run in drawn):
        note += " Hollow marks are baselines, and the upright lines stand where they do."
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
    note = (
        "Means over the folds. Dashed: on the faces learned from, changed at random and in the middle of"
        " learning. Solid: on a tenth of the training part's subjects, held out to choose the epoch; they are"
        " no result. The upright line is the epoch whose weights were kept, the mean over the folds."
    )
    return Figure(caption, note, wide, narrow)


def _over_folds(run: Run, name: str, scale: float) -> tuple[float, ...]:
    """Return a number of every epoch that all folds came to, the mean over them; empty where it is absent."""
    each = [[line[name] for line in one["history"] if name in line] for one in run.training]
    return tuple(scale * sum(values) / len(values) for values in zip(*each, strict=False))


def _set_apart(runs: Sequence[Run], apart: Mapping[str, str]) -> list[Section]:
    """Return which runs could not be compared with the others, where there are any."""
    if not runs:
        return []
    columns = (Column("Target"), Column("Features"), Column("Classifier"), Column("Why"))
    rows = tuple(
        tuple(Cell(text) for text in (run.target, run.features, run.classifier_name, apart[run.name]))
        for run in runs
    )
    table = Table("Runs that are set apart", columns, rows, "Fit them again to compare them: featurekit fit.")
    return [Section("Runs that cannot be compared", (table,))]


def _published(by_target: Mapping[str, Sequence[Run]], runs: Sequence[Run]) -> list[Section]:
    """Return published results where they passed the same test, else nothing."""
    if not is_comparable(runs):
        return []
    return [Section("Published results", (anchors_table(by_target, "Adience: results of others"),))]


def _audited(audit: Audit | None, runs: Sequence[Run]) -> tuple[Block, ...]:
    if audit is None:
        return (Text("Nobody has looked. Next: featurekit audit, then featurekit report."),)
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
        if dataset.get("licence"):
            sentence += f" Terms of the data set: {str(dataset['licence']).rstrip('.')}."
        blocks.append(Text(sentence))
        blocks.append(dropped_table(dataset, f"{name}: what became of the rows"))
        counts = counts_table(dataset, f"{name}: what prepare counted")
        blocks += [counts] if counts else []
    targets = {target_title(name): of for name, of in by_target.items()}
    blocks.append(rows_table(targets, "What each target's scores stand for"))
    return tuple(blocks)


def _measured(by_target: Mapping[str, Sequence[Run]], runs: Sequence[Run]) -> tuple[Block, ...]:
    kinds = {
        "official": "The folds are the data set's own.",
        "made": "The folds were made by featurekit: no subject stands on both sides, and the classes are"
        " spread as evenly as the subjects allow.",
    }
    folds = [kinds[kind] for kind in kinds if any(run.folds.get("kind") == kind for run in runs)]
    about = " ".join(
        [
            *folds,
            "In each fold a fresh classifier is fitted on the other folds and reads the faces of this one;"
            " scalers and everything else that learns see the training part only.",
        ]
    )
    recipes = _distinct_values([recipe for run in runs for recipe in run.recipes])
    weights = _distinct_values([entry for run in runs for entry in run.weights])
    faces = [(_recipe_name(recipe), recipe["faces"]) for recipe in recipes if recipe.get("faces")]
    commands = tuple(dict.fromkeys(run.command for run in runs if run.command))
    setup = [
        (run.name, {**{f"folds.{k}": v for k, v in run.folds.items()}, "seed": run.seed}) for run in runs
    ]
    blocks: list[Block] = [Text(about)]
    if commands:
        blocks += [Text("Made by:"), Code(commands)]
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


def _limits(runs: Sequence[Run], is_synthetic: bool) -> Points:
    items = [
        (
            "Apparent age.",
            "A photograph shows how old somebody looks. A model that reads it well reads looks,"
            " not birth dates.",
        ),
        (
            "Labels.",
            "The labels are the data set's own. Where they are wrong, a right answer counts as wrong and a"
            " wrong one as right.",
        ),
        (
            "Gender.",
            "The classes are those of the data set's labels, mostly two, given by others from the picture."
            " They say nothing about how a person identifies.",
        ),
        (
            "Groups.",
            "One number over all faces hides the classes that are read badly: look at the recall of each"
            " class. Differences between skin tones, poses and cameras were not measured.",
        ),
        (
            "Spread.",
            "An interval says what other subjects from where these come from would do to a score, and nothing"
            " about faces from elsewhere. ± is the standard deviation over the folds and no interval: the"
            " folds share training faces.",
        ),
        (
            "Time.",
            "Seconds are those of one machine on one day.",
        ),
        (
            "Use.",
            "Compare methods with it. Do not use it for surveillance or identification, nor to decide"
            " anything about a single person.",
        ),
    ]
    if any(run.n_tested == run.n_subjects for run in runs):
        own = (
            "Every scored face counts as a subject of its own. If the data set merely does not say who is"
            " who, a person may stand on both sides of a fold, and the scores are too good."
        )
        items.insert(4, ("Subjects.", own))
    if is_synthetic:
        synthetic = (
            "The portraits are made up from one photograph. Nothing here says how well real faces are read."
        )
        items.insert(0, ("Synthetic.", synthetic))
    return Points(tuple(items))
