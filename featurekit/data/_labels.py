"""Label columns of a data set's own, made fit to be learned from.

A column may be called anything, and a label may be spelled in several ways. What is changed here is
counted, and told in a sentence of its own.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from featurekit.data.cells import BadCell, Missing, count_missing, folded, read_gender3, spelled
from featurekit.data.targets import GENDER, GENDER3

# A class is a word or a few; a longer text would fill a page of the report, and is cut.
MAX_LABEL = 100

# What often stands for "nobody knows who", and may be somebody.
_PLACEHOLDER = (
    r"[-+]?0+(\.0+)?|-\d+(\.0+)?|9{2,}|x+|anon(ymous)?|nobody|no ?name|no ?one|person|other|tbd|test"
)


@dataclass
class Changes:
    """What was changed while labels were read.

    Attributes:
        missing: (column, word) → rows that say so and were taken as missing.
        respelled: column → (spelling → the one that it was joined with).
        bad_cells: cells that cannot be read.
        counts: in words → rows.
        notes: sentences for whoever prepares the data set.
    """

    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    respelled: dict[str, dict[str, str]] = field(default_factory=dict)
    bad_cells: list[BadCell] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tally(self) -> dict[str, int]:
        """Return all that was counted, in words → rows."""
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
    """Return the labels of a column of the data set's own, "" where one is missing.

    Labels that differ only by case, spaces, the way Unicode writes them or the ".0" behind a whole number
    are one label, spelled as it is most often.

    Args:
        cells: what the data set says.
        name: of the label, in the manifest.
        column: of the label, in the data set.
        missing: which cells say that it is not known.
        changes: what is changed is added to it.
    """
    if name == GENDER3.name:
        return _genders(cells, column, missing, changes)
    count_missing(cells, column, missing, changes.missing)
    kept = cells.where(~cells.isin([cell for cell in cells.unique() if cell in missing]), "")
    n_rows = Counter[str]()
    for cell, n in kept[kept != ""].value_counts(sort=False).items():
        n_rows[str(cell)] += int(n)
    new = _one_spelling(n_rows, lambda cell: _fit_for_a_class(spelled(cell)))
    changed = {cell: label for cell, label in new.items() if cell.strip() != label}
    if changed:
        changes.respelled[column] = changed
        changes.counts[f"{column}: labels with different spellings"] = sum(n_rows[cell] for cell in changed)
        changes.notes.append(_told(column, changed, n_rows))
    return kept.map({**new, "": ""})


def clean_subjects(
    cells: "pd.Series[str]", column: str, missing: Missing, changes: Changes
) -> "pd.Series[str]":
    """Return the subject of each row, "" where it is not known: such a row is a subject of its own.

    Subjects whose names differ as little as one label's spellings may are one person: two that are taken for
    one make the folds a little coarser, one that is taken for two stands on both sides of a fold.

    Args:
        cells: what the data set says.
        column: of the subjects, in the data set.
        missing: which cells say that it is not known.
        changes: what is changed is added to it.
    """
    count_missing(cells, column, missing, changes.missing)
    read = {
        cell: "" if cell in missing else unicodedata.normalize("NFC", cell).strip() for cell in cells.unique()
    }
    written = cells.map(read)
    n_rows = Counter(str(cell) for cell in written if cell)
    subjects = written.map({**_one_spelling(n_rows, str), "": ""})
    known = subjects[subjects != ""]
    if not len(known):
        return subjects
    if (subjects != written).any():
        _tell_joined(written, subjects, column, changes)
    if len(known) < len(subjects) and _looks_merged(subjects):
        changes.notes.append(
            f"{column}: {len(subjects) - len(known):,} rows without a subject follow a row that has one,"
            " and no subject is named twice. The merged cells of a spreadsheet look like this after an"
            " export. If these rows show the subject above them, write that subject into every row. Now"
            " each of them is treated as a subject of its own."
        )
    if len(known) < len(subjects):
        changes.counts["rows without a subject, each a subject of its own"] = len(subjects) - len(known)
    for subject, n in known.value_counts().items():
        if 3 * n > len(cells) and n > 2 and re.fullmatch(_PLACEHOLDER, str(subject), re.I):
            add = missing.option(add=folded(str(subject)))
            changes.notes.append(
                f"{column}: {n:,} of {len(cells):,} rows have the subject '{subject}'. If this means that"
                f" the subject is not known, treat each of these rows as a subject of its own with {add}"
            )
    return subjects


def notes_of_missing(
    found: Mapping[tuple[str, str], int], labels: Sequence[str], missing: Missing
) -> list[str]:
    """Return a sentence for each label column in which words were taken as missing.

    Args:
        found: (column, word) → rows.
        labels: columns whose words could be labels.
        missing: the words.
    """
    notes = []
    for column in dict.fromkeys(column for column, _ in found):
        if column in labels:
            words = {word: n for (one, word), n in found.items() if one == column}
            said = ", ".join(f"{_rows(n)} '{word}'" for word, n in words.items())
            keep = missing.option(remove=next(iter(words)))
            notes.append(f"{column}: {said}, treated as missing. If that is a label, keep it: {keep}")
    return notes


def _genders(cells: "pd.Series[str]", column: str, missing: Missing, changes: Changes) -> "pd.Series[str]":
    """Return classes of gender3, in which "undefined" is a class and no missing word."""
    read = {cell: read_gender3(cell, missing) for cell in cells.unique()}
    count_missing(cells[cells.map(read) == ""], column, missing, changes.missing)
    problem = f"is not {', '.join(GENDER.classes)} or {GENDER3.classes[-1]}"
    for row in cells.index[cells.map(lambda cell: read[cell] is None).astype(bool)]:
        changes.bad_cells.append(BadCell(int(row), column, GENDER3.name, cells[row], problem))
    return cells.map(lambda cell: read[cell] or "")


def _one_spelling(n_rows: Mapping[str, int], spell: Callable[[str], str]) -> dict[str, str]:
    """Return cell → the most frequent spelling of those cells that mean the same.

    Args:
        n_rows: cell → rows that hold it.
        spell: cell → how it would be written if it were alone.
    """
    spellings: dict[str, Counter[str]] = {}
    for cell, n in n_rows.items():
        spellings.setdefault(_meaning(cell), Counter())[spell(cell)] += n
    # Of equally frequent spellings Counter gives the one that came first.
    chosen = {word: found.most_common(1)[0][0] for word, found in spellings.items()}
    return {cell: chosen[_meaning(cell)] for cell in n_rows}


def _meaning(cell: str) -> str:
    """Return what spellings of one label, or of one person, have in common.

    Spreadsheets and pandas write a whole number as 3 in one file and as 3.0 in another; 003 is kept apart.

    >>> _meaning(" Brown "), _meaning("3.0"), _meaning("003"), _meaning("3.10")
    ('brown', '3', '003', '3.10')
    """
    word = folded(cell)
    whole = re.fullmatch(r"([+-]?\d+)\.0+", word)
    return whole[1] if whole else word


def _tell_joined(
    written: "pd.Series[str]", subjects: "pd.Series[str]", column: str, changes: Changes
) -> None:
    """Say which rows' subjects were joined: by row, because a note outlives a person who is purged."""
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


def _looks_merged(subjects: "pd.Series[str]") -> bool:
    """Whether empty cells look like the lower parts of merged ones: each subject once, the first on top."""
    known = subjects[subjects != ""]
    return bool(subjects.iloc[0]) and len(known) > 1 and known.is_unique


def _fit_for_a_class(label: str) -> str:
    """Return a label, cut where it is too long to be one; two long ones stay two."""
    if len(label) <= MAX_LABEL:
        return label
    import hashlib

    return f"{label[: MAX_LABEL - 9]}…{hashlib.sha256(label.encode(errors='replace')).hexdigest()[:8]}"


def _told(column: str, changed: Mapping[str, str], n_rows: Mapping[str, int]) -> str:
    """Say which spellings were joined with which, a few of them by name."""
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
    """Return a text as a message can hold it."""
    return text if len(text) <= 60 else f"{text[:59]}…"


def _rows(n: int) -> str:
    return "1 row says" if n == 1 else f"{n:,} rows say"
