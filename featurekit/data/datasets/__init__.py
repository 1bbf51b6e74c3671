"""Read the layout of a data set into rows of a manifest.

Each data set has one file here, with a function that finds every row that the data set
names and returns what is known of it. Whether a row is usable (missing files, impossible
ages, duplicates) is decided in featurekit.data.cleaning, in the same way for all data sets.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.data.cells import BadCell
from featurekit.errors import ManifestError
from featurekit.registry import Registry, unknown


@dataclass(frozen=True)
class RawRows:
    """The rows of a data set, before it is decided which are usable.

    Attributes:
        table: one row for every row that the data set names, in its order. Of the manifest's columns only
            image_path is needed; further columns are the data set's own labels. A row that cannot be parsed
            is in it, with its reason.
        root: folder that image_path is relative to.
        labels: the columns that can be learned from. A row without any of them cannot be used, and identical
            images that differ in one of them contradict each other.
        counts: what the reader counted, description → rows.
        bad_cells: cells that could not be read; in the table they are empty.
        missing: (column of the data set, word) → rows in which the word was treated as missing. The reader
            looks for such words in all cells, except in the subject's and in the data set's own labels.
        called: column of the table → its name in the data set, where that is another one.
        info: further facts for the manifest, e.g. "synthetic".
        notes: what the user should know about the reading, a sentence each.
    """

    table: pd.DataFrame
    root: Path
    labels: tuple[str, ...] = ("age", "age_group", "gender")
    counts: Mapping[str, int] = field(default_factory=dict)
    bad_cells: Sequence[BadCell] = ()
    missing: Mapping[tuple[str, str], int] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class DatasetReader:
    """One layout that featurekit can read.

    Attributes:
        name: name of the data set.
        about: one line for `featurekit list datasets`.
        licence: what its owners allow, for reports and model cards.
        read: (path, options by keyword) → every row. A function that takes long has the keyword progress
            too, and one that reads cells has the keyword missing: which cells mean "not known".
    """

    name: str
    about: str
    licence: str
    read: Callable[..., RawRows]

    @property
    def options(self) -> tuple[str, ...]:
        """The options it understands: the parameters of read() after the path, and missing; see prepare()."""
        return (*(name for name in self.parameters[1:] if name not in ("progress", "missing")), "missing")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters of read()."""
        return tuple(inspect.signature(self.read).parameters)


DATASETS: Registry[DatasetReader] = Registry(
    "data set", "featurekit.data.datasets", DatasetReader, "featurekit.datasets"
)


def dataset(name: str, *, about: str, licence: str) -> Callable[[Callable[..., RawRows]], DatasetReader]:
    """Register the decorated function, (path, *, options) → rows, as the data set called name.

    >>> @dataset("selfies", about="my own pictures", licence="mine")        # doctest: +SKIP
    ... def selfies(path, *, year=""): ...
    """

    def register(read: Callable[..., RawRows]) -> DatasetReader:
        return DATASETS.add(DatasetReader(name=name, about=about, licence=licence, read=read))

    return register


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value of an option; refuse one that is not allowed.

    Raises:
        ManifestError: it is not one of the allowed values.
    """
    if value not in allowed:
        raise ManifestError(unknown(option, str(value), list(allowed)))
    return value


def unique_ids(names: Sequence[str]) -> list[str]:
    """Return the names, with a number added to each that occurred before.

    >>> unique_ids(["a", "b", "a", "a"])
    ['a', 'b', 'a#2', 'a#3']
    """
    taken = set(names)
    seen: Counter[str] = Counter()
    ids = []
    for name in names:
        seen[name] += 1
        made = name
        while seen[name] > 1 and (made := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        taken.add(made)
        ids.append(made)
    return ids
