"""Functions around a comparison: audit, verify, purge, merge_caches, log_mlflow and doctor."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featurekit.api.arguments import threads_of
from featurekit.api.project import Project, project_of
from featurekit.api.telling import Shown, note_of_no_lock, say, shown, warn, warn_of_first
from featurekit.checked import checked
from featurekit.checks import audit as checks
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.ops import purge as purging
from featurekit.ops.merge import Merged, merge
from featurekit.ops.mlflow import Logged, log_comparison
from featurekit.ops.traces import find_traces
from featurekit.ops.verify import Verification, verify_run
from featurekit.project import ComparisonFolder
from featurekit.registry import unknown
from featurekit.urls import place_of


@checked()
def audit(
    data: Manifest | None = None,
    *,
    name: str | None = None,
    features: str | None = None,
    images: bool = True,
    seed: int | None = None,
    n_jobs: int | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> checks.Audit:
    """Look for problems of a data set and its splits that make the scores wrong.

    The checks look for subjects, identical images and near duplicates on both sides of a split, for faces
    that are suspiciously close to a training face, for contradicting or suspect labels, and for classes that
    are unevenly distributed. They also compute the score that a random split would give. The report of the
    comparison shows the findings. The command `featurekit audit` does the same as this function.

    Args:
        data: the data set; None for the data set of the project.
        name: name of the comparison; None for the name of the data set.
        features: extracted networks or "network:layer", joined by "+", whose vectors are used to find close
            faces; None for an extracted face-recognition network, or else the first extracted network.
        images: whether to read the image files, to find near duplicates.
        seed: seed of the random number generator; None for 0.
        n_jobs: number of threads that read images; None or -1 for one per core.
        project: the project; None for the project of the current folder.
        progress: whether to show a progress bar.

    Returns:
        The findings; their method ``.frame()`` returns a table with one row for each finding.

    Raises:
        WorkspaceError: an argument would have no effect, or the vectors have not been extracted.

    Example:
        >>> import featurekit as fk
        >>> fk.audit(data).frame()    # doctest: +SKIP
    """
    place, threads = project_of(project), threads_of(n_jobs)
    manifest = Manifest.load(place.folder.manifest) if data is None else data
    if name is not None and name not in place.comparisons and place.comparisons:
        raise WorkspaceError(unknown("comparison", name, place.comparisons))
    name = name or manifest.name
    at_hand = checks.look_up(
        place.folder, manifest, name, features=features, pictures=images, seed=seed, threads=threads, say=say
    )
    with shown(progress, "auditing", "pieces") as told:
        found = checks.audit(
            manifest,
            at_hand.folds,
            at_hand.embeddings,
            at_hand.predictions,
            pictures=images,
            seed=seed or 0,
            threads=threads,
            progress=told,
        )
    found.save(place.folder.report(name))
    return found


@checked()
def verify(
    folder: str | Path,
    data: Manifest | None = None,
    *,
    n: int = 16,
    seed: int | None = None,
    progress: Shown = True,
) -> Verification:
    """Compute some vectors of an old comparison again, and check whether they are equal to the last bit.

    The vectors are computed with the recipes that are stored in the runs, but with the current weights,
    precision and engine. Nothing is written into the cache. The command `featurekit verify-run` does the same
    as this function.

    Args:
        folder: folder of the comparison, such as "reports/utkface".
        data: the data set; None for the data set of the project that contains the comparison.
        n: number of faces whose vectors are computed again.
        seed: seed for drawing the faces at random; None for 0.
        progress: whether to show a progress bar.

    Returns:
        The equal and the different vectors; the attribute ``.is_equal`` tells whether everything is equal.

    Raises:
        WorkspaceError: the folder has no runs.

    Example:
        >>> import featurekit as fk
        >>> fk.verify("reports/utkface").is_equal    # doctest: +SKIP
    """
    place = Project(Path(folder).absolute().parents[1])
    manifest = Manifest.load(place.folder.manifest) if data is None else data
    with shown(progress, "verifying", "images") as told:
        return verify_run(Path(folder), manifest, place.folder.cache, n=n, seed=seed, progress=told)


@checked()
def purge(
    subjects: Sequence[str] = (),
    images: Sequence[str | Path] = (),
    *,
    dry_run: bool = False,
    project: Project | str | Path | None = None,
) -> purging.Purged:
    """Remove all data of some subjects from a project, and check that none is left.

    The rows of the subjects are removed from the table, the cache, the splits, the predictions and the audit.
    The image files are not changed. Models and reports that were made from the faces are not changed; the
    result counts such files. No other command or function may run in the project at the same time. The
    command `featurekit cache purge` does the same as this function.

    Args:
        subjects: names of subjects in the data set.
        images: paths of image files.
        dry_run: whether to only return what would be removed.
        project: the project; None for the project of the current folder.

    Returns:
        What was removed, or would be removed in a dry run.

    Raises:
        WorkspaceError: neither a subject nor an image is given, or some data cannot be removed.
        UnknownNameError: the data set has no such subject or image.

    Example:
        >>> import featurekit as fk
        >>> fk.purge(["s0"], dry_run=True).places    # doctest: +SKIP
    """
    place = project_of(project)
    Manifest.load(place.folder.manifest)  # raises an error if there is none
    if not subjects and not images:
        raise WorkspaceError(
            "No subject and no image is given. Give a subject with --subject, or an image with --image."
        )
    if not dry_run:
        note_of_no_lock(place.folder.cache)
    traces = find_traces(place.folder, list(subjects), [str(image) for image in images])
    return (purging.look if dry_run else purging.purge)(place.folder, traces)


@checked()
def merge_caches(
    others: Sequence[str | Path],
    *,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Merged:
    """Copy the faces and vectors of other caches into the cache of a project.

    The other caches are not changed. Rows that the project has already are not copied, so a merge that was
    stopped can be run again. The hash of each file is checked, and a damaged file is left out. The record of
    the extractions is merged, too, so that `fk.evaluate` needs no extraction here. The rows of subjects that
    were purged here come back if another cache has them. The command `featurekit cache merge` does the same
    as this function.

    Args:
        others: folders of projects, or folders or URLs of caches.
        project: the project to copy to; None for the project of the current folder.
        progress: whether to show a progress bar.

    Returns:
        What was added; its method ``.frame()`` returns a table with one row for each recipe. Its attribute
        ``.damaged`` has the damaged files, and ``.left_out`` a sentence for each cache whose record of
        extractions could not be merged.

    Raises:
        WorkspaceError: no folder is given, or one has no cache, is named twice, or is the project itself;
            then nothing is copied.
        StoreError: a file cannot be read or written.

    Example:
        >>> import featurekit as fk
        >>> fk.merge_caches(["part1", "part2"]).frame()    # doctest: +SKIP
    """
    if not others:
        raise WorkspaceError("No cache is given. Example: fk.merge_caches(['part1', 'part2'])")
    with shown(progress, "merging", "files") as told:
        merged = merge(project_of(project).folder, list(map(place_of, others)), told)
    for text in merged.left_out:
        warn(text)
    warn_of_first([f"{one.path} {one.why}. It was left out" for one in merged.damaged], "more")
    return merged


@checked()
def log_mlflow(
    folder: str | Path, to: str | None = None, *, experiment: str | None = None, progress: Shown = True
) -> Logged:
    """Write a comparison to an MLflow store: parameters, scores, learning curves and the report.

    Runs that the store already has are not changed. The command `featurekit log-mlflow` does the same as this
    function.

    Args:
        folder: folder of the comparison, such as "reports/utkface".
        to: the store, "sqlite:///FILE" or the URL of a server, which is reached over the network; None for
            mlflow.db in the project.
        experiment: name of the experiment; None for the name of the data set.
        progress: whether to show a progress bar.

    Returns:
        The runs and files that were added to the store, and the runs that the store had before.

    Raises:
        EngineError: MLflow is not installed: pip install 'featurekit[mlflow]'.
        StoreError: the store cannot be reached or written.
        WorkspaceError: the folder has no runs.

    Example:
        >>> import featurekit as fk
        >>> fk.log_mlflow("reports/utkface").new    # doctest: +SKIP
    """
    to = to or f"sqlite:///{ComparisonFolder(Path(folder)).project.mlflow}"
    with shown(progress, "logging", "runs") as told:
        return log_comparison(Path(folder), to, experiment, progress=told)


@checked()
def doctor(project: Project | str | Path | None = None) -> pd.DataFrame:
    """Check the versions of libraries, the GPU, the weight files and the disk space of this machine.

    The command `featurekit doctor` does the same as this function.

    Args:
        project: the project whose disk is checked; None for the project of the current folder.

    Returns:
        A table with one row for each finding: topic, severity ("ok", "warning" or "error"), finding and
        what_to_do.

    Example:
        >>> import featurekit as fk
        >>> fk.doctor()    # doctest: +SKIP
    """
    from featurekit.ops.doctor import diagnose

    return pd.DataFrame(
        [(one.name, one.severity, one.what, one.advice) for one in diagnose(project_of(project).folder.root)],
        columns=["topic", "severity", "finding", "what_to_do"],
    )
