"""Scores on all faces together, with their confidence intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.evaluation.outcomes import MOST_LABELS, gives_probabilities, probabilities_of
from featurekit.evaluation.scores import cells_of, from_counts, log_losses, ranked_probabilities
from featurekit.uncertainty.resampling import Interval, interval, per_subject, resampled_sums


@dataclass(frozen=True)
class Estimate:
    """A score on all faces together with its confidence interval; shares are between 0 and 1."""

    value: float
    low: float
    high: float


def estimates_of(target: Target, table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Return the scores of one run with their confidence intervals, by the name of the score.

    Scores that cannot be computed from sums over subjects, such as the ROC-AUC, are left out.
    """
    subjects = table["subject"].to_numpy()
    if target.is_regression:
        return {"mae_years": mean_of_faces(losses_of(target, table), subjects, seed)}
    n_classes = len(target.classes)
    true, proba, _ = classes_of(target, table)
    said = target.encode(list(table["predicted"]))
    found = {}
    if n_classes > MOST_LABELS:
        found["accuracy"] = mean_of_faces((true == said).astype(float), subjects, seed)
    else:
        codes = np.unique(subjects, return_inverse=True)[1]
        n_subjects = int(codes.max()) + 1
        # Most cells of the confusion matrix have no face.
        kinds, cells = np.unique(cells_of(true, said, n_classes), return_inverse=True)
        of_each = np.bincount(codes * len(kinds) + cells, minlength=n_subjects * len(kinds))
        sums = resampled_sums(of_each.reshape(n_subjects, len(kinds)).astype(float), seed=seed)

        def counts(of_kinds: NDArray[np.float64]) -> NDArray[np.float64]:
            whole = np.zeros((*of_kinds.shape[:-1], n_classes * (n_classes + 1)))
            whole[..., kinds] = of_kinds
            return whole.reshape(*of_kinds.shape[:-1], n_classes, n_classes + 1)

        real = from_counts(counts(np.bincount(cells).astype(float)), ordered=target.ordered)
        drawn = from_counts(counts(sums), ordered=target.ordered)
        found |= {
            name: _estimate(float(value), interval(drawn[name]))
            for name, value in real.items()
            if np.isfinite(value)
        }
    if gives_probabilities(table, target.classes):
        found["log_loss"] = mean_of_faces(log_losses(true, proba), subjects, seed)
        if target.ordered:
            found["ranked_probability"] = mean_of_faces(ranked_probabilities(true, proba), subjects, seed)
    return found


def losses_of(target: Target, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the loss on each face: the absolute error in years, or 1 for a wrong class."""
    if target.is_regression:
        return (table["true"] - table["predicted"]).abs().to_numpy(float)
    return np.asarray(table["true"] != table["predicted"], dtype=float)


def mean_of_faces(values: NDArray[np.float64], subjects: NDArray[Any], seed: int) -> Estimate:
    """Return the mean of a value over faces, with its confidence interval over subjects."""
    columns = np.stack([values, np.ones(len(values))], axis=1)
    sums = resampled_sums(per_subject(columns, subjects), seed=seed)
    return _estimate(float(values.mean()), interval(sums[:, 0] / sums[:, 1]))


def classes_of(
    target: Target, table: pd.DataFrame
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[Any]]:
    """Return the true class numbers, the probabilities and the subjects in a table of predictions."""
    y = target.encode(list(table["true"]))
    return y, probabilities_of(table, target.classes), table["subject"].to_numpy()


def _estimate(value: float, between: Interval) -> Estimate:
    return Estimate(value, between.low, between.high)
