"""Let go of a person in one comparison: its folds, its predictions, its audit, and its pages of faces.

A person is known there by face ids, and what is to go is read from the disk anew every time.
"""

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from featurekit.data.splits import FoldSet
from featurekit.evaluation.outcomes import read_predictions
from featurekit.files import whole_file, write_text
from featurekit.project import ComparisonFolder
from featurekit.report.gallery import shows_people
from featurekit.text import as_it_was


def count_in_folds(folder: Path, gone: set[str]) -> int:
    """Return how many rows of the folds are theirs."""
    path = ComparisonFolder(folder).folds
    return int(np.isin(FoldSet.load(path).face_ids, list(gone)).sum()) if path.is_file() else 0


def remove_from_folds(folder: Path, gone: set[str]) -> None:
    """Leave everybody else in the fold they are in."""
    path = ComparisonFolder(folder).folds
    folds = FoldSet.load(path)
    stay = ~np.isin(folds.face_ids, list(gone))
    replace(folds, face_ids=folds.face_ids[stay], numbers=folds.numbers[stay]).save(path)


def _predictions(folder: Path) -> dict[Path, pd.DataFrame]:
    return {path: read_predictions(path) for path in ComparisonFolder(folder).all_predictions()}


def count_in_predictions(folder: Path, gone: set[str]) -> int:
    """Return how many rows of all predictions are theirs."""
    return sum(int(table["face_id"].isin(gone).sum()) for table in _predictions(folder).values())


def remove_from_predictions(folder: Path, gone: set[str]) -> None:
    """Write each table that has rows of theirs anew, without them."""
    for path, table in _predictions(folder).items():
        theirs = table["face_id"].isin(gone)
        if theirs.any():
            with whole_file(path) as file:
                table[~theirs].to_parquet(file, index=False)


def _audit_rows(folder: Path) -> list[list[str]]:
    path = ComparisonFolder(folder).audit_rows
    return list(csv.reader(StringIO(path.read_text(), newline=""))) if path.is_file() else []


def count_in_audit(folder: Path, gone: set[str]) -> int:
    """Return how many rows of the audit are theirs."""
    return sum(as_it_was(row[-1]) in gone for row in _audit_rows(folder)[1:] if row)


def remove_from_audit(folder: Path, gone: set[str]) -> None:
    """Write the audit's table of rows anew, without theirs."""
    head, *rows = _audit_rows(folder)
    table = StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(row for row in rows if row and as_it_was(row[-1]) not in gone)
    write_text(ComparisonFolder(folder).audit_rows, table.getvalue())


def _pages(folder: Path) -> list[Path]:
    return sorted(page for page in folder.glob("*.html") if shows_people(page))


def count_pages(folder: Path, gone: set[str]) -> int:
    """Return how many pages show faces: whose, is not looked at, since a page is soon written again."""
    return len(_pages(folder))


def remove_pages(folder: Path, gone: set[str]) -> None:
    """Delete the pages that show faces."""
    for page in _pages(folder):
        page.unlink()
