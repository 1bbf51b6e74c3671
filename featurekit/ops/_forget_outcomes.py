"""Let go of a person in the outcomes of a comparison, which name nobody but number the manifest's rows.

Where a comparison has its predictions or its split it was made here, and featurekit report makes its
outcomes again from the predictions: they are deleted whole, since the rows of everybody who stands behind the
person in the manifest have other numbers afterwards. A comparison that came with its outcomes alone has
nothing else to make them from: there the person's rows are taken out, if they are rows of this manifest. That
is told by the hash of the faces that each run was scored on.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from featurekit.data.manifest import Manifest
from featurekit.evaluation.comparable import hash_of_rows
from featurekit.evaluation.outcomes import read_outcomes, write_outcomes
from featurekit.evaluation.results import load_runs
from featurekit.project import ComparisonFolder


def count(folder: Path, gone: Collection[str], manifest: Manifest) -> int:
    """Return how many files of outcomes, and of what was found in them, may hold somebody.

    Args:
        folder: of the comparison.
        gone: face ids of whom it is about.
        manifest: as it was before they were taken out.
    """
    return len(_whole(folder)) if _is_made_here(folder) else len(_without(folder, gone, manifest))


def remove(folder: Path, gone: Collection[str], manifest: Manifest) -> None:
    """Delete these files, or take out the rows; the arguments are those of count()."""
    if _is_made_here(folder):
        for path in _whole(folder):
            path.unlink()
        return
    for path, table in _without(folder, gone, manifest).items():
        if table is None:
            path.unlink()
        else:
            write_outcomes(path, table)


def _is_made_here(folder: Path) -> bool:
    files = ComparisonFolder(folder)
    return files.folds.is_file() or bool(files.all_predictions())


def _whole(folder: Path) -> list[Path]:
    """Return the outcomes, and the evidence if there are any."""
    files = ComparisonFolder(folder)
    there = files.all_outcomes()
    return [*there, *(path for path in [files.evidence] if there and path.is_file())]


def _without(folder: Path, gone: Collection[str], manifest: Manifest) -> dict[Path, pd.DataFrame | None]:
    """Return what remains of each file that holds somebody, None where nothing; the faces' labels first.

    A removal that was stopped goes on where it was as long as one table still tells whose rows it has.
    """
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    theirs = np.flatnonzero(np.isin(ids, list(gone)))
    remaining: dict[Path, pd.DataFrame | None] = {}
    files = ComparisonFolder(folder)
    for run in load_runs(folder) if files.all_outcomes() else ():
        path = files.outcome(run.name)
        if not path.is_file():
            continue
        table = read_outcomes(path)
        rows = table["row"].to_numpy(np.intp)
        if rows.max(initial=-1) < len(ids) and hash_of_rows(ids[np.sort(rows)]) == run.scored_on.get("rows"):
            stay = ~table["row"].isin(theirs)
            if not stay.all():
                remaining[path] = table[stay]
    faces = files.faces
    if not remaining:
        return {}
    first: dict[Path, pd.DataFrame | None] = {}
    if files.evidence.is_file():
        first[files.evidence] = None
    if faces.is_file():
        labels = read_outcomes(faces)
        first[faces] = labels[~labels["row"].isin(theirs)]
    return first | remaining
