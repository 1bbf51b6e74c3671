"""Check how much higher scores would be if the faces were split at random, without regard to subjects."""

from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import NDArray

from featurekit.checks.base import NO_FOLDS, Given, check, feature_name, lacking
from featurekit.data.splits import Fold
from featurekit.data.targets import AGE_GROUP, GENDER, Target
from featurekit.embeddings.vectors import Vectors
from featurekit.errors import FoldError, TargetError
from featurekit.estimators import CLASSIFIERS
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.fitting import Fitting
from featurekit.findings import Finding

NAME = "inflation"
AT_RANDOM = "accuracy of a random split"
MOST_FITTED = 10_000  # faces that are fitted; if there are more, whole subjects are drawn


@check(NAME, "score of a random split", "note", 90)
def look(given: Given) -> Finding:
    """Score a simple model on the folds, and on random folds that do not keep subjects apart."""
    embeddings, usable = given.embeddings, given.manifest.usable
    n_subjects = len(np.unique(given.manifest.subjects[usable]))
    if n_subjects == usable.sum():
        return Finding(
            name=NAME,
            severity="ok",
            count=0,
            of=0,
            what="The score of a random split cannot be computed, because according to the data set no two"
            " faces show the same subject.",
        )
    if given.folds is None:
        return lacking(
            NAME, "There are no folds yet, so there is no score to compare a random split with.", NO_FOLDS
        )
    if embeddings is None:
        return lacking(
            NAME, "There are no vectors yet, so a random split cannot be scored.", "Next: featurekit extract."
        )
    here = np.flatnonzero(given.numbers[embeddings.rows] >= 0)
    kept = here[_some_subjects(given.manifest.subjects[embeddings.rows[here]], given.seed)]
    drawn = f", {len(kept):,} of {len(here):,} faces" if len(kept) < len(here) else ""
    wanted = [target for target in (AGE_GROUP, GENDER) if given.manifest.labelled(target).any()]
    details: dict[str, dict[str, float]] = {}
    failed = []
    n_fits, fits = 2 * given.folds.n_folds * len(wanted), count(1)

    def one_done() -> None:
        if given.progress:
            given.progress(next(fits), n_fits)

    for target in wanted:
        try:
            details[target.name] = _scores(given, embeddings, kept, target, one_done)
        except (FoldError, TargetError) as error:
            failed.append(f"{target.name}: {error}")
    if not details:
        why = " ".join(failed) or "No face has a label of age_group or gender."
        return lacking(NAME, f"A random split could not be scored. {why}", "")
    said = " and ".join(
        f"{one[AT_RANDOM]:.1%} instead of {one['accuracy']:.1%} on {name}" for name, one in details.items()
    )
    most = max(one[AT_RANDOM] - one["accuracy"] for one in details.values())
    return Finding(
        name=NAME,
        severity="note" if most >= 0.005 else "ok",
        count=n_subjects,
        of=int(usable.sum()),
        what=f"A random split would have scored {said} (logistic_regression on"
        f" {feature_name(embeddings)}{drawn}), because the {usable.sum():,} faces show only {n_subjects:,}"
        " subjects." + (f" Not scored: {' '.join(failed)}" if failed else ""),
        advice="Do not compare the scores of these folds with published scores of random splits."
        if most >= 0.005
        else "",
        details=details,
    )


def _scores(
    given: Given,
    embeddings: Vectors,
    kept: NDArray[np.intp],
    target: Target,
    one_done: Callable[[], None],
) -> dict[str, float]:
    """Return the accuracy of a simple model on the folds, and on folds that are made at random.

    Args:
        given: with folds.
        embeddings: the vectors that the model is fitted on.
        kept: positions of those that are used.
        target: what the model predicts.
        one_done: called after each fit.

    Raises:
        FoldError: a class has too few faces, or there are too few subjects.
        TargetError: a label is not one of the target's classes.
    """
    from sklearn.model_selection import StratifiedKFold

    assert given.folds is not None
    own = kept[given.manifest.labelled(target)[embeddings.rows[kept]]]
    rows = embeddings.rows[own]
    labels = given.manifest.table[target.name].to_numpy(dtype=str)[rows]
    subjects = given.manifest.subjects[rows]
    # featurekit fit leaves these classes out, too.
    kept_too = ~np.isin(labels, list(given.folds.untrained(rows, labels, subjects)))
    own, rows, labels, subjects = own[kept_too], rows[kept_too], labels[kept_too], subjects[kept_too]
    folds = given.folds.folds(rows, labels, subjects)
    y = target.encode(list(labels))
    n_rarest = np.bincount(y)[np.unique(y)].min()
    if n_rarest < len(folds):
        raise FoldError(f"A class has {n_rarest} faces, which is fewer than the number of folds.")
    at_random = [
        Fold(train, test)
        for train, test in StratifiedKFold(len(folds), shuffle=True, random_state=given.seed).split(y, y)
    ]
    scores = {}
    for name, made in (("accuracy", folds), (AT_RANDOM, at_random)):
        out = cross_validate(
            CLASSIFIERS["logistic_regression"],
            target,
            embeddings.vectors[own].astype(np.float32, copy=False),
            y,
            subjects,
            made,
            Fitting(blocks=embeddings.blocks, seed=given.seed),
            done=one_done,
        )
        scores[name] = float(np.mean([(out.predicted == y)[fold.test].mean() for fold in made]))
    return scores


def _some_subjects(subjects: NDArray[np.str_], seed: int) -> NDArray[np.intp]:
    """Return the rows of subjects that are drawn at random, with at most MOST_FITTED faces together."""
    _, codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(counts))
    return np.flatnonzero(np.isin(codes, drawn[np.cumsum(counts[drawn]) <= MOST_FITTED]))
