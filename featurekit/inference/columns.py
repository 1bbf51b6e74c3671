"""What the columns of a table of answers are called.

Targets, labels and folders are called whatever their owner likes. A column is called so that Python,
pandas (an attribute, a query) and a spreadsheet take its name as it stands: letters, digits and underscores,
no two alike even in small letters, none of them a word of Python or of a DataFrame's own. Where one model
reads a target its columns are called after the target; where several do, after each model's folder.
"""

import keyword
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featurekit.data.targets import Target
from featurekit.errors import ModelError
from featurekit.inference.archive import SUMS
from featurekit.inference.model import TrainedModel

# The columns of a table of answers that are not a model's.
BEFORE = ("photograph", "face", "status", "confidence")
BEHIND = ("x1", "y1", "x2", "y2", "message")
_LONGEST = 100


@dataclass(frozen=True)
class Columns:
    """What the columns of one model are called.

    Attributes:
        answer: the column of its answer, which the names of the others begin with.
        classes: a column for the probability of each class, in the target's order; none for years.
    """

    answer: str
    classes: tuple[str, ...] = ()

    @property
    def probability(self) -> str:
        """The probability of the answer."""
        return f"{self.answer}_probability"

    @property
    def among(self) -> str:
        """The classes that the true one is likely among."""
        return f"{self.answer}_among"

    @property
    def years(self) -> tuple[str, str]:
        """The first and the last year that the true age is likely between."""
        return f"{self.answer}_from", f"{self.answer}_to"

    def all(self) -> Iterator[str]:
        """Give every column that the model may have."""
        yield from (self.answer, self.probability, self.among, *self.years, *self.classes)


def name_columns(targets: Sequence[Target], folders: Sequence[Path]) -> list[Columns]:
    """Return what the columns of each model are called.

    Args:
        targets: what each model reads.
        folders: where each lies, no two the same.
    """
    n_readers = Counter(target.name for target in targets)
    ends = _ends(targets, folders)
    own = {name.casefold() for name in (*BEFORE, *BEHIND)}
    taken = set(own)
    made = []
    for target, end in zip(targets, ends, strict=True):
        name = _plain(target.name)
        if n_readers[target.name] > 1:
            folder = _plain(end)
            name = folder if f"{folder}_".startswith(f"{name}_") else f"{name}_{folder}"
        is_word = not name[0].isalpha() or keyword.iskeyword(name) or hasattr(pd.DataFrame, name)
        if is_word or not own.isdisjoint(_in_small_letters(_columns(name, target))):
            name = f"label_{name}"
        columns = next(
            columns
            for one in _numbered(name)
            if taken.isdisjoint(_in_small_letters(columns := _columns(one, target)))
        )
        taken.update(_in_small_letters(columns))
        made.append(columns)
    return made


def _in_small_letters(columns: Columns) -> set[str]:
    return {name.casefold() for name in columns.all()}


def _columns(name: str, target: Target) -> Columns:
    own = Columns(name)
    taken = _in_small_letters(own)
    classes = []
    for label in target.classes:
        column = next(one for one in _numbered(f"{name}_p_{_plain(label)}") if one.casefold() not in taken)
        taken.add(column.casefold())
        classes.append(column)
    return Columns(name, tuple(classes))


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _ends(targets: Sequence[Target], folders: Sequence[Path]) -> list[str]:
    """Return as much of the end of each folder's path as tells it from the others of its target."""
    depths = [1] * len(folders)
    while True:
        ends = ["_".join(folder.parts[-depth:]) for folder, depth in zip(folders, depths, strict=True)]
        count = Counter((target.name, end) for target, end in zip(targets, ends, strict=True))
        longer = [
            depth + 1 if count[target.name, end] > 1 and depth < len(folder.parts) else depth
            for target, end, folder, depth in zip(targets, ends, folders, depths, strict=True)
        ]
        if longer == depths:
            return ends
        depths = longer


def _plain(text: str) -> str:
    """Return a text as letters, digits and underscores of any script.

    >>> _plain("hair/colour"), _plain("25-32"), _plain("größe"), _plain("?")
    ('hair_colour', '25_32', 'größe', 'label')
    """
    # Python reads a name in this form, so that another one could not be typed.
    text = unicodedata.normalize("NFKC", text)
    if not f"a{text}".isidentifier():
        text = "".join(letter if f"a{letter}".isidentifier() else " " for letter in text)
        text = "_".join(text.split())
    # Underscores in front would be private, and are renamed by DataFrame.itertuples().
    return text[:_LONGEST].strip("_") or "label"


def columns_of(models: Sequence[TrainedModel]) -> list[Columns]:
    """Return what the columns of each model are called in a table of the answers of all.

    Raises:
        ModelError: two are the same model.
    """
    known: dict[bytes, TrainedModel] = {}
    for model in models:
        # The list of hashes is the model's identity: a copy in another folder gives the same answers.
        content = (model.folder / SUMS).read_bytes() if model.folder else model.name.encode()
        other = known.setdefault(content, model)
        if other is not model:
            what = (
                f"{model.place} is given twice"
                if os.path.realpath(other.place) == os.path.realpath(model.place)
                else f"{other.place} and {model.place} hold the same model"
            )
            raise ModelError(f"{what}. Give each model once.")
    return name_columns([model.target for model in models], [model.place.absolute() for model in models])
