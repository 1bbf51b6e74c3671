"""Write the report of a comparison in a project, or the page on the changes between two comparisons.

weigh() takes the time: it computes, or reads, the evidence on the runs that can be
compared with each other. write() writes the page as report.html and its twin report.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurekit.cache.store import Store
from featurekit.checks.audit import Audit
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.changes import compare_runs, relabelled
from featurekit.evaluation.comparable import how_to_run_again, set_apart
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS, Evidence, gather
from featurekit.evaluation.results import Run, some_runs
from featurekit.files import write_text
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.registry import unknown
from featurekit.report.changes import compose_changes
from featurekit.report.gallery import FACES, Errors, find_errors
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.model import Page
from featurekit.report.page import compose
from featurekit.report.select import apart_from


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """The runs of a comparison, with their intervals and tests.

    Attributes:
        folder: folder of the comparison.
        manifest: the data set; None if the comparison has only the outcomes that it kept.
        runs: all runs.
        compared: the runs that the evidence is computed on.
        evidence: None if no outcomes are available.
        apart: name of each run that cannot be compared with the others → why.
    """

    folder: Path
    manifest: Manifest | None
    runs: tuple[Run, ...]
    compared: tuple[Run, ...]
    evidence: Evidence | None
    apart: Mapping[str, str]

    def warnings(self) -> list[str]:
        """Return warnings on the ranking, a line each."""
        lines = [
            f"{name} is set apart: {why}. {how_to_run_again(name, self.runs)}"
            for name, why in self.apart.items()
        ]
        if len(self.apart) == len(self.runs):
            lines.append("the report has no ranking, because every run is set apart. All runs are kept.")
        return lines


@dataclass(frozen=True)
class Changes:
    """What changed between two comparisons.

    Attributes:
        page: report.html; report.md is next to it.
        differences: name of each run that both have → the difference between the two.
    """

    page: Path
    differences: Mapping[str, Difference]


def check_faces(faces: str) -> None:
    """Raise WorkspaceError unless faces is one of featurekit.report.gallery.FACES."""
    if faces not in FACES:
        raise WorkspaceError(unknown("way to show faces", faces, list(FACES)))


def weigh(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest | None,
    *,
    margin_points: float | None = None,
    margin_years: float | None = None,
    any_margin: bool = False,
    known: Evidence | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Weighed:
    """Find out which runs of a comparison can be compared with each other, and gather the evidence on them.

    Args:
        folder: folder of the comparison.
        runs: the runs of the comparison.
        manifest: the data set; None if the comparison has only the outcomes that it kept.
        margin_points: points of accuracy that a cheaper model may lose against the best one; None for
            MARGIN_POINTS.
        margin_years: years that it may lose; None for MARGIN_YEARS.
        any_margin: whether stored evidence with other margins is accepted.
        known: evidence on these runs that was computed before.
        keep: whether new evidence is stored in the folder.
        progress: is called with the number of steps that are done, and of all steps.

    Raises:
        WorkspaceError: a margin is not a number above 0, or a file holds something else.
    """
    apart = set_apart(runs, manifest)
    compared = [run for run in runs if run.name not in apart]
    evidence = gather(
        folder,
        compared,
        manifest,
        margin_points=MARGIN_POINTS if margin_points is None else margin_points,
        margin_years=MARGIN_YEARS if margin_years is None else margin_years,
        any_margin=any_margin,
        known=known,
        keep=keep,
        progress=progress,
    )
    return Weighed(
        folder=folder,
        manifest=manifest,
        runs=tuple(runs),
        compared=tuple(compared),
        evidence=evidence,
        apart=apart_from(runs, evidence, apart),
    )


def write(weighed: Weighed, store: Store, *, faces: str = "none", page: Path | None = None) -> Path:
    """Write the report of a comparison, and return the path of the HTML page.

    Args:
        weighed: from weigh().
        store: the cache, which has the positions of the faces.
        faces: one of featurekit.report.gallery.FACES.
        page: path of the HTML page; None for report.html in the comparison's folder.

    Raises:
        WorkspaceError: faces are to be shown that are not available, or the folder cannot be written.
    """
    check_faces(faces)
    folder, errors = weighed.folder, None
    if faces == "thumb":
        if weighed.manifest is None:
            raise WorkspaceError("--faces thumb needs the manifest, and this comparison has none.")
        errors = find_errors(folder, weighed.compared, weighed.evidence, weighed.manifest, store)
    return write_report(
        folder,
        weighed.runs,
        folder.name,
        weighed.evidence,
        Audit.load(folder),
        errors=errors,
        apart=weighed.apart,
        page=page,
    )


def write_changes_between(
    workspace: ProjectFolder,
    manifest: Manifest,
    names: tuple[str, str],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Changes:
    """Write what changed between two comparisons of a workspace into reports/LATER-against-EARLIER.

    Args:
        workspace: where both are.
        manifest: the data set of both.
        names: names of the earlier and of the later comparison.
        say: is called with a warning on each run that is set apart.

    Raises:
        WorkspaceError: a comparison has no run, they have none in common, or the folder cannot be written.
    """
    before, after = (workspace.report(name) for name in names)
    earlier, later = some_runs(before), some_runs(after)
    both = {run.name for run in earlier} & {run.name for run in later}
    shared = {run.name: run.seen(manifest).target(run.target) for run in later if run.name in both}
    differences = compare_runs(before, after, shared)
    folder = workspace.report(f"{names[1]}-against-{names[0]}")
    apart = relabelled(before, after, list(shared))
    for name, why in apart.items():
        again = how_to_run_again(name, later, f" in {names[0]} and in {names[1]}")
        say(f"{name} is set apart: {why}. {again}")
    page = compose_changes(earlier, later, names, differences, apart)
    return Changes(write_page(ComparisonFolder(folder).page, page), differences)


def write_report(
    folder: Path,
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None = None,
    audit: Audit | None = None,
    *,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
    page: Path | None = None,
) -> Path:
    """Write a report as HTML and, beside it, as Markdown, and return the path of the HTML page.

    Args:
        folder: folder of the comparison.
        runs: the runs; their order makes no difference.
        title: heading of the report.
        evidence: intervals, tests and slices of the runs; None if the predictions are not available.
        audit: findings on the data set; None if there is no audit.
        errors: target → its worst errors, whose faces the HTML page shows; None for none.
        apart: name of each run that cannot be compared with the others → why; None to find that out from
            the runs.
        page: path of the HTML page; None for report.html in the folder.

    Raises:
        WorkspaceError: there is no run, or the folder cannot be written.
    """
    return write_page(
        page or ComparisonFolder(folder).page,
        compose(runs, title, evidence, audit, errors=errors, apart=apart),
    )


def write_page(path: Path, page: Page) -> Path:
    """Write a page as HTML and, beside it, as Markdown, and return the path of the HTML page.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    write_text(path.with_suffix(".md"), render_markdown(page))
    write_text(path, render_html(page))
    return path
