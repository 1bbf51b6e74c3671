"""Names of the columns in a table of predictions.

Targets, labels and folders may have any names, but names of columns must work in Python, in pandas (as an
attribute and in a query) and in a spreadsheet. Therefore they have only letters, digits and underscores,
differ in more than upper and lower case, and are not keywords of Python or attributes of a DataFrame. If one
model predicts a target, its columns are named after the target. If several models predict it, their columns
are named after the target and the model's folder.
"""

import keyword
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import pandas as pd

from featurekit.data.targets import Target
from featurekit.errors import ModelError
from featurekit.files import read_file, real_path
from featurekit.inference.archive import SUMS
from featurekit.inference.model import TrainedModel

# The columns of a table of predictions that do not belong to a model.
BEFORE = ("photograph", "face", "status", "confidence")
BEHIND = ("x1", "y1", "x2", "y2", "message")
_LONGEST = 100


@dataclass(frozen=True)
class Columns:
    """The names of the columns with the predictions of one model.

    Attributes:
        answer: the column of the prediction; the names of the model's other columns begin with this name.
        classes: the columns of the probability of each class, in the target's order; empty for a regression
            target.
    """

    answer: str
    classes: tuple[str, ...] = ()

    @property
    def probability(self) -> str:
        """The column of the probability of the prediction."""
        return f"{self.answer}_probability"

    @property
    def among(self) -> str:
        """The column of the prediction set."""
        return f"{self.answer}_among"

    @property
    def years(self) -> tuple[str, str]:
        """The columns of the lower and the upper end of the prediction interval."""
        return f"{self.answer}_from", f"{self.answer}_to"

    def all(self) -> Iterator[str]:
        """Yield the names of all columns that a table may have for the model."""
        yield from (self.answer, self.probability, self.among, *self.years, *self.classes)


def name_columns(targets: Sequence[Target], folders: Sequence[Path]) -> list[Columns]:
    """Return the names of the columns of each model.

    Args:
        targets: the target of each model.
        folders: the folder of each model; no two are the same.
    """
    n_models = Counter(target.name for target in targets)
    own = {name.casefold() for name in (*BEFORE, *BEHIND)}
    taken = set(own)
    made = []
    for target, end in zip(targets, _ends(targets, folders), strict=True):
        name = _plain(target.name)
        if n_models[target.name] > 1:
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
    taken = _in_small_letters(Columns(name))
    classes = []
    for label in target.classes:
        column = next(one for one in _numbered(f"{name}_p_{_plain(label)}") if one.casefold() not in taken)
        taken.add(column.casefold())
        classes.append(column)
    return Columns(name, tuple(classes))


def _numbered(name: str) -> Iterator[str]:
    return chain([name], (f"{name}_{number}" for number in count(2)))


def _ends(targets: Sequence[Target], folders: Sequence[Path]) -> list[str]:
    """Return the end of each folder's path, as short as tells it apart from the others of its target."""
    depths = [1] * len(folders)
    while True:
        ends = ["_".join(folder.parts[-depth:]) for folder, depth in zip(folders, depths, strict=True)]
        n_models = Counter((target.name, end) for target, end in zip(targets, ends, strict=True))
        longer = [
            depth + 1 if n_models[target.name, end] > 1 and depth < len(folder.parts) else depth
            for target, end, folder, depth in zip(targets, ends, folders, depths, strict=True)
        ]
        if longer == depths:
            return ends
        depths = longer


def _plain(text: str) -> str:
    """Return a text made of the letters and digits of any script, and of underscores.

    >>> _plain("hair/colour"), _plain("25-32"), _plain("größe"), _plain("?")
    ('hair_colour', '25_32', 'größe', 'label')
    """
    # Python converts names to this form, so a name in another form could not be typed.
    text = unicodedata.normalize("NFKC", text)
    if not f"a{text}".isidentifier():
        text = "".join(letter if f"a{letter}".isidentifier() else " " for letter in text)
        text = "_".join(text.split())
    # DataFrame.itertuples() renames columns that begin with an underscore.
    return text[:_LONGEST].strip("_") or "label"


def columns_of(models: Sequence[TrainedModel]) -> list[Columns]:
    """Return the names of the columns of each model in a table with the predictions of all models.

    Raises:
        ModelError: a model is given twice.
    """
    known: dict[bytes, TrainedModel] = {}
    for model in models:
        # Models are the same if their lists of hashes are: a copy in another folder predicts the same.
        content = read_file(model.folder / SUMS, 2**16) if model.folder else model.name.encode()
        other = known.setdefault(content, model)
        if other is not model:
            what = (
                f"{model.place} is given twice"
                if real_path(other.place) == real_path(model.place)
                else f"{other.place} and {model.place} contain the same model"
            )
            raise ModelError(f"{what}. Give each model once.")
    return name_columns([model.target for model in models], [model.place.absolute() for model in models])
