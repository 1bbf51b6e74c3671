"""What a random split would have scored, face by face, beside the score of the folds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from featurekit.checks.base import CHECKS, NO_FOLDS, Check, Given, feature_name, lacking
from featurekit.data.splits import Fold
from featurekit.data.targets import AGE_GROUP, GENDER, Target
from featurekit.embeddings.vectors import Vectors
from featurekit.errors import FoldError, TargetError
from featurekit.estimators import CLASSIFIERS
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.fitting import Fitting
from featurekit.findings import Finding

NAME = "inflation"
MOST_FITTED = 10_000  # faces for the comparison with a random split; of more whole persons are drawn


def look(given: Given) -> Finding:
    """Score a simple model on the folds, and on folds dealt at random, face by face."""
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
    kept = here[_some_persons(given.manifest.subjects[embeddings.rows[here]], given.seed)]
    drawn = f", {len(kept):,} of {len(here):,} faces" if len(kept) < len(here) else ""
    wanted = [target for target in (AGE_GROUP, GENDER) if given.manifest.labelled(target).any()]
    details: dict[str, dict[str, float]] = {}
    said, failed = [], []
    n_fits, done = 2 * given.folds.n_folds * len(wanted), 0

    def one_done() -> None:
        nonlocal done
        done += 1
        if given.progress:
            given.progress(done, n_fits)

    for target in wanted:
        try:
            accuracy, at_random = _scores(given, embeddings, kept, target, one_done)
        except (FoldError, TargetError) as error:
            failed.append(f"{target.name}: {error}")
            continue
        details[target.name] = {"accuracy": accuracy, "accuracy of a random split": at_random}
        said.append(f"{at_random:.1%} instead of {accuracy:.1%} on {target.name}")
    if not said:
        why = " ".join(failed) or "No face has a label of age_group or gender."
        return lacking(NAME, f"A random split could not be scored. {why}", "")
    most = max(one["accuracy of a random split"] - one["accuracy"] for one in details.values())
    return Finding(
        name=NAME,
        severity="note" if most >= 0.005 else "ok",
        count=n_subjects,
        of=int(usable.sum()),
        what=f"A random split would have scored {' and '.join(said)} (logistic_regression on"
        f" {feature_name(embeddings)}{drawn}), because there are {n_subjects:,} subjects for"
        f" {usable.sum():,} faces." + (f" Not scored: {' '.join(failed)}" if failed else ""),
        advice="Do not compare these scores with results of others whose split did not keep subjects apart."
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
) -> tuple[float, float]:
    """Return the share of right answers of a simple model on the folds, and on folds dealt at random.

    Args:
        given: with folds.
        embeddings: what is learned from.
        kept: positions of the vectors that are.
        target: what is read.
        one_done: called after each fit.

    Raises:
        FoldError: there are too few faces of a class, or of persons.
        TargetError: a label is none of the target's.
    """
    from sklearn.model_selection import StratifiedKFold

    assert given.folds is not None
    own = kept[given.manifest.labelled(target)[embeddings.rows[kept]]]
    rows = embeddings.rows[own]
    labels = given.manifest.table[target.name].to_numpy(dtype=str)[rows]
    subjects = given.manifest.subjects[rows]
    # Classes that featurekit fit leaves out, too.
    kept_too = ~np.isin(labels, list(given.folds.untrained(rows, labels, subjects)))
    own, rows, labels, subjects = own[kept_too], rows[kept_too], labels[kept_too], subjects[kept_too]
    folds = given.folds.folds(rows, labels, subjects)
    y = target.encode(list(labels))
    n_rarest = np.bincount(y)[np.unique(y)].min()
    if n_rarest < len(folds):
        raise FoldError(f"A class has {n_rarest} faces, which is fewer than the number of folds.")
    dealer = StratifiedKFold(len(folds), shuffle=True, random_state=given.seed)
    at_random = [Fold(train, test) for train, test in dealer.split(y, y)]
    accuracy = []
    for dealt in (folds, at_random):
        out = cross_validate(
            CLASSIFIERS["logistic_regression"],
            target,
            embeddings.vectors[own].astype(np.float32, copy=False),
            y,
            subjects,
            dealt,
            Fitting(blocks=embeddings.blocks, seed=given.seed),
            done=one_done,
        )
        accuracy.append(float(np.mean([(out.predicted == y)[fold.test].mean() for fold in dealt])))
    return accuracy[0], accuracy[1]


def _some_persons(subjects: NDArray[np.str_], seed: int) -> NDArray[np.intp]:
    """Return the rows of persons drawn at random until there would be more than MOST_FITTED faces."""
    if len(subjects) <= MOST_FITTED:
        return np.arange(len(subjects))
    _, codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(counts))
    chosen = drawn[np.cumsum(counts[drawn]) <= MOST_FITTED]
    return np.flatnonzero(np.isin(codes, chosen))


CHECKS.add(Check(NAME, "score of a random split", "note", 90, look))
