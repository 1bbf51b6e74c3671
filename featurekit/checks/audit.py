"""Look for errors in a data set and its folds that make scores too high or too low.

A score is too high if the training data contain a tested subject, a tested image or a copy of a tested
file. It is too low if labels are wrong. The checks examine the manifest, the folds, the images, one set of
feature vectors and the predictions of the fitted models.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from featurekit.cache.store import Store
from featurekit.checks.base import CHECKS, Check, Given, feature_name
from featurekit.checks.suspiciously_close import tell_faces_apart
from featurekit.data.manifest import Manifest, csv_of
from featurekit.data.splits import FoldSet, make_fold_set
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import FoldError, WorkspaceError
from featurekit.estimators.fitted_features import FITTED_FEATURES, frozen_only
from featurekit.evaluation.comparable import sentences_on, set_apart
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.outcomes import read_predictions
from featurekit.evaluation.results import load_runs
from featurekit.files import write_text
from featurekit.findings import Finding, Severity
from featurekit.networks.backbones import here, split_feature
from featurekit.networks.engines import usable_cores
from featurekit.networks.feature_names import feature_name as join_names
from featurekit.networks.feature_names import split_features
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder, ProjectFolder
from featurekit.records import read_facts, write_facts
from featurekit.registry import BUILTIN
from featurekit.text import described
from featurekit.threads import one_blas_thread

VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All findings on one comparison.

    Attributes:
        findings: the result of each check, always in the same order.
        folds: sha256 of the folds that were checked, "" if there were no folds.
        features: name of the feature vectors that were checked, "" if there were no vectors.
        runs: names of the models whose predictions were checked.
        seed: seed of the random number generator.
        rows: number of rows that were checked by the reason why they are unusable, "" for usable rows; empty
            if an older version made the audit.
    """

    findings: tuple[Finding, ...]
    folds: str
    features: str
    runs: tuple[str, ...]
    seed: int
    rows: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of the check with this name."""
        return next(one for one in self.findings if one.name == name)

    def frame(self) -> pd.DataFrame:
        """Return one row for each finding: finding, severity, count, of, what, what_to_do."""
        return pd.DataFrame(
            [(one.name, one.severity, one.count, one.of, one.what, one.advice) for one in self.findings],
            columns=["finding", "severity", "count", "of", "what", "what_to_do"],
        )

    def save(self, folder: Path) -> None:
        """Write the findings to audit.json, and the face_id of each affected face to audit_rows.csv."""
        facts = asdict(self)
        for one in facts["findings"]:
            del one["rows"]
        write_facts(ComparisonFolder(folder).audit, VERSION, facts)
        rows = [(one.name, face_id) for one in self.findings for face_id in one.rows]
        write_text(
            ComparisonFolder(folder).audit_rows, csv_of(pd.DataFrame(rows, columns=["finding", "face_id"]))
        )

    @classmethod
    def load(cls, folder: Path) -> "Audit | None":
        """Return the saved audit without its face ids; None if this version has not saved an audit.

        Raises:
            WorkspaceError: the file is damaged or does not contain an audit.
        """
        return read_facts(ComparisonFolder(folder).audit, VERSION, cls)


def audit(
    manifest: Manifest,
    folds: FoldSet | None,
    embeddings: Vectors | None,
    predictions: Mapping[str, pd.DataFrame],
    *,
    pictures: bool = True,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Run all checks for errors that make scores higher or lower than they should be.

    Args:
        manifest: table of the faces.
        folds: fold in which each subject is tested; None if no folds have been made.
        embeddings: feature vectors in which faces are compared, best those of a face-recognition network;
            None if nothing has been extracted.
        predictions: name of each fitted model → table of its predictions for every tested face.
        pictures: whether to read the images in order to find near duplicates.
        seed: seed of the random number generator.
        threads: number of threads that read images or compare vectors; 0 for one per core. It does not
            change the findings.
        progress: called by slow checks with (steps done, steps in total).

    Returns:
        The finding of every check.

    Raises:
        FoldError: the folds were made for the rows of another manifest.
    """
    face_ids = manifest.table["face_id"].to_numpy(dtype=str)
    if folds is not None:
        folds.check_rows(face_ids, Path(folds.name))
    numbers = folds.numbers if folds is not None else np.full(len(manifest), -1, np.intp)
    given = Given(
        manifest=manifest,
        folds=folds,
        embeddings=embeddings,
        predictions=predictions,
        pictures=pictures,
        seed=seed,
        threads=threads or usable_cores(),
        progress=progress,
        face_ids=face_ids,
        numbers=np.where(manifest.usable, numbers, -1),
    )
    with one_blas_thread():
        findings = tuple(_found(check, given) for check in in_order())
    return Audit(
        findings=findings,
        folds=folds.sha256 if folds is not None else "",
        features=feature_name(embeddings) if embeddings is not None else "",
        runs=tuple(sorted(predictions)),
        seed=seed,
        rows={str(reason): int(n) for reason, n in manifest.table["reason"].value_counts().items()},
    )


