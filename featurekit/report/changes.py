"""The page on two comparisons with runs of the same names: what changed, and whether the scores differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.errors import WorkspaceError
from featurekit.evaluation.differences import ALPHA, Difference
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import signed
from featurekit.report.cells import ABSENT, flatten, p_value
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
    """Return the page on two comparisons.

    Args:
        before: runs of the earlier comparison.
        after: runs of the later comparison; runs of the same name are compared.
        names: names of the comparisons.
        differences: name of a run → how the later run compares with the earlier one (gain above 0: the later
            run is better); without the runs whose predictions are not available.
        apart: name of a run that cannot be compared → why, from evaluation.comparison.relabelled().

    Raises:
        WorkspaceError: they have no run in common.
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
    both = counted(len(shared), "run in both", "runs in both")
    facts = (both, f"{len(old)} and {len(new)} runs in total")
    title = f"{names[1]} against {names[0]}"
    sources = tuple(f"{name}/runs/*.json" for name in names)
    return Page(title, facts, is_synthetic, tuple(numbered(sections, is_synthetic)), sources)


def _summary(
    old: Mapping[str, Run],
    new: Mapping[str, Run],
    shared: Sequence[str],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
    apart: Mapping[str, str],
) -> tuple[tuple[str, str], ...]:
    shown = [name for name in shared if name in differences and differences[name].is_shown]
    better = sum(differences[name].gain > 0 for name in shown)
    tested = sum(name in differences for name in shared)
    of_tested = counted(tested, "tested run", "tested runs")
    score = f"There is evidence of a difference for {len(shown)} of {of_tested}"
    score += f": {better} better, {len(shown) - better} worse." if shown else "."
    unknown = len(shared) - tested - len(apart)
    if unknown:
        them = counted(unknown, "more run was", "more runs were")
        score += f" {them} not tested, because the predictions are not available."
    same = sum(old[name].scores == new[name].scores for name in shared)
    items = [
        ("Scores:", score),
        *(
            (
                f"{old[name].classifier_name} on {old[name].features}, {old[name].target}:",
                f"set apart, because {why}. Fit it again in {names[0]} and {names[1]} with the same labels.",
            )
            for name, why in apart.items()
        ),
        ("Equal scores:", f"{same} of {len(shared)} runs have exactly the same scores."),
    ]
    changed = list(dict.fromkeys(what for name in shared for what in _changed(old[name], new[name])))
    around = f"{', '.join(changed)}." if changed else "nothing that influences the scores."
    return (*items, ("Changed settings:", around))


def _changed(one: Run, other: Run) -> list[str]:
    """Return the settings that differ between two runs of the same name."""
    found = []
    for what, part in (
        ("the data set", "dataset"),
        ("the folds", "folds"),
        ("the seed", "seed"),
        ("the parameters", "parameters"),
        ("the recipes of the vectors", "recipes"),
        ("the weight files", "weights"),
        ("the versions", "versions"),
        ("the hardware", "hardware"),
    ):
        if getattr(one, part) != getattr(other, part):
            found.append(what)
    return found


def _scores(
    old: Mapping[str, Run],
    new: Mapping[str, Run],
    shared: Sequence[str],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
) -> list[Block]:
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
        rows = []
        for run in runs:
            cells = [Cell(run.features), Cell(run.classifier_name)]
            for one in (old[run.name], run):
                mean = mean_of(one, kind.name)
                cells.append(
                    Cell(ABSENT) if mean is None else Cell(kind.format(mean), round(mean * kind.scale, 6))
                )
            found = differences.get(run.name)
            if found is None:
                cells.append(Cell(ABSENT))
            else:
                gain, low, high = (value * kind.scale for value in (found.gain, found.low, found.high))
                cells.append(
                    Cell(
                        signed(kind, found.gain),
                        round(gain, 6),
                        count=p_value(found.adjusted, found.limit),
                        others=(round(low, 6), round(high, 6), found.adjusted),
                        is_strong=found.is_shown,
                    )
                )
            rows.append(tuple(cells))
        note = (
            "Better by: how much better the later run is than the earlier one, on the faces that both have"
            " predicted. The test is a permutation test that flips the signs of the differences of whole"
            " subjects at random, with p-values adjusted for all runs in both comparisons. Bold: there is"
            f" evidence of a difference (p ≤ {ALPHA:g})."
        )
        caption = f"{target_title(target)}: the runs in both"
        blocks.append(Table(caption, columns, tuple(rows), note, n_names=2, is_sortable=True))
    for name, mine, theirs in ((names[0], old, new), (names[1], new, old)):
        alone = sorted(set(mine) - set(theirs))
        if alone:
            blocks.append(Text(f"Only in {name}: {', '.join(alone)}."))
    return blocks


def _surroundings(
    old: Mapping[str, Run], new: Mapping[str, Run], shared: Sequence[str], names: tuple[str, str]
) -> list[Block]:
    """Return a table of every setting that is not the same in both comparisons."""
    rows: dict[tuple[str, str, str], int] = {}
    for name in shared:
        one, other = (_facts(runs[name]) for runs in (old, new))
        for what in dict.fromkeys([*one, *other]):
            values = one.get(what, ABSENT), other.get(what, ABSENT)
            if values[0] != values[1]:
                rows[(what, *values)] = rows.get((what, *values), 0) + 1
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
        (Cell(what.replace(".", " · ")), Cell(one), Cell(other), Cell(f"{count}", count))
        for (what, one, other), count in rows.items()
    )
    return [Table("Settings that differ", columns, cells)]


def _facts(run: Run) -> dict[str, str]:
    values: dict[str, Any] = {
        "dataset": run.dataset,
        "folds": run.folds,
        "seed": run.seed,
        "parameters": run.parameters,
        "versions": run.versions,
        "hardware": run.hardware,
        "weights": {entry["name"]: entry["sha256"][:12] for entry in run.weights},
        "recipes": {f"{one['backbone']}:{one['layer']}": one for one in run.recipes},
        "faces scored": run.n_tested,
    }
    return flatten(values)
