"""The table of the comparisons that are kept in reports/, from what is stored there."""

from pathlib import Path

from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run, load_runs
from featurekit.evaluation.scores import score_kind, score_word
from featurekit.report.select import best_first

MARK = "<!-- kept reports -->"


def with_kept_reports(markdown: str, reports: Path) -> str:
    """Return a page with a section for each kept comparison in the place of the mark."""
    folders = [path.parent for path in sorted(reports.glob("*/evidence.json"))]
    return markdown.replace(MARK, "\n".join(_section(folder) for folder in folders))


def _section(folder: Path) -> str:
    runs, evidence = load_runs(folder), Evidence.load(folder)
    assert evidence is not None
    first = runs[0]
    days = sorted({run.created[:10] for run in runs})
    lines = [
        f"## {folder.name}",
        "",
        f"{len(runs)} runs on {max(run.n_tested for run in runs):,} faces of {first.dataset['name']}"
        f" ({first.dataset['n_rows']:,} rows), {first.folds['number']} folds, seed {first.seed};"
        f" {' to '.join(dict.fromkeys((days[0], days[-1])))}, {_machines(runs)}."
        f" [The whole report](../../reports/{folder.name}/report.html) has the commands, the versions and the"
        " licences.",
        "",
        "| target | best model | feature sets | score | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for target, of in evidence.targets.items():
        best = best_first([run for run in runs if run.target == target])[0]
        kind, found = score_kind(of.score), of.estimates[best.name][of.score]
        lines.append(
            f"| {target} | {best.classifier_name} | {best.features.count('+') + 1} | {score_word(kind)}"
            f" {kind.format(found.value)} {kind.unit} | {kind.format(found.low)} to {kind.format(found.high)}"
            " |"
        )
    return "\n".join([*lines, ""])


def _machines(runs: list[Run]) -> str:
    machines = {
        f"{run.hardware['cores']} cores of {run.hardware['processor']}, {run.hardware['memory_gb']} GB"
        for run in runs
    }
    return " and ".join(sorted(machines))
