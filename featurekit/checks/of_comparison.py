"""Collect from a workspace what audit() needs of a comparison."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featurekit.cache.store import Store
from featurekit.checks.audit import vectors_for
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet, make_fold_set
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.vectors import Vectors
from featurekit.errors import FoldError, WorkspaceError
from featurekit.evaluation.comparable import how_to_run_again, set_apart
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.outcomes import read_predictions
from featurekit.evaluation.results import load_runs
from featurekit.project import ComparisonFolder, ProjectFolder


@dataclass(frozen=True)
class AtHand:
    """The arguments of audit() that a comparison has.

    Attributes:
        folds: those of the comparison, else those that featurekit fit would make; None if none can be made.
        embeddings: vectors that tell faces apart; None if nothing has been extracted.
        predictions: name of each run that is up to date → its predictions for every tested face.
    """

    folds: FoldSet | None
    embeddings: Vectors | None
    predictions: Mapping[str, pd.DataFrame]


def look_up(
    workspace: ProjectFolder,
    manifest: Manifest,
    name: str,
    *,
    features: str | None = None,
    pictures: bool = True,
    seed: int | None = None,
    threads: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> AtHand:
    """Return what a comparison has, and refuse options of an audit that would have no effect.

    Args:
        workspace: the folder in which the comparison is, or would be.
        manifest: the faces.
        name: of the comparison.
        features: "backbone[:layer]", joined by "+", in which close faces are searched; None to choose them.
        pictures: whether the images will be read.
        seed: of the random number generator; None if the user gave none.
        threads: number of threads that read images; 0 if the user gave none.
        say: is called with a line about each thing that is left out.

    Raises:
        WorkspaceError: an option has no effect, or the given features have not been extracted.
        UnknownNameError: no such backbone or layer.
    """
    folder = workspace.report(name)
    folds = _folds(folder, manifest, say)
    if threads and not pictures:
        raise WorkspaceError(
            "--threads has no effect with --no-images, because only the reading of images uses several"
            " threads. Leave it out."
        )
    embeddings = vectors_for(manifest, Ledger.load(workspace.extracted), Store(workspace.cache), features)
    if seed is not None and embeddings is None:
        raise WorkspaceError(
            "--seed has no effect: only checks of vectors use random numbers, and there are no vectors."
            " Run featurekit extract first, or leave --seed out."
        )
    return AtHand(folds, embeddings, _predictions(folder, manifest, say))


def _folds(folder: Path, manifest: Manifest, say: Callable[[str], None]) -> FoldSet | None:
    try:
        if ComparisonFolder(folder).folds.is_file():
            return Comparison.open(folder, manifest).folds
        folds = make_fold_set(folder.name, manifest)
        say("There are no saved folds yet. The audit uses the folds that featurekit fit would make.")
    except FoldError as error:
        say(f"warning: there are no folds to check: {error}")
        return None
    return folds


def _predictions(folder: Path, manifest: Manifest, say: Callable[[str], None]) -> dict[str, pd.DataFrame]:
    runs = load_runs(folder)
    apart = set_apart(runs, manifest)
    for run, why in apart.items():
        say(f"warning: {run} is left out: {why}. {how_to_run_again(run, runs)}")
    paths = {run.name: ComparisonFolder(folder).prediction(run.name) for run in runs if run.name not in apart}
    return {run: read_predictions(path) for run, path in paths.items() if path.is_file()}
