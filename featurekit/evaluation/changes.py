"""How each run of a later comparison compares with the run of the same name in an earlier one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.evaluation.comparable import are_same_groups
from featurekit.evaluation.differences import Difference, common_faces, differences_of
from featurekit.evaluation.estimates import losses_of
from featurekit.evaluation.outcomes import read_predictions
from featurekit.project import ComparisonFolder
from featurekit.uncertainty.paired_tests import side_by_side, sign_flip


def compare_runs(
    before: Path, after: Path, runs: Mapping[str, Target], *, seed: int = 0
) -> dict[str, Difference]:
    """Return how each run of a later comparison compares with the run of the same name in an earlier one.

    Args:
        before: folder of the earlier comparison.
        after: folder of the later comparison.
        runs: target of each run that both comparisons contain, by the name of the run.
        seed: seed of the random number generator.

    Returns:
        The difference of each run, by its name. A gain above 0 means that the later run is better, and the
        p-values are adjusted for all runs together. A run is left out if its predictions are missing, if the
        comparisons have no face in common, or if relabelled() names it.
    """
    found, members = {}, []
    apart = relabelled(before, after, list(runs))
    for name, common in _of_both(before, after, runs):
        if name not in apart and len(common["after"]):
            found[name] = differences_of(runs[name], common, seed)[0]
            gains = losses_of(runs[name], common["before"]) - losses_of(runs[name], common["after"])
            members.append((common["after"], gains))
    tested = sign_flip(*side_by_side(_same_subjects(members)), seed=seed)
    return {
        name: replace(one, adjusted=float(p), limit=tested.limit)
        for (name, one), p in zip(found.items(), tested.adjusted, strict=True)
    }


def relabelled(before: Path, after: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the runs that two comparisons scored on different labels or subjects, and what differs.

    Such a run must not be compared: it may be better or worse only because its labels have changed.

    Args:
        before: folder of the earlier comparison.
        after: folder of the later comparison.
        names: names of runs that both comparisons contain.
    """
    apart = {}
    for name, common in _of_both(before, after, names):
        changed = int((common["after"]["true"] != common["before"]["true"]).sum())
        if changed:
            apart[name] = (
                f"the labels of {changed:,} of its {len(common['after']):,} common faces have changed between"
                " the comparisons"
            )
        elif not are_same_groups(common["after"]["subject"], common["before"]["subject"]):
            apart[name] = "the subjects of the faces have changed between the comparisons"
    return apart


def _of_both(
    before: Path, after: Path, names: Iterable[str]
) -> Iterator[tuple[str, dict[str, pd.DataFrame]]]:
    """Yield the name of each run that both contain, with both predictions on the common faces."""
    for name in names:
        paths = [ComparisonFolder(folder).prediction(name) for folder in (after, before)]
        if all(path.is_file() for path in paths):
            later, earlier = map(read_predictions, paths)
            if "subject" in later and "subject" in earlier:  # otherwise written by an older version
                yield name, common_faces({"after": later, "before": earlier}, "face_id")


def _same_subjects(
    members: Sequence[tuple[pd.DataFrame, NDArray[np.float64]]],
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Give the subjects of several tables common numbers: subjects that share a face are the same.

    The numbers in the tables are those of the manifest on which each run was fitted, which may have changed.

    Args:
        members: members of each table, its columns face_id and subject, and a value for each face.

    Returns:
        Of each table, the number of the subject of each face, and the same values.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not members:
        return []
    tables = [table[["face_id", "subject"]] for table, _ in members]
    faces = pd.concat(tables, keys=range(len(members)), names=["member", None])
    subject = faces.groupby(["member", "subject"]).ngroup().to_numpy()
    face = pd.factorize(faces["face_id"])[0] + subject.max() + 1
    n_nodes = int(face.max()) + 1
    links = coo_array((np.ones(len(face), bool), (subject, face)), shape=(n_nodes, n_nodes))
    common = connected_components(links, directed=False)[1].astype(np.intp)[subject]
    parts = np.split(common, np.cumsum([len(table) for table in tables])[:-1])
    return [(own, values) for own, (_, values) in zip(parts, members, strict=True)]
