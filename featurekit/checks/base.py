"""What a check is, what it is given, and what it finds.

A check is one file here. It registers itself when it is imported, and is then part of
every audit: nothing else is edited. Its finding says how many cases there are, out of how
many, how bad that is and what to do. If something is missing, it says what to run first.

The thresholds of the checks were set by looking at what they find in the face crops
of UTKFace. A comment beside each threshold says so.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.vectors import Vectors
from featurekit.findings import Finding, Severity
from featurekit.progress import Progress
from featurekit.registry import Registry

NO_FOLDS = "Next: featurekit fit, which makes folds."
AT_ONCE = 20_000_000  # numbers in one piece of a large product


@dataclass(frozen=True, kw_only=True)
class Given:
    """What every check is given.

    Attributes:
        manifest: the faces.
        folds: which subjects are tested in which fold; None if no folds have been made.
        embeddings: vectors that tell faces apart; None if nothing has been extracted.
        predictions: name of each run → its predictions for every tested face.
        pictures: whether the images may be read.
        seed: seed of the random number generator.
        threads: number of threads that read images.
        progress: is told how far a slow check is.
        face_ids: ids of every row.
        numbers: fold in which each usable row is tested, -1 for all others and without folds.
    """

    manifest: Manifest
    folds: FoldSet | None
    embeddings: Vectors | None
    predictions: Mapping[str, pd.DataFrame]
    pictures: bool
    seed: int
    threads: int
    progress: Progress | None
    face_ids: NDArray[np.str_]
    numbers: NDArray[np.intp]

    def ids(self, rows: NDArray[Any]) -> tuple[str, ...]:
        """Return the face_id of rows, given by number or by mask."""
        return tuple(map(str, self.face_ids[rows]))

    def ids_by(self, keys: NDArray[np.str_], which: NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the face_id of the rows of a mask; rows with the same key follow each other."""
        rows = np.flatnonzero(which)
        return self.ids(rows[np.argsort(keys[rows], kind="stable")])

    def column(self, name: str) -> NDArray[np.str_]:
        """Return a column of the manifest as text, "" for missing values."""
        values = self.manifest.table[name]
        text = values.where(values.notna(), "").astype(str).to_numpy(dtype=str)
        return np.where(text == "nan", "", text)

    def identical(self) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        """Return a key of each row's image (its bytes and box), and which rows share it."""
        table = self.manifest.table
        content, box = table["content"].to_numpy(dtype=str), table["box"].to_numpy(dtype=str)
        keys = np.char.add(np.char.add(content, " "), box)
        judged = table["reason"].isin(["", "duplicate", "conflicting_labels"]).to_numpy() & (content != "")
        return keys, np.asarray(judged & pd.Series(keys).where(judged).duplicated(keep=False))

    def across(self, keys: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Return which rows have a key that is tested in more than one fold; the key "" is ignored."""
        inside = (self.numbers >= 0) & (keys != "")
        found = np.zeros(len(keys), bool)
        if inside.any():
            per_row = pd.Series(self.numbers[inside]).groupby(keys[inside]).transform("nunique")
            found[inside] = np.asarray(per_row > 1)
        return found


@dataclass(frozen=True)
class Check:
    """A check for one thing that makes scores better or worse than they should be.

    Attributes:
        name: its code, which is also that of its finding; the same in every version.
        title: what it looks for, in a few words.
        severity: the most severe one that its finding can have.
        order: position of its finding among the others, the lowest first.
        look: the function that makes the finding.
    """

    name: str
    title: str
    severity: Severity
    order: int
    look: Callable[[Given], Finding]


CHECKS: Registry[Check] = Registry("check", "featurekit.checks", Check, "featurekit.checks")


def lacking(name: str, what: str, advice: str) -> Finding:
    """Return the finding of a check that cannot be made: what is missing, and what to run first."""
    return Finding(name=name, severity="note", count=0, of=0, what=what, advice=advice)


def feature_name(embeddings: Vectors) -> str:
    """Return the name of the vectors: each "network:layer", joined by "+"."""
    return "+".join(recipe.feature for recipe in embeddings.recipes)


def in_pieces(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    """Yield the rows in pieces of the given size; the last piece may be smaller."""
    yield from (rows[start : start + size] for start in range(0, len(rows), size))
