"""What the files behind the rows hold, and who is the same person because two rows hold the same."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.progress import Progress

# Anything else that the system says of a file: it is there and cannot be read.
_REASON_OF = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "missing_file"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EILSEQ), "bad_path"),
}


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_files(
    paths: pd.Series, root: Path, content_of: Callable[[Path], str], progress: Progress | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the content of each row's file, "" where it cannot be read, and the reason why not.

    A file that several rows name is read once; one that lies outside root is not opened at all.
    """
    real_root = Path(os.path.realpath(root))

    @cache
    def leads_outside(folder: str) -> bool:
        return not Path(os.path.realpath(folder)).is_relative_to(real_root)

    def read(path: str) -> tuple[str, str]:
        file = os.path.join(root, path)  # noqa: PTH118 — half a million paths; pathlib takes ten times as long
        if not path:
            return "", "missing_file"
        if "\0" in path:
            return "", "bad_path"
        may_lead_on = path.endswith("..") or os.path.islink(file)  # noqa: PTH114
        if leads_outside(os.path.dirname(file)) or (may_lead_on and leads_outside(file)):  # noqa: PTH120
            return "", "outside_root"
        try:
            if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116
                return "", "unreadable"
            return content_of(Path(file)), ""
        except OSError as error:
            return "", _REASON_OF.get(error.errno or 0, "unreadable")

    numbers, names = pd.factorize(paths)
    found = []
    for done, path in enumerate(names, start=1):
        found.append(read(path))
        if progress:
            progress(done, len(names))
    by_file = np.array(found, dtype=object)[numbers]
    return by_file[:, 0], by_file[:, 1]


def join_subjects(subjects: pd.Series, face_ids: pd.Series, pictures: pd.Series) -> NDArray[Any]:
    """Return the subject of each row after rows of the same picture got the same one.

    If a picture joins two subjects they are one person, or at least a person that must not be on both
    sides of a fold, so every row of either gets the id of the one that comes first.

    Args:
        subjects: "" where not known: the row is its own subject.
        face_ids: unique.
        pictures: number of the row's picture, -1 where it has none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # This is what Manifest.subjects calls a row without a subject.
    own = subjects.where(subjects != "", "row:" + face_ids)
    subject, names = pd.factorize(own)
    has_picture = np.flatnonzero(pictures >= 0)
    n_nodes = len(names) + int(pictures.max()) + 1
    edges = (subject[has_picture], len(names) + pictures.to_numpy()[has_picture])
    links = coo_array((np.ones(len(has_picture), bool), edges), shape=(n_nodes, n_nodes))
    person = connected_components(links, directed=False)[1][subject]

    rows = pd.DataFrame({"person": person, "own": own, "is_known": subjects != ""})
    is_joined = rows.groupby("person")["own"].transform("nunique") > 1
    # An id of the data set's own is a better name than a row's.
    first = rows.sort_values("is_known", ascending=False, kind="stable").groupby("person")["own"].first()
    return np.asarray(subjects.where(~is_joined, rows["person"].map(first)))
