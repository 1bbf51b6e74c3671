"""Remove a subject from the outcomes of a comparison, which have no names but row numbers of the manifest.

If a comparison has its predictions or its folds, it was made in this project, and featurekit report can make
the outcomes again from the predictions. Its outcomes are deleted whole, because the later rows of the
manifest get other numbers. A comparison without predictions cannot make its outcomes again. There, only the
rows of the subject are removed, if they are rows of this manifest, which the hash of the faces of each run
tells.
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
    """Return how many files of outcomes, and of evidence computed from them, may contain somebody.

    Args:
        folder: of the comparison.
        gone: face ids to remove.
        manifest: from before the removal.
    """
    return len(_whole(folder)) if _is_made_here(folder) else len(_without(folder, gone, manifest))


def remove(folder: Path, gone: Collection[str], manifest: Manifest) -> None:
    """Delete these files, or remove the rows from them; the arguments are those of count()."""
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
    """Return the files of outcomes and, if there are any, of the evidence."""
    files = ComparisonFolder(folder)
    there = files.all_outcomes()
    return [*there, *(path for path in [files.evidence] if there and path.is_file())]


def _without(folder: Path, gone: Collection[str], manifest: Manifest) -> dict[Path, pd.DataFrame | None]:
    """Return the remaining rows of each file that contains somebody, None if there are none.

    The evidence and the labels come first, so that a stopped removal can be continued: until the end, the
    outcomes of a run still show which rows they have.
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
    if not remaining:
        return {}
    first: dict[Path, pd.DataFrame | None] = {files.evidence: None} if files.evidence.is_file() else {}
    if files.faces.is_file():
        labels = read_outcomes(files.faces)
        first[files.faces] = labels[~labels["row"].isin(theirs)]
    return first | remaining
