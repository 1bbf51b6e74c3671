"""The weight files of the networks, with their hashes and licences."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.report.cells import ABSENT, flatten, words
from featurekit.report.model import Cell, Column, Table


def weights_table(weights: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return a row for each weight file with its hash and its licences."""
    entries = [flatten(entry) for entry in weights]
    # Names and licences come before file names and hashes.
    known = ("name", "licence_code", "licence_weights", "licence_training_data")
    found = dict.fromkeys(name for entry in entries for name in entry)
    names = [name for name in known if name in found]
    names += [name for name in found if name not in (*known, "sha256")] + ["sha256"]
    titles = {
        "name": "Weights",
        "sha256": "SHA-256",
        "licence_code": "Licence of the code",
        "licence_weights": "Licence of the weights",
        "licence_training_data": "Terms of the training data",
    }
    columns = [Column(titles.get(n, words(n).capitalize()), is_code=n not in known[1:]) for n in names]
    rows = [tuple(Cell(entry.get(name, ABSENT)) for name in names) for entry in entries]
    return Table(caption, tuple(columns), tuple(rows))
