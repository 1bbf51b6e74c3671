"""The parts of a page, without its looks.

HTML and Markdown are two renderings of the same page, so both have the same numbers. A
cell has a text, which is shown, and a number, by which a table is sorted and which is
copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

SYNTHETIC = "synthetic: made-up portraits"

# The faces that the scores are computed on, unless a heading names others.
FOUND = "on the faces found"

SIDE = 72  # pixels of a thumbnail


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its heading.
        unit: unit of its numbers.
        others: headings of the further numbers of its cells in a copy of the table, e.g. ("std",).
        group: heading over neighbouring columns of one kind.
        is_number: whether its cells are aligned as numbers.
        is_code: whether its cells are names and hashes.
        is_time: whether its values may differ if the same runs are made again.
        copied_unit: unit of the copied number, if it is not the unit of the text.
    """

    title: str
    unit: str = ""
    others: tuple[str, ...] = ()
    group: str = ""
    is_number: bool = False
    is_code: bool = False
    is_time: bool = False
    copied_unit: str = ""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def copied_heading(self) -> str:
        """Heading of the column in a copy of the table, which has no row for the groups."""
        unit = self.copied_unit or self.unit
        heading = f"{self.title}, {unit}" if unit else self.title
        return f"{heading} ({self.group})" if self.group else heading


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: the text that is shown.
        value: the number that the table is sorted by and that is copied; None if there is none.
        around: "± 0.8", in an element of its own so that the means are aligned.
        count: "1,234 faces" or "72.1–73.4", for the second line.
        others: the numbers in around or count, for a copy of the table.
        tag: one or two words on the row, e.g. "baseline".
        is_strong: whether it is the best of its column.
        heat: darkness of the background from 0 to 10; -1 for none.
        is_diagonal: whether it is on the diagonal of a confusion matrix.
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
    """One table.

    Attributes:
        caption: title of the table, in one line.
        columns: from left to right.
        rows: each with one cell for each column.
        note: explanation of the table.
        n_names: number of leading columns that name a row.
        is_folded: whether the table is hidden until the reader opens it.
        is_sortable: whether the reader can sort it by another column.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    n_names: int = 1
    is_folded: bool = False
    is_sortable: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Each heading over neighbouring columns with the number of these; empty if no column has one."""
        spans = [(title, len(list(of))) for title, of in groupby(column.group for column in self.columns)]
        return spans if any(title for title, _ in spans) else []


@dataclass(frozen=True)
class Text:
    """A paragraph; a caution is highlighted."""

    text: str
    is_caution: bool = False


@dataclass(frozen=True)
class Points:
    """A list; each item is a pair of a few words in bold, which may be empty, and a text."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answers:
    """The main results of each target in a few lines: (target, ((heading, text), …))."""

    items: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Code:
    """Commands that a reader can copy."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A figure, drawn for wide and for narrow screens; a table next to it has its numbers."""

    caption: str
    note: str
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class WrongFace:
    """One face with a wrong prediction.

    Attributes:
        file: path of its image in the manifest.
        true: its label.
        predicted: the prediction.
        how_wrong: the confidence of the model, or the error in years.
        jpeg: the face, SIDE × SIDE pixels.
    """

    file: str
    true: str
    predicted: str
    how_wrong: str
    jpeg: bytes


@dataclass(frozen=True)
class Subject:
    """A subject with the faces that are shown, the worst first.

    Attributes:
        name: name of the subject in the data set; "" if the data set does not name the subjects.
        n_faces: faces with a prediction.
        n_wrong: wrong predictions among these.
        faces: at least one.
    """

    name: str
    n_faces: int
    n_wrong: int
    faces: tuple[WrongFace, ...]


@dataclass(frozen=True)
class Gallery:
    """Images of faces, grouped by subject; only the HTML page shows them."""

    caption: str
    note: str
    subjects: tuple[Subject, ...]


Block = Text | Points | Answers | Code | Figure | Gallery | Table
# The blocks of a section; None stands for a block that would be empty.
Blocks = Sequence[Block | None]


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: its heading.
        facts: short facts on the runs, shown below the heading.
        is_synthetic: whether the portraits are made up.
        sections: from top to bottom.
        sources: the files that all numbers of the page come from.
    """

    title: str
    facts: tuple[str, ...]
    is_synthetic: bool
    sections: tuple[Section, ...]
    sources: tuple[str, ...] = ("runs/*.json",)
