"""What a page is made of, before anybody decides what it looks like.

HTML and Markdown are two renderings of the same page, so a number can never stand in
one and not in the other. A cell keeps its number beside its text: the text is read,
the number is sorted by and copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

SYNTHETIC = "synthetic: made-up portraits"

# The faces that scores are of unless a heading says otherwise.
FOUND = "on the faces found"

SIDE = 72  # pixels of a thumbnail


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its heading.
        unit: of its numbers.
        others: headings of the further numbers of its cells where it is copied, e.g. ("std",).
        group: heading over neighbouring columns of one kind.
        is_number: whether it is set like numbers.
        is_code: whether it holds names and hashes.
        is_time: whether it may differ between two runs of the same work.
        copied_unit: unit of the number kept beside the text, where that is another.
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
        """What stands over the column where it is copied: it must do without its group."""
        unit = self.copied_unit or self.unit
        heading = f"{self.title}, {unit}" if unit else self.title
        return f"{heading} ({self.group})" if self.group else heading


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        value: the number it is sorted and copied by; None for plain text and where there is none.
        spread: "± 0.8", set apart so that the means stand in line; or
        count: "1,234 faces" or "72.1–73.4" in few words, for the second line.
        others: the numbers that spread or count stands for.
        tag: one or two words on the row, e.g. "baseline".
        is_strong: whether it is the best of its column.
        heat: 0 to 10, how dark it is shaded; -1 for not at all.
        is_diagonal: whether it is where a matrix would have everything.
    """

    text: str
    value: float | None = None
    spread: str = ""
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
        caption: what it shows, in a line.
        columns: from left to right.
        rows: one cell a column each.
        note: how to read it.
        n_names: leading columns that name a row.
        is_folded: whether a reader has to ask for it.
        is_sortable: whether another order makes sense.
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
        """Heading over neighbouring columns and their number; empty where no column has one."""
        spans = [(title, len(list(of))) for title, of in groupby(column.group for column in self.columns)]
        return spans if any(title for title, _ in spans) else []


@dataclass(frozen=True)
class Text:
    """A paragraph; a caution is set so that it is not read over."""

    text: str
    is_caution: bool = False


@dataclass(frozen=True)
class Points:
    """A list whose items begin with a few words in bold (or none)."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answers:
    """The main results of each target in a few lines: (target, ((heading, text), …))."""

    items: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Code:
    """Lines to be copied as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing for wide and one for narrow screens; its numbers are those of a table beside it."""

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
        read: the prediction.
        how_wrong: the confidence of the model, or the error in years.
        jpeg: the face, SIDE × SIDE pixels.
    """

    file: str
    true: str
    read: str
    how_wrong: str
    jpeg: bytes


@dataclass(frozen=True)
class Subject:
    """A person, with the faces that are shown, the worst first.

    Attributes:
        name: as the data set calls them; "" where it does not say who is who.
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
# What a file of featurekit/report/sections returns: None stands for a block that there is nothing to say in.
Blocks = Sequence[Block | None]


@dataclass(frozen=True)
class Section:
    """A part of the page under its own heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: its heading.
        facts: a few words each on what was compared.
        is_synthetic: whether the portraits are made up.
        sections: in the order they are read.
        sources: files that every number of it comes from.
    """

    title: str
    facts: tuple[str, ...]
    is_synthetic: bool
    sections: tuple[Section, ...]
    sources: tuple[str, ...] = ("runs/*.json",)
