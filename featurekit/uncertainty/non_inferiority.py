"""Whether a cheaper model loses less than a margin on the best one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._step_down import FlipTest, step_down
from featurekit.uncertainty.sign_flips import FLIPS


def non_inferior(
    losses: NDArray[np.float64],
    counts: NDArray[np.float64],
    candidates: Sequence[int],
    *,
    margin: float,
    seed: int,
    n_flips: int = FLIPS,
) -> FlipTest:
    """Test for each candidate whether its loss exceeds that of the best model by less than a margin.

    It is not known which model is truly the best: the best score here is no proof. So each model k in turn
    is taken to be the best, and the null hypotheses "candidate j loses at least the margin more than
    k does", for all candidates together, are tested by sign flips with step-down max-T, one-sided. The
    p-value of a candidate is the largest over all k (an intersection–union test). One of the k is truly the
    best. For it the family-wise error rate is controlled, hence: the probability that any candidate that
    truly loses the margin or more is called non-inferior is at most the level, however many models compete.

    Two things keep the test close to its level. The statistic is corrected for the skewness of the
    differences (Hall 1992), which matters where a loss comes from few subjects. And a candidate that is
    behind k by the margin and more than CLEARLY_WORSE standard errors is not counted among those that chance
    could have lifted over the critical value, as in generalized moment selection (Andrews & Soares 2010).

    Args:
        losses: one row per subject, the loss of each model on the images of the subject, shape (n_subjects,
            n_models).
        counts: number of images of each subject, shape (n_subjects,).
        candidates: numbers of the models that are tested.
        margin: in the unit of the loss on one image, above 0.
        seed: of the random number generator.
        n_flips: how often all signs are drawn.

    Returns:
        p-values of the candidates, in their order; 1 where there is no other model.
    """
    n_models = losses.shape[1]
    # The margin minus the loss of j plus the loss of k is a column for j minus a column for k.
    columns = np.concatenate([margin * counts[:, None] - losses, -losses], axis=1)
    asked = [(j, k) for k in range(n_models) for j in candidates if j != k]
    found = step_down(
        columns,
        [(j, n_models + k) for j, k in asked],
        [k for _, k in asked],
        counts=counts,
        seed=seed,
        n_flips=n_flips,
    )
    smallest = 0.0 if n_models > 1 else 1.0
    alone, together = dict.fromkeys(candidates, smallest), dict.fromkeys(candidates, smallest)
    for (j, _), p, adjusted in zip(asked, found.p_values, found.adjusted, strict=True):
        alone[j], together[j] = max(alone[j], float(p)), max(together[j], float(adjusted))
    return FlipTest(
        np.array([alone[j] for j in candidates]), np.array([together[j] for j in candidates]), found.limit
    )
