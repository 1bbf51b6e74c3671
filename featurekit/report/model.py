"""The classes that a page consists of: sections, tables, cells and figures, without their format.

The HTML file and the Markdown file are made from the same page, so they have the same
numbers. A table cell has a text, which is shown, and a number, which is used to sort the
table and to copy it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markupsafe import Markup

SYNTHETIC = "synthetic: made-up portraits"

# The faces that the scores are computed on, unless a heading names others.
FOUND = "on the faces found"

SIDE = 72  # pixels of a thumbnail


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: heading of the column.
        unit: unit of the numbers in the column.
        others: headings for the additional numbers of each cell in a copy of the table, e.g. ("std",).
        group: heading over several neighbouring columns, e.g. "seconds".
        is_number: whether the cells are aligned as numbers.
        is_code: whether the cells are written in the font for code, as for names and hashes.
        is_time: whether the values differ if the same runs are repeated, as times do.
        copied_unit: unit of the copied number, if it is not the unit of the text.
        is_low_best: whether the lowest number of the column is the best one, as of errors and times.
        is_more: whether the HTML page hides the column until the reader asks for more columns.
    """

    title: str
    unit: str = ""
    others: tuple[str, ...] = ()
    group: str = ""
    is_number: bool = False
    is_code: bool = False
    is_time: bool = False
    copied_unit: str = ""
    is_low_best: bool = False
    is_more: bool = False

    @property
    def heading(self) -> str:
        """Title of the column with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def copied_heading(self) -> str:
        """Heading of the column in a copy of the table; it includes the group, which has no row there."""
        unit = self.copied_unit or self.unit
        heading = f"{self.title}, {unit}" if unit else self.title
        return f"{heading} ({self.group})" if self.group else heading


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: the text that is shown.
        value: number for sorting and copying the table; None if the cell has no number.
        around: second part of the text, e.g. "± 0.8" after a mean.
        count: text of the second line, e.g. "1,234 faces" or "72.1–73.4".
        others: the numbers in around or count, for a copy of the table.
        tag: one or two words on the row, e.g. "baseline".
        is_strong: whether the cell is in bold.
        heat: darkness of the background from 0 to 10; -1 for a cell without a background.
        is_diagonal: whether the cell is on the diagonal of a confusion matrix.
    """

    text: str
    value: float | None = None
    around: str = ""
    count: str = ""
    others: tuple[float, ...] = ()
    tag: str = ""
    is_strong: bool = False
    heat: int = -1
    is_diagonal: bool = False


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes:
        caption: title of the table, in one line.
        columns: the columns, from left to right.
        rows: the rows, with one cell for each column.
        note: explanation of the table.
        n_names: number of columns, from the left, that name the row, e.g. features and model.
        is_folded: whether the table is hidden until the reader clicks on it.
        is_sortable: whether the reader can sort the table by its columns.
        is_legend: whether the table explains the numbers by which the page calls the models.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    n_names: int = 1
    is_folded: bool = False
    is_sortable: bool = False
    is_legend: bool = False

    @property
    def groups(self) -> list[tuple[str, bool, int]]:
        """The headings over groups of columns, whether these are more columns, and their number.

        The list is empty without groups.
        """
        found = [(column.group, column.is_more) for column in self.columns]
        spans = [(*group, len(list(of))) for group, of in groupby(found)]
        return spans if any(title for title, _, _ in spans) else []

    def without_empty_columns(self, absent: str) -> "Table":
        """Return the table without the columns, after the names, in which every cell has the text absent."""
        kept = [
            place
            for place in range(len(self.columns))
            if place < self.n_names or any(row[place].text != absent for row in self.rows)
        ]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )


@dataclass(frozen=True)
class Text:
    """A paragraph of text, which is highlighted if it is a caution."""

    text: str
    is_caution: bool = False


@dataclass(frozen=True)
class Points:
    """A list; each item has a few words in bold, which may be empty, and a text."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """The main results of one target.

    Attributes:
        target: name of the target as it is written in headings.
        model: name of the best trained model, and what else is said of it in its line.
        score: score of this model with its unit, which is shown in large letters; "" without a score.
        between: the rest of the sentence that begins with the score, e.g. its name and its interval.
        lines: pairs of a heading and a text, e.g. what the model costs.
    """

    target: str
    model: str
    score: str = ""
    between: str = ""
    lines: tuple[tuple[str, str], ...] = ()

    @property
    def best(self) -> str:
        """The best model with its score as one sentence; only the model if it has no score."""
        return f"{self.model}: {self.score} {self.between}." if self.score else self.model


@dataclass(frozen=True)
class Answers:
    """The main results of each target, side by side."""

    items: tuple[Answer, ...]


@dataclass(frozen=True)
class Code:
    """Commands that a reader can copy."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A figure, drawn once for wide and once for narrow screens; a table next to it has the numbers.

    Attributes:
        caption: title of the figure.
        note: explanation of the figure.
        wide: the figure for wide screens.
        narrow: the figure for narrow screens.
        csv: every number that is drawn, as CSV; shares are between 0 and 1.
        is_folded: whether the figure is hidden until the reader clicks on it.
    """

    caption: str
    note: str
    wide: Markup
    narrow: Markup
    csv: str
    is_folded: bool = False


@dataclass(frozen=True)
class WrongFace:
    """One face with a wrong prediction.

    Attributes:
        file: path of the image, as in the manifest.
        true: label of the face.
        predicted: prediction of the model.
        how_wrong: confidence of the model in a wrong class, or the error in years.
        jpeg: thumbnail of the face as a JPEG file, SIDE × SIDE pixels.
    """

    file: str
    true: str
    predicted: str
    how_wrong: str
    jpeg: bytes


@dataclass(frozen=True)
class Subject:
    """A subject with those of its faces that the report shows.

    Attributes:
        name: name of the subject in the data set; "" if the data set does not name the subjects.
        n_faces: number of faces of the subject with a prediction.
        n_wrong: number of wrong predictions for these faces.
        faces: the faces that are shown, the worst error first; at least one.
    """

    name: str
    n_faces: int
    n_wrong: int
    faces: tuple[WrongFace, ...]


@dataclass(frozen=True)
class Gallery:
    """Images of faces, grouped by subject; only the HTML file shows the images."""

    caption: str
    note: str
    subjects: tuple[Subject, ...]


Block = Text | Points | Answers | Code | Figure | Gallery | Table
# The blocks of a section; None stands for a block that would be empty.
Blocks = Sequence[Block | None]


@dataclass(frozen=True)
class Section:
    """A section of the report with its heading.

    Attributes:
        title: the heading.
        blocks: the content, from top to bottom.
        is_appendix: whether the section is a part of the appendix, to which the contents have one link.
    """

    title: str
    blocks: tuple[Block, ...]
    is_appendix: bool = False


def section_of(title: str, blocks: Blocks, *, is_appendix: bool = False) -> Section:
    """Return a section with the blocks that are not None, without tables that have no rows."""
    shown = (block for block in blocks if block and not (isinstance(block, Table) and not block.rows))
    return Section(title, tuple(shown), is_appendix)


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: heading of the report.
        facts: short facts on the runs, shown below the heading, e.g. "5 folds".
        is_synthetic: whether the images are synthetic portraits.
        sections: the sections, from top to bottom.
        sources: names of the files from which the numbers of the report were read.
    """

    title: str
    facts: tuple[str, ...]
    is_synthetic: bool
    sections: tuple[Section, ...]
    sources: tuple[str, ...] = ("runs/*.json",)
