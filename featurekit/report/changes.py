"""The report on the changes between two comparisons: which settings and which scores differ."""

from collections import Counter
from collections.abc import Mapping, Sequence

from featurekit.errors import WorkspaceError
from featurekit.evaluation.differences import ALPHA, Difference
from featurekit.evaluation.results import Run
from featurekit.networks.feature_names import feature_name
from featurekit.report.cells import ABSENT, count_cell, difference_cell, flatten, sentences, value_cell
from featurekit.report.model import Block, Cell, Column, Page, Points, Section, Table, Text
from featurekit.report.page import numbered
from featurekit.report.select import best_first, headline, mean_of, target_title
from featurekit.text import counted


def compose_changes(
    before: Sequence[Run],
    after: Sequence[Run],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
    apart: Mapping[str, str] | None = None,
) -> Page:
    """Return the report on the changes between two comparisons, which compares runs with the same name.

    Args:
        before: runs of the earlier comparison.
        after: runs of the later comparison.
        names: names of the earlier and of the later comparison.
        differences: name of a run → test of the later run against the earlier one (a gain above 0 means that
            the later run is better), for the runs with available predictions.
        apart: name of a run that cannot be compared → reason, from evaluation.changes.relabelled().

    Raises:
        WorkspaceError: the comparisons have no runs with the same name.
    """
    old, new = ({run.name: run for run in runs} for runs in (before, after))
    shared = [name for name in sorted(old) if name in new]
    if not shared:
        raise WorkspaceError(
            f"{names[0]} and {names[1]} have no runs of the same name, so there is nothing to compare."
        )
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in (*before, *after))
    sections = [
        Section("Summary", (Points(_summary(old, new, shared, names, differences, apart or {})),)),
        Section("Scores", tuple(_scores(old, new, shared, names, differences))),
        Section("What else changed", tuple(_surroundings(old, new, shared, names))),
    ]
    return Page(
        title=f"{names[1]} against {names[0]}",
        facts=(
            counted(len(shared), "run in both", "runs in both"),
            f"{len(old)} and {len(new)} runs in total",
        ),
        is_synthetic=is_synthetic,
        sections=tuple(numbered(sections, is_synthetic)),
        sources=tuple(f"{name}/runs/*.json" for name in names),
    )


def _summary(
    old: Mapping[str, Run],
    new: Mapping[str, Run],
    shared: Sequence[str],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
    apart: Mapping[str, str],
) -> tuple[tuple[str, str], ...]:
    tested = [differences[name] for name in shared if name in differences]
    shown = [found for found in tested if found.is_shown]
    better = sum(found.gain > 0 for found in shown)
    n_unknown = len(shared) - len(tested) - len(apart)
    unknown = counted(n_unknown, "more run was", "more runs were")
    same = sum(old[name].scores == new[name].scores for name in shared)
    changed = dict.fromkeys(what for name in shared for what in _changed(old[name], new[name]))
    return (
        (
            "Scores:",
            sentences(
                f"There is evidence of a difference for {len(shown)} of"
                f" {counted(len(tested), 'tested run', 'tested runs')}"
                + (f": {better} better, {len(shown) - better} worse." if shown else "."),
                f"{unknown} not tested, because the predictions are not available." if n_unknown else "",
            ),
        ),
        *(
            (
                f"{old[name].classifier_name} on {old[name].features}, {old[name].target}:",
                f"not compared, because {why}. Fit it again in {names[0]} and {names[1]} with the"
                " same labels.",
            )
            for name, why in apart.items()
        ),
        ("Equal scores:", f"{same} of {len(shared)} runs have exactly the same scores."),
        ("Changed settings:", f"{', '.join(changed) or 'nothing that influences the scores'}."),
    )


def _changed(one: Run, other: Run) -> list[str]:
    """Return the settings that differ between two runs of the same name."""
    settings = {
        "dataset": "the data set",
        "folds": "the folds",
        "seed": "the seed",
        "parameters": "the parameters",
        "recipes": "the recipes of the embeddings",
        "weights": "the weight files",
        "versions": "the versions",
        "hardware": "the hardware",
    }
    return [what for part, what in settings.items() if getattr(one, part) != getattr(other, part)]


def _scores(
    old: Mapping[str, Run],
    new: Mapping[str, Run],
    shared: Sequence[str],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
) -> list[Block]:
    note = (
        "Better by: how much better the later run is than the earlier one, on the faces that both runs"
        " predicted. The test is a permutation test that flips the signs of the differences of whole"
        " subjects at random, with p-values adjusted for all runs in both comparisons. Bold: there is"
        f" evidence of a difference (p ≤ {ALPHA:g})."
    )
    blocks: list[Block] = []
    for target in dict.fromkeys(old[name].target for name in shared):
        runs = best_first([new[name] for name in shared if new[name].target == target])
        kind = headline(runs)
        columns = (
            Column("Features", is_code=True),
            Column("Model", is_code=True),
            Column(names[0], kind.unit, is_number=True),
            Column(names[1], kind.unit, is_number=True),
            Column("Better by", kind.unit_of_difference, others=("low", "high", "p"), is_number=True),
        )
        rows = tuple(
            (
                Cell(run.features),
                Cell(run.classifier_name),
                value_cell(kind, mean_of(old[run.name], kind.name)),
                value_cell(kind, mean_of(run, kind.name)),
                difference_cell(kind, differences.get(run.name), absent=ABSENT, has_interval=True),
            )
            for run in runs
        )
        caption = f"{target_title(target)}: the runs that are in both comparisons"
        blocks.append(Table(caption, columns, rows, note, n_names=2, is_sortable=True))
    alone = {names[0]: sorted(set(old) - set(new)), names[1]: sorted(set(new) - set(old))}
    return blocks + [
        Text(f"Runs that are only in {name}: {', '.join(runs)}.") for name, runs in alone.items() if runs
    ]


def _surroundings(
    old: Mapping[str, Run], new: Mapping[str, Run], shared: Sequence[str], names: tuple[str, str]
) -> list[Block]:
    """Return a table of every setting that is not the same in both comparisons."""
    rows = Counter(
        (what, one.get(what, ABSENT), other.get(what, ABSENT))
        for name in shared
        for one, other in [(_facts(old[name]), _facts(new[name]))]
        for what in dict.fromkeys([*one, *other])
        if one.get(what, ABSENT) != other.get(what, ABSENT)
    )
    if not rows:
        return [
            Text("Nothing else changed: data, folds, recipes, weights, versions and hardware are the same.")
        ]
    columns = (
        Column("Setting"),
        Column(names[0], is_code=True),
        Column(names[1], is_code=True),
        Column("Runs", is_number=True),
    )
    cells = tuple(
        (Cell(what.replace(".", " · ")), Cell(one), Cell(other), count_cell(count))
        for (what, one, other), count in rows.items()
    )
    return [Table("Settings that differ", columns, cells)]


def _facts(run: Run) -> dict[str, str]:
    return flatten(
        {
            "dataset": run.dataset,
            "folds": run.folds,
            "seed": run.seed,
            "parameters": run.parameters,
            "versions": run.versions,
            "hardware": run.hardware,
            "weights": {entry["name"]: entry["sha256"][:12] for entry in run.weights},
            "recipes": {feature_name(one["backbone"], one["layer"]): one for one in run.recipes},
            "faces scored": run.n_tested,
        }
    )
