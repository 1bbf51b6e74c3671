"""How two models of one target compare on their common faces."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from featurekit.data.targets import Target
from featurekit.evaluation.estimates import losses_of
from featurekit.uncertainty.paired_tests import corrected_t, sign_flip
from featurekit.uncertainty.resampling import interval, per_subject, resampled_sums

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two models of one target compare on their common faces.

    Attributes:
        first, second: names of the two runs.
        gain: by how much the first run is better, negative if it is worse: a share of faces, or a mean error
            in years.
        low, high: confidence interval of the gain.
        p_value: p-value of the sign-flip test over subjects.
        adjusted: the same p-value, adjusted for all pairs of runs of the target (step-down max-T).
        limit: smallest p-value that the test can give. If p_value equals it, the true one may be far smaller.
        by_folds: p-value of Nadeau & Bengio's corrected t-test over the folds; None if it is undefined.
    """

    first: str
    second: str
    gain: float
    low: float
    high: float
    p_value: float
    adjusted: float
    limit: float
    by_folds: float | None

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence that the two models differ (adjusted p-value of at most ALPHA)."""
        return self.adjusted <= ALPHA

    @property
    def swapped(self) -> "Difference":
        """The same difference with both runs exchanged, so that the second run comes first."""
        return replace(
            self, first=self.second, second=self.first, gain=-self.gain, low=-self.high, high=-self.low
        )


def differences_of(target: Target, tables: Mapping[str, pd.DataFrame], seed: int) -> tuple[Difference, ...]:
    """Return the difference of each pair of models, from their predictions for the same faces."""
    names = sorted(tables)
    table = tables[names[0]]
    subjects, folds = table["subject"].to_numpy(), table["fold"].to_numpy()
    # The loss on each face, so that less is better for years and classes alike.
    losses = np.stack([losses_of(target, tables[name]) for name in names], axis=1)
    pairs = list(combinations(range(len(names)), 2))
    of_each = per_subject(np.concatenate([losses, np.ones((len(losses), 1))], axis=1), subjects)
    tested = sign_flip(of_each[:, :-1], pairs, seed=seed)
    sums = resampled_sums(of_each, seed=seed)
    means = sums[:, :-1] / sums[:, -1:]
    by_fold = np.stack([losses[folds == number].mean(axis=0) for number in np.unique(folds)])
    n_test = len(losses) / len(by_fold)
    intervals = [interval(means[:, j] - means[:, i]) for i, j in pairs]
    return tuple(
        Difference(
            first=names[i],
            second=names[j],
            gain=float(losses[:, j].mean() - losses[:, i].mean()),
            low=between.low,
            high=between.high,
            p_value=float(p_value),
            adjusted=float(adjusted),
            limit=tested.limit,
            by_folds=corrected_t(by_fold[:, j] - by_fold[:, i], len(losses) - n_test, n_test),
        )
        for (i, j), between, p_value, adjusted in zip(
            pairs, intervals, tested.p_values, tested.adjusted, strict=True
        )
    )


def common_faces(tables: Mapping[str, pd.DataFrame], key: str = "row") -> dict[str, pd.DataFrame]:
    """Return each table with only the faces that all tables contain, in the same order."""
    shared = set.intersection(*(set(table[key]) for table in tables.values()))
    return {
        name: table[table[key].isin(shared)].sort_values(key, ignore_index=True)
        for name, table in tables.items()
    }
