"""Format the report as Markdown: the same tables and sentences, without the figures."""

from collections.abc import Sequence

from featurekit.report.model import (
    FOUND,
    SYNTHETIC,
    Answers,
    Cell,
    Code,
    Column,
    Figure,
    Gallery,
    Page,
    Points,
    Section,
    Table,
    Text,
)
from featurekit.text import markdown, visible


def render_markdown(page: Page) -> str:
    """Return a page as Markdown, without figures and faces. The same page always gives the same text."""
    lines = [f"# {markdown(page.title)}{f' ({SYNTHETIC})' if page.is_synthetic else ''}", ""]
    lines += [markdown(" · ".join(page.facts)), ""]
    for section in page.sections:
        lines += lines_of(section)
    return "\n".join(lines).rstrip("\n") + "\n"


def lines_of(section: Section) -> list[str]:
    """Return the lines of a section with its heading; the last one is empty."""
    lines = [f"## {markdown(section.title)}", ""]
    for block in section.blocks:
        match block:
            case Table():
                lines += _table(block)
            case Answers():
                for of in block.items:
                    score = f": **{markdown(of.score)}** {markdown(of.between)}" if of.score else ""
                    lines.append(f"- **{markdown(of.target)}**: {markdown(of.model)}{score}")
                    lines += [f"    - {markdown(what)}: {markdown(text)}" for what, text in of.lines]
            case Points():
                lines += [f"- **{markdown(head)}** {markdown(text)}" for head, text in block.items]
            case Code():
                lines += [f"    {visible(line)}" for line in block.lines]
            case Gallery():
                lines.append(f"{markdown(block.caption)}. The faces are shown in report.html only.")
            case Text():
                lines.append(f"{'**Caution:** ' if block.is_caution else ''}{markdown(block.text)}")
            case Figure():
                continue  # the numbers of a figure are in the table next to it
        lines.append("")
    return lines


def _table(table: Table) -> list[str]:
    columns = table.columns
    lines = [f"**{markdown(table.caption)}**", ""]
    lines.append(_row([_heading(column) for column in columns]))
    lines.append(_row(["---:" if column.is_number else "---" for column in columns]))
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    return [*lines, "", markdown(table.note)] if table.note else lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: Column) -> str:
    group = f" ({column.group})" if column.group and column.group != FOUND else ""
    return markdown(column.heading + group)


def _cell(cell: Cell) -> str:
    text = markdown(f"{cell.text} {cell.around}" if cell.around else cell.text)
    text += f" ({markdown(cell.count)})" if cell.count else ""
    text += f" ({markdown(cell.tag)})" if cell.tag else ""
    return f"**{text}**" if cell.is_strong else text
