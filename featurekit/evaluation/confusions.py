"""How two models of one target differ in what they confuse, on the faces that both models predicted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from featurekit.data.targets import Target
from featurekit.evaluation.differences import ALPHA, common_faces
from featurekit.evaluation.outcomes import MOST_LABELS
from featurekit.evaluation.scores import cells_of
from featurekit.uncertainty.paired_tests import sign_flip
from featurekit.uncertainty.resampling import per_subject

_Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ConfusionDifference:
    """The confusion matrices of two models on the faces that both models predicted.

    Attributes:
        first, second: names of the two runs.
        counts_first, counts_second: number of faces of each true class (rows) by predicted class (columns).
            The rows of both have the same sums, because the faces are the same.
        p_values: p-value of the null hypothesis that both models predict a class equally often for the faces
            of a true class, adjusted for all cells; None for a cell that is the same face by face.
        limit: smallest p-value that the test can give.
    """

    first: str
    second: str
    counts_first: _Counts
    counts_second: _Counts
    p_values: tuple[tuple[float | None, ...], ...]
    limit: float

    def difference(self, true: int, predicted: int) -> float | None:
        """Return by how much the first model predicts a class more often than the second one does.

        Args:
            true: position of the true class.
            predicted: position of the predicted class.

        Returns:
            A difference of two shares of the faces of the true class; None if the class has no faces.
        """
        total = sum(self.counts_first[true])
        first, second = self.counts_first[true][predicted], self.counts_second[true][predicted]
        return (first - second) / total if total else None

    def is_shown(self, true: int, predicted: int) -> bool:
        """Whether there is evidence of a difference in a cell (adjusted p-value of at most ALPHA)."""
        p_value = self.p_values[true][predicted]
        return p_value is not None and p_value <= ALPHA


def confusion_difference(
    target: Target, first: str, second: str, tables: Mapping[str, pd.DataFrame], seed: int
) -> ConfusionDifference | None:
    """Return how the confusion matrices of two runs differ.

    Args:
        target: target of both runs, with classes.
        first: name of a run.
        second: name of the run that is subtracted from it.
        tables: outcomes of both runs, as described in featurekit.evaluation.outcomes.
        seed: seed of the random number generator.

    Returns:
        The difference; None if no face was predicted by both models, or if the target has more than
        MOST_LABELS classes.
    """
    both = common_faces({name: tables[name] for name in (first, second)})
    n_classes, n_faces = len(target.classes), len(both[first])
    if not n_faces or not 2 <= n_classes <= MOST_LABELS:
        return None
    true = target.encode(list(both[first]["true"]))
    said = [target.encode(list(both[name]["predicted"])) for name in (first, second)]
    cells = np.stack([cells_of(true, one, n_classes) for one in said])
    counts = [np.bincount(one, minlength=n_classes * (n_classes + 1)) for one in cells]
    differ = cells[0] != cells[1]
    # Only faces that the models predict differently count in the tests, and only cells with such faces.
    used = np.unique(cells[:, differ])
    p_values: dict[int, float] = {}
    limit = 1.0
    if len(used):
        columns = (cells[0, differ, None] == used).astype(float) - (cells[1, differ, None] == used)
        of_each = per_subject(columns, both[first]["subject"].to_numpy()[differ])
        of_each = np.concatenate([of_each, np.zeros((len(of_each), 1))], axis=1)
        tested = sign_flip(of_each, [(number, len(used)) for number in range(len(used))], seed=seed)
        p_values, limit = dict(zip(used.tolist(), tested.adjusted.tolist(), strict=True)), tested.limit
    places = np.arange(n_classes * (n_classes + 1)).reshape(n_classes, n_classes + 1)[:, :-1]
    matrices = [tuple(tuple(map(int, row)) for row in one[places]) for one in counts]
    return ConfusionDifference(
        first=first,
        second=second,
        counts_first=matrices[0],
        counts_second=matrices[1],
        p_values=tuple(tuple(p_values.get(cell) for cell in row) for row in places.tolist()),
        limit=limit,
    )
