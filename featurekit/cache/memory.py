"""A shelf in memory: for who wants no file, and the same way as everybody else."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MemoryShelf:
    """Rows by key, as on a shelf of the store, that are gone with the object."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._columns: dict[str, list[NDArray[Any]]] = {}

    def missing(self, row_keys: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return which of these rows are not there, as increasing numbers into row_keys."""
        return np.flatnonzero([key.tobytes() not in self._rows for key in row_keys])

    def append(self, row_keys: NDArray[np.uint8], columns: Mapping[str, NDArray[Any]]) -> None:
        """Remember rows; one that is there already stays as it is.

        Args:
            row_keys: shape (n_rows, 32).
            columns: name → one value a row, shape (n_rows, ...).
        """
        for number, key in enumerate(row_keys):
            if key.tobytes() in self._rows:
                continue
            self._rows[key.tobytes()] = len(self._rows)
            for name, values in columns.items():
                self._columns.setdefault(name, []).append(values[number])

    def read(
        self, row_keys: NDArray[np.uint8], columns: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return columns of rows, all of them where none is named, in the order asked; a row may come twice.

        Raises:
            KeyError: a row, or a column, is not there.
        """
        rows = [self._rows[key.tobytes()] for key in row_keys]
        names = list(self._columns) if columns is None else columns
        return {name: np.array([self._columns[name][row] for row in rows]) for name in names}
