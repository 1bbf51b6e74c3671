"""The runs of a comparison from which an ensemble is made: those that match patterns, target by target."""

import shlex
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.ensemble import combine
from featurekit.evaluation.results import Run, load_runs


def members_by_target(runs: Sequence[Run], names: Sequence[str]) -> list[list[Run]]:
    """Return the matching runs, a list for each target of which every name matches one run.

    Args:
        runs: of a comparison.
        names: of runs, with * for any letters.

    Raises:
        WorkspaceError: a name matches several runs of a target, or there is no target of which each matches
            one.
    """
    wanted = []
    for target in dict.fromkeys(run.target for run in runs):
        meant = [
            [run for run in runs if run.target == target and fnmatchcase(run.name, one)] for one in names
        ]
        for one, found in zip(names, meant, strict=True):
            if len(found) > 1:
                raise WorkspaceError(
                    f"'{one}' matches several runs of {target}: {', '.join(run.name for run in found)}. Name"
                    f" one of them, for example featurekit ensemble {_two_of(runs, target, meant)}"
                )
        if all(meant):
            wanted.append([found[0] for found in meant])
    if not wanted:
        known = ", ".join(run.name for run in runs) or "none"
        targets = [run.target for run in runs]
        of_several = next((target for target in targets if targets.count(target) > 1), None)
        example = f" Example: featurekit ensemble {_two_of(runs, of_several)}" if of_several else ""
        raise WorkspaceError(
            f"No target has a run for each of {', '.join(names)}. The runs are: {known}.{example}"
        )
    return wanted


def _two_of(runs: Sequence[Run], target: str, meant: Sequence[Sequence[Run]] = ()) -> str:
    """Return the full names of two runs of a target for a command line, preferably of those that match."""
    own = [run for run in runs if run.target == target]
    trained = [run for run in own if not run.is_baseline]
    chosen: list[str] = []
    # First one for each name, then trained runs, then any run.
    for found in [*meant, trained, trained, own, own]:
        chosen += [run.name for run in found if run.name not in chosen][:1]
    return shlex.join(chosen[:2])


def make_ensembles(
    folder: Path, manifest: Manifest, names: Sequence[str], *, weighted: bool = False, command: str = ""
) -> list[Run]:
    """Average the predictions of runs of a comparison, save each mean as a run, and return these.

    Args:
        folder: of the comparison.
        manifest: whose faces.
        names: of the runs, with * for any letters; each matches one run of a target.
        weighted: whether weights are learned; otherwise all runs have the same weight.
        command: the command line, for the record.

    Raises:
        WorkspaceError: a name does not match exactly one run, or the runs cannot be averaged.
        FoldError: the folds of the comparison are of other rows.
    """
    wanted = members_by_target(load_runs(folder), names)
    comparison = Comparison.open(folder, manifest)
    return [combine(comparison, members, weighted=weighted, command=command) for members in wanted]
