"""The glossary at the end of a report: the terms that the report uses, one line each."""

from collections.abc import Iterable, Iterator, Sequence

from featurekit.report.glossary import terms_in
from featurekit.report.model import Answers, Block, Cell, Column, Figure, Points, Section, Table, Text


def blocks(sections: Sequence[Section]) -> list[Block]:
    """Return a table of the terms that the sections use, with their meanings from the glossary."""
    found = terms_in(_texts(block for section in sections for block in section.blocks))
    columns = (Column("Term"), Column("Meaning"))
    # Markdown's backticks are for the page in docs; here a cell is plain text.
    rows = tuple((Cell(term.name), Cell(term.meaning.replace("`", ""))) for term in found)
    return [Table("Terms that are used in this report", columns, rows, is_folded=True)] if rows else []


def _texts(blocks: Iterable[Block]) -> Iterator[str]:
    """Yield the sentences, captions, headings and words of some blocks; not their code and numbers."""
    for block in blocks:
        match block:
            case Text():
                yield block.text
            case Points():
                yield from (text for _, text in block.items)
            case Answers():
                for of in block.items:
                    yield from (of.model, of.between, *(text for line in of.lines for text in line))
            case Table():
                yield from (block.caption, block.note, *(column.title for column in block.columns))
                for row in block.rows:
                    for column, cell in zip(block.columns, row, strict=True):
                        yield cell.tag
                        yield "" if column.is_code or column.is_number else cell.text
            case Figure():
                yield from (block.caption, block.note)
