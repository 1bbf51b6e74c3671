"""Read the files of the rows, and join the subjects of rows with identical files."""

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

from featurekit.files import leads_out
from featurekit.progress import Progress

# Any other error of the system means that the file exists but cannot be read.
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

    A file that several rows name is read once. A file outside root is not opened.
    """
    is_outside = cache(lambda folder: leads_out(Path(folder), root))

    def read(path: str) -> tuple[str, str]:
        if not path or "\0" in path:
            return "", "bad_path" if path else "missing_file"
        file = os.path.join(root, path)  # noqa: PTH118 — half a million paths; pathlib takes ten times as long
        may_be_elsewhere = path.endswith("..") or os.path.islink(file)  # noqa: PTH114
        if is_outside(os.path.dirname(file)) or (may_be_elsewhere and is_outside(file)):  # noqa: PTH120
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


def join_subjects(subjects: pd.Series, face_ids: pd.Series, images: pd.Series) -> NDArray[Any]:
    """Return the subject of each row, the same one for all rows of an image.

    If rows of one image have two subjects, these are the same subject, or at least must not be on both sides
    of a fold. All rows of either get the id of the one that comes first.

    Args:
        subjects: "" where not known: the row is its own subject.
        face_ids: unique.
        images: number of the row's image, -1 where it has none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # The name that Manifest.subjects gives to a row without a subject.
    own = subjects.where(subjects != "", "row:" + face_ids)
    subject, names = pd.factorize(own)
    has_image = np.flatnonzero(images >= 0)
    n_nodes = len(names) + int(images.max()) + 1
    edges = (subject[has_image], len(names) + images.to_numpy()[has_image])
    links = coo_array((np.ones(len(has_image), bool), edges), shape=(n_nodes, n_nodes))
    joined = pd.Series(connected_components(links, directed=False)[1][subject], index=own.index)
    is_joined = own.groupby(joined).transform("nunique") > 1
    # Subjects that the data set names come first, so that a joined one does not get the name of a row.
    first = own.iloc[np.argsort(subjects == "", kind="stable")].groupby(joined).first()
    return np.asarray(subjects.where(~is_joined, joined.map(first)))
