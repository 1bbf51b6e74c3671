"""Write the comparison that an analyst reads: one HTML file that works offline, and its Markdown twin.

Both are rendered from the same page (featurekit.report.page), and from nothing but
runs, the evidence that their predictions gave, and the audit: a report can be written
again at any time, and the same runs give the same bytes.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from featurekit import __version__
from featurekit.checks.audit import Audit
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.files import write_text
from featurekit.project import ComparisonFolder
from featurekit.report.changes import compose_changes
from featurekit.report.gallery import SIDE, Errors
from featurekit.report.page import SYNTHETIC, Answers, Code, Figure, Gallery, Page, Points, Text, compose
from featurekit.report.tables import FOUND, Cell, Column, Table
from featurekit.text import markdown, visible


def render_html(
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None = None,
    audit: Audit | None = None,
    *,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
) -> str:
    """Return the report as one HTML file that needs no other file and no network.

    Args:
        runs: what was compared; their order makes no difference.
        title: heading of the report.
        evidence: what the predictions say beyond the scores; None where they are not at hand.
        audit: what was found wrong with the data; None where nobody looked.
        errors: target → its worst errors, with faces; None for a page that shows nobody.
        apart: name of each run that cannot be compared with the others → why; None to find that out from
            the runs.

    Raises:
        WorkspaceError: there is no run.
    """
    return _html(compose(runs, title, evidence, audit, errors, apart))


def _html(page: Page) -> str:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize
    )
    environment.filters["breakable"] = _breakable
    environment.filters["unbroken"] = _unbroken
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["figure"] = lambda block: isinstance(block, Figure)
    environment.tests["code"] = lambda block: isinstance(block, Code)
    environment.tests["answers"] = lambda block: isinstance(block, Answers)
    environment.tests["points"] = lambda block: isinstance(block, Points)
    environment.tests["gallery"] = lambda block: isinstance(block, Gallery)
    environment.filters["as_image"] = _as_image
    has_faces = any(isinstance(block, Gallery) for section in page.sections for block in section.blocks)
    style, script = _part("report.css"), _part("report.js")
    style += _part("gallery.css") if has_faces else ""
    style, script = Markup(style), Markup(script)  # nosec B704  # files of this package
    return environment.from_string(_part("report.html.j2")).render(
        page=page,
        synthetic=SYNTHETIC,
        version=__version__,
        has_faces=has_faces,
        side=SIDE,
        # Only this style and this script may run: a label that got through as markup still could do nothing.
        style=style,
        script=script,
        style_hash=_integrity(style),
        script_hash=_integrity(script),
    )


def render_markdown(
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None = None,
    audit: Audit | None = None,
    *,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
) -> str:
    """Return the report as Markdown: the same tables and sentences, without the figures.

    Args:
        runs: what was compared; their order makes no difference.
        title: heading of the report.
        evidence: what the predictions say beyond the scores; None where they are not at hand.
        audit: what was found wrong with the data; None where nobody looked.
        errors: target → its worst errors, which are only mentioned: Markdown never shows a face.
        apart: name of each run that cannot be compared with the others → why; None to find that out from
            the runs.

    Raises:
        WorkspaceError: there is no run.
    """
    return _markdown(compose(runs, title, evidence, audit, errors, apart))


def _markdown(page: Page) -> str:
    lines = [f"# {markdown(page.title)}{f' ({SYNTHETIC})' if page.is_synthetic else ''}", ""]
    lines += [markdown(" · ".join(page.facts)), ""]
    for section in page.sections:
        lines += [f"## {markdown(section.title)}", ""]
        for block in section.blocks:
            if isinstance(block, Table):
                lines += _markdown_table(block)
            elif isinstance(block, Answers):
                for name, of in block.items:
                    lines.append(f"- **{markdown(name)}**")
                    lines += [f"    - {markdown(what)}: {markdown(text)}" for what, text in of]
            elif isinstance(block, Points):
                lines += [f"- **{markdown(head)}** {markdown(text)}" for head, text in block.items]
            elif isinstance(block, Code):
                lines += [f"    {visible(line)}" for line in block.lines]
            elif isinstance(block, Gallery):
                lines.append(f"{markdown(block.caption)}. Only report.html shows them.")
            elif isinstance(block, Text):
                lines.append(
                    f"**Caution:** {markdown(block.text)}" if block.is_caution else markdown(block.text)
                )
            else:
                continue  # a figure's numbers stand in the table beside it
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def write_report(
    folder: Path,
    runs: Sequence[Run],
    title: str,
    evidence: Evidence | None = None,
    audit: Audit | None = None,
    *,
    errors: Mapping[str, Errors] | None = None,
    apart: Mapping[str, str] | None = None,
) -> Path:
    """Write report.html and report.md into a folder and return the path of report.html.

    Args:
        folder: where to.
        runs: what was compared; their order makes no difference.
        title: heading of the report.
        evidence: what the predictions say beyond the scores; None where they are not at hand.
        audit: what was found wrong with the data; None where nobody looked.
        errors: target → its worst errors, whose faces the HTML page shows; None for none.
        apart: name of each run that cannot be compared with the others → why; None to find that out from
            the runs.

    Raises:
        WorkspaceError: there is no run, or the folder cannot be written.
    """
    return _write(folder, compose(runs, title, evidence, audit, errors, apart))


def write_changes(
    folder: Path,
    before: Sequence[Run],
    after: Sequence[Run],
    names: tuple[str, str],
    differences: Mapping[str, Difference],
    apart: Mapping[str, str] | None = None,
) -> Path:
    """Write what changed between two comparisons as report.html and report.md; return the former's path.

    Args:
        folder: where to.
        before: runs of the earlier one.
        after: of the later one.
        names: of the comparisons.
        differences: from featurekit.evaluation.changes.compare_runs().
        apart: from featurekit.evaluation.changes.relabelled().

    Raises:
        WorkspaceError: they have no run in common, or the folder cannot be written.
    """
    return _write(folder, compose_changes(before, after, names, differences, apart))


def _write(folder: Path, page: Page) -> Path:
    files = ComparisonFolder(folder)
    write_text(files.markdown, _markdown(page))
    write_text(files.page, _html(page))
    return files.page


def _part(name: str) -> str:
    return files("featurekit.report").joinpath(name).read_text(encoding="utf-8")


def _integrity(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _finalize(value: object) -> object:
    """Write hidden letters out in everything that is put into the page, but for finished markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(text: str) -> Markup:
    """Let a long name be broken where its parts meet, and a long part at its underscores too."""
    parts = re.split(r"(?<=[+:/ ])", visible(text))
    ends = Markup("<wbr>")
    return ends.join(ends.join(re.split("(?<=_)", part)) if len(part) > 11 else part for part in parts)


