"""Read data sets, each in its own layout, into rows of a manifest (the table of all faces).

Each data set has one file in this package, with a function that returns the rows of the data set as they are.
featurekit.data.cleaning then decides for all data sets in the same way which rows are usable, by looking for
missing files, impossible ages and duplicates.
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
    """The rows of a data set before clean() decides which of them are usable.

    Attributes:
        table: one row for every row of the data set, in the same order. It needs the column image_path and
            may have further columns of the manifest; all other columns are the data set's own labels. A row
            that cannot be read has a reason in the column "reason".
        root: folder that the column image_path is relative to.
        labels: names of the label columns. A row without any label cannot be used, and identical images with
            different labels contradict each other.
        counts: description → number of rows, for the counts in the manifest.
        bad_cells: cells that could not be read; these cells are empty in the table.
        missing: (column of the data set, word) → number of rows in which the word was treated as a missing
            value. The columns of subjects and of the data set's own labels are not included.
        called: column of the table → name of the column in the data set, for renamed columns.
        info: further facts for the manifest, e.g. "synthetic".
        notes: messages for the user, one sentence each.
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
    """A data set, or a layout of data sets, that featurekit can read.

    Attributes:
        name: name of the data set.
        about: one-line description for `featurekit list datasets`.
        licence: what the owners of the data set allow, for reports and model cards.
        read: function that takes the path, and the options as keyword arguments, and returns every row. Two
            further keyword arguments are possible: progress, to be called with (steps done, steps in total),
            and missing, the words for a missing value.
    """

    name: str
    about: str
    licence: str
    read: Callable[..., RawRows]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options: the parameters of read() after the path, except progress, plus "missing"."""
        return (*(name for name in self.parameters[1:] if name not in ("progress", "missing")), "missing")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters of read()."""
        return tuple(inspect.signature(self.read).parameters)


DATASETS: Registry[DatasetReader] = Registry(
    "data set", "featurekit.data.datasets", DatasetReader, "featurekit.datasets"
)


def dataset(name: str, *, about: str, licence: str) -> Callable[[Callable[..., RawRows]], DatasetReader]:
    """Register the decorated function, which takes a path and options and returns rows, as a data set.

    >>> @dataset("selfies", about="my own pictures", licence="mine")        # doctest: +SKIP
    ... def selfies(path, *, year=""): ...
    """

    def register(read: Callable[..., RawRows]) -> DatasetReader:
        return DATASETS.add(DatasetReader(name=name, about=about, licence=licence, read=read))

    return register


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value of an option after checking that it is allowed.

    Raises:
        ManifestError: the value is not one of the allowed values.
    """
    if value not in allowed:
        raise ManifestError(unknown(option, str(value), list(allowed)))
    return value


def unique_ids(names: Sequence[str]) -> list[str]:
    """Return the names, with a number appended to every repeated name.

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
