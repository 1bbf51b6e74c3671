"""The terms that a page uses, with one line each from the glossary."""

from collections.abc import Iterable, Iterator, Sequence

from featurekit.report.glossary import terms_in
from featurekit.report.model import Answers, Block, Cell, Column, Figure, Points, Section, Table, Text


def blocks(sections: Sequence[Section]) -> list[Block]:
    """Return the lines of the glossary for the terms that some sections use."""
    found = terms_in(_texts(block for section in sections for block in section.blocks))
    columns = (Column("Term"), Column("Meaning"))
    # Markdown's backticks are for the page in docs; here a cell is plain text.
    rows = tuple((Cell(term.name), Cell(term.meaning.replace("`", ""))) for term in found)
    return [Table("Terms that are used in this report", columns, rows, is_folded=True)] if rows else []


def _texts(blocks: Iterable[Block]) -> Iterator[str]:
    """Yield the sentences, captions, headings and words of some blocks; not their code and numbers."""
    for block in blocks:
        if isinstance(block, Text):
            yield block.text
        elif isinstance(block, Points):
            yield from (text for _, text in block.items)
        elif isinstance(block, Answers):
            for _, lines in block.items:
                yield from (text for line in lines for text in line)
        elif isinstance(block, Table):
            yield from (block.caption, block.note, *(column.title for column in block.columns))
            for row in block.rows:
                for column, cell in zip(block.columns, row, strict=True):
                    yield cell.tag
                    if not column.is_code and not column.is_number:
                        yield cell.text
        elif isinstance(block, Figure):
            yield from (block.caption, block.note)
