"""Read a data set's own layout into rows of a manifest.

A data set is one file here: a function that finds every row the data set names,
says what it knows of it, and leaves the judgement (missing files, impossible
ages, duplicates) to featurekit.data.cleaning, which is the same for all.
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
    """What a data set says of itself, before anything is judged.

    Attributes:
        table: one row for every row the data set names, in its order. Of the manifest's columns only
            image_path is needed; further columns are labels of its own. A row that cannot be parsed
            is in it, with its reason.
        root: folder that image_path is relative to.
        labels: the columns that can be learned from: a row with none of them is of no use, and equal
            pictures that differ in one of them contradict each other.
        counts: what the reader counted while reading, in words → rows.
        bad_cells: those that could not be read; in the table they are empty.
        missing: (column of the data set, word) → rows that say so and were taken as missing. The reader
            looks for such words in all cells but the subject's and those of labels of the data set's own.
        called: column of the table → what the data set calls it, where that is something else.
        info: further facts for the manifest, e.g. "synthetic".
        notes: what the user should be told of the reading, a sentence each.
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
        name: what users call it.
        about: one line for `featurekit list datasets`.
        licence: what its owners allow, for reports and model cards.
        read: (path, options by keyword) → every row it names; one that has much to do first takes the
            keyword progress too, and one that reads cells the keyword missing: which of them say nothing.
    """

    name: str
    about: str
    licence: str
    read: Callable[..., RawRows]

    @property
    def options(self) -> tuple[str, ...]:
        """The options it understands: the parameters of read() after the path, and missing; see prepare()."""
        own = [name for name in self._parameters[1:] if name not in ("progress", "missing")]
        return (*own, "missing")

    @property
    def reads_cells(self) -> bool:
        """Whether read() wants to know which cells say that something is not known."""
        return "missing" in self._parameters

    @property
    def shows_progress(self) -> bool:
        """Whether read() tells how far it is."""
        return "progress" in self._parameters

    @property
    def _parameters(self) -> tuple[str, ...]:
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
    """Return the value of an option, or refuse one that is not allowed.

    Raises:
        ManifestError: it is none of the allowed ones.
    """
    if value not in allowed:
        raise ManifestError(unknown(option, str(value), list(allowed)))
    return value


def unique_ids(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind each that occurred before.

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