def _found(check: Check, given: Given) -> Finding:
    """Return the finding of a check. If a check of a plug-in fails, the finding says so."""
    if CHECKS.package_of(check.name) == BUILTIN:
        return check.look(given)
    try:
        found: Any = check.look(given)
    except MemoryError:
        raise
    except Exception as error:
        _log.info("The check %s failed.", check.name, exc_info=True)
        problem = f"failed: {described(error)}"
    else:
        if not isinstance(found, Finding):
            problem = f"returned {type(found).__name__} instead of a Finding"
        elif found.name != check.name:
            problem = f"returned a finding named '{found.name}', but the name must be that of the check"
        elif found.severity not in get_args(Severity):
            problem = f"returned a finding with the severity '{found.severity}', which does not exist"
        else:
            return found
    return Finding(
        name=check.name,
        severity="warning",
        count=0,
        of=0,
        what=f"The check {check.name} {problem}.",
        advice=f"Correct the check, which is from {CHECKS.package_of(check.name)}.",
    )


def in_order() -> list[Check]:
    """Return all checks in the order of their findings."""
    return sorted(CHECKS, key=lambda check: (check.order, check.name))


def vectors_for(
    manifest: Manifest, ledger: Ledger | None, store: Store, features: str | None = None
) -> Vectors | None:
    """Return the feature vectors in which the audit searches for faces that are too close to each other.

    Args:
        manifest: table of the faces.
        ledger: list of the extracted features; None if nothing has been extracted.
        store: storage of the extracted vectors.
        features: names of features, "backbone[:layer]" joined by "+". If None, the features of a network that
            can recognize subjects (Backbone.recognizes) are used, else the first extracted features.

    Returns:
        The vectors; None if features is None and no extracted vectors can tell subjects apart.

    Raises:
        UnknownNameError: there is no backbone or layer of this name.
        WorkspaceError: the given features have not been extracted.
    """
    recipes = ledger.recipes if ledger else {}
    if features is not None:
        names = [join_names(one.name, layer) for one, layer in map(frozen_only, split_features(features))]
        absent = next((name for name in names if name not in recipes), None)
        if ledger is None or absent:
            raise WorkspaceError(
                f"{absent} has not been extracted. Next: featurekit extract --backbone {absent}"
            )
        return load_embeddings(manifest, [recipes[name] for name in names], ledger.settings, store)
    starts = {one.reads for one in FITTED_FEATURES}
    for name in sorted(here(recipes), key=_recognizes_at):
        backbone, layer = split_feature(name)
        # A head's output is a prediction, which different subjects share. Pixels do not tell subjects apart,
        # nor do measures of the image, or the vectors from which features are learned.
        is_other = backbone.is_picture or backbone.is_measure or name in starts
        if ledger is None or layer in backbone.heads or is_other:
            continue
        # A network whose extraction was stopped has too few vectors; another one may have all of them.
        with suppress(WorkspaceError):
            return load_embeddings(manifest, [recipes[name]], ledger.settings, store)
    return None


def _recognizes_at(name: str) -> int:
    """Return the rank of a layer among those that tell subjects apart, best first; others come last."""
    backbone, layer = split_feature(name)
    ranked = backbone.recognizes
    return ranked.index(layer) if layer in ranked else len(backbone.layers) + 1


@dataclass(frozen=True)
class AtHand:
    """The arguments of audit() for one comparison.

    Attributes:
        folds: the saved folds of the comparison, else the folds that featurekit fit would make; None if
            folds cannot be made.
        embeddings: feature vectors in which faces are compared; None if nothing has been extracted.
        predictions: name of each model that is up to date → table of its predictions.
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
    """Return the folds, vectors and predictions of a comparison after checking the options of the audit.

    Args:
        workspace: project folder of the comparison.
        manifest: table of the faces.
        name: name of the comparison, which need not exist yet.
        features: names of the features in which close faces are searched, "backbone[:layer]" joined by
            "+"; None to choose them automatically.
        pictures: whether the audit will read the images.
        seed: seed of the random number generator; None if the user gave no seed.
        threads: number of threads that read images or compare vectors; 0 if the user gave no number.
        say: called with one line of text about each part of the comparison that the audit leaves out.

    Raises:
        WorkspaceError: an option has no effect, or the given features have not been extracted.
        UnknownNameError: there is no backbone or layer of this name.
    """
    folder = workspace.report(name)
    folds = _folds(folder, manifest, say)
    embeddings = vectors_for(manifest, Ledger.load(workspace.extracted), Store(workspace.cache), features)
    if threads and not pictures and (embeddings is None or not tell_faces_apart(embeddings)):
        raise WorkspaceError(
            "--threads has no effect with --no-images here: only reading images and comparing the vectors of"
            " a network use several threads. Leave it out."
        )
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
    except FoldError as error:
        say(f"warning: there are no folds to check: {error}")
        return None
    say("There are no saved folds yet. The audit uses the folds that featurekit fit would make.")
    return folds


def _predictions(folder: Path, manifest: Manifest, say: Callable[[str], None]) -> dict[str, pd.DataFrame]:
    runs = load_runs(folder)
    apart = set_apart(runs, manifest, folder)
    for text in sentences_on(apart, runs, "is left out"):
        say(f"warning: {text}")
    paths = {run.name: ComparisonFolder(folder).prediction(run.name) for run in runs if run.name not in apart}
    return {run: read_predictions(path) for run, path in paths.items() if path.is_file()}
