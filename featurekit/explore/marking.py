"""The marks of the page: they are read from a CSV file when the page is opened, and written back on request.

Marks of faces and of labels that the page does not show stay in the file. If somebody else has changed the
file in the meantime, it is not overwritten.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.marks import KINDS, LABEL, Mark, read_marks, read_value, write_marks
from featurekit.errors import FeaturekitError, ManifestError, WorkspaceError
from featurekit.urls import UrlPath

_LONGEST = 1_000  # characters of a note or of a label


class ChangedError(FeaturekitError):
    """The file of the marks has changed since the page has read it."""


class RowMark(NamedTuple):
    """A mark of the face in a row, as the page has it."""

    row: int
    mark: str
    label: str = ""
    value: str = ""
    note: str = ""


class MarksFile:
    """The file of the marks; several threads may use the same object.

    Args:
        path: the CSV file; it need not exist yet.
        data: the data set.
        rows: rows of the faces on the page.
        labels: labels that can be replaced.
    """

    def __init__(self, path: Path, data: Manifest, rows: NDArray[np.intp], labels: Sequence[str]) -> None:
        self.path, self._labels, self._lock = path, tuple(labels), Lock()
        table = data.table[["face_id", "image_path"]].iloc[rows]
        self._faces = {int(row): face for row, face in zip(rows, table.itertuples(index=False), strict=True)}
        self._rows = {tuple(face): row for row, face in self._faces.items()}

    def read(self) -> tuple[str, list[RowMark]]:
        """Return the version of the file, and the marks of the faces on the page.

        Raises:
            ManifestError: the file is not a table of marks.
        """
        version, marks = self._read()
        return version, [RowMark(self._rows[one[:2]], *one[2:]) for one in marks if self._is_shown(one)]

    def save(self, version: str, marks: Sequence[Any]) -> tuple[str, int]:
        """Write the marks of the faces on the page, and return the new version and the number of all marks.

        Args:
            version: version of the file that the page has read.
            marks: the marks as the page has sent them, each a mapping with the fields of a RowMark.

        Raises:
            ChangedError: the file has changed since.
            ManifestError: a mark is none, or its value cannot be read.
            WorkspaceError: the file cannot be written.
        """
        new = sorted({self._mark(one) for one in marks}, key=lambda one: (self._rows[one[:2]], one))
        with self._lock:
            now, before = self._read()
            if now != version:
                raise ChangedError(
                    f"{self.path.name} has changed since the page was opened, so it was not overwritten. Load"
                    " the page again; marks that were not written are lost."
                )
            others = [one for one in before if not self._is_shown(one)]
            write_marks(self.path, [*others, *new])
            return self._version(), len(others) + len(new)

    def _read(self) -> tuple[str, list[Mark]]:
        return self._version(), read_marks(self.path) if self.path.is_file() else []

    def _is_shown(self, mark: Mark) -> bool:
        """Whether the page shows the face and the label of a mark."""
        return mark[:2] in self._rows and (mark.mark != LABEL or mark.label in self._labels)

    def _version(self) -> str:
        """Return a hash of the file; "" if it does not exist."""
        try:
            return sha256(self.path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""

    def _mark(self, sent: Any) -> Mark:
        """Return a mark that the page has sent, or raise ManifestError."""
        if not isinstance(sent, Mapping) or not set(sent) <= set(RowMark._fields):
            raise ManifestError("This is not a mark.")
        row, texts = sent.get("row"), [sent.get(name, "") for name in RowMark._fields[1:]]
        if type(row) is not int or row not in self._faces:
            raise ManifestError("A mark is of a face that is not on this page.")
        if not all(isinstance(text, str) and len(text) <= _LONGEST for text in texts):
            raise ManifestError(f"A label and a note must be texts of at most {_LONGEST:,} characters.")
        mark = Mark(*self._faces[row], *texts)
        if mark.mark not in KINDS or (mark.mark == LABEL) != bool(mark.label):
            raise ManifestError("This is not a mark.")
        if mark.mark == LABEL:
            if mark.label not in self._labels:
                raise ManifestError(f"The data set has no label '{mark.label[:60]}'.")
            read_value(mark.label, mark.value)
        return mark._replace(value=mark.value if mark.mark == LABEL else "")


def check_marks(path: Path) -> list[Mark]:
    """Return the marks in a file, none if it does not exist; or raise an error if it is no file of marks.

    Raises:
        WorkspaceError: it is a folder, or the name does not end in .csv.
        ManifestError: it exists, and is not a table of marks.
    """
    if isinstance(path, UrlPath):
        raise WorkspaceError(f"Marks are written to this machine only. Got {path} instead.")
    if path.is_dir():
        raise WorkspaceError(f"{path} is a folder. Name a file in it: {path / 'marks.csv'}")
    if path.suffix.lower() != ".csv":
        raise WorkspaceError(f"Marks are written to a .csv file. Got '{path.name}' instead.")
    return read_marks(path) if path.exists() else []
