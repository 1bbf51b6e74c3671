"""How to get runs again: a run that is set apart, and the runs that a fit was going to replace."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from featurekit.evaluation.replaced import how_to_have_back
from featurekit.evaluation.results import Run
from featurekit.project import ComparisonFolder


def how_to_run_again(name: str, runs: Sequence[Run], where: str = "") -> str:
    """Return what to type to make a run again that is set apart.

    Args:
        name: of the run.
        runs: of its comparison, it among them.
        where: in which comparisons, as words that follow "again"; "" for its own.
    """
    run = next(run for run in runs if run.name == name)
    verb = "Average its members" if run.parameters.get("members") else "Fit it"
    return f"{verb} again{where}: {run.command or f'featurekit fit --target {run.target}'}"


@contextmanager
def saying_how_to_have_back(folder: Path, models: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Say where the replaced runs are, if a fit fails or is stopped inside.

    Args:
        folder: of the comparison.
        models: where the fitted models of the workspace are.
        say: called with a line for each folder that still contains runs.
    """
    before = ComparisonFolder(folder).replaced_folders()
    try:
        yield
    except BaseException:
        for replaced in ComparisonFolder(folder).replaced_folders():
            if replaced not in before:
                say(
                    f"The runs that this fit was going to replace are in {replaced}. To restore them:"
                    f" {how_to_have_back(replaced, models)}"
                )
        raise
    for replaced in ComparisonFolder(folder).replaced_folders():
        say(
            f"note: {replaced} still contains the runs that an interrupted fit was going to replace. To"
            f" restore them: {how_to_have_back(replaced, models)}"
        )
