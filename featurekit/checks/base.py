"""Define what a check of the data is, and which data every check receives.

Each check is one file of this package. It registers itself when it is imported, and is then part of every
audit. The finding of a check says how many cases it found, out of how many, how severe this is and what to
do. If its input is missing, for example the folds, the finding says which command to run first.

The thresholds of the checks were chosen on the face crops of UTKFace. A comment beside each threshold says
how.
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
LABELS = ("age", "age_group", "gender")  # the columns of labels that every manifest has


@dataclass(frozen=True, kw_only=True)
class Given:
    """The data that every check receives.

    Attributes:
        manifest: table of the faces.
        folds: fold in which each subject is tested; None if no folds have been made.
        embeddings: feature vectors in which faces are compared; None if nothing has been extracted.
        predictions: name of each fitted model → table of its predictions for every tested face.
        pictures: whether a check may read the images.
        seed: seed of the random number generator.
        threads: number of threads that read images or compare vectors.
        progress: called by slow checks with (steps done, steps in total).
        face_ids: face_id of each row of the manifest.
        numbers: fold in which each row is tested; -1 for unusable rows, and for all rows without folds.
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
        """Return the face_id of some rows; rows is an array of row numbers or a boolean mask."""
        return tuple(map(str, self.face_ids[rows]))

    def ids_by(self, keys: NDArray[np.str_], which: NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the face_id of the rows in a mask, sorted by the keys of the rows."""
        rows = np.flatnonzero(which)
        return self.ids(rows[np.argsort(keys[rows], kind="stable")])

    def column(self, name: str) -> NDArray[np.str_]:
        """Return a column of the manifest as text, "" for missing values."""
        values = self.manifest.table[name]
        text = values.where(values.notna(), "").astype(str).to_numpy(dtype=str)
        return np.where(text == "nan", "", text)

    def identical(self) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        """Return a key of the face of each row (hash of the file, and box), and which rows share a key."""
        table = self.manifest.table
        content, box = table["content"].to_numpy(dtype=str), table["box"].to_numpy(dtype=str)
        keys = np.char.add(np.char.add(content, " "), box)
        judged = table["reason"].isin(["", "duplicate", "conflicting_labels"]).to_numpy() & (content != "")
        return keys, np.asarray(judged & pd.Series(keys).where(judged).duplicated(keep=False))

    def across(self, keys: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Return a mask of the rows whose key is tested in more than one fold; the key "" is ignored."""
        inside = (self.numbers >= 0) & (keys != "")
        found = np.zeros(len(keys), bool)
        if inside.any():
            per_row = pd.Series(self.numbers[inside]).groupby(keys[inside]).transform("nunique")
            found[inside] = np.asarray(per_row > 1)
        return found


@dataclass(frozen=True)
class Check:
    """A check for one kind of error that makes scores higher or lower than they should be.

    Attributes:
        name: name of the check and of its finding; it is the same in every version of featurekit.
        title: short description of the errors that the check looks for.
        severity: highest severity that the finding can have.
        order: number that sorts the findings in an audit, lowest first.
        look: function that runs the check and returns the finding.
    """

    name: str
    title: str
    severity: Severity
    order: int
    look: Callable[[Given], Finding]


CHECKS: Registry[Check] = Registry("check", "featurekit.checks", Check, "featurekit.checks")


def check(
    name: str, title: str, severity: Severity, order: int
) -> Callable[[Callable[[Given], Finding]], Callable[[Given], Finding]]:
    """Register the decorated function as a check; see Check for the arguments."""

    def register(look: Callable[[Given], Finding]) -> Callable[[Given], Finding]:
        return CHECKS.add(Check(name, title, severity, order, look)).look

    return register


def lacking(name: str, what: str, advice: str) -> Finding:
    """Return the finding of a check that cannot run, with what is missing and which command to run first."""
    return Finding(name=name, severity="note", count=0, of=0, what=what, advice=advice)


def feature_name(embeddings: Vectors) -> str:
    """Return the name of feature vectors: "network:layer", joined by "+" if there are several."""
    return "+".join(recipe.feature for recipe in embeddings.recipes)


def in_pieces(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    """Yield an array in pieces of the given size; the last piece may be smaller."""
    yield from (rows[start : start + size] for start in range(0, len(rows), size))
