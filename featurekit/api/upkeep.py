"""Whether a comparison can be believed, and what is kept of people: audit, verify, purge, log, doctor."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from featurekit.api.arguments import threads_of
from featurekit.api.project import Project, manifest_of, project_of
from featurekit.api.telling import Shown, say, shown
from featurekit.checks.audit import Audit
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.ops.mlflow import Logged
from featurekit.ops.purge import Purged
from featurekit.ops.verify import Verification
from featurekit.project import ComparisonFolder
from featurekit.registry import unknown


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
) -> Audit:
    """Look for what makes scores better or worse than they are: leaks between splits, and wrong labels.

    People, images and (nearly) identical images on both sides of a split, faces too close to a training
    face, contradicting and suspect labels, classes that are unevenly distributed, and what a random split
    would have scored. It is what `featurekit audit` does; the report shows what was found.

    Args:
        data: whose faces; None for the project's data set.
        name: of the comparison; None for the data set's.
        features: "network[:layer]", joined by "+", in which close faces are looked for; None for a
            face-recognition network that has been extracted, else the first network.
        images: whether to read the images, to find near duplicates.
        seed: of the random number generator; None for 0.
        n_jobs: how many threads read images; None or -1 for one a core.
        project: None for the current folder's.
        progress: whether to show a bar.

    Returns:
        The findings; ``.frame()`` is a row a finding.

    Raises:
        WorkspaceError: an argument would have no effect, or features have not been extracted.

    Example:
        >>> import featurekit as fk
        >>> fk.audit(data).frame()    # doctest: +SKIP
    """
    from featurekit.checks import audit as library

    place, threads = project_of(project), threads_of(n_jobs)
    manifest = manifest_of(place) if data is None else data
    if name is not None and name not in place.comparisons and place.comparisons:
        raise WorkspaceError(unknown("comparison", name, place.comparisons))
    name = name or manifest.name
    at_hand = library.look_up(
        place.folder, manifest, name, features=features, pictures=images, seed=seed, threads=threads, say=say
    )
    with shown(progress, "auditing", "pieces") as told:
        found = library.audit(
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


def verify(
    folder: str | Path,
    data: Manifest | None = None,
    *,
    n: int = 16,
    seed: int | None = None,
    progress: Shown = True,
) -> Verification:
    """Compute some vectors of an old comparison again, and say whether they are the same to the last bit.

    It is what `featurekit verify-run` does: a few images are read with the recipes that the runs keep, by
    today's weights, precision and engine. Nothing is written into the cache.

    Args:
        folder: of the comparison, e.g. "reports/utkface".
        data: whose images; None for the data set of the project that the comparison is in.
        n: how many faces.
        seed: which faces; None for 0.
        progress: whether to show a bar.

    Returns:
        What is as it was, and what is not; ``.is_equal`` says it in a word.

    Raises:
        WorkspaceError: there is no run in the folder.

    Example:
        >>> import featurekit as fk
        >>> fk.verify("reports/utkface").is_equal    # doctest: +SKIP
    """
    from featurekit.ops.verify import verify_run

    place = Project(Path(folder).absolute().parents[1])
    manifest = manifest_of(place) if data is None else data
    with shown(progress, "verifying", "images") as told:
        return verify_run(Path(folder), manifest, place.folder.cache, n=n, seed=seed, progress=told)


def purge(
    subjects: Sequence[str] = (),
    images: Sequence[str | Path] = (),
    *,
    dry_run: bool = False,
    project: Project | str | Path | None = None,
) -> Purged:
    """Remove people from a whole project, and check that nothing is left of them.

    It is what `featurekit cache purge` does: their rows leave the table, the cache, the splits, the
    predictions and the audit. The image files are not touched, and what has learned from the faces cannot
    forget them and is named in the answer. Nothing else may run in the project meanwhile.

    Args:
        subjects: people, as the data set calls them.
        images: image files, by their paths.
        dry_run: whether to only say what would be removed.
        project: None for the current folder's.

    Returns:
        What was removed, or would be.

    Raises:
        WorkspaceError: nobody is named, or somebody whom the project does not know.

    Example:
        >>> import featurekit as fk
        >>> fk.purge(["s0"], dry_run=True).places    # doctest: +SKIP
    """
    from featurekit.ops import purge as library
    from featurekit.ops.traces import find_traces

    place = project_of(project)
    manifest_of(place)
    if isinstance(subjects, str) or isinstance(images, str | Path):
        raise WorkspaceError(
            "subjects and images are lists, e.g. fk.purge(['s0']) or fk.purge(images=['a.jpg'])."
        )
    if not subjects and not images:
        raise WorkspaceError(
            "No subject and no image is given. Give a subject with --subject, or an image with --image."
        )
    traces = find_traces(place.folder, list(subjects), [str(image) for image in images])
    return (library.look if dry_run else library.purge)(place.folder, traces)


def log_mlflow(
    folder: str | Path, to: str | None = None, *, experiment: str | None = None, progress: Shown = True
) -> Logged:
    """Write a comparison to an MLflow store: parameters, scores, learning curves and the report.

    What is in the store already is left as it is. It is what `featurekit log-mlflow` does.

    Args:
        folder: of the comparison, e.g. "reports/utkface".
        to: "sqlite:///FILE", or the address of a server, which is reached over the network; None for
            mlflow.db in the project.
        experiment: its name; None for the data set's.
        progress: whether to show a bar.

    Returns:
        What is new in the store, and what was there.

    Raises:
        EngineError: MLflow is not installed: pip install 'featurekit[mlflow]'.
        StoreError: the store cannot be reached or written.
        WorkspaceError: there is no run in the folder.

    Example:
        >>> import featurekit as fk
        >>> fk.log_mlflow("reports/utkface").new    # doctest: +SKIP
    """
    from featurekit.ops.mlflow import log_comparison

    where = to or f"sqlite:///{ComparisonFolder(Path(folder)).project.mlflow}"
    with shown(progress, "logging", "runs") as told:
        return log_comparison(Path(folder), where, experiment, progress=told)


def doctor(project: Project | str | Path | None = None) -> pd.DataFrame:
    """Look at this machine: versions, GPU, weights, disk, and what to do about each problem.

    Args:
        project: whose disk the cache goes to; None for the current folder's.

    Returns:
        A row a finding: topic, severity ("ok", "warning" or "error"), finding, what_to_do.

    Example:
        >>> import featurekit as fk
        >>> fk.doctor()    # doctest: +SKIP
    """
    from featurekit.ops.doctor import diagnose

    return pd.DataFrame(
        [(one.name, one.severity, one.what, one.advice) for one in diagnose(project_of(project).folder.root)],
        columns=["topic", "severity", "finding", "what_to_do"],
    )
