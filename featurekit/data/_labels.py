"""Clean the label columns that a data set has besides age and gender, and its subjects.

Missing labels are recognized, and different spellings of a label become one. Every change is counted, and
reported to the user in a note.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from featurekit.data.cells import BadCell, Missing, count_missing, folded, read_gender3, spelled
from featurekit.data.targets import GENDER, GENDER3
from featurekit.text import counted

# A longer label would fill a page of the report, and is cut.
MAX_LABEL = 100

# Names that often stand for subjects who are not known.
_PLACEHOLDER = (
    r"[-+]?0+(\.0+)?|-\d+(\.0+)?|9{2,}|x+|anon(ymous)?|nobody|no ?name|no ?one|person|other|tbd|test"
)


@dataclass
class Changes:
    """The changes that were made to labels and subjects.

    Attributes:
        missing: (column, word) → number of rows in which the word was treated as a missing value.
        respelled: column → mapping of each replaced spelling to its replacement.
        bad_cells: cells that cannot be read.
        counts: description → number of rows.
        notes: messages for the user, one sentence each.
    """

    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    respelled: dict[str, dict[str, str]] = field(default_factory=dict)
    bad_cells: list[BadCell] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tally(self) -> dict[str, int]:
        """Return all counts: description → number of rows."""
        return {
            **{
                f"{column}: rows with '{word}', treated as missing": n
                for (column, word), n in self.missing.items()
            },
            **self.counts,
            **Counter(
                f"cells of {cell.column} that are not a valid {cell.target}" for cell in self.bad_cells
            ),
        }


def clean_labels(
    cells: "pd.Series[str]", name: str, column: str, missing: Missing, changes: Changes
) -> "pd.Series[str]":
    """Return the labels of one of the data set's own columns, "" for a missing label.

    Labels that differ only by case, spaces, their form of Unicode or the ".0" after a whole number are
    replaced by the most frequent spelling.

    Args:
        cells: cells of the column.
        name: name of the label column in the manifest.
        column: name of the column in the data set.
        missing: words for a missing value.
        changes: record to which every change is added.
    """
    if name == GENDER3.name:
        return _genders(cells, column, missing, changes)
    count_missing(cells, column, missing, changes.missing)
    kept = cells.where(~cells.isin([cell for cell in cells.unique() if cell in missing]), "")
    n_rows = Counter(str(cell) for cell in kept if cell)
    new = _one_spelling(n_rows, lambda cell: _cut(spelled(cell)))
    if changed := {cell: label for cell, label in new.items() if cell.strip() != label}:
        changes.respelled[column] = changed
        changes.counts[f"{column}: labels with different spellings"] = sum(n_rows[cell] for cell in changed)
        changes.notes.append(_note_of_spellings(column, changed, n_rows))
    return kept.map({**new, "": ""})


def clean_subjects(
    cells: "pd.Series[str]", column: str, missing: Missing, changes: Changes
) -> "pd.Series[str]":
    """Return the subject of each row, "" for a row without a known subject.

    Names that differ only by case, spaces, their form of Unicode or the ".0" after a whole number are treated
    as one subject. If they are two subjects after all, this does little harm. But if one subject were treated
    as two, it could be in both the training and the test data.

    Args:
        cells: cells of the column of subjects.
        column: name of the column in the data set.
        missing: words for a missing value.
        changes: record to which every change is added.
    """
    count_missing(cells, column, missing, changes.missing)
    composed = {cell: unicodedata.normalize("NFC", cell).strip() for cell in cells.unique()}
    written = cells.map({cell: "" if cell in missing else name for cell, name in composed.items()})
    spelling = _one_spelling(Counter(str(cell) for cell in written if cell), str)
    subjects = written.map({**spelling, "": ""})
    known = subjects[subjects != ""]
    if not len(known):
        return subjects
    if (subjects != written).any():
        _report_joined(written, subjects, column, changes)
    # In the merged cells of a spreadsheet, only the topmost row has the value.
    looks_merged = bool(subjects.iloc[0]) and len(known) > 1 and known.is_unique
    if len(known) < len(subjects) and looks_merged:
        changes.notes.append(
            f"{column}: {len(subjects) - len(known):,} rows without a subject follow a row that has one,"
            " and no subject is named twice. The merged cells of a spreadsheet look like this after an"
            " export. If these rows show the subject of the row above, write that subject into every row. Now"
            " each of these rows is treated as a subject of its own."
        )
    if len(known) < len(subjects):
        changes.counts["rows without a subject, each a subject of its own"] = len(subjects) - len(known)
    for subject, n in known.value_counts().items():
        if 3 * n > len(cells) and n > 2 and re.fullmatch(_PLACEHOLDER, str(subject), re.I):
            changes.notes.append(
                f"{column}: {n:,} of {len(cells):,} rows have the subject '{subject}'. If this means that"
                " the subject is not known, treat each of these rows as a subject of its own with"
                f" {missing.option(add=folded(str(subject)))}"
            )
    return subjects


def notes_of_missing(
    found: Mapping[tuple[str, str], int], labels: Sequence[str], missing: Missing
) -> list[str]:
    """Return a note for each label column in which words were treated as missing values.

    Args:
        found: (column, word) → number of rows in which the word was treated as a missing value.
        labels: names of the label columns.
        missing: words for a missing value.
    """
    words: dict[str, dict[str, int]] = {}
    for (column, word), n in found.items():
        words.setdefault(column, {})[word] = n
    return [
        f"{column}: "
        + ", ".join(f"{counted(n, 'row says', 'rows say')} '{word}'" for word, n in own.items())
        + ", treated as missing. If this word is a label, keep it with"
        f" {missing.option(remove=next(iter(own)))}"
        for column, own in words.items()
        if column in labels
    ]


def _genders(cells: "pd.Series[str]", column: str, missing: Missing, changes: Changes) -> "pd.Series[str]":
    """Return classes of gender3, in which "undefined" is a class and not a missing word."""
    read = {cell: read_gender3(cell, missing) for cell in cells.unique()}
    count_missing(cells[cells.map(read) == ""], column, missing, changes.missing)
    changes.bad_cells += [
        BadCell(
            row, column, GENDER3.name, cell, f"is not {', '.join(GENDER.classes)} or {GENDER3.classes[-1]}"
        )
        for row, cell in enumerate(cells)
        if read[cell] is None
    ]
    return cells.map(lambda cell: read[cell] or "")


def _one_spelling(n_rows: Mapping[str, int], spell: Callable[[str], str]) -> dict[str, str]:
    """Return cell → the most frequent spelling of all cells with the same meaning.

    Args:
        n_rows: cell → number of rows that hold it.
        spell: cell → its spelling if no other cell had the same meaning.
    """
    spellings: dict[str, Counter[str]] = {}
    for cell, n in n_rows.items():
        spellings.setdefault(meaning(cell), Counter())[spell(cell)] += n
    # Of equally frequent spellings, Counter returns the one that came first.
    chosen = {word: found.most_common(1)[0][0] for word, found in spellings.items()}
    return {cell: chosen[meaning(cell)] for cell in n_rows}


def meaning(cell: str) -> str:
    """Return one form for all spellings of a label or a subject.

    Spreadsheets and pandas write a whole number as 3 in one file and as 3.0 in another; 003 is another label.

    >>> meaning(" Brown "), meaning("3.0"), meaning("003"), meaning("3.10")
    ('brown', '3', '003', '3.10')
    """
    return re.sub(r"\A([+-]?\d+)\.0+\Z", r"\1", folded(cell))


def _report_joined(
    written: "pd.Series[str]", subjects: "pd.Series[str]", column: str, changes: Changes
) -> None:
    """Report whose subjects were joined, by row: a note must not name subjects, who may be purged later."""
    moved = written[written != subjects].drop_duplicates()
    shown = [
        (f"row {int(row) + 1} has the subject of row {int(written.index[written == subjects[row]][0]) + 1}")
        for row in moved.index[:3]
    ]
    more = f", and {len(moved) - 3} more" if len(moved) > 3 else ""
    changes.counts[f"{column}: subjects with different spellings"] = int((written != subjects).sum())
    changes.notes.append(
        f"{column}: subjects whose names differ only by case, spaces or a .0 after a number are treated as"
        f" one subject: {', '.join(shown)}{more}."
    )


def _cut(label: str) -> str:
    """Return a label, cut if it is too long; two long labels that differ stay different."""
    if len(label) <= MAX_LABEL:
        return label
    import hashlib

    return f"{label[: MAX_LABEL - 9]}…{hashlib.sha256(label.encode(errors='replace')).hexdigest()[:8]}"


def _note_of_spellings(column: str, changed: Mapping[str, str], n_rows: Mapping[str, int]) -> str:
    """Say which spellings were replaced by which; a few of them are named."""
    shown = [
        f"'{shortened(cell)}' ({n_rows[cell]:,}) is "
        + (
            f"cut to {MAX_LABEL} letters"
            if len(spelled(cell)) > MAX_LABEL
            else f"taken as '{shortened(label)}'"
        )
        for cell, label in changed.items()
    ]
    more = f", and {len(shown) - 5} more: see manifest.json" if len(shown) > 5 else ""
    return f"{column}: {', '.join(shown[:5])}{more}."


def shortened(text: str) -> str:
    """Return a text short enough for a message."""
    return text if len(text) <= 60 else f"{text[:59]}…"
