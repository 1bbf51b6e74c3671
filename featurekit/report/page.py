"""The content of the report: its sections and their order.

A page is data: sections with text, tables and figures, each made by a module of
featurekit.report.sections. featurekit.report.html and featurekit.report.markdown format it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, count

from featurekit.checks.audit import Audit
from featurekit.errors import WorkspaceError
from featurekit.evaluation.data_curve import DataCurve
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.report.gallery import Errors
from featurekit.report.model import (
    SYNTHETIC,
    Block,
    Blocks,
    Cell,
    Column,
    Figure,
    Gallery,
    Page,
    Section,
    Table,
    section_of,
)
from featurekit.report.sections import (
    ages,
    anchors,
    assurance,
    calibration,
    caveats,
    classes,
    cost,
    curves,
    differences,
    disparities,
    dropped,
    folds,
    learning,
    legend,
    provenance,
    ranking,
    slices,
    terms,
    training,
    verdict,
    worst_errors,
)
from featurekit.report.sections import audit as audited
from featurekit.report.sections.made_by import made_by, report_command
from featurekit.report.select import Ranked, apart_from, ranked_targets, target_title, targets_of
from featurekit.text import counted, first_few

# The parts of the section on one target, from top to bottom.
_OF_TARGET = (ranking, folds, differences, cost, classes, curves, slices, disparities, ages, calibration)
# Readers for whom the report is arranged: for age assurance, ages and what is stated of them come first.
AGE_ASSURANCE = "age-assurance"
PROFILES = (AGE_ASSURANCE,)


def compose(
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None = None,
    audit: Audit | None = None,
    *,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
    profile: str | None = None,
    data_curves: Mapping[str, DataCurve] | None = None,
) -> Page:
    """Return the report on some runs; their order makes no difference.

    Args:
        runs: the runs of the comparison.
        title: heading of the report.
        evidence: confidence intervals, tests and slices of the runs; None if their predictions are not
            available.
        audit: findings on the data set; None if there is no audit.
        errors: target → its worst errors, with images of the faces; None for a report without faces. The
            Markdown file never shows faces.
        apart: name of each run that cannot be compared with the other runs → reason; None to determine the
            reasons here. The report lists these runs in a table of their own, also runs without a test if
            other runs of their target have one.
        profile: readers for whom the report is arranged, one of PROFILES; None for any readers.
        data_curves: scores of runs with parts of the training faces, by the name of the run; None for none.

    Raises:
        WorkspaceError: runs is empty.
    """
    if not runs:
        raise WorkspaceError("There is no run to report. Fit a model first: featurekit fit")
    known = sorted(runs, key=lambda run: run.name)
    reasons = apart_from(known, evidence, apart)
    compared = [run for run in known if run.name not in reasons]
    names = targets_of(known)
    ranked = ranked_targets(compared, evidence)
    command = report_command(title, known, evidence.targets.values() if evidence else (), profile=profile)
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in known)
    sections = (
        section_of("Summary", verdict.blocks(_in_order(ranked, profile), audit, is_synthetic=is_synthetic)),
        *(_ages_first(ranked) if profile == AGE_ASSURANCE else ()),
        *(
            _target_section(name, ranked, known, reasons, errors or {}, profile, data_curves or {})
            for name in names
        ),
        *anchors.sections(ranked, compared),
        section_of("Audit of the data", audited.blocks(audit, compared)),
        section_of("Limitations", caveats.blocks(ranked, is_synthetic=is_synthetic)),
        *_appendices(ranked, compared, made_by(compared, known, title, audit, command)),
    )
    sections = (*sections, _appendix("terms", terms.blocks(sections)))
    sections = tuple(section for section in sections if section.blocks)
    facts = (*_facts(known, evidence, len(reasons)), command)
    sources = ("runs/*.json", *(("evidence.json",) if evidence else ()), *(("audit.json",) if audit else ()))
    return Page(title, facts, is_synthetic, tuple(numbered(sections, is_synthetic)), sources)


def _in_order(ranked: Sequence[Ranked], profile: str | None) -> Sequence[Ranked]:
    """Return the targets in the order of the summary: for age assurance, ages in years come first."""
    return ranked if profile != AGE_ASSURANCE else sorted(ranked, key=lambda of: bool(of.runs[0].classes))


def _appendices(ranked: Sequence[Ranked], runs: Sequence[Run], commands: Sequence[str]) -> list[Section]:
    """Return what few readers need, and what is needed to repeat the runs."""
    return [
        _appendix("models of this page", legend.blocks(ranked)),
        _appendix("rows that were not used", dropped.blocks(ranked, runs)),
        _appendix("how the models were evaluated", provenance.blocks(ranked, runs, commands)),
        _appendix("training of the networks", [block for of in ranked for block in training.blocks(of)]),
    ]


def _appendix(title: str, blocks: Blocks) -> Section:
    return section_of(f"Appendix: {title}", blocks, is_appendix=True)


def _target_section(
    name: str,
    ranked: Sequence[Ranked],
    known: Sequence[Run],
    reasons: Mapping[str, str],
    errors: Mapping[str, Errors],
    profile: str | None,
    data_curves: Mapping[str, DataCurve],
) -> Section:
    """Return the section on one target: its ranking, and the runs that are set apart."""
    of = next((one for one in ranked if one.name == name), None)
    shown = [part for part in _OF_TARGET if part is not ages or profile != AGE_ASSURANCE]
    parts = [part.blocks(of) for part in shown] if of else []
    faces = worst_errors.blocks(of, errors.get(name)) if of else []
    parts += [learning.blocks(of, data_curves)] if of else []
    table = _apart_table(name, [run for run in known if run.target == name], reasons)
    return section_of(target_title(name), [*chain.from_iterable(parts), *faces, table])


def _ages_first(ranked: Sequence[Ranked]) -> list[Section]:
    """Return the sections on predicted ages with which a report on age assurance begins."""
    found = []
    for of in ranked:
        blocks = ages.blocks(of, has_open_figures=True)
        if blocks:
            found += [
                section_of(f"{of.title}: errors and legal ages", blocks),
                section_of("Age assurance: target and achieved", assurance.blocks(of)),
            ]
    return found


def _apart_table(target: str, runs: Sequence[Run], reasons: Mapping[str, str]) -> Table | None:
    """Return a table of the runs that are not in the ranking, with the reasons; None if all runs are in it.

    If some runs of a target have been tested and other runs have not, a ranking of all of them could begin
    with a model that was not tested. So only the runs that can be compared with each other are ranked.
    """
    columns = (
        Column("Features", is_code=True),
        Column("Model", is_code=True),
        Column("Why it cannot be compared"),
        Column("Command to fit it again", is_code=True),
    )
    rows = [
        (run.features, run.classifier_name, reasons[run.name], run.command or "featurekit fit")
        for run in runs
        if run.name in reasons
    ]
    caption = f"{target_title(target)}: runs that are not in the ranking because they cannot be compared"
    note = "These runs are not part of any ranking, test or figure on this page."
    # A reason or a command that all of them have is given once, below the table.
    same = [number for number in (2, 3) if len(rows) > 1 and len({row[number] for row in rows}) == 1]
    if 2 in same:
        note += f" Why each of them cannot be compared: {rows[0][2]}."
    if 3 in same:
        note += f" Command to fit all of them again: {rows[0][3]}"
    kept = [number for number in range(4) if number not in same]
    cells = tuple(tuple(Cell(row[number]) for number in kept) for row in rows)
    return Table(caption, tuple(columns[number] for number in kept), cells, note, n_names=2) if rows else None


def _facts(runs: Sequence[Run], evidence: Evidence | None, n_apart: int) -> tuple[str, ...]:
    """Return what the runs are of, and when and with what they were made."""
    datasets = list(dict.fromkeys(str(run.dataset.get("name", "data set without a name")) for run in runs))
    n_rows = max(run.dataset.get("n_rows") or 0 for run in runs)
    n_targets = len(targets_of(runs))
    faces = (evidence.of.get("faces") or "")[:12] if evidence else ""
    days = sorted({run.created[:10] for run in runs if run.created})
    made_with = sorted({f"{run.versions.get('featurekit', '')} {run.commit}".strip() for run in runs} - {""})
    facts = (
        ", ".join(datasets),
        f"{n_rows:,} rows" if n_rows else "",
        f"hash of the faces and labels {faces}" if faces else "",
        f"{' or '.join(sorted({str(run.folds.get('number', '?')) for run in runs}))} folds",
        counted(len(runs), "run", "runs"),
        f"{n_apart} of them not in the ranking" if n_apart else "",
        f"{n_targets} targets" if n_targets > 1 else "",
        f"made {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else "",
        f"featurekit {first_few(made_with)}" if made_with else "",
    )
    return tuple(filter(None, facts))


def numbered(sections: Sequence[Section], is_synthetic: bool) -> list[Section]:
    """Return the sections with their tables and figures numbered, and with a mark for synthetic images."""
    numbers = {"Table": count(1), "Figure": count(1)}

    def captioned(block: Block) -> Block:
        if not isinstance(block, Table | Figure | Gallery):
            return block
        word = "Table" if isinstance(block, Table) else "Figure"
        mark = f" ({SYNTHETIC})" if is_synthetic else ""
        return replace(block, caption=f"{word} {next(numbers[word])}. {block.caption}{mark}")

    mark = " (synthetic)" if is_synthetic else ""
    return [
        replace(section, title=section.title + mark, blocks=tuple(map(captioned, section.blocks)))
        for section in sections
    ]
