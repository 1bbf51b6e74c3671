"""A page as files: report.html and its twin report.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from featurekit.checks.audit import Audit
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.files import write_text
from featurekit.project import ComparisonFolder
from featurekit.report.gallery import Errors
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.model import Page
from featurekit.report.page import compose


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