def _unbroken(text: str) -> str:
    """Keep a number, its spread and its unit on one line, and a p-value."""
    return re.sub(r"(?<=\d) (?=[±%])|(?<=[±<]) (?=\d)|(?<=\bp) (?=[\d<])", "\u00a0", text)


def _as_image(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,{}").format(b64encode(jpeg).decode())


def _markdown_table(table: Table) -> list[str]:
    columns = table.columns
    lines = [f"**{markdown(table.caption)}**", ""]
    lines.append(_markdown_row([_markdown_heading(column) for column in columns]))
    lines.append(_markdown_row(["---:" if column.is_number else "---" for column in columns]))
    lines += [_markdown_row([_markdown_cell(cell) for cell in row]) for row in table.rows]
    return [*lines, "", markdown(table.note)] if table.note else lines


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_heading(column: Column) -> str:
    group = f" ({column.group})" if column.group and column.group != FOUND else ""
    return markdown(column.heading + group)


def _markdown_cell(cell: Cell) -> str:
    text = markdown(f"{cell.text} {cell.spread}" if cell.spread else cell.text)
    text += f" ({markdown(cell.count)})" if cell.count else ""
    text += f" ({markdown(cell.tag)})" if cell.tag else ""
    return f"**{text}**" if cell.is_strong else text
