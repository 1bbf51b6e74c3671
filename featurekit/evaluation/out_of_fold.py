"""What classifiers said of faces that they were not fitted on, as a table and as scores."""

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
    """What one classifier said of faces it was not fitted on.

    Attributes:
        fold: the fold each row was tested in, shape (n,); -1 for a row that no fold tests.
        predicted: class number or years of each row, shape (n,).
        probabilities: shape (n, n_classes), classes in the target's order; NaN for years.
        seconds_fit, seconds_predict: added up over the folds, whether or not they ran side by side.
        fitted: the classifier of the first fold; None where several were combined.
        searches: what was found in each fold; empty where nothing was searched.
        trainings: how the network of each fold was trained; empty for what is no network.
        gives_probabilities: whether the probabilities are the classifier's own; else each answer has 1, and
            there is nothing to be said of how sure it was.
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
    """Return the confusion matrix and the recall of each class as a run keeps them; empty for years."""
    if target.is_regression:
        return {"confusion": (), "recall": ()}
    counts = counts_of(true, predicted, len(target.classes))
    shares = recalls(counts)
    return {
        "confusion": tuple(tuple(map(int, row[:-1])) for row in counts),
        "recall": tuple(float(share) if np.isfinite(share) else None for share in shares),
    }


def predictions_of(
    manifest: Manifest, target: Target, rows: NDArray[np.intp], y: NDArray[Any], out: OutOfFold
) -> pd.DataFrame:
    """Return what was said of each face that was tested; a person is a number, the same in all runs.

    Columns of probabilities (p_<class>) are there only where the classifier gives some.
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
    """Return the scores of each fold on the faces found, and on all labelled rows, as a run keeps them."""
    labelled = np.flatnonzero(manifest.labelled(target))
    numbers, _ = labels_of(manifest, target, np.arange(len(manifest)))
    predicted = np.full(len(manifest), NO_FACE, dtype=np.intp)
    if not target.is_regression:
        predicted[rows] = out.predicted
    per_fold, per_fold_all = [], []
    for number in range(folds.n_folds):
        test = out.fold == number
        has_some = out.gives_probabilities and not target.is_regression
        proba = out.probabilities[test] if has_some else None
        per_fold.append(score(target, numbers[rows][test], out.predicted[test], proba))
        everyone = labelled[folds.numbers[labelled] == number]
        per_fold_all.append(score_all_rows(target, numbers[everyone], predicted[everyone]))
    return {"scores": summarize(per_fold), "scores_all_rows": summarize(per_fold_all)}
