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
        fold: number of the fold in which each row was tested, shape (n,); -1 for a row that no fold tests.
        predicted: predicted class number or age of each row, shape (n,).
        probabilities: predicted probability of each class, shape (n, n_classes), in the target's order of
            classes; NaN for a regression target.
        seconds_fit, seconds_predict: time of all fits and of all predictions, summed over the folds even if
            they ran at the same time.
        fitted: the classifier of the first fold; None for an ensemble.
        searches: result of the parameter search in each fold; empty without a search.
        trainings: how the network of each fold was trained; empty for other classifiers.
        gives_probabilities: whether the classifier gave the probabilities. Otherwise each predicted class has
            a probability of 1, which says nothing about confidence.
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
    """Return a table with the prediction for each tested face.

    A subject has the same number in all runs. There are columns of probabilities (p_<class>) only if the
    classifier gives probabilities.
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
    """Return the scores of a run over its folds: on the faces that were found, and on all labelled rows."""
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
