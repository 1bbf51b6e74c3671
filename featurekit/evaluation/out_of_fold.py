"""Out-of-fold predictions of classifiers, as a table and as scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.data.targets import Target
from featurekit.estimators import Classifier
from featurekit.evaluation.examples import labels_of, subject_numbers
from featurekit.evaluation.scores import NO_FACE, counts_of, recalls, score, score_all_rows, summarize
from featurekit.evaluation.tuning import Search


@dataclass(frozen=True)
class OutOfFold:
    """The predictions of one classifier for faces on which it was not fitted.

    Attributes:
        fold: the fold each row was tested in, shape (n,); -1 for a row that no fold tests.
        predicted: class number or years of each row, shape (n,).
        probabilities: shape (n, n_classes), classes in the target's order; NaN for a regression target.
        seconds_fit, seconds_predict: sums over the folds, also if they ran at the same time.
        fitted: the classifier of the first fold; None for an ensemble.
        searches: the search of each fold; empty if nothing was searched.
        trainings: how the network of each fold was trained; empty for other classifiers.
        gives_probabilities: whether the probabilities are those of the classifier; otherwise each predicted
            class has 1, which says nothing about its confidence.
    """

    fold: NDArray[np.intp]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64]
    seconds_fit: float
    seconds_predict: float
    fitted: Classifier | None
    searches: tuple[Search, ...] = ()
    trainings: tuple[Mapping[str, Any], ...] = ()
    gives_probabilities: bool = True


def confusion_of(target: Target, true: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
    """Return the confusion matrix and the recall of each class for a run; empty for a regression target."""
    if target.is_regression:
        return {"confusion": (), "recall": ()}
    counts = counts_of(true, predicted, len(target.classes))
    return {
        "confusion": tuple(tuple(map(int, row[:-1])) for row in counts),
        "recall": tuple(float(share) if np.isfinite(share) else None for share in recalls(counts)),
    }


def predictions_of(
    manifest: Manifest, target: Target, rows: NDArray[np.intp], y: NDArray[Any], out: OutOfFold
) -> pd.DataFrame:
    """Return the prediction for each tested face; a subject is a number, the same in all runs.

    There are columns of probabilities (p_<class>) only if the classifier gives some.
    """
    tested = out.fold >= 0
    rows = rows[tested]
    columns: dict[str, Any] = {
        "face_id": manifest.table["face_id"].to_numpy(dtype=str)[rows],
        "subject": subject_numbers(manifest, rows),
        "fold": out.fold[tested],
    }
    if target.is_regression:
        columns |= {"true": y[tested], "predicted": out.predicted[tested]}
    else:
        names = np.array(target.classes)
        columns |= {"true": names[y[tested]], "predicted": names[out.predicted[tested]]}
        if out.gives_probabilities:
            columns |= {f"p_{name}": out.probabilities[tested, i] for i, name in enumerate(names)}
    return pd.DataFrame(columns)


def scores_of(
    manifest: Manifest, folds: FoldSet, target: Target, rows: NDArray[np.intp], out: OutOfFold
) -> dict[str, Any]:
    """Return the scores of each fold on the faces found, and on all labelled rows, for a run."""
    labelled = np.flatnonzero(manifest.labelled(target))
    numbers, _ = labels_of(manifest, target, np.arange(len(manifest)))
    predicted = np.full(len(manifest), NO_FACE, dtype=np.intp)
    if not target.is_regression:
        predicted[rows] = out.predicted
    per_fold, per_fold_all = [], []
    for number in range(folds.n_folds):
        test = out.fold == number
        proba = out.probabilities[test] if out.gives_probabilities and not target.is_regression else None
        per_fold.append(score(target, numbers[rows][test], out.predicted[test], proba))
        everyone = labelled[folds.numbers[labelled] == number]
        per_fold_all.append(score_all_rows(target, numbers[everyone], predicted[everyone]))
    return {"scores": summarize(per_fold), "scores_all_rows": summarize(per_fold_all)}
