"""The usual tests of two models, and of many over blocks, for a reader who asks for them.

They are second opinions: what a report says comes from sign flips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.intervals import LEVEL

# Fewer blocks rank nothing: the critical difference is then wider than ranks can lie apart.
FEWEST_BLOCKS = 10


def corrected_t(differences: NDArray[np.float64], n_train: float, n_test: float) -> float:
    """Return the p-value of the folds' differences, whose training parts overlap (Nadeau & Bengio 2003).

    A second opinion: it also counts that another training part gives another model, and sees as many
    numbers as there are folds.

    Args:
        differences: of each fold, what one model scored minus what the other did, shape (n_folds,).
        n_train: photographs of a training part.
        n_test: photographs of a test part.
    """
    from scipy import stats

    k = len(differences)
    mean, variance = float(differences.mean()), float(differences.var(ddof=1)) if k > 1 else float("nan")
    if mean == 0:
        return 1.0
    if k < 2 or variance == 0:
        return float("nan")
    t = mean / np.sqrt((1 / k + n_test / n_train) * variance)
    return float(2 * stats.t.sf(abs(t), k - 1))


@dataclass(frozen=True)
class McNemar:
    """What McNemar's test says, and whether it may be believed.

    Attributes:
        p_value: exact and two-sided.
        only_first, only_second: photographs that only one of the models read rightly.
        caution: why the p-value is too small; "" where every person has one photograph.
    """

    p_value: float
    only_first: int
    only_second: int
    caution: str


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], subjects: NDArray[np.str_]) -> McNemar:
    """Compare two models photograph by photograph (McNemar 1947, the exact binomial form).

    Args:
        first: whether the one model read each photograph rightly, shape (n,).
        second: whether the other did.
        subjects: person on each photograph, shape (n,).
    """
    from scipy import stats

    ours, theirs = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = float(stats.binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0
    n_persons = len(np.unique(subjects))
    caution = ""
    if n_persons < len(subjects):
        caution = (
            f"McNemar's test takes the {len(subjects):,} photographs of {n_persons:,} persons for"
            " independent, which makes its p-value too small; the sign-flip test does not."
        )
    return McNemar(p_value, ours, theirs, caution)


@dataclass(frozen=True)
class Ranks:
    """How models rank over many blocks, e.g. data sets.

    Attributes:
        mean: of each model, 1 for the best.
        p_value: Friedman's, that all models are equal.
        critical_difference: by how much mean ranks must differ (Nemenyi; Demšar 2006).
    """

    mean: tuple[float, ...]
    p_value: float
    critical_difference: float


def ranks(scores: NDArray[np.float64], level: float = LEVEL) -> Ranks | None:
    """Return the mean ranks and how far apart they must be; None of fewer than FEWEST_BLOCKS blocks.

    Args:
        scores: of each block and model, the more the better, shape (n_blocks, n_models).
        level: 1 minus the share of equal models that may be called different.
    """
    from scipy import stats

    n_blocks, n_models = scores.shape
    if n_blocks < FEWEST_BLOCKS or n_models < 2:
        return None
    mean = stats.rankdata(-scores, axis=1).mean(axis=0)
    if n_models > 2:
        p_value = float(stats.friedmanchisquare(*scores.T).pvalue)
    else:
        p_value = float(stats.binomtest(int((scores[:, 0] > scores[:, 1]).sum()), n_blocks).pvalue)
    widest = float(stats.studentized_range.ppf(level, n_models, np.inf))
    between = widest / np.sqrt(2) * np.sqrt(n_models * (n_models + 1) / (6 * n_blocks))
    return Ranks(tuple(mean.tolist()), p_value, float(between))
