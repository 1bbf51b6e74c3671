"""Write the report of a comparison, or the report on the changes between two comparisons.

weigh() computes the confidence intervals and tests, which takes time, or loads them from a
file. write() then writes report.html and report.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurekit.cache.store import Store
from featurekit.checks.audit import Audit
from featurekit.data.manifest import Manifest
from featurekit.errors import UnknownNameError, WorkspaceError
from featurekit.evaluation.ages import whole_years
from featurekit.evaluation.changes import compare_runs, relabelled
from featurekit.evaluation.comparable import fewer_stored, mixed_vectors, sentences_on, set_apart
from featurekit.evaluation.data_curve import load_curves
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS, Evidence, gather
from featurekit.evaluation.results import Run, some_runs
from featurekit.evaluation.slices import Slice
from featurekit.files import refuse_to_replace, write_bytes, write_text
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.registry import unknown
from featurekit.report.changes import compose_changes
from featurekit.report.gallery import FACES, Errors, find_errors
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.model import Page
from featurekit.report.model_card import render_model_card
from featurekit.report.page import PROFILES, compose
from featurekit.report.pdf import find_browser, print_pdf
from featurekit.report.select import Ranked, apart_from
from featurekit.report.workbook import check_openpyxl, render_workbook

# In the head of every page.
_MARK = " · featurekit</title>".encode()


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """The runs of a comparison, with their confidence intervals and tests.

    Attributes:
        folder: folder of the comparison.
        manifest: the data set; None if only the predictions stored with the comparison are available.
        runs: all runs of the comparison.
        compared: the runs that can be compared with each other.
        evidence: confidence intervals, tests and slices of these runs; None if no predictions are available.
        apart: name of each run that cannot be compared with the other runs → reason.
    """

    folder: Path
    manifest: Manifest | None
    runs: tuple[Run, ...]
    compared: tuple[Run, ...]
    evidence: Evidence | None
    apart: Mapping[str, str]

    def warnings(self) -> list[str]:
        """Return one warning for each reason why runs are not in the ranking, and one if it is empty."""
        lines = sentences_on(self.apart, self.runs, "is set apart from the ranking")
        if len(self.apart) == len(self.runs):
            lines.append(
                "the report has no ranking, because no run can be compared with another. No run was deleted."
            )
        return [*lines, *mixed_vectors(self.compared), *fewer_stored(self.folder, self.compared)]


@dataclass(frozen=True)
class Changes:
    """The report on the changes between two comparisons.

    Attributes:
        page: path of report.html; report.md is in the same folder.
        differences: name of each run that is in both comparisons → test of the later run against the
            earlier run.
    """

    page: Path
    differences: Mapping[str, Difference]


def check_profile(profile: str | None, runs: Sequence[Run] | None = None) -> None:
    """Check the name of a profile of the report; None stands for no profile.

    Args:
        profile: the name.
        runs: runs of the comparison; None to check only the name.

    Raises:
        UnknownNameError: there is no profile with this name.
        WorkspaceError: the profile has no effect, because no run predicts age in years.
    """
    if profile is not None and profile not in PROFILES:
        raise UnknownNameError(unknown("profile of a report", profile, list(PROFILES)))
    if profile is not None and runs is not None and all(run.classes for run in runs):
        raise WorkspaceError(
            f"--profile {profile} has no effect, because no model predicts age in years. Leave it out."
        )


def check_faces(faces: str) -> None:
    """Raise WorkspaceError unless faces is "none" or "thumb"."""
    if faces not in FACES:
        raise WorkspaceError(unknown("way to show faces", faces, list(FACES)))


def weigh(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest | None,
    *,
    margin_points: float | None = None,
    margin_years: float | None = None,
    legal_ages: int | Sequence[int] | None = None,
    any_margin: bool = False,
    known: Evidence | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Weighed:
    """Select the runs that can be compared with each other, and compute their confidence intervals and tests.

    Args:
        folder: folder of the comparison.
        runs: the runs of the comparison.
        manifest: the data set; None if only the predictions stored with the comparison are available.
        margin_points: largest loss in points of accuracy at which a faster model counts as nearly as good as
            the best model; None for MARGIN_POINTS.
        margin_years: largest loss in years of mean absolute error at which a faster model of age counts as
            nearly as good as the best model; None for MARGIN_YEARS.
        legal_ages: legal ages in years at which models of age are judged; None for LEGAL_AGES.
        any_margin: whether stored evidence that was computed with other margins and legal ages is accepted.
        known: evidence on these runs that was computed before; None if there is none.
        keep: whether new evidence is stored in the folder.
        progress: function that is called with the number of completed steps and the number of all steps.

    Raises:
        WorkspaceError: a margin is not a number above 0; a margin or legal ages have no effect, because no
            run has such a target; or a stored file is not valid.
        ModelError: a legal age is not a whole number of years, or there are no faces on one side of it.
    """
    _check_options(runs, margin_points, margin_years, legal_ages)
    ages = None if legal_ages is None else sorted(set(whole_years(legal_ages, "A legal age")))
    apart = set_apart(runs, manifest, folder)
    compared = [run for run in runs if run.name not in apart]
    evidence = gather(
        folder,
        compared,
        manifest,
        margin_points=MARGIN_POINTS if margin_points is None else margin_points,
        margin_years=MARGIN_YEARS if margin_years is None else margin_years,
        legal_ages=ages,
        any_margin=any_margin,
        known=known,
        keep=keep,
        progress=progress,
    )
    if ages:
        _check_has_ages(evidence, "--legal-age")
    return Weighed(
        folder=folder,
        manifest=manifest,
        runs=tuple(runs),
        compared=tuple(compared),
        evidence=evidence,
        apart=apart_from(runs, evidence, apart),
    )


def _check_has_ages(evidence: Evidence | None, option: str) -> None:
    """Raise WorkspaceError for an option on predicted ages if these are not stored with the comparison."""
    if evidence is None or not any(one.ages for one in evidence.targets.values()):
        raise WorkspaceError(
            f"{option} has no effect, because no predicted ages are stored with this comparison. Leave it"
            " out, or fit the models again."
        )


def _check_options(
    runs: Sequence[Run],
    margin_points: float | None,
    margin_years: float | None,
    legal_ages: int | Sequence[int] | None,
) -> None:
    """Raise WorkspaceError for a margin or for legal ages that no target of the runs has."""
    for value, option, what, has_effect in (
        (margin_points, "--margin-points", "classes", any(run.classes for run in runs)),
        (margin_years, "--margin-years", "age in years", any(not run.classes for run in runs)),
        (legal_ages, "--legal-age", "age in years", any(not run.classes for run in runs)),
    ):
        if value is not None and not has_effect:
            raise WorkspaceError(f"{option} has no effect, because no model predicts {what}. Leave it out.")


def check_exports(*, xlsx: bool, pdf: bool, faces: str) -> None:
    """Raise an error if the report cannot be written in one of the formats that were asked for.

    Args:
        xlsx: whether the tables are written as an Excel workbook.
        pdf: whether the page is printed as a PDF.
        faces: "none", or "thumb" for a page with faces.

    Raises:
        EngineError: openpyxl is not installed, or there is no browser that can print.
        WorkspaceError: a page with faces would be printed.
    """
    check_faces(faces)
    if pdf and faces != "none":
        raise WorkspaceError(
            "--pdf and --faces thumb cannot be combined, because nothing could remove a subject from a PDF."
            " Leave one of them out."
        )
    if xlsx:
        check_openpyxl()
    if pdf:
        find_browser()


def page_of(weighed: Weighed, errors: Mapping[str, Errors] | None = None, profile: str | None = None) -> Page:
    """Return the content of the report of a comparison.

    Args:
        weighed: the runs with their evidence, from weigh().
        errors: target → its worst errors, with images of the faces; None for a page without faces.
        profile: readers for whom the page is arranged, one of PROFILES; None for any readers.
    """
    return compose(
        weighed.runs,
        weighed.folder.name,
        weighed.evidence,
        Audit.load(weighed.folder),
        errors=errors,
        apart=weighed.apart,
        profile=profile,
        data_curves=load_curves(weighed.folder, weighed.compared),
    )


def write(
    weighed: Weighed,
    store: Store,
    *,
    faces: str = "none",
    profile: str | None = None,
    page: Path | None = None,
    xlsx: bool = False,
    pdf: bool = False,
) -> Path:
    """Write the report of a comparison, and return the path of the HTML page.

    Args:
        weighed: the runs with their evidence, from weigh().
        store: the cache, which has the positions of the faces in the images.
        faces: "none", or "thumb" to show the faces with the worst errors on the HTML page.
        profile: readers for whom the report is arranged, one of PROFILES; None for any readers.
        page: path of the HTML page; None for report.html in the folder of the comparison.
        xlsx: whether to write the tables as an Excel workbook beside the page too.
        pdf: whether to print the page as a PDF beside it too.

    Raises:
        WorkspaceError: the faces or ages to show are not available, or the folder cannot be written.
        UnknownNameError: there is no profile with this name.
        EngineError: the workbook or the PDF cannot be made.
    """
    check_exports(xlsx=xlsx, pdf=pdf, faces=faces)
    check_profile(profile, weighed.runs)
    if profile:
        _check_has_ages(weighed.evidence, f"--profile {profile}")
    folder, errors = weighed.folder, None
    if faces == "thumb":
        if weighed.manifest is None:
            raise WorkspaceError(
                "--faces thumb needs the manifest of the data set, which this comparison does not have."
            )
        errors = find_errors(folder, weighed.compared, weighed.evidence, weighed.manifest, store)
    content = page_of(weighed, errors, profile)
    path = write_page(page or ComparisonFolder(folder).page, content)
    if xlsx:
        write_bytes(path.with_suffix(".xlsx"), render_workbook(content))
    if pdf:
        write_bytes(path.with_suffix(".pdf"), print_pdf(render_html(content), find_browser()))
    return path


def check_page(path: Path, *, xlsx: bool, pdf: bool) -> None:
    """Raise WorkspaceError if a report with this page would replace files that are not of a report."""
    endings = (".md", *((".xlsx",) if xlsx else ()), *((".pdf",) if pdf else ()))
    refuse_to_replace(path, _MARK, "a report", beside=[path.with_suffix(ending) for ending in endings])


def card_of(weighed: Weighed, runs: Sequence[Run], slices: Mapping[str, Sequence[Slice]]) -> str:
    """Return the model card of some runs of a comparison as Markdown.

    Args:
        weighed: all runs of the comparison with their evidence, from weigh().
        runs: the runs that the card describes, at most one for each target.
        slices: name of each of these runs → its scores on the slices of the data, worst first.
    """
    known = weighed.evidence.targets if weighed.evidence else {}
    models = [Ranked(run.target, [run], known.get(run.target)) for run in runs]
    folder = weighed.folder
    return render_model_card(folder.name, models, weighed.runs, slices, Audit.load(folder))


def write_changes_between(
    workspace: ProjectFolder,
    manifest: Manifest,
    names: tuple[str, str],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Changes:
    """Write the report on the changes between two comparisons into the folder reports/LATER-against-EARLIER.

    Args:
        workspace: folder of the project that has the two comparisons.
        manifest: the data set of the two comparisons.
        names: names of the earlier and of the later comparison.
        say: function that is called with a warning on the runs that cannot be compared.

    Raises:
        WorkspaceError: a comparison has no runs, the comparisons have no runs with the same name, or the
            folder cannot be written.
    """
    before, after = (workspace.report(name) for name in names)
    earlier, later = some_runs(before), some_runs(after)
    known = {run.name for run in earlier}
    shared = {run.name: run.seen(manifest).target(run.target) for run in later if run.name in known}
    differences = compare_runs(before, after, shared)
    folder = workspace.report(f"{names[1]}-against-{names[0]}")
    apart = relabelled(before, after, list(shared))
    where = f" in {names[0]} and in {names[1]}"
    for text in sentences_on(apart, later, "is set apart from the other runs", where=where):
        say(text)
    page = compose_changes(earlier, later, names, differences, apart)
    return Changes(write_page(ComparisonFolder(folder).page, page), differences)


def write_page(path: Path, page: Page) -> Path:
    """Write a page as HTML and, in the same folder, as Markdown, and return the path of the HTML file.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    write_text(path.with_suffix(".md"), render_markdown(page))
    write_text(path, render_html(page))
    return path
