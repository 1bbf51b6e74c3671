"""The corrected t-test over folds, shown beside the sign-flip test on which the report relies."""

import numpy as np
from numpy.typing import NDArray


def corrected_t(differences: NDArray[np.float64], n_train: float, n_test: float) -> float:
    """Return the p-value of the folds' differences, whose training parts overlap (Nadeau & Bengio 2003).

    This test also counts that another training part gives another model, but it is based on no more numbers
    than there are folds.

    Args:
        differences: of each fold, what one model scored minus what the other did, shape (n_folds,).
        n_train: number of images in a training part.
        n_test: number of images in a test part.
    """
    from scipy import stats

    k = len(differences)
    mean, variance = float(differences.mean()), float(differences.var(ddof=1)) if k > 1 else float("nan")
    if mean == 0:
        return 1.0
    if k < 2 or variance == 0:
        return float("nan")
    return float(2 * stats.t.sf(abs(mean / np.sqrt((1 / k + n_test / n_train) * variance)), k - 1))
